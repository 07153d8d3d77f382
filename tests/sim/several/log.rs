//! The log that hubs share, with what the scripts in Redis decide, and what can happen to it.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;
use statshub::domain::message::{Message, MessageId, Priority, Retain, Topic};
use statshub::domain::session::Session;
use uuid::Uuid;

use super::Mistake;
use crate::names;

const TAGS: u64 = 4096;
const A_MILLISECOND: u64 = 256;

#[derive(Debug, Clone)]
pub struct Entry {
    pub id: MessageId,
    pub before: MessageId,
    pub what: What,
}

#[derive(Debug, Clone)]
pub enum What {
    Message(Arc<Message>),
    Epoch,
    Mark,
    /// The session goes on at this hub.
    Taken(Uuid, usize),
}

/// A session as some hub wrote it.
#[derive(Debug, Clone)]
pub struct Record {
    pub owner: usize,
    pub session: Option<Session>,
    pub position: MessageId,
}

pub struct Log {
    pub entries: Vec<Entry>,
    /// Messages that were trimmed.
    trimmed: Vec<MessageId>,
    /// 0: none, the log is new or was emptied.
    pub epoch: u64,
    pub server: u64,
    /// How far its clock is behind.
    behind_ms: u64,
    seen_on: u64,
    pub last: MessageId,
    tag: u64,
    epochs: u64,
    pub records: HashMap<Uuid, Record>,
    mistake: Mistake,
}

/// What a hub says when it joins.
pub struct Joins {
    pub seen: MessageId,
    pub read: Option<MessageId>,
    pub acknowledged: Option<(MessageId, u64)>,
}

impl Log {
    pub fn new(mistake: Mistake) -> Self {
        Self {
            entries: Vec::new(),
            trimmed: Vec::new(),
            epoch: 0,
            server: 1,
            behind_ms: 0,
            seen_on: 0,
            last: MessageId::ZERO,
            tag: 0,
            epochs: 0,
            records: HashMap::new(),
            mistake,
        }
    }

    /// Why a new epoch begins, where one does, and whether the hub can go on.
    pub fn join(&mut self, joins: &Joins, now_ms: u64) -> (Option<&'static str>, bool) {
        let reason = if self.epoch == 0 {
            Some("founded: empty")
        } else if self.seen_on != self.server && self.mistake != Mistake::NoEpoch {
            Some("founded: another server")
        } else if joins.seen > self.last && self.mistake != Mistake::NoEpoch {
            Some("founded: went back")
        } else if joins
            .acknowledged
            .is_some_and(|(id, epoch)| epoch != self.epoch && !self.is_entry(id))
        {
            Some("founded: lacks what was acknowledged")
        } else {
            None
        };
        let can_go_on = joins.read.is_some_and(|read| self.is_entry(read));
        let Some(reason) = reason else {
            self.seen_on = self.server;
            return (None, can_go_on);
        };
        self.epochs += 1;
        self.tag = self.epochs % TAGS;
        let mut at = now_ms;
        let mut floor = self.last;
        if self.mistake != Mistake::IdsGoBack {
            floor = floor.max(joins.seen);
            if joins.seen > MessageId::ZERO {
                at = at.max(joins.seen.millis() + 1000 + self.behind_ms);
            }
        }
        self.epoch = self.epochs;
        self.seen_on = self.server;
        let id = self.id_after(floor, at);
        self.append(id, What::Epoch);
        (Some(reason), false)
    }

    pub fn is_entry(&self, id: MessageId) -> bool {
        let first = self.entries.first().map(|entry| entry.id);
        self.entries.iter().any(|entry| entry.id == id) || first.is_some_and(|first| id < first)
    }

    fn id_after(&self, last: MessageId, now_ms: u64) -> MessageId {
        let now_ms = now_ms - self.behind_ms;
        let (mut ms, mut place) = if now_ms > last.millis() {
            (now_ms, 0)
        } else {
            (last.millis(), last.sequence() / TAGS + 1)
        };
        if place == A_MILLISECOND {
            (ms, place) = (ms + 1, 0);
        }
        MessageId::new(ms, place * TAGS + self.tag).expect("an id")
    }

    fn append(&mut self, id: MessageId, what: What) -> MessageId {
        let before = self.last;
        self.entries.push(Entry { id, before, what });
        self.last = id;
        id
    }

    pub fn append_message(&mut self, metric: usize, priority: Priority, now_ms: u64) -> MessageId {
        let id = self.id_after(self.last, now_ms);
        let message = Message {
            id,
            topic: Topic::Metric(names::metric(metric)),
            priority,
            retain: Retain::All,
            published_at: Default::default(),
            sse: Bytes::from_static(b"."),
            json: 0..1,
            value: 0..1,
            websocket: Default::default(),
            before: Default::default(),
            patch: Default::default(),
        };
        self.append(id, What::Message(Arc::new(message)))
    }

    /// What comes next is to lie above `position`.
    pub fn mark(&mut self, position: MessageId, now_ms: u64) -> MessageId {
        let id = self.id_after(position.max(self.last), now_ms);
        self.append(id, What::Mark)
    }

    pub fn taken(&mut self, token: Uuid, by: usize, now_ms: u64) -> MessageId {
        let id = self.id_after(self.last, now_ms);
        self.append(id, What::Taken(token, by))
    }

    /// A replica takes over that lacks the end, and has another clock.
    pub fn fail_over(&mut self, lost: usize, behind_ms: u64) {
        self.behind_ms = behind_ms;
        self.server += 1;
        let kept = self.entries.len().saturating_sub(lost);
        if kept < self.entries.len() {
            self.last = self.entries[kept].before;
            self.entries.truncate(kept);
        }
    }

    pub fn empty(&mut self) {
        self.entries.clear();
        self.trimmed.clear();
        self.records.clear();
        self.last = MessageId::ZERO;
        self.epoch = 0;
    }

    pub fn trim(&mut self, most: usize) {
        let gone = self.entries.len().saturating_sub(1).min(most);
        let gone = self.entries.drain(..gone);
        let messages = gone.filter_map(|entry| message(&entry));
        self.trimmed.extend(messages);
    }

    /// All that were in it, whether or not they still are.
    pub fn messages(&self) -> impl Iterator<Item = MessageId> {
        let trimmed = self.trimmed.iter().copied();
        trimmed.chain(self.entries.iter().filter_map(message))
    }
}

fn message(entry: &Entry) -> Option<MessageId> {
    matches!(entry.what, What::Message(_)).then_some(entry.id)
}
