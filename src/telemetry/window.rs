//! So many in so long: how the log and the audit trail tell the first of many from the rest.

use std::time::{Duration, Instant};

/// Events since a moment.
#[derive(Debug)]
pub(super) struct Window {
    began: Instant,
    events: u64,
}

impl Window {
    pub fn new(now: Instant) -> Self {
        Self {
            began: now,
            events: 0,
        }
    }

    /// Workers read their clocks before they get here, so `now` may lie a little before the start.
    pub fn is_over(&self, now: Instant, length: Duration) -> bool {
        now.saturating_duration_since(self.began) >= length
    }

    /// Counts one more. Returns whether it is among the first `max`.
    pub fn admit(&mut self, max: u64) -> bool {
        self.events += 1;
        self.events <= max
    }

    /// How many were not among the first `max`.
    pub fn beyond(&self, max: u64) -> u64 {
        self.events.saturating_sub(max)
    }
}
