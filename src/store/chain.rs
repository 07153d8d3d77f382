//! The audit trail as whoever checks it reads it, also while a hub writes it.

use std::fmt;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, params};
use serde_json::Value;

use super::audit::{Hash, Link};
use super::error::{OpenError, ReadError, reason};
use super::file::reader;
use super::postgres::Trail;

/// Rows read in one go. A longer read would keep the hub's journal from being emptied.
const ROWS: usize = 5000;

/// The trail, open for reading.
pub struct AuditTrail(Box<dyn Records>);

impl fmt::Debug for AuditTrail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuditTrail")
    }
}

/// Where its records are.
pub(super) trait Records {
    /// What the oldest record that is left is chained to.
    fn cut(&self) -> Result<Link, ReadError>;
    /// What retention has left off at and up to `max` rows after it or after `at`, of one moment. Rows that
    /// should have gone are among them.
    fn some_after(&self, at: Link, max: usize) -> Result<(Link, Vec<Kept>), ReadError>;
    fn after(&self, id: i64, max: usize) -> Result<Vec<Kept>, ReadError>;
    fn before(&self, id: i64, max: usize) -> Result<Vec<Kept>, ReadError>;
    fn newest_id(&self) -> Result<i64, ReadError>;
}

/// A record of the trail, as it is in the store.
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

impl Kept {
    pub(super) fn new(id: i64, at_ms: i64, text: Vec<u8>, hash: Vec<u8>) -> Self {
        Self {
            id,
            at_ms,
            text,
            hash,
        }
    }
}

impl Link {
    /// The number behind which to read on, where retention has left off at `cut` and the oldest record is
    /// `first`.
    pub(super) fn after(self, cut: Self, first: Option<i64>) -> i64 {
        match first.is_some_and(|first| first <= cut.id) {
            true => i64::MIN,
            false => self.id.max(cut.id),
        }
    }
}

impl AuditTrail {
    /// The one in the store's file.
    ///
    /// # Errors
    /// The file cannot be opened, is no store, or is of a newer version.
    pub fn in_file(path: &Path) -> Result<Self, OpenError> {
        let connection = reader(path)?;
        Ok(Self(Box::new(InFile(connection))))
    }

    /// The one in the database at `url`, of all hubs that share it.
    ///
    /// # Errors
    /// The database cannot be reached, has no trail, or is of a newer version.
    pub fn in_database(url: &str) -> Result<Self, OpenError> {
        Ok(Self(Box::new(Trail::open(url)?)))
    }

    /// Walks the chain. `expected` is a hash that was its newest at some time; `progress` is told how
    /// many records are done, and of how many at most.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn verify(
        &self,
        expected: Option<Hash>,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Verdict, ReadError> {
        let mut at = self.0.cut()?;
        let newest = self.newest_id()?;
        let total = u64::try_from(newest.saturating_sub(at.id)).unwrap_or_default();
        let mut summary = Summary {
            records: 0,
            from: None,
            to: None,
            removed: at.id,
            newest: at.hash,
        };
        let mut is_there = expected.is_none_or(|hash| hash == at.hash);
        loop {
            let (cut, rows) = self.0.some_after(at, ROWS)?;
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

    /// Up to `max` records after the one numbered `id`, oldest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn after(&self, id: i64, max: usize) -> Result<Vec<Kept>, ReadError> {
        self.0.after(id, max)
    }

    /// Up to `max` records before the one numbered `id`, newest first.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn before(&self, id: i64, max: usize) -> Result<Vec<Kept>, ReadError> {
        self.0.before(id, max)
    }

    /// The number of the newest record there ever was.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn newest_id(&self) -> Result<i64, ReadError> {
        self.0.newest_id()
    }
}

/// The store's file.
struct InFile(Connection);

impl InFile {
    fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, ReadError> {
        read(&self.0).map_err(|error| ReadError::Failed(reason(&error)))
    }
}

impl Records for InFile {
    fn cut(&self) -> Result<Link, ReadError> {
        self.read(Link::cut)
    }

    fn some_after(&self, at: Link, max: usize) -> Result<(Link, Vec<Kept>), ReadError> {
        self.read(|connection| {
            let transaction = connection.unchecked_transaction()?;
            let cut = Link::cut(&transaction)?;
            let first = "SELECT min(id) FROM audit";
            let first: Option<i64> = transaction.query_row(first, [], |row| row.get(0))?;
            Ok((cut, rows(&transaction, AFTER, at.after(cut, first), max)?))
        })
    }

    fn after(&self, id: i64, max: usize) -> Result<Vec<Kept>, ReadError> {
        self.read(|connection| rows(connection, AFTER, id, max))
    }

    fn before(&self, id: i64, max: usize) -> Result<Vec<Kept>, ReadError> {
        self.read(|connection| before(connection, id, max))
    }

    fn newest_id(&self) -> Result<i64, ReadError> {
        self.read(|connection| {
            let text = "SELECT max(id) FROM audit";
            let newest: Option<i64> = connection.query_row(text, [], |row| row.get(0))?;
            Ok(newest.unwrap_or(Link::cut(connection)?.id))
        })
    }
}

/// Up to `max` records before the one numbered `id`, newest first.
pub(super) fn before(connection: &Connection, id: i64, max: usize) -> rusqlite::Result<Vec<Kept>> {
    rows(connection, BEFORE, id, max)
}

const BEFORE: &str =
    "SELECT id, at_ms, record, hash FROM audit WHERE id < ?1 ORDER BY id DESC LIMIT ?2";
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
