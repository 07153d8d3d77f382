//! Totals of what no other room counts, shared over the whole program.

use std::sync::atomic::{AtomicU64, Ordering};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Counter {
    /// Answered 429: too many requests from one address.
    RateLimitedIp,
    /// Answered 429: too many requests of one user.
    RateLimitedUser,
    /// A message ignored: too many on one WebSocket.
    RateLimitedWebsocket,
    /// Answered 429: the user, or the hub, has all the connections it may have.
    ConnectionLimit,
    /// Answered 401.
    Unauthenticated,
    /// Answered 403.
    Forbidden,
    /// Answered 500 after a panic.
    HandlerPanic,
}

const COUNTERS: usize = Counter::HandlerPanic as usize + 1;

/// Totals since the start. Share it behind an `Arc`; counting never locks.
#[derive(Debug, Default)]
pub struct Counters([AtomicU64; COUNTERS]);

impl Counters {
    pub fn count(&self, what: Counter) {
        self.0[what as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The totals now.
    pub fn totals(&self) -> Totals {
        Totals(std::array::from_fn(|i| self.0[i].load(Ordering::Relaxed)))
    }
}

/// What [`Counters`] held at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals([u64; COUNTERS]);

impl std::ops::Index<Counter> for Totals {
    type Output = u64;
    fn index(&self, what: Counter) -> &u64 {
        &self.0[what as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_total_of_its_own() {
        let counters = Counters::default();
        counters.count(Counter::RateLimitedIp);
        counters.count(Counter::HandlerPanic);
        counters.count(Counter::HandlerPanic);
        let totals = counters.totals();
        assert_eq!(totals[Counter::RateLimitedIp], 1);
        assert_eq!(totals[Counter::HandlerPanic], 2);
        assert_eq!(totals[Counter::Forbidden], 0);
    }
}
