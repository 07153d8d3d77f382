//! What a hub and a client hold.

use super::log::{Entry, Epoch, Id, Message, Messages, messages};

pub const HUBS: usize = 2;
pub const CLIENTS: usize = 2;

#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub enum Link {
    #[default]
    Down,
    Primary,
    /// The old primary, which nobody told that it is none any more.
    Zombie,
    /// The old primary after it was told: now a replica of the new one, so it can be read from.
    Demoted,
}

#[derive(Clone, Default, PartialEq, Eq, Hash, Debug)]
pub struct Hub {
    pub link: Link,
    /// None: it has not joined since it was started.
    pub epoch: Option<Epoch>,
    /// Its history is given up: it reads the whole stream before it serves anybody again.
    pub anew: bool,
    pub origin: Id,
    /// What it read after the origin, for replays.
    pub read: Vec<Entry>,
    /// The highest id it ever read. Never goes back.
    pub seen: Id,
    /// The newest that it acknowledged, and in which epoch, until a join has looked for it in the
    /// log. Reading leaves it alone: what is read may be the log of those who lost it.
    pub acknowledged: Option<(Epoch, Id)>,
    /// What its values of the metrics rest on.
    pub values: Messages,
    /// What it acknowledged on a primary that was none any more: nobody else knows of these.
    pub alone: Messages,
}

impl Hub {
    /// A hub without memory.
    pub fn started() -> Self {
        Self {
            anew: true,
            ..Self::default()
        }
    }

    pub fn last(&self) -> Id {
        self.read.last().map_or(self.origin, |entry| entry.id)
    }

    pub fn serves(&self) -> bool {
        self.link != Link::Down && !self.anew
    }

    pub fn saw(&mut self, id: Id) {
        self.seen = self.seen.max(id);
    }

    /// Whether a replay can begin behind `position`.
    pub fn has_read(&self, position: Id) -> bool {
        position == self.origin || self.read.iter().any(|entry| entry.id == position)
    }

    pub fn take_over(&mut self, entry: Entry) {
        self.read.push(entry);
        self.values |= messages([entry].iter());
        self.saw(entry.id);
    }

    /// Gives the history up. The values stay until they are replaced.
    pub fn drop_history(&mut self) {
        self.anew = true;
        self.read.clear();
        self.origin = Id::NONE;
    }
}

/// A message as a client saw it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Sight {
    pub epoch: Option<Epoch>,
    pub id: Id,
    pub message: Message,
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Client {
    /// None while it has no connection.
    pub hub: Option<usize>,
    /// Its `lastEventId`.
    pub position: Id,
    /// All it saw since it subscribed.
    pub sights: Vec<Sight>,
    /// What its picture of the metrics rests on, or what it was told is lost.
    pub covered: Messages,
    /// Got a snapshot since it subscribed.
    pub told: bool,
    /// That of its last snapshot, which it does not know itself.
    pub epoch: Option<Epoch>,
    /// Got a message of another epoch than that.
    pub mixed: bool,
}

impl Client {
    pub fn receive(&mut self, epoch: Option<Epoch>, entry: Entry) {
        if let Some(message) = entry.message() {
            self.position = entry.id;
            self.mixed |= epoch != self.epoch;
            self.covered |= 1 << message;
            self.sights.push(Sight {
                epoch,
                id: entry.id,
                message,
            });
        }
    }

    /// Another subscriber in its place, who knows nothing.
    pub fn forget(&mut self) {
        self.position = Id::NONE;
        self.sights.clear();
        self.told = false;
        self.mixed = false;
    }
}
