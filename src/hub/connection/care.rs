//! What a worker does for each of its connections from time to time.

use std::rc::Rc;
use std::time::Duration;

use super::Connection;
use crate::config;
use crate::domain::message::{MessageId, Transport};
use crate::domain::outbox::Outgoing;
use crate::wire::notice;

/// How long a stream that has been told to end may take to say its last words.
const CLOSING_GRACE: Duration = Duration::from_millis(1500);
/// A stream with more than this waiting is not quiet and needs no sign of life.
const QUIET_QUEUE_MAX: usize = 64;

impl Connection {
    /// The client's position moves along with what was not for it; then a sign of life.
    pub(in crate::hub) fn heartbeat(&self, through: MessageId, heartbeat: &Rc<Outgoing>) {
        self.with(|outbox| {
            if outbox.is_lagging() || outbox.len() > QUIET_QUEUE_MAX {
                return;
            }
            match self.transport {
                Transport::Sse => outbox.move_cursor(through, || notice::cursor(through)),
                Transport::Websocket => outbox.pass(through),
            }
            outbox.push(heartbeat.clone());
        });
    }

    /// A frame for a stream that is not busy writing anyway.
    pub(in crate::hub) fn nudge(&self, frame: &Rc<Outgoing>) {
        self.with(|outbox| {
            if outbox.len() <= QUIET_QUEUE_MAX {
                outbox.push(frame.clone());
            }
        });
    }

    /// Ends what is stuck or silent, and says something where nothing was said for long.
    pub(in crate::hub) fn look_after(&self, now: Duration, settings: &config::Settings) {
        let since = |then: Duration| now.saturating_sub(then);
        let waits = !self.outbox.borrow().is_empty();
        let overdue = self
            .ending
            .get()
            .is_some_and(|ending| since(ending.told_at) >= CLOSING_GRACE);
        let stuck_since = self.stuck_since.get().filter(|_| waits);
        let stuck = stuck_since.is_some_and(|then| since(then) >= settings.outgoing.stall_timeout);
        let silent = self.transport == Transport::Websocket
            && since(self.heard_at.get()) >= 2 * settings.websocket.ping_interval;
        if overdue || stuck || silent {
            log::debug!(
                "hanging up on {:?}: overdue {overdue}, stuck {stuck}, silent {silent}",
                self.key
            );
            self.line.hang_up();
        } else if self.transport == Transport::Sse
            && !waits
            && since(self.wrote_at.get()) >= settings.realtime.sse_comment_after
        {
            self.push(notice::comment());
        }
    }
}
