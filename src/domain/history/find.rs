//! Whether there was a message, and what has become of it.

use super::super::message::{MessageId, Priority, Topic};
use super::History;

/// A message of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    pub topic: Topic,
    pub priority: Priority,
    pub fate: Fate,
}

/// What has become of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is there for who comes back.
    Kept,
    /// It had to make room.
    Gone,
    /// A gauge update, and a later one took its place.
    Replaced,
}

/// There is none of this id in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// And there never was.
    NeverPublished,
    /// There may have been: the log does not go back so far.
    Forgotten,
}

impl History {
    /// Looks through all topics: for a person who asks, not for every message.
    ///
    /// # Errors
    /// There is none.
    pub fn find(&self, id: MessageId) -> Result<Found, Missing> {
        let mut forgotten = !self.covers(id);
        for (topic, log) in &self.topics {
            for (priority, ring) in log.rings.iter() {
                if let Some(fate) = ring.fate(id) {
                    let topic = topic.clone();
                    return Ok(Found {
                        topic,
                        priority,
                        fate,
                    });
                }
                forgotten |= id <= ring.cut;
            }
        }
        match forgotten && id <= self.last {
            true => Err(Missing::Forgotten),
            false => Err(Missing::NeverPublished),
        }
    }
}
