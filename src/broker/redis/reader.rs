//! Reads the log in its order, and sees when it is not the one that was read before.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, FromRedisValue, ParsingError, RedisResult, Value, cmd};
use tokio::sync::mpsc;

use super::entry::{self, Entry, Fields};
use super::keys::Keys;
use super::status::Status;
use super::{Away, Event, Redis};
use crate::domain::message::MessageId;
use crate::domain::time::Now;

/// Entries in one answer.
const ENTRIES_MAX: usize = 500;

/// An entry as Redis answers it.
pub(super) struct Found {
    id: String,
    fields: Fields,
}

impl FromRedisValue for Found {
    /// By hand: the crate's own reply makes a map of every entry, at three times the cost.
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let (id, pairs): (String, Vec<Value>) = FromRedisValue::from_redis_value(value)?;
        let mut fields = Fields::default();
        let mut pairs = pairs.into_iter();
        while let (Some(name), Some(value)) = (pairs.next(), pairs.next()) {
            // What is no text is nothing that a hub writes.
            if let (Value::BulkString(name), Ok(value)) = (name, redis::from_redis_value(value)) {
                fields.set(&name, value);
            }
        }
        Ok(Self { id, fields })
    }
}

/// Where a reader stands, kept from one connection to the next.
#[derive(Debug)]
pub(super) struct Position {
    /// The newest entry handed over; `None`: nothing yet.
    last: Option<MessageId>,
    /// The newest that was ever handed over.
    highest: MessageId,
    /// What comes next is not what follows `last`: the log is to be read from its beginning.
    is_broken: bool,
}

impl Position {
    /// Of a hub that has everything up to `last`, and knows of something that was sent up to `seen`.
    pub fn new(last: Option<MessageId>, seen: Option<MessageId>) -> Self {
        Self {
            last,
            highest: last.max(seen).unwrap_or_default(),
            is_broken: last.is_none(),
        }
    }

    /// The newest id that the hub may have sent to anybody.
    pub fn highest(&self) -> MessageId {
        self.highest
    }

    /// The newest that was handed over of the log as it is; `None`: it is to be read from its beginning.
    pub fn last(&self) -> Option<MessageId> {
        self.last.filter(|_| !self.is_broken)
    }

    /// It is to be read from its beginning.
    pub fn begin_anew(&mut self) {
        self.is_broken = true;
    }

    fn at_present(&self) -> MessageId {
        self.last.unwrap_or_default()
    }

    fn move_to(&mut self, id: MessageId) {
        self.last = Some(id);
        self.highest = self.highest.max(id);
    }
}

pub(super) struct Reader<'a> {
    pub connection: MultiplexedConnection,
    pub keys: &'a Keys,
    pub events: &'a mpsc::Sender<Event>,
    pub position: &'a mut Position,
    pub status: &'a Status,
    pub clock: &'a (dyn Fn() -> Now + Send + Sync),
    /// How long to wait for an entry.
    pub block: Duration,
    /// The newest entry that was none of a hub's: it is not asked for again.
    pub passed_over: MessageId,
}

impl Reader<'_> {
    /// Reads until something fails. `newest` is where the log ended when the hub joined.
    ///
    /// # Errors
    /// Redis', or that the log is not the one that was read: then it is read from its beginning the next time,
    /// after the hub has joined again.
    pub async fn run(&mut self, newest: MessageId) -> RedisResult<()> {
        if self.position.is_broken {
            self.anew(newest).await?;
        }
        let mut is_current = false;
        loop {
            if !is_current && self.position.at_present() >= newest {
                is_current = true;
                self.say(Event::Current).await;
            }
            let entries = self.read_on(Some(self.block)).await?;
            if entries.is_empty() && !is_current {
                return self.broken("it ends before it should");
            }
            let mut run = Vec::with_capacity(entries.len());
            let mut at = self.position.at_present();
            let mut broken = None;
            for (before, entry) in self.all_parsed(entries) {
                match before.cmp(&at) {
                    Ordering::Equal => {}
                    Ordering::Greater => {
                        broken = Some("entries were trimmed before they were read")
                    }
                    Ordering::Less => broken = Some("it went back"),
                }
                if broken.is_some() {
                    break;
                }
                at = entry.id();
                let is_epoch = entry.is_epoch();
                run.push(entry);
                if is_epoch {
                    self.hand_on(&mut run).await;
                    self.say_anew(at).await;
                    self.say(Event::Current).await;
                }
            }
            self.hand_on(&mut run).await;
            if let Some(why) = broken {
                return self.broken(why);
            }
        }
    }

    fn broken(&mut self, why: &'static str) -> RedisResult<()> {
        log::warn!("the shared log is not as it was: {why}");
        self.position.is_broken = true;
        Err((
            ErrorKind::Client,
            "the log is not as it was",
            why.to_owned(),
        )
            .into())
    }

    /// Reads the log from its beginning, as the past. Where the chain is broken in there, only what comes
    /// after can be told.
    async fn anew(&mut self, newest: MessageId) -> RedisResult<()> {
        self.position.is_broken = true;
        self.position.last = None;
        let mut found = self.read_on(None).await?;
        self.say(Event::Anew {
            origin: MessageId::ZERO,
        })
        .await;
        self.read_values(newest).await?;
        // What is appended meanwhile is read as what is new: else this might never end.
        while !found.is_empty() && self.position.at_present() < newest {
            let mut run = Vec::with_capacity(found.len());
            let mut at = self.position.last;
            for (before, entry) in self.all_parsed(found) {
                if at != Some(before) || entry.is_epoch() {
                    self.hand_on(&mut run).await;
                    let origin = if entry.is_epoch() { entry.id() } else { before };
                    self.say_anew(origin).await;
                }
                at = Some(entry.id());
                run.push(entry);
            }
            self.hand_on(&mut run).await;
            found = self.read_on(None).await?;
        }
        if self.position.at_present() < newest {
            self.position.move_to(newest);
            self.say_anew(newest).await;
        }
        self.position.is_broken = false;
        Ok(())
    }

    async fn say_anew(&self, origin: MessageId) {
        self.say(Event::Anew { origin }).await;
    }

    /// The position moves when the hub has them, not before: the wait may be cut off.
    async fn hand_on(&mut self, run: &mut Vec<Entry>) {
        if let Some(last) = run.last().map(Entry::id) {
            self.say(Event::Entries(std::mem::take(run))).await;
            self.position.move_to(last);
        }
    }

    fn all_parsed(&mut self, found: Vec<Found>) -> Vec<(MessageId, Entry)> {
        let mut entries = Vec::with_capacity(found.len());
        for found in found {
            let id = MessageId::parse(&found.id);
            match parsed(found, (self.clock)()) {
                Some(entry) => entries.push(entry),
                None => self.passed_over = id.unwrap_or(self.passed_over),
            }
        }
        entries
    }

    async fn read_on(&mut self, block: Option<Duration>) -> RedisResult<Vec<Found>> {
        let mut read = cmd("XREAD");
        read.arg("COUNT").arg(ENTRIES_MAX);
        if let Some(block) = block {
            read.arg("BLOCK").arg(block.as_millis().max(1) as u64);
        }
        let after = self.position.at_present().max(self.passed_over);
        read.arg("STREAMS")
            .arg(&self.keys.log)
            .arg(after.to_string());
        // Of each stream, here one, its name and its entries; nothing where there is none.
        let streams: Option<Vec<(Value, Vec<Found>)>> =
            read.query_async(&mut self.connection).await?;
        let entries = streams.into_iter().flatten().map(|(_, entries)| entries);
        Ok(entries.flatten().collect())
    }

    /// The values of metrics whose newest entry may not be in the log any more; later ones come as what is new.
    async fn read_values(&mut self, newest: MessageId) -> RedisResult<()> {
        let mut cursor = 0;
        loop {
            let (next, pairs): (u64, Vec<(String, String)>) = cmd("HSCAN")
                .arg(&self.keys.latest)
                .arg(cursor)
                .arg("COUNT")
                .arg(ENTRIES_MAX)
                .query_async(&mut self.connection)
                .await?;
            let now = (self.clock)();
            let message = |(topic, kept): &(String, String)| entry::latest(topic, kept, now);
            let values = pairs.iter().filter_map(message);
            let values: Vec<Arc<_>> = values.filter(|value| value.id <= newest).collect();
            if !values.is_empty() {
                self.say(Event::Values(values)).await;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }

    async fn say(&self, event: Event) {
        self.status.read(&event);
        // It fails when the hub is gone, and with it the need.
        let _ = self.events.send(event).await;
    }
}

/// An entry and the id of the one before; `None` for what is not a hub's.
pub(super) fn parsed(found: Found, now: Now) -> Option<(MessageId, Entry)> {
    let read = entry::read(&found.id, found.fields, now);
    if read.is_none() {
        log::warn!(
            "entry {} of the log is not a hub's and is left out",
            found.id
        );
    }
    read
}

impl Redis {
    /// What comes after `id` in the log as it is now, at most `max` entries, each with the id of the one before
    /// it; from the beginning of the log where that is later.
    ///
    /// # Errors
    /// Redis is away.
    pub async fn entries_after(
        &self,
        id: MessageId,
        max: usize,
    ) -> Result<Vec<(MessageId, Entry)>, Away> {
        let mut range = cmd("XRANGE");
        range.arg(&self.inner.keys.log).arg(format!("({id}"));
        let found: Vec<Found> = self.query(range.arg("+").arg("COUNT").arg(max)).await?;
        let now = Now {
            wall_ms: 0,
            mono: Duration::ZERO,
        };
        let entries = found.into_iter();
        Ok(entries.filter_map(|found| parsed(found, now)).collect())
    }
}
