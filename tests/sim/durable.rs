//! What outlives a process: the log, which has a message before anybody hears of it, and the saved
//! sessions, which lag behind. Plain lists, read from the beginning.

use std::collections::{BTreeMap, HashMap, VecDeque};
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
    /// The log, by topic and priority.
    rings: Vec<Ring>,
    numbers: HashMap<(Topic, Priority), usize>,
    last: MessageId,
    changes: VecDeque<Change>,
    sessions: BTreeMap<Uuid, (Saved, Snapshot)>,
}

#[derive(Default)]
struct Ring {
    messages: Vec<Arc<Message>>,
    /// Retention took away what was older.
    cut: MessageId,
}

impl Durable {
    pub fn new(origin: MessageId) -> Self {
        Self {
            origin,
            waiting: VecDeque::new(),
            settled: VecDeque::new(),
            rings: Vec::new(),
            numbers: HashMap::new(),
            last: origin,
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
            let ring = (message.topic.clone(), message.priority);
            let number = *self.numbers.entry(ring).or_insert(self.rings.len());
            if number == self.rings.len() {
                self.rings.push(Ring::default());
            }
            self.rings[number].messages.push(message.clone());
            self.last = message.id;
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
    pub fn ids(&self) -> Vec<MessageId> {
        let messages = self.rings.iter().flat_map(|ring| &ring.messages);
        let mut ids: Vec<MessageId> = messages.map(|message| message.id).collect();
        ids.sort_unstable();
        ids
    }

    pub fn snapshots(&self) -> impl Iterator<Item = &Snapshot> {
        self.sessions.values().map(|(_, snapshot)| snapshot)
    }

    /// The oldest messages go, but for the newest of each ring.
    pub fn retain(&mut self, retention: Retention, rng: &mut Rng) {
        let ids = self.ids();
        let age = match ids.len() {
            0 => MessageId::ZERO,
            length => ids[rng.below(length)],
        };
        for ring in &mut self.rings {
            let length = ring.messages.len();
            let going = match retention {
                Retention::Everything => 0,
                Retention::Age => ring.messages.partition_point(|it| it.id <= age),
                Retention::PerRing(max) => length.saturating_sub(max),
            };
            let gone = ring.messages.drain(..going.min(length - 1));
            ring.cut = gone
                .max_by_key(|it| it.id)
                .map_or(ring.cut, |newest| newest.id);
        }
    }

    /// What the next process reads.
    pub fn read(&self, weather: &Weather) -> Recovered {
        let ids = self.ids();
        let unread = ids.len().saturating_sub(weather.ids_at_start);
        let floor = unread.checked_sub(1).map_or(MessageId::ZERO, |i| ids[i]);
        let keep = weather.limits.history.backlog_messages_max;
        Recovered {
            origin: self.origin,
            last: self.last,
            holes: Vec::new(),
            rings: self
                .rings
                .iter()
                .map(|ring| ring.read(keep, floor))
                .collect(),
            sessions: self
                .sessions
                .values()
                .map(|(saved, _)| saved.clone())
                .collect(),
        }
    }
}

impl Ring {
    /// The newest messages, and the ids above `floor` of those before.
    fn read(&self, keep: usize, floor: MessageId) -> RestoredRing {
        let (before, kept) = self
            .messages
            .split_at(self.messages.len().saturating_sub(keep));
        let (unread, gone): (Vec<_>, Vec<_>) =
            before.iter().map(|it| it.id).partition(|id| *id <= floor);
        RestoredRing {
            topic: kept[0].topic.clone(),
            priority: kept[0].priority,
            gone,
            cut: unread.last().map_or(self.cut, |newest| *newest),
            kept: kept.to_vec(),
        }
    }
}
