//! How many frames a WebSocket client may send, control frames included.

use std::time::{Duration, Instant};

/// What to do with the frame that has just arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Admit,
    /// Take no notice of it. `tell` is true for the first of a run, so that a client hears of it
    /// once and is not sent an error for each frame of its flood.
    Ignore {
        tell: bool,
    },
    /// The client was told and went on: end the connection.
    Close,
}

/// One client's allowance: a token bucket, kept as the one moment at which it will be full again.
///
/// A *run* of ignored frames lasts until the client has paused for long enough to have its whole
/// burst back. Within one run it may have as many frames ignored as it may send at once; a client
/// that merely bursts a little too far is forgiven, one that keeps sending is not.
#[derive(Debug)]
pub struct Pace {
    /// Time that earns one frame.
    interval: Duration,
    /// Frames that may come at once.
    burst: u32,
    full_at: Option<Instant>,
    ignored: u32,
}

impl Pace {
    /// `per_second` frames on average, `burst` at once. Zero counts as one in both: a client that
    /// may say nothing at all is refused elsewhere.
    pub fn new(per_second: u32, burst: u32) -> Self {
        Self {
            interval: Duration::from_secs(1) / per_second.max(1),
            burst: burst.max(1),
            full_at: None,
            ignored: 0,
        }
    }

    /// Judges one frame that arrived at `now`.
    pub fn admit(&mut self, now: Instant) -> Verdict {
        let full_at = self.full_at.filter(|at| *at > now).unwrap_or_else(|| {
            self.ignored = 0;
            now
        });
        if full_at - now <= self.interval * (self.burst - 1) {
            self.full_at = Some(full_at + self.interval);
            return Verdict::Admit;
        }
        self.ignored += 1;
        if self.ignored > self.burst {
            Verdict::Close
        } else {
            Verdict::Ignore {
                tell: self.ignored == 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLD: Verdict = Verdict::Ignore { tell: true };
    const IGNORED: Verdict = Verdict::Ignore { tell: false };

    /// Ten a second, three at once; frames arrive at these milliseconds.
    fn check(arrivals: &[u64], expected: &[Verdict]) {
        let (start, mut pace) = (Instant::now(), Pace::new(10, 3));
        let verdicts: Vec<_> = arrivals
            .iter()
            .map(|ms| pace.admit(start + Duration::from_millis(*ms)))
            .collect();
        assert_eq!(verdicts, expected, "frames at {arrivals:?} ms");
    }

    use Verdict::{Admit, Close};

    #[test]
    fn a_burst_is_admitted_and_then_a_frame_per_interval() {
        check(&[0, 0, 0, 100, 200, 300], &[Admit; 6]);
        check(&[0, 100, 200, 300, 400, 500, 600, 700], &[Admit; 8]);
    }

    #[test]
    fn what_goes_beyond_the_burst_is_ignored_and_told_once() {
        check(&[0, 0, 0, 0, 0], &[Admit, Admit, Admit, TOLD, IGNORED]);
        check(
            &[0, 0, 0, 0, 100, 100, 200],
            &[Admit, Admit, Admit, TOLD, Admit, IGNORED, Admit],
        );
    }

    #[test]
    fn a_client_that_goes_on_is_closed() {
        check(
            &[0; 8],
            &[Admit, Admit, Admit, TOLD, IGNORED, IGNORED, Close, Close],
        );
    }

    #[test]
    fn a_client_that_pauses_is_forgiven() {
        check(
            &[0, 0, 0, 0, 0, 0, 300, 300, 300, 300, 300, 300, 300],
            &[
                Admit, Admit, Admit, TOLD, IGNORED, IGNORED, // a pause of one whole burst
                Admit, Admit, Admit, TOLD, IGNORED, IGNORED, Close,
            ],
        );
    }

    #[test]
    fn twice_the_rate_without_a_pause_is_going_on() {
        let (start, mut pace) = (Instant::now(), Pace::new(10, 3));
        let frames_until_closed = (0..100)
            .take_while(|i| pace.admit(start + Duration::from_millis(i * 50)) != Close)
            .count();
        assert!((6..15).contains(&frames_until_closed));
    }

    #[test]
    fn zero_counts_as_one() {
        let (now, mut pace) = (Instant::now(), Pace::new(0, 0));
        assert_eq!([pace.admit(now), pace.admit(now)], [Admit, TOLD]);
        assert_eq!(pace.admit(now + Duration::from_secs(1)), Admit);
    }

    #[test]
    fn a_clock_that_reads_a_little_back_is_harmless() {
        let (now, mut pace) = (Instant::now(), Pace::new(10, 3));
        let later = now + Duration::from_millis(50);
        assert_eq!([pace.admit(later), pace.admit(now)], [Admit, Admit]);
    }
}
