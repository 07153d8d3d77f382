//! How long to wait before the next try.

use std::time::Duration;

use rand::RngExt;

/// Exponential back-off with full jitter: each wait is drawn evenly from zero to a ceiling that
/// doubles, since anything less random brings the clients of a restarted hub back in waves.
#[derive(Debug)]
pub struct Backoff {
    /// Ceiling of the first wait.
    first: Duration,
    /// Ceiling of every wait.
    longest: Duration,
    failures: u32,
}

impl Backoff {
    pub fn new(first: Duration, longest: Duration) -> Self {
        let failures = 0;
        Self {
            first,
            longest,
            failures,
        }
    }

    /// The wait after one more failure: at least `floor`, which is what the hub asked for, with
    /// the jitter on top.
    pub fn next(&mut self, floor: Duration) -> Duration {
        self.wait(floor, rand::rng().random::<f64>())
    }

    /// After a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    fn wait(&mut self, floor: Duration, share: f64) -> Duration {
        let doubled = self.first.saturating_mul(1 << self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        floor.saturating_add(doubled.min(self.longest).mul_f64(share))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(30);

    fn backoff() -> Backoff {
        Backoff::new(Duration::from_secs(1), LONGEST)
    }

    #[test]
    fn the_ceiling_doubles_up_to_the_longest_and_falls_back_on_success() {
        let mut backoff = backoff();
        let seconds: Vec<_> = (0..7)
            .map(|_| backoff.wait(Duration::ZERO, 1.0).as_secs())
            .collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
        backoff.reset();
        assert_eq!(backoff.wait(Duration::ZERO, 1.0), Duration::from_secs(1));
    }

    #[test]
    fn a_wait_may_be_nothing_but_what_the_hub_asked_for() {
        let mut backoff = backoff();
        assert_eq!(backoff.wait(Duration::ZERO, 0.0), Duration::ZERO);
        assert_eq!(
            backoff.wait(Duration::from_secs(7), 0.0),
            Duration::from_secs(7)
        );
    }

    #[test]
    fn failing_for_ever_never_overflows() {
        let mut backoff = backoff();
        backoff.failures = u32::MAX;
        assert_eq!(backoff.wait(Duration::ZERO, 1.0), LONGEST);
        assert_eq!(backoff.wait(Duration::MAX, 1.0), Duration::MAX);
    }
}
