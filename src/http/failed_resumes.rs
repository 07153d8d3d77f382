//! Failed resumes are answered late rather than refused: whoever guesses reconnect tokens is slowed
//! down, while an EventSource with an old token still gets the 410 that tells it to start afresh.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::domain::message::UserId;
use crate::transport::sockets::network;

/// Slows down whoever guesses reconnect tokens: beyond so many failures in a minute each further
/// one is answered later, up to [`FailedResumes::DELAY_MAX`].
pub struct FailedResumes {
    per_minute: AtomicU32,
    hash: RandomState,
    windows: Mutex<Box<[Window]>>,
}

#[derive(Clone, Copy, Default)]
struct Window {
    /// Start; `None` before the first failure.
    since: Option<Instant>,
    failures: u32,
}

impl FailedResumes {
    /// How much later each failure is answered than the one before.
    pub const DELAY_STEP: Duration = Duration::from_millis(250);
    pub const DELAY_MAX: Duration = Duration::from_secs(2);
    /// Callers told apart, at most; 24 bytes each. They are hashed, as in [`super::limit`].
    const BUCKETS: usize = 1 << 12;
    const WINDOW: Duration = Duration::from_secs(60);

    /// `per_minute` failures are answered at once.
    pub fn new(per_minute: u32) -> Self {
        Self {
            per_minute: AtomicU32::new(per_minute),
            hash: RandomState::new(),
            windows: Mutex::new(vec![Window::default(); Self::BUCKETS].into()),
        }
    }

    /// Changes how many failures are answered at once.
    pub fn allow(&self, per_minute: u32) {
        self.per_minute.store(per_minute, Ordering::Relaxed);
    }

    /// Counts a failure and waits until it may be answered.
    pub async fn answer_late(&self, user: &UserId, ip: IpAddr) {
        let delay = self.count(user, ip, Instant::now());
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
    }

    /// Counts a failure, for the user and for the address; returns how long to wait before it is
    /// answered, by whichever of the two has failed more.
    pub fn count(&self, user: &UserId, ip: IpAddr, now: Instant) -> Duration {
        // A panic elsewhere leaves a counter wrong by one at worst.
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let callers = [self.hash.hash_one(user), self.hash.hash_one(network(ip))];
        let failures = callers.map(|hash| windows[hash as usize % Self::BUCKETS].count(now));
        let excess = failures[0].max(failures[1]);
        let excess = excess.saturating_sub(self.per_minute.load(Ordering::Relaxed));
        Self::DELAY_STEP.saturating_mul(excess).min(Self::DELAY_MAX)
    }
}

impl Window {
    fn count(&mut self, now: Instant) -> u32 {
        let running = self
            .since
            .filter(|since| now.duration_since(*since) < FailedResumes::WINDOW);
        if running.is_none() {
            *self = Self {
                since: Some(now),
                failures: 0,
            };
        }
        self.failures = self.failures.saturating_add(1);
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn user(id: &str) -> UserId {
        UserId::parse(id).unwrap()
    }

    /// Attack: guessing reconnect tokens.
    #[test]
    fn failed_resumes_are_answered_later_and_later() {
        let failures = FailedResumes::new(2);
        let begun = Instant::now();
        let delay = |seconds: u64| {
            let now = begun + Duration::from_secs(seconds);
            failures.count(&user("u"), ip("192.0.2.1"), now).as_millis()
        };
        let delays: Vec<_> = (0..12).map(delay).collect();
        assert_eq!(
            delays,
            [
                0, 0, 250, 500, 750, 1000, 1250, 1500, 1750, 2000, 2000, 2000
            ]
        );
        assert_eq!([delay(60), delay(61), delay(62)], [0, 0, 250]);
    }

    /// Attack: guessing reconnect tokens.
    #[test]
    fn failed_resumes_count_for_the_user_and_for_the_address() {
        let now = Instant::now();
        let failures = FailedResumes::new(1);
        let delay = |id, address| failures.count(&user(id), ip(address), now).as_millis();
        assert_eq!(delay("a", "192.0.2.1"), 0);
        assert_eq!(delay("a", "192.0.2.2"), 250);
        assert_eq!(delay("b", "192.0.2.1"), 250);
        assert_eq!(delay("c", "192.0.2.3"), 0);
    }
}
