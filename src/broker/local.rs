//! The broker of a hub that stands alone: the order is that of arrival.

use crate::domain::message::{IdGenerator, Message, MessageId};
use crate::domain::time::Now;
use crate::wire::message::{Publication, encode};

/// Gives each publication the next id.
#[derive(Debug)]
pub struct Local {
    ids: IdGenerator,
}

impl Local {
    /// A log that begins at `now`: a position from before it belongs to a log that is gone.
    pub fn starting_at(now: Now) -> Self {
        let origin = MessageId::new(now.wall_ms, 0).unwrap_or(MessageId::ZERO);
        Self {
            ids: IdGenerator::above(origin),
        }
    }

    /// A log that goes on after `last`.
    pub fn going_on_after(last: MessageId) -> Self {
        Self {
            ids: IdGenerator::above(last),
        }
    }

    /// The newest id given, or where the log begins.
    pub fn last(&self) -> MessageId {
        self.ids.last()
    }

    /// The publication as the next message.
    pub fn append(&mut self, publication: Publication, now: Now) -> Message {
        encode(self.ids.next(now.wall_ms), publication, now)
    }
}
