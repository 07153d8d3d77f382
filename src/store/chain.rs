//! The audit trail as whoever checks it reads it, also while a hub writes it.

use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde_json::Value;

use super::audit::{Hash, Link};
use super::error::OpenError;
use super::file::reader;

/// Rows read in one go. A longer read would keep the hub's journal from being emptied.
const ROWS: usize = 5000;

/// The trail in a file, open for reading.
#[derive(Debug)]
pub struct AuditFile {
    connection: Connection,
}

/// A record of the trail, as it is in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub id: i64,
    /// When it happened, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// One line of JSON, where nobody has tampered with it.
    pub text: Vec<u8>,
    hash: Vec<u8>,
}

/// What became of the chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Whole(Summary),
    Broken(Break),
    /// All of it is whole, but it never had this hash, as far as it goes back.
    NotThere(Summary),
}

/// A chain that is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    pub records: u64,
    /// The first and the last record: number and time in milliseconds since the Unix epoch.
    pub from: Option<(i64, i64)>,
    pub to: Option<(i64, i64)>,
    /// Records before the first that retention has taken away.
    pub removed: i64,
    pub newest: Hash,
}

/// The first place at which the chain is not what it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Break {
    pub id: i64,
    /// In milliseconds since the Unix epoch; of the record after it where it is missing.
    pub at_ms: i64,
    pub fault: Fault,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is not there.
    Missing,
    /// It stands before the beginning of the chain.
    BeforeTheBeginning,
    /// Its hash is not that of its text and the hash before: it was changed, or put in.
    Changed,
    /// The column with its time does not agree with its text, which is what the hash is of.
    OtherTime,
}

impl AuditFile {
    /// # Errors
    /// The file cannot be opened, is no store, or is of a newer version.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let connection = reader(path)?;
        Ok(Self { connection })
    }

    /// Walks the chain. `expected` is a hash that was its newest at some time; `progress` is told how
    /// many records are done, and of how many at most.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn verify(
        &self,
        expected: Option<Hash>,
        mut progress: impl FnMut(u64, u64),
    ) -> rusqlite::Result<Verdict> {
        let mut at = Link::cut(&self.connection)?;
        let newest = self.newest_id()?;
        let total = u64::try_from(newest - at.id).unwrap_or_default();
        let mut summary = Summary {
            records: 0,
            from: None,
            to: None,
            removed: at.id,
            newest: at.hash,
        };
        let mut is_there = expected.is_none_or(|hash| hash == at.hash);
        loop {
            let (cut, rows) = self.some_after(at)?;
            if cut.id > at.id {
                // Retention has overtaken us.
                at = cut;
                summary.from = None;
                (summary.records, summary.removed) = (0, cut.id);
                is_there |= expected == Some(cut.hash);
            }
            if rows.is_empty() {
                break;
            }
            for row in rows {
                let next = at.next(&row.text);
                if let Some(broken) = broken(&row, next) {
                    return Ok(Verdict::Broken(broken));
                }
                at = next;
                is_there |= expected == Some(at.hash);
                summary.records += 1;
                summary.from.get_or_insert((row.id, row.at_ms));
                summary.to = Some((row.id, row.at_ms));
            }
            progress(summary.records, total.max(summary.records));
        }
        summary.newest = at.hash;
        Ok(match is_there {
            true => Verdict::Whole(summary),
            false => Verdict::NotThere(summary),
        })
    }

    /// What retention has left off at and the rows after it or after `at`, of one moment. Rows that
    /// should have gone are among them.
    fn some_after(&self, at: Link) -> rusqlite::Result<(Link, Vec<Kept>)> {
        let transaction = self.connection.unchecked_transaction()?;
        let cut = Link::cut(&transaction)?;
        let first = "SELECT min(id) FROM audit";
        let first: Option<i64> = transaction.query_row(first, [], |row| row.get(0))?;
        let is_stray = first.is_some_and(|first| first <= cut.id);
        let after = match is_stray {
            true => i64::MIN,
            false => at.id.max(cut.id),
        };
        Ok((cut, rows(&transaction, AFTER, after, ROWS)?))
    }

    /// Up to `max` records after the one numbered `id`, oldest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn after(&self, id: i64, max: usize) -> rusqlite::Result<Vec<Kept>> {
        rows(&self.connection, AFTER, id, max)
    }

    /// Up to `max` records before the one numbered `id`, newest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn before(&self, id: i64, max: usize) -> rusqlite::Result<Vec<Kept>> {
        let text =
            "SELECT id, at_ms, record, hash FROM audit WHERE id < ?1 ORDER BY id DESC LIMIT ?2";
        rows(&self.connection, text, id, max)
    }

    /// The number of the newest record there ever was.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn newest_id(&self) -> rusqlite::Result<i64> {
        let text = "SELECT max(id) FROM audit";
        let newest: Option<i64> = self.connection.query_row(text, [], |row| row.get(0))?;
        Ok(newest.unwrap_or(Link::cut(&self.connection)?.id))
    }
}

const AFTER: &str = "SELECT id, at_ms, record, hash FROM audit WHERE id > ?1 ORDER BY id LIMIT ?2";

fn rows(connection: &Connection, text: &str, id: i64, max: usize) -> rusqlite::Result<Vec<Kept>> {
    let mut statement = connection.prepare_cached(text)?;
    let row = |row: &rusqlite::Row<'_>| {
        Ok(Kept {
            id: row.get(0)?,
            at_ms: row.get(1)?,
            // As it is: somebody may have put in what is no text.
            text: row.get_ref(2)?.as_bytes().unwrap_or_default().to_owned(),
            hash: row.get_ref(3)?.as_bytes().unwrap_or_default().to_owned(),
        })
    };
    statement.query_map(params![id, max], row)?.collect()
}

/// What is wrong with a record, where `link` is what the chain would go on with.
fn broken(row: &Kept, link: Link) -> Option<Break> {
    let (id, fault) = if row.id > link.id {
        (link.id, Fault::Missing)
    } else if row.id < link.id {
        (row.id, Fault::BeforeTheBeginning)
    } else if row.hash != link.hash {
        (row.id, Fault::Changed)
    } else if time(&row.text) != Some(row.at_ms) {
        (row.id, Fault::OtherTime)
    } else {
        return None;
    };
    let at_ms = row.at_ms;
    Some(Break { id, at_ms, fault })
}

fn time(text: &[u8]) -> Option<i64> {
    let record: Value = serde_json::from_slice(text).ok()?;
    let time: Timestamp = record.get("time")?.as_str()?.parse().ok()?;
    Some(time.as_millisecond())
}
