//! When the next message is due.

use std::time::Duration;

use super::plan::Pace;

/// Longest wait for events where nothing is due, so that time-outs are noticed.
const WAIT_MAX: Duration = Duration::from_millis(100);

/// Goes over one stretch of publishing.
#[derive(Debug)]
pub struct Pacer {
    pace: Pace,
    began: u64,
    published: u32,
    /// How long after its time a message went out at most, in nanoseconds.
    pub behind: u64,
}

impl Pacer {
    /// `now` in nanoseconds, as everywhere; the first message is due at once.
    pub fn new(pace: Pace, now: u64) -> Self {
        Self {
            pace,
            began: now,
            published: 0,
            behind: 0,
        }
    }

    pub fn is_due(&self, now: u64, in_flight: usize) -> bool {
        match self.pace {
            Pace::InFlight(count) => in_flight < count,
            Pace::Rate(rate) => self.due_at(rate) <= now,
        }
    }

    pub fn gone(&mut self, now: u64) {
        if let Pace::Rate(rate) = self.pace {
            self.behind = self.behind.max(now.saturating_sub(self.due_at(rate)));
        }
        self.published += 1;
    }

    /// How long there is nothing to do but to read. The poll counts whole milliseconds and rounds
    /// up; what is late for that is still on the one schedule, so the rate stays true.
    pub fn wait(&self, now: u64) -> Duration {
        match self.pace {
            Pace::InFlight(_) => WAIT_MAX,
            Pace::Rate(rate) => {
                let until = self.due_at(rate).saturating_sub(now);
                Duration::from_nanos(until).min(WAIT_MAX)
            }
        }
    }

    fn due_at(&self, rate: f64) -> u64 {
        self.began + (f64::from(self.published) * 1e9 / rate) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_whatever_is_in_flight() {
        let mut pacer = Pacer::new(Pace::Rate(100.0), 1000);
        assert!(pacer.is_due(1000, 99));
        pacer.gone(1000);
        assert!(!pacer.is_due(10_000_999, 0));
        assert_eq!(pacer.wait(1000), Duration::from_millis(10));
        assert!(pacer.is_due(10_001_000, 0));
        pacer.gone(15_001_000);
        assert_eq!(pacer.behind, 5_000_000);
        assert!(
            pacer.is_due(20_001_000, 0),
            "what is late delays nothing after it"
        );
        assert_eq!(pacer.wait(30_000_000), Duration::ZERO);
    }

    #[test]
    fn in_flight_are_never_more_than_were_asked_for() {
        let pacer = Pacer::new(Pace::InFlight(2), 0);
        let due = [0, 1, 2, 3].map(|in_flight| pacer.is_due(0, in_flight));
        assert_eq!(due, [true, true, false, false]);
    }
}
