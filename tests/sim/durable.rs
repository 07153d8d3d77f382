//! What outlives a process: the log, which has a message before anybody hears of it, and the saved
//! sessions, which lag behind. Plain lists, read from the beginning.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use statshub::domain::history::RestoredRing;
use statshub::domain::message::{Message, MessageId, Priority, Topic};
use statshub::store::{Recovered, Saved};
use uuid::Uuid;

use crate::oracle::{Sent, Snapshot};
use crate::rng::Rng;
use crate::weather::{Retention, Weather};

/// What becomes of a saved session, and the same as the oracle knows it.
#[derive(Debug, Clone)]
pub enum Change {
    Anew,
    Saved(Box<Saved>, Box<Snapshot>),
    Moved(Uuid, MessageId, Sent),
    Forgotten(Uuid),
}

/// Messages that are written whole or not at all.
pub type Batch = Vec<Arc<Message>>;

pub struct Durable {
    origin: MessageId,
    /// Published, and not in the log yet.
    waiting: VecDeque<Batch>,
    /// In the log, and not handed to the hub yet.
    settled: VecDeque<Arc<Message>>,
    log: Vec<Arc<Message>>,
    /// Retention took away what was older.
    cuts: BTreeMap<String, MessageId>,
    changes: VecDeque<Change>,
    sessions: BTreeMap<Uuid, (Saved, Snapshot)>,
}

impl Durable {
    pub fn new(origin: MessageId) -> Self {
        Self {
            origin,
            waiting: VecDeque::new(),
            settled: VecDeque::new(),
            log: Vec::new(),
            cuts: BTreeMap::new(),
            changes: VecDeque::new(),
            sessions: BTreeMap::new(),
        }
    }

    pub fn append(&mut self, batch: Batch) {
        self.waiting.push_back(batch);
    }

    pub fn waiting_topics(&self) -> impl Iterator<Item = &Topic> {
        let waiting = self.waiting.iter().flatten().chain(&self.settled);
        waiting.map(|message| &message.topic)
    }

    pub fn has_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// One transaction with the oldest `count` of the waiting batches.
    pub fn commit(&mut self, count: usize) {
        let count = count.min(self.waiting.len());
        for message in self.waiting.drain(..count).flatten() {
            self.log.push(message.clone());
            self.settled.push_back(message);
        }
    }

    /// The disk was full, or the like.
    pub fn fail(&mut self, count: usize) {
        let count = count.min(self.waiting.len());
        self.waiting.drain(..count);
        self.changes.clear();
    }

    /// What the hub may be told now.
    pub fn settled(&mut self, count: usize) -> Batch {
        let count = count.min(self.settled.len());
        self.settled.drain(..count).collect()
    }

    pub fn save(&mut self, change: Change) {
        self.changes.push_back(change);
    }

    pub fn unsaved(&self) -> usize {
        self.changes.len()
    }

    /// The oldest `count` changes of sessions are written.
    pub fn write_sessions(&mut self, count: usize) {
        let count = count.min(self.changes.len());
        for change in self.changes.drain(..count) {
            match change {
                Change::Anew => self.sessions.clear(),
                Change::Saved(saved, snapshot) => {
                    self.sessions.insert(saved.token, (*saved, *snapshot));
                }
                Change::Moved(token, to, sent) => {
                    if let Some((saved, snapshot)) = self.sessions.get_mut(&token) {
                        saved.position = to;
                        snapshot.sent = sent;
                    }
                }
                Change::Forgotten(token) => {
                    self.sessions.remove(&token);
                }
            }
        }
    }

    /// The process dies. Returns what is in the log and was handed to nobody.
    pub fn crash(&mut self, rng: &mut Rng) -> Batch {
        let (batches, changes) = (self.waiting.len(), self.changes.len());
        self.commit(rng.between(0, batches));
        self.write_sessions(rng.between(0, changes));
        self.waiting.clear();
        self.changes.clear();
        self.settled.drain(..).collect()
    }

    /// The process ends and everything is written.
    pub fn close(&mut self) -> Batch {
        self.commit(usize::MAX);
        self.write_sessions(usize::MAX);
        self.settled.drain(..).collect()
    }

    /// What is in the log.
    pub fn ids(&self) -> BTreeSet<MessageId> {
        self.log.iter().map(|message| message.id).collect()
    }

    pub fn last(&self) -> MessageId {
        self.log.last().map_or(self.origin, |message| message.id)
    }

    pub fn snapshots(&self) -> impl Iterator<Item = &Snapshot> {
        self.sessions.values().map(|(_, snapshot)| snapshot)
    }

    /// The oldest messages go, but for the newest of each ring.
    pub fn retain(&mut self, retention: Retention, rng: &mut Rng) {
        let age = match self.log.len() {
            0 => MessageId::ZERO,
            length => self.log[rng.below(length)].id,
        };
        let goes = |newer_in_ring: usize, message: &Message| match retention {
            Retention::Everything => false,
            Retention::Age => newer_in_ring > 0 && message.id <= age,
            Retention::PerRing(max) => newer_in_ring >= max,
        };
        let mut newer = BTreeMap::<String, usize>::new();
        let mut left = Vec::new();
        for message in self.log.drain(..).rev() {
            let ring = ring(&message);
            let newer_in_ring = newer.entry(ring.clone()).or_default();
            if goes(*newer_in_ring, &message) {
                let cut = self.cuts.entry(ring).or_default();
                *cut = message.id.max(*cut);
            } else {
                *newer_in_ring += 1;
                left.push(message);
            }
        }
        left.reverse();
        self.log = left;
    }

    /// What the next process reads.
    pub fn read(&self, weather: &Weather) -> Recovered {
        let read = weather.ids_at_start;
        let floor = match self.log.len().checked_sub(read + 1) {
            None => MessageId::ZERO,
            Some(index) => self.log[index].id,
        };
        let mut rings = BTreeMap::<String, Vec<Arc<Message>>>::new();
        for message in &self.log {
            rings
                .entry(ring(message))
                .or_default()
                .push(message.clone());
        }
        let restored = |(name, mut messages): (String, Vec<Arc<Message>>)| {
            let keep = weather.limits.history.backlog_messages_max;
            let kept = messages.split_off(messages.len().saturating_sub(keep));
            let (unread, gone): (Vec<_>, Vec<_>) =
                messages.iter().map(|it| it.id).partition(|id| *id <= floor);
            let cut = self.cuts.get(&name).copied().unwrap_or_default();
            RestoredRing {
                topic: kept[0].topic.clone(),
                priority: kept[0].priority,
                gone,
                cut: unread.last().copied().unwrap_or_default().max(cut),
                kept,
            }
        };
        Recovered {
            origin: self.origin,
            last: self.last(),
            rings: rings.into_iter().map(restored).collect(),
            sessions: self
                .sessions
                .values()
                .map(|(saved, _)| saved.clone())
                .collect(),
        }
    }
}

/// A name for the topic and priority of a message.
fn ring(message: &Message) -> String {
    let (topic, priority): (&Topic, Priority) = (&message.topic, message.priority);
    format!("{topic:?} {priority:?}")
}
