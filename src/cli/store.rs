//! `audit` and `backup`: what an operator does with the store, also while a hub writes it.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::bail;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::arguments::{Audit, AuditTail, AuditVerify, Backup, ConfigFile, TrailPlace};
use super::{Environment, configured, whereabouts};
use crate::config::{self, Durability};
use crate::store::{self, AuditTrail, Break, Fault, Hash, Kept, Summary, Verdict};
use crate::telemetry::mask::one_json_line;
use crate::wire::hex::Hex;

/// How often something that takes long says how far it is.
const SAYS_EVERY: Duration = Duration::from_secs(1);
/// How often it is looked for new records.
const LOOKS_EVERY: Duration = Duration::from_millis(200);
/// Records read at a time.
const ROWS: usize = 1000;

/// Checks the audit trail, or shows it.
///
/// # Errors
/// Bad settings, or a store that cannot be read.
pub async fn audit(
    audit: &Audit,
    environment: &Environment,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    match audit {
        Audit::Verify(wanted) => verify(wanted, environment, out),
        Audit::Tail(wanted) => {
            tail(wanted, environment, out).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Copies the store into a file of its own and says its size.
///
/// # Errors
/// Bad settings, a store that cannot be read or a file that cannot be written.
pub fn backup(
    wanted: &Backup,
    environment: &Environment,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let settings = settings(&wanted.config, environment)?;
    if settings.url.is_some() {
        bail!("the store is a database, which has backups of its own: pg_dump --schema=statshub");
    }
    let from = settings.file;
    let mut progress = Progress::of("pages");
    let say = |done, all| progress.say(done, all);
    let bytes = store::backup(&from, &wanted.file, wanted.force, say)?;
    writeln!(out, "{}: {bytes} bytes", wanted.file.display())?;
    Ok(())
}

/// Whoever looks at the store need not have the key that tokens are checked with.
fn settings(config: &ConfigFile, environment: &Environment) -> anyhow::Result<config::Store> {
    let settings = whereabouts(config, environment);
    let settings = settings.map_or_else(|| configured(config, environment), Ok)?;
    if settings.store.durability == Durability::Memory {
        bail!("these settings have no store: store.durability is memory");
    }
    Ok(settings.store)
}

/// The trail that is named, or the one of the settings.
fn trail(
    named: &TrailPlace,
    config: &ConfigFile,
    environment: &Environment,
) -> anyhow::Result<AuditTrail> {
    if let Some(url) = &named.url {
        return Ok(AuditTrail::in_database(url)?);
    }
    if let Some(file) = &named.file {
        return Ok(AuditTrail::in_file(file)?);
    }
    let settings = settings(config, environment)?;
    Ok(match &settings.url {
        Some(url) => AuditTrail::in_database(url)?,
        None => AuditTrail::in_file(&settings.file)?,
    })
}

fn verify(
    wanted: &AuditVerify,
    environment: &Environment,
    out: &mut impl Write,
) -> anyhow::Result<ExitCode> {
    let trail = trail(&wanted.trail, &wanted.config, environment)?;
    let mut progress = Progress::of("records");
    let verdict = trail.verify(wanted.expect, |done, all| progress.say(done, all))?;
    let (code, line) = match &verdict {
        Verdict::Whole(summary) => {
            let had_expected = wanted.expect.is_some();
            let line = format!("whole: {}", whole(summary, had_expected));
            (ExitCode::SUCCESS, line)
        }
        Verdict::Broken(at) => (ExitCode::FAILURE, format!("broken: {}", broken(at))),
        Verdict::NotThere(summary) => (
            ExitCode::FAILURE,
            format!(
                "broken: the expected hash is not in the chain; its end was cut off or written anew, or what it was the hash of has been removed since; otherwise {}",
                whole(summary, false)
            ),
        ),
    };
    writeln!(out, "{line}")?;
    Ok(code)
}

fn whole(summary: &Summary, had_expected: bool) -> String {
    let place = |(id, at_ms): (i64, i64)| format!("{id} ({})", time(at_ms));
    let mut text = format!("{} records", summary.records);
    if let Some((from, to)) = summary.from.zip(summary.to) {
        text += &format!(" from {} to {}", place(from), place(to));
    }
    if summary.removed > 0 {
        text += &format!(", {} before them removed by retention", summary.removed);
    }
    if had_expected {
        text += ", the expected hash among them";
    }
    text + &format!(", newest hash {}", hex(&summary.newest))
}

fn broken(at: &Break) -> String {
    let (id, time) = (at.id, time(at.at_ms));
    match at.fault {
        Fault::Missing => format!("record {id} is missing; the next one there is of {time}"),
        Fault::BeforeTheBeginning => {
            format!("record {id} ({time}) stands before the beginning of the chain")
        }
        Fault::Changed => format!(
            "record {id} ({time}) does not follow from the one before: it was changed, inserted or exchanged"
        ),
        Fault::OtherTime => format!("record {id} ({time}) has another time than its text"),
    }
}

async fn tail(
    wanted: &AuditTail,
    environment: &Environment,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    let trail = trail(&wanted.trail, &wanted.config, environment)?;
    let last = trail.newest_id()?;
    let mut shown = Vec::new();
    let mut before = last.saturating_add(1);
    while shown.len() < wanted.lines {
        let rows = trail.before(before, ROWS)?;
        let Some(oldest) = rows.last() else {
            break;
        };
        before = oldest.id;
        let rows = rows.into_iter().filter_map(|row| line(&row, wanted));
        shown.extend(rows.take(wanted.lines - shown.len()));
    }
    for line in shown.iter().rev() {
        writeln!(out, "{line}")?;
    }
    if wanted.follow {
        follow(&trail, last, wanted, out).await?;
    }
    Ok(())
}

/// Until something ends it.
async fn follow(
    trail: &AuditTrail,
    mut last: i64,
    wanted: &AuditTail,
    out: &mut impl Write,
) -> anyhow::Result<()> {
    loop {
        let rows = trail.after(last, ROWS)?;
        for row in &rows {
            last = row.id;
            if let Some(line) = line(row, wanted) {
                writeln!(out, "{line}")?;
            }
        }
        if rows.is_empty() {
            out.flush()?;
            sleep(LOOKS_EVERY).await;
        }
    }
}

/// A record as one line of JSON with its number in front; `None` where it is not wanted.
fn line(row: &Kept, wanted: &AuditTail) -> Option<String> {
    let text = String::from_utf8_lossy(&row.text);
    let parsed = serde_json::from_str::<Value>(&text);
    let record = match parsed {
        Ok(Value::Object(record)) => record,
        // Nothing that a hub wrote.
        _ => serde_json::Map::from_iter([("record".to_owned(), text.into())]),
    };
    let is = |field: &str, wanted: Option<&String>| {
        wanted.is_none_or(|wanted| record.get(field).and_then(Value::as_str) == Some(wanted))
    };
    if !is("action", wanted.action.as_ref()) || !is("actor", wanted.actor.as_ref()) {
        return None;
    }
    let mut numbered = serde_json::Map::from_iter([("id".to_owned(), json!(row.id))]);
    numbered.extend(record);
    let text = Value::Object(numbered).to_string();
    Some(one_json_line(&text).into_owned())
}

fn time(at_ms: i64) -> String {
    match Timestamp::from_millisecond(at_ms) {
        Ok(time) => format!("{time:.3}"),
        Err(_) => format!("{at_ms} ms"),
    }
}

fn hex(hash: &Hash) -> String {
    Hex(hash).to_string()
}

/// Says on standard error how far something is, where it takes long.
struct Progress {
    what: &'static str,
    said: Instant,
}

impl Progress {
    fn of(what: &'static str) -> Self {
        let said = Instant::now();
        Self { what, said }
    }

    fn say(&mut self, done: u64, all: u64) {
        if self.said.elapsed() >= SAYS_EVERY {
            self.said = Instant::now();
            // Nobody who reads it is no reason to stop.
            let _ = writeln!(io::stderr(), "{done} of {all} {}", self.what);
        }
    }
}
