//! Going through the messages of some metrics in the order of their ids.
//!
//! Each topic and priority has its own place in the index, where its ids lie in order. A walk looks at
//! the next id of each and takes the first of these; so what it costs is what it finds, however much
//! else is in the log between.

use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row as SqlRow, params};

use super::append;
use super::file::{id_of, to_sql};
use crate::domain::message::{MessageId, Priority, Topic, UserId};
use crate::domain::pattern::{MetricName, Pattern};

/// Ids looked ahead for one topic and priority, once it has shown that it has many.
const AHEAD_MAX: usize = 256;
/// A page ends with the message that makes it larger than this.
const PAGE_BYTES_MAX: usize = 4 << 20;

/// The messages of one metric and priority, to all or to one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ring {
    number: i64,
    pub metric: MetricName,
    /// `None`: to everybody.
    pub user: Option<UserId>,
    pub priority: Priority,
}

/// A message as it is in the log.
#[derive(Debug, Clone)]
pub struct Row {
    pub id: MessageId,
    pub ring: Arc<Ring>,
    /// The value: JSON on one line.
    pub data: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    OldestFirst,
    NewestFirst,
}

/// From the first of these ids to before the second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    pub from: MessageId,
    pub to: MessageId,
}

/// A way through the log, and how far it has been gone. Whether it meets what is published meanwhile is
/// not said: who wants it not to sets a bound.
#[derive(Debug)]
pub struct Walk {
    lanes: Vec<Lane>,
    order: Order,
    /// What is still ahead lies between these two.
    after: i64,
    before: i64,
    /// The next id of each lane that has one, the first of all on top.
    next: BinaryHeap<(i64, usize)>,
    has_begun: bool,
}

#[derive(Debug)]
struct Lane {
    ring: Arc<Ring>,
    /// Ids behind the one that is in the heap.
    ahead: VecDeque<i64>,
    /// How many to look for the next time.
    look: usize,
    last: Option<i64>,
}

impl Walk {
    pub fn new(rings: Vec<Arc<Ring>>, bounds: Bounds, order: Order) -> Self {
        let lane = |ring| Lane {
            ring,
            ahead: VecDeque::new(),
            look: 1,
            last: None,
        };
        Self {
            lanes: rings.into_iter().map(lane).collect(),
            order,
            after: to_sql(bounds.from) - 1,
            before: to_sql(bounds.to),
            next: BinaryHeap::new(),
            has_begun: false,
        }
    }

    /// Whether the last page was the last.
    pub fn is_at_end(&self) -> bool {
        self.has_begun && self.next.is_empty()
    }

    pub(super) fn page(
        &mut self,
        connection: &Connection,
        rows_max: usize,
    ) -> rusqlite::Result<Vec<Row>> {
        if !self.has_begun {
            for lane in 0..self.lanes.len() {
                self.advance(connection, lane)?;
            }
            self.has_begun = true;
        }
        let mut rows = Vec::new();
        let mut bytes = 0;
        while rows.len() < rows_max
            && bytes < PAGE_BYTES_MAX
            && let Some((key, lane)) = self.next.pop()
        {
            let id = self.key(key);
            self.advance(connection, lane)?;
            // It may have gone meanwhile, by age.
            if let Some(data) = value(connection, id)? {
                bytes += data.len();
                rows.push(Row {
                    id: id_of(id),
                    ring: self.lanes[lane].ring.clone(),
                    data,
                });
            }
        }
        Ok(rows)
    }

    /// Puts the lane's next id into the heap.
    fn advance(&mut self, connection: &Connection, number: usize) -> rusqlite::Result<()> {
        let lane = &mut self.lanes[number];
        if lane.ahead.is_empty() && lane.look > 0 {
            let (after, before) = match (self.order, lane.last) {
                (_, None) => (self.after, self.before),
                (Order::OldestFirst, Some(last)) => (last, self.before),
                (Order::NewestFirst, Some(last)) => (self.after, last),
            };
            let text = match self.order {
                Order::OldestFirst => IDS_UP,
                Order::NewestFirst => IDS_DOWN,
            };
            let mut statement = connection.prepare_cached(text)?;
            let values = params![lane.ring.number, after, before, lane.look];
            let found = statement.query_map(values, |row| row.get(0))?;
            lane.ahead = found.collect::<rusqlite::Result<_>>()?;
            // A lane that had less than was looked for is at its end.
            lane.look = match lane.ahead.len() == lane.look {
                true => (lane.look * 2).min(AHEAD_MAX),
                false => 0,
            };
        }
        if let Some(id) = lane.ahead.pop_front() {
            lane.last = Some(id);
            let key = self.key(id);
            self.next.push((key, number));
        }
        Ok(())
    }

    /// An id as the heap has it, which gives the largest first; and back.
    fn key(&self, id: i64) -> i64 {
        match self.order {
            Order::OldestFirst => -id,
            Order::NewestFirst => id,
        }
    }
}

pub(super) const IDS_UP: &str = "SELECT id FROM message \
    WHERE ring = ?1 AND id > ?2 AND id < ?3 ORDER BY id LIMIT ?4";
pub(super) const IDS_DOWN: &str = "SELECT id FROM message \
    WHERE ring = ?1 AND id > ?2 AND id < ?3 ORDER BY id DESC LIMIT ?4";
pub(super) const VALUE: &str = "SELECT data FROM message WHERE id = ?1";
/// A metric to all has no user, and one of a user has one.
pub(super) const RINGS_OF_ONE: &str = "SELECT id, kind, metric, user, priority FROM ring \
    WHERE metric = ?1 AND kind IN (0, 1) AND user IN ('', ?2)";
const RINGS_OF_ALL: &str = "SELECT id, kind, metric, user, priority FROM ring \
    WHERE kind IN (0, 1) AND user IN ('', ?1)";

pub(super) fn newest(connection: &Connection) -> rusqlite::Result<MessageId> {
    let text = "SELECT max(id) FROM message";
    let mut statement = connection.prepare_cached(text)?;
    let newest: Option<i64> = statement.query_row([], |row| row.get(0))?;
    Ok(newest.map(id_of).unwrap_or_default())
}

fn value(connection: &Connection, id: i64) -> rusqlite::Result<Option<String>> {
    let mut statement = connection.prepare_cached(VALUE)?;
    statement.query_row([id], |row| row.get(0)).optional()
}

/// Those of metrics that a pattern names, as far as `user` may see them; each once.
pub(super) fn rings(
    connection: &Connection,
    patterns: &[Pattern],
    user: &UserId,
) -> rusqlite::Result<Vec<Arc<Ring>>> {
    let names: Option<Vec<MetricName>> = patterns.iter().map(Pattern::as_exact).collect();
    let mut found = BTreeMap::new();
    match names {
        Some(names) => {
            let mut statement = connection.prepare_cached(RINGS_OF_ONE)?;
            for name in names {
                let mut rows = statement.query([name.as_str(), user.as_str()])?;
                while let Some(row) = rows.next()? {
                    found.extend(ring(row)?);
                }
            }
        }
        None => {
            let mut statement = connection.prepare_cached(RINGS_OF_ALL)?;
            let mut rows = statement.query([user.as_str()])?;
            while let Some(row) = rows.next()? {
                let ring = ring(row)?.filter(|(_, ring)| {
                    let mut patterns = patterns.iter();
                    patterns.any(|pattern| pattern.matches(&ring.metric))
                });
                found.extend(ring);
            }
        }
    }
    Ok(found.into_values().map(Arc::new).collect())
}

/// By its number; `None` for what this program never writes.
fn ring(row: &SqlRow<'_>) -> rusqlite::Result<Option<(i64, Ring)>> {
    let number = row.get(0)?;
    let (metric, user): (String, String) = (row.get(2)?, row.get(3)?);
    let (metric, user) = match append::topic(row.get(1)?, &metric, &user) {
        Some(Topic::Metric(metric)) => (metric, None),
        Some(Topic::UserMetric(metric, user)) => (metric, Some(user)),
        _ => return Ok(None),
    };
    let priority = append::priority(row.get(4)?);
    Ok(priority.map(|priority| {
        let ring = Ring {
            number,
            metric,
            user,
            priority,
        };
        (number, ring)
    }))
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
