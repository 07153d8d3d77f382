//! What a start finds in the file.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

use super::append;
use super::file::{Store, id_of, to_sql};
use super::sessions::{self, Saved};
use crate::domain::history::RestoredRing;
use crate::domain::message::{Json, Message, MessageId, Priority, Topic};
use crate::domain::time::Now;
use crate::wire::message::{Publication, encode};

/// How often a long start says how far it is.
const SAYS_EVERY: Duration = Duration::from_secs(1);

/// The log and the sessions as they were.
#[derive(Debug)]
pub struct Recovered {
    /// Positions before this one belong to a log that is gone.
    pub origin: MessageId,
    /// The newest id.
    pub last: MessageId,
    /// Between which ids it has nothing of what may have been given.
    pub holes: Vec<(MessageId, MessageId)>,
    pub rings: Vec<RestoredRing>,
    pub sessions: Vec<Saved>,
}

impl Recovered {
    /// The newest message that is there; `None`: none is. [`Recovered::last`] may be later.
    pub fn newest(&self) -> Option<MessageId> {
        let newest = |ring: &RestoredRing| ring.kept.last().map(|message| message.id);
        self.rings.iter().filter_map(newest).max()
    }
}

/// How much of the log is wanted in memory.
#[derive(Debug, Clone, Copy)]
pub struct Wanted {
    /// Messages of each topic and priority, the newest.
    pub messages_per_ring: usize,
    /// Ids of messages before those, over all.
    pub ids: usize,
}

/// A row of the table of rings.
struct Row {
    number: i64,
    topic: Topic,
    priority: Priority,
    cut: MessageId,
}

impl Store {
    /// Reads what the hub needs to go on: the newest messages, the ids of those before, the sessions.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn recover(&self, wanted: Wanted) -> rusqlite::Result<Recovered> {
        let connection = &self.connection;
        let began = Instant::now();
        let mut said = began;
        let floor = id_floor(connection, wanted.ids)?;
        let rows = rings(connection)?;
        let mut restored = Vec::with_capacity(rows.len());
        for (index, row) in rows.iter().enumerate() {
            restored.push(ring(connection, row, wanted, floor)?);
            if said.elapsed() >= SAYS_EVERY {
                said = Instant::now();
                log::info!("reading the log: {} of {} metrics", index + 1, rows.len());
            }
        }
        let sessions = sessions::read(connection)?;
        log::debug!(
            "read {} metrics and {} sessions in {:?}",
            restored.len(),
            sessions.len(),
            began.elapsed()
        );
        Ok(Recovered {
            origin: self.origin,
            last: self.last,
            holes: self.holes.clone(),
            rings: restored,
            sessions,
        })
    }
}

/// Ids up to here need not be read: there are enough above.
fn id_floor(connection: &Connection, ids: usize) -> rusqlite::Result<MessageId> {
    let text = "SELECT id FROM message ORDER BY id DESC LIMIT 1 OFFSET ?1";
    let mut statement = connection.prepare(text)?;
    let mut rows = statement.query([ids])?;
    let floor = rows.next()?.map(|row| row.get(0)).transpose()?;
    Ok(floor.map(id_of).unwrap_or_default())
}

fn rings(connection: &Connection) -> rusqlite::Result<Vec<Row>> {
    let text = "SELECT id, kind, metric, user, priority, cut FROM ring";
    let mut statement = connection.prepare(text)?;
    let mut rows = statement.query([])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let (metric, user): (String, String) = (row.get(2)?, row.get(3)?);
        let topic = append::topic(row.get(1)?, &metric, &user);
        let priority = append::priority(row.get(4)?);
        let (Some(topic), Some(priority)) = (topic, priority) else {
            log::warn!("a metric in the store cannot be read and is left out: {metric:?}");
            continue;
        };
        all.push(Row {
            number: row.get(0)?,
            topic,
            priority,
            cut: id_of(row.get(5)?),
        });
    }
    Ok(all)
}

fn ring(
    connection: &Connection,
    row: &Row,
    wanted: Wanted,
    floor: MessageId,
) -> rusqlite::Result<RestoredRing> {
    let mut kept = newest(connection, row, wanted.messages_per_ring)?;
    kept.reverse();
    let before = kept.first().map_or(MessageId::ZERO, |message| message.id);
    let text = "SELECT id FROM message WHERE ring = ?1 AND id > ?2 AND id < ?3 ORDER BY id";
    let mut statement = connection.prepare_cached(text)?;
    let parameters = params![row.number, to_sql(floor), to_sql(before)];
    let gone = statement.query_map(parameters, |row| row.get(0).map(id_of))?;
    Ok(RestoredRing {
        topic: row.topic.clone(),
        priority: row.priority,
        gone: gone.collect::<rusqlite::Result<_>>()?,
        cut: row.cut.max(unread(connection, row, floor, before)?),
        kept,
    })
}

/// The newest id of the ring among those that are not read: neither above `floor`, nor of messages that
/// are, which begin with `before`.
fn unread(
    connection: &Connection,
    row: &Row,
    floor: MessageId,
    before: MessageId,
) -> rusqlite::Result<MessageId> {
    let text = "SELECT max(id) FROM message WHERE ring = ?1 AND id <= ?2 AND id < ?3";
    let mut statement = connection.prepare_cached(text)?;
    let parameters = params![row.number, to_sql(floor), to_sql(before)];
    let newest: Option<i64> = statement.query_row(parameters, |row| row.get(0))?;
    Ok(newest.map(id_of).unwrap_or_default())
}

fn newest(connection: &Connection, ring: &Row, max: usize) -> rusqlite::Result<Vec<Arc<Message>>> {
    let text = "SELECT id, retain, wall_ms, data FROM message WHERE ring = ?1 AND id > 0 \
                ORDER BY id DESC LIMIT ?2";
    let mut statement = connection.prepare_cached(text)?;
    let message = |row: &rusqlite::Row<'_>| {
        let id = id_of(row.get(0)?);
        let Some(data) = Json::kept(row.get(3)?) else {
            log::warn!("message {id} in the store cannot be read and is left out");
            return Ok(None);
        };
        let publication = Publication {
            topic: ring.topic.clone(),
            data,
            priority: ring.priority,
            retain: append::retain(row.get(1)?),
        };
        let now = Now {
            wall_ms: row.get(2)?,
            mono: Duration::ZERO,
        };
        Ok(Some(Arc::new(encode(id, publication, now))))
    };
    let found = statement.query_map(params![ring.number, max], message)?;
    found.filter_map(Result::transpose).collect()
}

#[cfg(test)]
mod tests;
