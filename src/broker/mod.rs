//! Where a message gets its id.
//!
//! A broker puts publications into one order and gives each the next id; the Hub actor takes them
//! over in that order. May use the domain and the wire; never reads a clock, which is passed in.

use crate::domain::message::{IdGenerator, Message, MessageId};
use crate::domain::time::Now;
use crate::wire::message::{Publication, encode};

/// The broker of a hub that stands alone: the order is that of arrival.
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
