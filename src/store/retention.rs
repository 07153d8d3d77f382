//! How far back the log goes: by age, by messages of one metric and priority, by the size of the file;
//! and the audit trail: by an age of its own, and by the size of the file.
//!
//! It is done in steps of a few hundred rows, between the transactions of publishers. The newest
//! message of a ring is a metric's value: it goes because of its age, and because of the file's size
//! only where nothing else is left. Alerts stay until they are resolved, and then as long as messages do.
//! The audit trail has half of the file: whoever publishes much pushes out messages, and not what others
//! did. Of what parts of the hub remember (kind 4) the newest stays, and only that.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

use super::file::{id_of, put, to_sql};
use super::keys;
use super::{alerts, audit};
use crate::config;
use crate::domain::message::MessageId;

/// Rows that go in one step: some milliseconds' worth.
const ROWS_MAX: usize = 500;
/// Pages given back to the file system in one step.
const PAGES_MAX: usize = 256;
/// The file may fill up to here, in percent of what it may be; then the oldest go.
const FULL_PERCENT: u64 = 90;
/// Of what it may be, this belongs to the audit trail: up to here its records go after everything else.
const AUDIT_PERCENT: u64 = 50;

/// What is to be kept, and how far the present round has got.
#[derive(Debug)]
pub(super) struct Retention {
    settings: config::Retention,
    key_ttl_ms: u64,
    /// `None`: until it is said, nothing of the audit trail goes because of its age.
    audit_ms: Option<u64>,
    /// Messages up to here have been looked at for their age in this round.
    looked_at: MessageId,
    /// The same for the round that makes room in a file that is full.
    made_room_to: MessageId,
    /// Rings are gone that somebody may remember the numbers of.
    removed_rings: bool,
}

impl Retention {
    pub fn new(settings: &config::Store) -> Self {
        Self {
            settings: settings.retention.clone(),
            key_ttl_ms: millis(settings.key_ttl),
            audit_ms: None,
            looked_at: MessageId::ZERO,
            made_room_to: MessageId::ZERO,
            removed_rings: false,
        }
    }

    /// Whether rings have gone since the last call.
    pub fn take_removed_rings(&mut self) -> bool {
        std::mem::take(&mut self.removed_rings)
    }

    pub fn set_audit(&mut self, age: Duration) {
        self.audit_ms = Some(millis(age));
    }

    pub fn set(&mut self, connection: &Connection, settings: config::Retention) {
        self.settings = settings;
        if let Err(error) = limit(connection, &self.settings) {
            log::warn!("the size of the store cannot be limited: {error}");
        }
    }

    /// One step. Returns whether there is more to do at once.
    pub fn step(&mut self, connection: &mut Connection, now_ms: u64) -> rusqlite::Result<bool> {
        let before = |ms: u64| MessageId::new(now_ms.saturating_sub(ms), 0).unwrap_or_default();
        let keys_before = before(self.key_ttl_ms);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let keys = keys::forget(&transaction, keys_before, ROWS_MAX)?;
        let age = millis(self.settings.age);
        let (aged, looked_at) = oldest(&transaction, self.looked_at, before(age), Which::All)?;
        let audit = match self.audit_ms {
            Some(age) => audit::forget(&transaction, sql_ms(now_ms.saturating_sub(age)), ROWS_MAX)?,
            None => 0,
        };
        let many = beyond(&transaction, self.settings.messages_per_metric_max)?;
        let is_full = is_full(&transaction, &self.settings)?;
        let alerts_before = match is_full {
            true => i64::MAX,
            false => sql_ms(now_ms.saturating_sub(age)),
        };
        let alerts = alerts::forget(&transaction, alerts_before, ROWS_MAX)?;
        let (large, made_room_to) = match is_full {
            true => make_room(&transaction, self.made_room_to, &self.settings)?,
            false => (0, MessageId::ZERO),
        };
        self.removed_rings |= forget_rings(&transaction)?;
        transaction.commit()?;
        self.looked_at = looked_at;
        self.made_room_to = made_room_to;
        let free: i64 = connection.query_row("PRAGMA freelist_count", [], |row| row.get(0))?;
        if free > 0 {
            give_back(connection)?;
        }
        let goes_on = looked_at > MessageId::ZERO || made_room_to > MessageId::ZERO;
        Ok(keys == ROWS_MAX || goes_on || aged + audit + many + large + alerts > 0)
    }
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn sql_ms(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX)
}

/// Takes away the oldest: records of the audit trail where it has more than its share, messages otherwise.
/// Returns how many, and from where on to look next.
fn make_room(
    transaction: &Transaction<'_>,
    from: MessageId,
    settings: &config::Retention,
) -> rusqlite::Result<(usize, MessageId)> {
    let share = settings.file_bytes_max / 100 * AUDIT_PERCENT;
    let beyond = audit::beyond(transaction, share)?.min(ROWS_MAX);
    if beyond > 0 {
        return Ok((audit::forget(transaction, i64::MAX, beyond)?, from));
    }
    let end = MessageId::from_bits(i64::MAX as u64);
    let (messages, next) = oldest(transaction, from, end, Which::Followed)?;
    if messages > 0 || next > MessageId::ZERO {
        return Ok((messages, next));
    }
    // Very many metrics, of which each has one message: better to lose the oldest than to take no more.
    let (messages, next) = oldest(transaction, MessageId::ZERO, end, Which::All)?;
    if messages > 0 {
        return Ok((messages, next));
    }
    let records = audit::forget(transaction, i64::MAX, ROWS_MAX)?;
    Ok((records, MessageId::ZERO))
}

/// Above this SQLite itself refuses, and keeps the disk from filling up, which would stop even
/// deleting.
pub(super) fn limit(connection: &Connection, settings: &config::Retention) -> rusqlite::Result<()> {
    let page: u64 = connection.query_row("PRAGMA page_size", [], |row| row.get(0))?;
    let pages = i64::try_from(settings.file_bytes_max / page).unwrap_or(i64::MAX);
    connection.pragma_update(None, "max_page_count", pages)
}

fn is_full(connection: &Connection, settings: &config::Retention) -> rusqlite::Result<bool> {
    let number = |pragma: &str| connection.query_row(pragma, [], |row| row.get::<_, u64>(0));
    let page = number("PRAGMA page_size")?;
    let used = number("PRAGMA page_count")?.saturating_sub(number("PRAGMA freelist_count")?);
    Ok(used * page > settings.file_bytes_max / 100 * FULL_PERCENT)
}

/// Which messages may go.
#[derive(Clone, Copy, PartialEq)]
enum Which {
    All,
    /// All but the newest of each ring.
    Followed,
}

/// Takes away the oldest messages after `from` up to `to`. Returns how many, and from where on to look
/// next.
fn oldest(
    transaction: &Transaction<'_>,
    from: MessageId,
    to: MessageId,
    which: Which,
) -> rusqlite::Result<(usize, MessageId)> {
    let rows = {
        let text = "SELECT id, ring, EXISTS (SELECT 1 FROM message AS later \
                    WHERE later.ring = message.ring AND later.id > message.id), \
                    (SELECT kind = 4 FROM ring WHERE ring.id = message.ring) \
                    FROM message WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3";
        let mut statement = transaction.prepare_cached(text)?;
        let row =
            |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        let rows = statement.query_map(params![to_sql(from), to_sql(to), ROWS_MAX], row)?;
        rows.collect::<rusqlite::Result<Vec<(i64, i64, bool, bool)>>>()?
    };
    let next = match rows.last() {
        Some((id, ..)) if rows.len() == ROWS_MAX => id_of(*id),
        // The round is over; the next one begins at the beginning.
        _ => MessageId::ZERO,
    };
    // What a part of the hub remembers has no age.
    let may_go =
        |is_followed: bool, is_state: bool| is_followed || which == Which::All && !is_state;
    let gone: Vec<(i64, i64)> = rows
        .into_iter()
        .filter(|(_, _, is_followed, is_state)| may_go(*is_followed, *is_state))
        .map(|(id, ring, ..)| (id, ring))
        .collect();
    remove(transaction, &gone)?;
    Ok((gone.len(), next))
}

/// Takes away the oldest messages of a ring that has more than `max`. Returns how many.
fn beyond(transaction: &Transaction<'_>, max: u64) -> rusqlite::Result<usize> {
    let text = "SELECT id, messages, iif(kind = 4, 1, ?1) AS most FROM ring \
                WHERE messages > most LIMIT 1";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
    let found = transaction.prepare_cached(text)?.query_row([max], row);
    let Some((ring, messages, max)): Option<(i64, u64, u64)> = found.optional()? else {
        return Ok(0);
    };
    let rows = {
        let text = "SELECT id FROM message WHERE ring = ?1 ORDER BY id LIMIT ?2";
        let mut statement = transaction.prepare_cached(text)?;
        let excess = (messages - max).min(ROWS_MAX as u64);
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, ring));
        let rows = statement.query_map(params![ring, excess], row)?;
        rows.collect::<rusqlite::Result<Vec<(i64, i64)>>>()?
    };
    remove(transaction, &rows)?;
    Ok(rows.len())
}

/// Ids and rings.
fn remove(transaction: &Transaction<'_>, rows: &[(i64, i64)]) -> rusqlite::Result<()> {
    let mut delete = transaction.prepare_cached("DELETE FROM message WHERE id = ?1")?;
    let cut = "UPDATE ring SET cut = max(cut, ?2), messages = messages - 1 WHERE id = ?1";
    let mut cut = transaction.prepare_cached(cut)?;
    for (id, ring) in rows {
        delete.execute([id])?;
        cut.execute([ring, id])?;
    }
    if let Some((id, _)) = rows.last() {
        // Should it have been the newest of all.
        let last: i64 = super::file::get(transaction, "last")?.unwrap_or_default();
        put(transaction, "last", last.max(*id))?;
    }
    Ok(())
}

/// Rings without messages: nobody from before can be told any more what was in them. Returns whether
/// there were any.
fn forget_rings(transaction: &Transaction<'_>) -> rusqlite::Result<bool> {
    let text = "DELETE FROM ring WHERE messages = 0 RETURNING cut";
    let mut statement = transaction.prepare_cached(text)?;
    let cuts = statement.query_map([], |row| row.get(0))?;
    let cuts = cuts.collect::<rusqlite::Result<Vec<i64>>>()?;
    let Some(newest) = cuts.into_iter().max() else {
        return Ok(false);
    };
    let origin: i64 = super::file::get(transaction, "origin")?.unwrap_or_default();
    put(transaction, "origin", origin.max(newest))?;
    Ok(true)
}

fn give_back(connection: &Connection) -> rusqlite::Result<()> {
    let mut vacuum = connection.prepare(&format!("PRAGMA incremental_vacuum({PAGES_MAX})"))?;
    let mut rows = vacuum.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}
