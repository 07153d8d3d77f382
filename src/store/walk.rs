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
pub(super) const PAGE_BYTES_MAX: usize = 4 << 20;

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
///
/// It reads nothing itself: it says where to look, and is told what was found there.
#[derive(Debug)]
pub struct Walk {
    lanes: Vec<Lane>,
    order: Order,
    /// What is still ahead lies between these two.
    after: i64,
    before: i64,
    /// The next id of each lane that has one, the first of all on top.
    next: BinaryHeap<(i64, usize)>,
    /// Lanes whose next id is not known. Nothing is taken while there are any.
    open: Vec<usize>,
}

#[derive(Debug)]
struct Lane {
    ring: Arc<Ring>,
    /// Ids behind the one that is in the heap.
    ahead: VecDeque<i64>,
    /// How many to look for the next time; 0: there are no more.
    look: usize,
    /// The last id that was found.
    last: Option<i64>,
}

/// Where the next ids of a lane are: of its ring, between `after` and `before`, and `count` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub lane: usize,
    pub ring: i64,
    pub after: i64,
    pub before: i64,
    pub count: usize,
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
            open: (0..rings.len()).collect(),
            lanes: rings.into_iter().map(lane).collect(),
            order,
            after: to_sql(bounds.from) - 1,
            before: to_sql(bounds.to),
            next: BinaryHeap::new(),
        }
    }

    /// Whether the last page was the last.
    pub fn is_at_end(&self) -> bool {
        self.open.is_empty() && self.next.is_empty()
    }

    pub(super) fn order(&self) -> Order {
        self.order
    }

    /// Looks for at least so many ids at a time, where a look costs more than what it finds.
    pub(super) fn look_for(&mut self, rows_max: usize) {
        const LOOK_MIN: usize = 8;
        let look = (2 * rows_max / self.lanes.len().max(1)).clamp(LOOK_MIN, AHEAD_MAX);
        let more = self.lanes.iter_mut().filter(|lane| lane.look > 0);
        more.for_each(|lane| lane.look = lane.look.max(look));
    }

    /// Where to look before the walk can go on; `None`: it can.
    fn look(&self) -> Option<Look> {
        self.open.last().map(|lane| self.look_in(*lane))
    }

    /// The same at once for all lanes, with those that soon will have to be looked in.
    pub(super) fn looks(&self) -> Vec<Look> {
        if self.open.is_empty() {
            return Vec::new();
        }
        let is_low = |lane: &Lane| lane.ahead.len() < lane.look / 4;
        let mut wanted = self.open.clone();
        wanted.extend((0..self.lanes.len()).filter(|lane| is_low(&self.lanes[*lane])));
        wanted.sort_unstable();
        wanted.dedup();
        wanted.into_iter().map(|lane| self.look_in(lane)).collect()
    }

    fn look_in(&self, number: usize) -> Look {
        let lane = &self.lanes[number];
        let (after, before) = match (self.order, lane.last) {
            (_, None) => (self.after, self.before),
            (Order::OldestFirst, Some(last)) => (last, self.before),
            (Order::NewestFirst, Some(last)) => (self.after, last),
        };
        Look {
            lane: number,
            ring: lane.ring.number,
            after,
            before,
            count: lane.look,
        }
    }

    /// What a look has found, in the order of the walk.
    pub(super) fn found(&mut self, number: usize, ids: Vec<i64>) {
        let lane = &mut self.lanes[number];
        // A lane that had less than was looked for is at its end.
        lane.look = match ids.len() == lane.look {
            true => (lane.look * 2).min(AHEAD_MAX),
            false => 0,
        };
        lane.last = ids.last().copied().or(lane.last);
        lane.ahead.extend(ids);
        if let Some(open) = self.open.iter().rposition(|lane| *lane == number) {
            self.open.swap_remove(open);
            self.advance(number);
        }
    }

    /// Takes the next id, and the lane it is in; `None`: first look, or there is none.
    pub(super) fn take(&mut self) -> Option<(i64, usize)> {
        if !self.open.is_empty() {
            return None;
        }
        let (key, lane) = self.next.pop()?;
        self.advance(lane);
        Some((self.key(key), lane))
    }

    /// Puts back what was taken last.
    pub(super) fn put_back(&mut self, id: i64, lane: usize) {
        self.next.push((self.key(id), lane));
    }

    /// A message that was met in a lane.
    pub(super) fn row(&self, id: i64, lane: usize, data: String) -> Row {
        Row {
            id: id_of(id),
            ring: self.lanes[lane].ring.clone(),
            data,
        }
    }

    /// Puts the lane's next id into the heap.
    fn advance(&mut self, number: usize) {
        let lane = &mut self.lanes[number];
        match lane.ahead.pop_front() {
            Some(id) => {
                let key = self.key(id);
                self.next.push((key, number));
            }
            None if lane.look > 0 => self.open.push(number),
            None => {}
        }
    }

    /// An id as the heap has it, which gives the largest first; and back.
    fn key(&self, id: i64) -> i64 {
        match self.order {
            Order::OldestFirst => -id,
            Order::NewestFirst => id,
        }
    }

    pub(super) fn page(
        &mut self,
        connection: &Connection,
        rows_max: usize,
    ) -> rusqlite::Result<Vec<Row>> {
        self.look_around(connection)?;
        let mut rows = Vec::new();
        let mut bytes = 0;
        while rows.len() < rows_max
            && bytes < PAGE_BYTES_MAX
            && let Some((id, lane)) = self.take()
        {
            self.look_around(connection)?;
            // It may have gone meanwhile, by age.
            if let Some(data) = value(connection, id)? {
                bytes += data.len();
                rows.push(self.row(id, lane, data));
            }
        }
        Ok(rows)
    }

    fn look_around(&mut self, connection: &Connection) -> rusqlite::Result<()> {
        while let Some(look) = self.look() {
            let text = match self.order {
                Order::OldestFirst => IDS_UP,
                Order::NewestFirst => IDS_DOWN,
            };
            let mut statement = connection.prepare_cached(text)?;
            let values = params![look.ring, look.after, look.before, look.count];
            let found = statement.query_map(values, |row| row.get(0))?;
            self.found(look.lane, found.collect::<rusqlite::Result<_>>()?);
        }
        Ok(())
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
    let (metric, user): (String, String) = (row.get(2)?, row.get(3)?);
    Ok(Ring::of(
        row.get(0)?,
        row.get(1)?,
        &metric,
        &user,
        row.get(4)?,
    ))
}

impl Ring {
    /// From the columns of its table, by its number; `None` for what this program never writes.
    pub(super) fn of(
        number: i64,
        kind: i64,
        metric: &str,
        user: &str,
        priority: i64,
    ) -> Option<(i64, Self)> {
        let (metric, user) = match append::topic(kind, metric, user)? {
            Topic::Metric(metric) => (metric, None),
            Topic::UserMetric(metric, user) => (metric, Some(user)),
            Topic::Alerts | Topic::Test(..) | Topic::State(_) => return None,
        };
        let ring = Self {
            number,
            metric,
            user,
            priority: append::priority(priority)?,
        };
        Some((number, ring))
    }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
