//! The time of a run, and the time that this program has computed for.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since it was made.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    origin: Instant,
}

impl Clock {
    pub fn start() -> Self {
        Self {
            origin: Instant::now(),
        }
    }

    #[inline]
    pub fn now(&self) -> u64 {
        nanos(self.origin.elapsed())
    }
}

/// 584 years fit.
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// From `since` to `until` in seconds; 0 where they are the other way round.
pub fn seconds(since: u64, until: u64) -> f64 {
    until.saturating_sub(since) as f64 / 1e9
}

/// A while, by the clock on the wall and by what this process used of a processor in it, its own
/// work and the kernel's for it together.
#[derive(Debug, Clone, Copy)]
pub struct Effort {
    wall: Instant,
    processor: Duration,
}

impl Effort {
    pub fn begin() -> Self {
        Self {
            wall: Instant::now(),
            processor: processor_time(),
        }
    }

    /// Seconds of a processor used since, and which share of one that is.
    pub fn since(&self) -> (f64, f64) {
        let used = processor_time().saturating_sub(self.processor);
        let share = used.as_secs_f64() / self.wall.elapsed().as_secs_f64().max(1e-9);
        (used.as_secs_f64(), share)
    }
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let part = |value: i64| u64::try_from(value).unwrap_or_default();
    Duration::from_secs(part(time.tv_sec)) + Duration::from_nanos(part(time.tv_nsec))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted() {
        let effort = Effort::begin();
        let clock = Clock::start();
        while clock.now() < 5_000_000 {}
        let (used, share) = effort.since();
        assert!(used > 0.0 && share > 0.0);
    }
}
