//! Alerts and what has become of them: a row each, written with the message that tells of it.

use indexmap::IndexMap;
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use super::file::{id_of, to_sql};
use crate::domain::alert::{AlertState, Severity};
use crate::domain::message::{MessageId, UserId};
use crate::wire::message::timestamp;

/// What a batch's one message means for the alerts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum AlertWrite {
    /// It is a new one.
    New(Severity),
    /// It tells what has become of one.
    Change(Box<AlertChange>),
    /// It tells of one again, and changes nothing.
    Again,
}

/// An alert goes on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AlertChange {
    pub id: MessageId,
    /// The state it was found in. In another one it is left alone.
    pub from: AlertState,
    /// Acknowledged or resolved.
    pub to: AlertState,
    pub step: AlertStep,
}

/// Who did something about an alert, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlertStep {
    pub by: UserId,
    /// In milliseconds since the Unix epoch.
    pub at_ms: u64,
    pub note: Option<String>,
}

/// An alert as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    pub id: MessageId,
    pub severity: Severity,
    pub state: AlertState,
    /// What was published: the text of a JSON object.
    pub data: String,
    pub acknowledged: Option<AlertStep>,
    pub resolved: Option<AlertStep>,
}

/// An alert's fields, as everybody sees them.
pub type Shown = IndexMap<String, Box<RawValue>>;

impl Alert {
    /// What was published, and behind it what has become of it. Of the publisher's fields those with our names
    /// give way.
    ///
    /// # Errors
    /// What was published is no object.
    pub fn shown(&self) -> serde_json::Result<Shown> {
        let mut fields: Shown = serde_json::from_str(&self.data)?;
        let mut set = |name: &str, value: Option<&str>| {
            to_raw_value(&value).map(|value| fields.insert(name.to_owned(), value))
        };
        set("alertId", Some(&self.id.to_string()))?;
        set("raisedAt", Some(&timestamp(self.id.millis())))?;
        set("state", Some(self.state.as_str()))?;
        let steps = [
            ("acknowledged", &self.acknowledged),
            ("resolved", &self.resolved),
        ];
        for (name, step) in steps {
            let step = step.as_ref();
            let at = step.map(|step| timestamp(step.at_ms));
            let note = step.and_then(|step| step.note.as_deref());
            set(&format!("{name}By"), step.map(|step| step.by.as_str()))?;
            set(&format!("{name}At"), at.as_deref())?;
            set(&format!("{name}Note"), note)?;
        }
        Ok(fields)
    }
}

/// Which alerts are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct AlertFilter {
    pub state: Option<AlertState>,
    pub severity: Option<Severity>,
    /// Only those before this one.
    pub before: Option<MessageId>,
}

pub(super) fn insert(
    connection: &Connection,
    id: MessageId,
    severity: Severity,
    data: &str,
) -> rusqlite::Result<()> {
    let text = "INSERT INTO alert (id, severity, data, state) VALUES (?1, ?2, ?3, ?4)";
    let open = AlertState::Open.as_str();
    let values = params![to_sql(id), severity.as_str(), data, open];
    connection.prepare_cached(text)?.execute(values)?;
    Ok(())
}

/// Whether it was as the change expects. Otherwise nothing is written.
pub(super) fn change(connection: &Connection, change: &AlertChange) -> rusqlite::Result<bool> {
    let text = match change.to {
        AlertState::Resolved => {
            "UPDATE alert SET state = ?3, resolved_by = ?4, resolved_ms = ?5, resolved_note = ?6 \
             WHERE id = ?1 AND state = ?2"
        }
        AlertState::Open | AlertState::Acknowledged => {
            "UPDATE alert SET state = ?3, acknowledged_by = ?4, acknowledged_ms = ?5, \
             acknowledged_note = ?6 WHERE id = ?1 AND state = ?2"
        }
    };
    let changed = connection.prepare_cached(text)?.execute(params![
        to_sql(change.id),
        change.from.as_str(),
        change.to.as_str(),
        change.step.by.as_str(),
        i64::try_from(change.step.at_ms).unwrap_or(i64::MAX),
        change.step.note,
    ])?;
    Ok(changed == 1)
}

/// Forgets up to `rows_max` alerts that were resolved up to `before_ms`. Returns how many.
pub(super) fn forget(
    connection: &Connection,
    before_ms: i64,
    rows_max: usize,
) -> rusqlite::Result<usize> {
    let text = "DELETE FROM alert WHERE id IN (SELECT id FROM alert \
                WHERE resolved_ms <= ?1 ORDER BY resolved_ms LIMIT ?2)";
    let mut statement = connection.prepare_cached(text)?;
    statement.execute(params![before_ms, rows_max])
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, severity, state, data, acknowledged_by, acknowledged_ms, acknowledged_note, \
             resolved_by, resolved_ms, resolved_note FROM alert WHERE ",
            $rest
        )
    };
}

const ONE: &str = select!("id = ?1");
/// By which of state and severity are given: none, the state, the severity, both.
pub(super) const PAGES: [&str; 4] = [
    select!("id < ?3 ORDER BY id DESC LIMIT ?4"),
    select!("state = ?1 AND id < ?3 ORDER BY id DESC LIMIT ?4"),
    select!("severity = ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4"),
    select!("state = ?1 AND severity = ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4"),
];

pub(super) fn one(connection: &Connection, id: MessageId) -> rusqlite::Result<Option<Alert>> {
    let mut statement = connection.prepare_cached(ONE)?;
    let found = statement.query_row([to_sql(id)], read).optional()?;
    Ok(found.flatten())
}

/// The newest first.
pub(super) fn page(
    connection: &Connection,
    filter: AlertFilter,
    limit: usize,
) -> rusqlite::Result<Vec<Alert>> {
    let which = usize::from(filter.state.is_some()) + 2 * usize::from(filter.severity.is_some());
    let mut statement = connection.prepare_cached(PAGES[which])?;
    let values = params![
        filter.state.map(AlertState::as_str),
        filter.severity.map(Severity::as_str),
        filter.before.map_or(i64::MAX, to_sql),
        limit,
    ];
    let rows = statement.query_map(values, read)?;
    let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(rows.into_iter().flatten().collect())
}

/// `None` for what this program never writes.
fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Option<Alert>> {
    let (severity, state): (String, String) = (row.get(1)?, row.get(2)?);
    let (Some(severity), Some(state)) = (Severity::parse(&severity), AlertState::parse(&state))
    else {
        log::warn!("an alert in the store cannot be read and is left out");
        return Ok(None);
    };
    Ok(Some(Alert {
        id: id_of(row.get(0)?),
        severity,
        state,
        data: row.get(3)?,
        acknowledged: step(row, 4)?,
        resolved: step(row, 7)?,
    }))
}

fn step(row: &rusqlite::Row<'_>, first: usize) -> rusqlite::Result<Option<AlertStep>> {
    let by: Option<String> = row.get(first)?;
    let at_ms: Option<u64> = row.get(first + 1)?;
    let by = by.as_deref().and_then(UserId::parse);
    let note = row.get(first + 2)?;
    Ok(by
        .zip(at_ms)
        .map(|(by, at_ms)| AlertStep { by, at_ms, note }))
}
