//! The audit trail in the file: each record is chained to the one before.
//!
//! The hash of a record is the SHA-256 of the hash before and the record's text, so that nothing in the
//! middle can change, go or come without every hash after it being another. Records wait here for the
//! writer's next transaction, and for [`GATHERS_FOR`] at most: on their own they are no reason for a
//! commit that publishers would have to wait behind.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, OptionalExtension, Transaction, params};
use sha2::{Digest, Sha256};

use super::error::reason;
use super::file::{get, put};
use super::keys;
use crate::wire::hex::Hex;

/// Of a record and everything before it.
pub type Hash = [u8; 32];

/// What stands for the hash before the first record of all.
pub const GENESIS: Hash = [0; 32];

/// A hash out of its 64 digits; `None` for anything else.
pub fn parse_hash(text: &str) -> Option<Hash> {
    keys::read_hexadecimal(text)
}

/// Text that may wait to be written, in bytes. Above it records are not taken.
const WAITING_BYTES_MAX: usize = 16 << 20;
/// What a record takes up besides its text.
const RECORD_BYTES: usize = 64;
/// How long a record waits for others to share a transaction with.
const GATHERS_FOR: Duration = Duration::from_millis(50);
/// How long after a failure writing is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// What a row of the table takes up besides its text: hash, time, number, and a share of the page.
const ROW_BYTES: i64 = 64;
/// Records that stand for the size of all.
const SAMPLED: i64 = 100;
/// Records in one transaction, so that publishers who share it need not wait long.
const GROUP_MAX: usize = 1024;
/// How often the log is told where the trail ends.
const TELLS_END_EVERY: Duration = Duration::from_secs(60 * 60);

/// The newest record that retention took away, to which the oldest one left is chained.
const CUT_ID: &str = "audit_cut";
const CUT_HASH: &str = "audit_cut_hash";

/// One event, as it is to be kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditRecord {
    /// When it happened, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// One line of JSON without its line break.
    pub text: String,
}

impl AuditRecord {
    fn cost(&self) -> usize {
        self.text.len() + RECORD_BYTES
    }
}

/// How the trail in the file is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditHealth {
    /// Records written since the start.
    pub written: u64,
    /// Records that were taken and could not be written before the end.
    pub lost: u64,
    /// Bytes that wait to be written.
    pub waiting_bytes: usize,
    /// The newest record that was written since the start.
    pub newest: Option<Link>,
    /// Why none can be written just now; `None` while all is well.
    pub last_error: Option<String>,
}

/// What others may know while the thread works.
#[derive(Debug, Default)]
pub(super) struct AuditShared {
    written: AtomicU64,
    lost: AtomicU64,
    waiting_bytes: AtomicUsize,
    newest: Mutex<Option<Link>>,
    last_error: Mutex<Option<String>>,
}

impl AuditShared {
    /// Counts as waiting as many of `records` as there is room for, the first ones. Returns how many.
    pub fn admit(&self, records: &[AuditRecord]) -> usize {
        let fits = |record: &&AuditRecord| {
            let before = self
                .waiting_bytes
                .fetch_add(record.cost(), Ordering::Relaxed);
            let fits = before <= WAITING_BYTES_MAX;
            if !fits {
                self.gone(record.cost());
            }
            fits
        };
        records.iter().take_while(fits).count()
    }

    pub fn health(&self) -> AuditHealth {
        let last_error = self.last_error.lock();
        AuditHealth {
            written: self.written.load(Ordering::Relaxed),
            lost: self.lost.load(Ordering::Relaxed),
            waiting_bytes: self.waiting_bytes.load(Ordering::Relaxed),
            newest: self.newest(),
            last_error: last_error.unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    fn newest(&self) -> Option<Link> {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn ends_with(&self, newest: Link) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(newest);
    }

    fn gone(&self, bytes: usize) {
        self.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// One line in the log when that changes.
    fn tell(&self, error: Option<String>) {
        let last = self.last_error.lock();
        let mut last = last.unwrap_or_else(PoisonError::into_inner);
        match (&*last, &error) {
            (None, Some(error)) => {
                log::error!("the audit trail in the store cannot be written: {error}");
            }
            (Some(_), None) => log::info!("the audit trail in the store is written again"),
            _ => {}
        }
        *last = error;
    }
}

/// A place in the chain: a record's number and hash, or those before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Link {
    pub id: i64,
    pub hash: Hash,
}

impl Link {
    /// Before the first record of all.
    pub(super) const BEGIN: Self = Self {
        id: 0,
        hash: GENESIS,
    };

    pub fn next(self, text: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.hash);
        hash.update(text);
        Self {
            // Whoever tampers may have put anything there.
            id: self.id.wrapping_add(1),
            hash: hash.finalize().into(),
        }
    }

    /// What the oldest record in the file is chained to.
    pub(super) fn cut(connection: &Connection) -> rusqlite::Result<Self> {
        let id = get::<i64>(connection, CUT_ID)?;
        let hash = get::<Hash>(connection, CUT_HASH)?;
        Ok(match (id, hash) {
            (Some(id), Some(hash)) => Self { id, hash },
            _ => Self::BEGIN,
        })
    }

    /// What the next record is to be chained to.
    fn newest(connection: &Connection) -> rusqlite::Result<Self> {
        let text = "SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1";
        let mut statement = connection.prepare_cached(text)?;
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get::<_, Vec<u8>>(1)?));
        let Some((id, hash)) = statement.query_row([], row).optional()? else {
            return Self::cut(connection);
        };
        // One that somebody else wrote may be of any length; verifying tells of it.
        let hash = Hash::try_from(hash).unwrap_or(GENESIS);
        Ok(Self { id, hash })
    }
}

/// Records on their way into the file. The writer's own.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    records: VecDeque<AuditRecord>,
    /// `None`: to be looked up, for the file may not hold what was written last.
    newest: Option<Link>,
    due: Option<Instant>,
    /// Of `records`, those in the transaction that is under way; `None`: it has nothing to do with them.
    in_hand: Option<usize>,
    /// Where the log was last told that the trail ends, and when.
    told: Option<(Link, Instant)>,
}

impl Waiting {
    pub fn add(&mut self, records: Vec<AuditRecord>) {
        self.records.extend(records);
        self.due.get_or_insert_with(|| Instant::now() + GATHERS_FOR);
    }

    /// When they are to be written at the latest; `None`: there is nothing to write.
    pub fn due(&self) -> Option<Instant> {
        self.due
    }

    pub fn is_due(&self) -> bool {
        self.due.is_some_and(|due| due <= Instant::now())
    }

    /// Writes what waits, as a part of the transaction that may come to nothing without the rest of it
    /// doing so: no publisher is refused because of the trail.
    pub fn write(&mut self, transaction: &mut Transaction<'_>, shared: &AuditShared) {
        if self.records.is_empty() {
            return;
        }
        match self.insert(transaction) {
            Ok((link, count)) => {
                self.newest = Some(link);
                self.in_hand = Some(count);
            }
            Err(error) => self.failed(reason(&error), shared),
        }
    }

    fn insert(&self, transaction: &mut Transaction<'_>) -> rusqlite::Result<(Link, usize)> {
        let savepoint = transaction.savepoint()?;
        let mut link = match self.newest {
            Some(link) => link,
            None => Link::newest(&savepoint)?,
        };
        let count = self.records.len().min(GROUP_MAX);
        {
            let text = "INSERT INTO audit (id, at_ms, record, hash) VALUES (?1, ?2, ?3, ?4)";
            let mut insert = savepoint.prepare_cached(text)?;
            for record in self.records.iter().take(count) {
                link = link.next(record.text.as_bytes());
                insert.execute(params![link.id, record.at_ms, record.text, link.hash])?;
            }
        }
        savepoint.commit()?;
        Ok((link, count))
    }

    /// Takes records into a transaction, chained to `newest`.
    pub fn chained(&mut self, newest: Link) -> Vec<(Link, &AuditRecord)> {
        let count = self.records.len().min(GROUP_MAX);
        self.in_hand = Some(count);
        let mut link = newest;
        let chained = |record: &'_ AuditRecord| {
            link = link.next(record.text.as_bytes());
            link
        };
        let links: Vec<_> = self.records.iter().take(count).map(chained).collect();
        self.newest = Some(link);
        links.into_iter().zip(&self.records).collect()
    }

    /// None could be taken into the transaction.
    pub fn failed(&mut self, reason: String, shared: &AuditShared) {
        self.newest = None;
        self.in_hand = Some(0);
        shared.tell(Some(reason));
    }

    /// The transaction that may have had some has come to its end.
    pub fn settle(&mut self, is_committed: bool, shared: &AuditShared) {
        let written = match (self.in_hand.take(), is_committed) {
            (None, true) => return,
            (Some(in_hand), true) => in_hand,
            (_, false) => 0,
        };
        let had_any = !self.records.is_empty();
        let bytes = self.records.drain(..written).map(|it| it.cost()).sum();
        shared.gone(bytes);
        shared.written.fetch_add(written as u64, Ordering::Relaxed);
        if written > 0 {
            shared.tell(None);
            if let Some(newest) = self.newest {
                shared.ends_with(newest);
            }
            let told = self.told.map(|(_, at)| at.elapsed());
            if told.is_none_or(|ago| ago >= TELLS_END_EVERY) {
                self.tell_end(shared);
            }
        } else if had_any {
            self.newest = None;
        }
        let now = Instant::now();
        self.due = match (self.records.is_empty(), written > 0) {
            (true, _) => None,
            (false, true) => Some(now),
            (false, false) => Some(now + RETRY_AFTER),
        };
    }

    /// For logs that are kept elsewhere: with the hash `statshub audit verify --expect` finds an end that was cut off.
    fn tell_end(&mut self, shared: &AuditShared) {
        let told = self.told.map(|(link, _)| link);
        let Some(newest) = shared.newest().filter(|newest| told != Some(*newest)) else {
            return;
        };
        let (id, hash) = (newest.id, Hex(&newest.hash));
        log::info!("the audit trail in the store ends with record {id}, hash {hash}");
        self.told = Some((newest, Instant::now()));
    }

    /// The end: what waits still is lost.
    pub fn give_up(&mut self, shared: &AuditShared) {
        let lost = self.records.len() as u64;
        if lost > 0 {
            shared.lost.fetch_add(lost, Ordering::Relaxed);
            log::warn!("{lost} events are missing from the audit trail in the store");
        }
        self.records.clear();
        self.tell_end(shared);
    }
}

/// How many of the oldest records are more than fit into so many bytes, roughly: by the size that some have
/// that lie evenly among them. To add all up would mean to read all.
pub(super) fn beyond(connection: &Connection, bytes_max: u64) -> rusqlite::Result<usize> {
    let text = "WITH RECURSIVE span(oldest, newest) AS MATERIALIZED ( \
                    SELECT (SELECT min(id) FROM audit), (SELECT max(id) FROM audit) \
                ), place(n) AS ( \
                    SELECT 0 UNION ALL SELECT n + 1 FROM place WHERE n < ?1 \
                ) \
                SELECT coalesce(avg(octet_length(record) + ?2), 0.0), coalesce(newest - oldest + 1, 0) \
                FROM span, place JOIN audit ON audit.id = oldest + (newest - oldest) * n / ?1";
    let mut statement = connection.prepare_cached(text)?;
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, f64>(0)?, row.get::<_, usize>(1)?));
    let (each, records) = statement.query_row(params![SAMPLED, ROW_BYTES], row)?;
    let fit = bytes_max / (each as u64).max(1);
    Ok(records.saturating_sub(usize::try_from(fit).unwrap_or(usize::MAX)))
}

/// Takes away up to `rows_max` of the oldest records, those from before `before_ms`, and keeps what
/// the next one is chained to. Returns how many.
pub(super) fn forget(
    transaction: &Transaction<'_>,
    before_ms: i64,
    rows_max: usize,
) -> rusqlite::Result<usize> {
    let text = "SELECT id, at_ms, hash FROM audit ORDER BY id LIMIT ?1";
    let mut statement = transaction.prepare_cached(text)?;
    let mut rows = statement.query([rows_max])?;
    let mut cut: Option<(i64, Vec<u8>)> = None;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        if row.get::<_, i64>(1)? >= before_ms {
            break;
        }
        cut = Some((row.get(0)?, row.get(2)?));
        count += 1;
    }
    let Some((id, hash)) = cut else {
        return Ok(0);
    };
    let delete = "DELETE FROM audit WHERE id <= ?1";
    transaction.prepare_cached(delete)?.execute([id])?;
    put(transaction, CUT_ID, id)?;
    put(transaction, CUT_HASH, hash)?;
    Ok(count)
}

#[cfg(test)]
#[path = "audit_tests.rs"]
mod tests;
