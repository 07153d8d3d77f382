//! Sampled logging, for what a stranger can cause as often as they like.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::window::Window;

const WINDOW: Duration = Duration::from_secs(60);

/// Logs the first few events of a kind in each minute, and how many more there were.
///
/// For the log only; counters count every event. Share one behind an `Arc`, or keep it in a
/// `static LazyLock`.
#[derive(Debug)]
pub struct Throttle {
    first_n_per_minute: u64,
    windows: Mutex<HashMap<&'static str, Window>>,
}

impl Throttle {
    /// Of each kind the first `first_n_per_minute` are printed; with 0 only the counts.
    pub fn new(first_n_per_minute: u64) -> Self {
        Self {
            first_n_per_minute,
            windows: Mutex::default(),
        }
    }

    /// Warns with `message()` or counts it as suppressed. `key` names the kind of event; it is
    /// `'static` so that no input can make the table grow.
    pub fn log(&self, key: &'static str, now: Instant, message: impl FnOnce() -> String) {
        let (print, suppressed) = self.admit(key, now);
        report(key, suppressed);
        if print {
            log::warn!("{}", message());
        }
    }

    /// Prints the counts of the minutes that are over. Call it now and then, because otherwise the
    /// count of a flood that has ended waits for the next event of its kind.
    pub fn flush(&self, now: Instant) {
        for (key, suppressed) in self.take_finished(now) {
            report(key, suppressed);
        }
    }

    /// Whether this event is printed, and how many of the minute before were not.
    fn admit(&self, key: &'static str, now: Instant) -> (bool, u64) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let window = windows.entry(key).or_insert_with(|| Window::new(now));
        let mut suppressed = 0;
        if window.is_over(now, WINDOW) {
            suppressed = window.beyond(self.first_n_per_minute);
            *window = Window::new(now);
        }
        (window.admit(self.first_n_per_minute), suppressed)
    }

    fn take_finished(&self, now: Instant) -> Vec<(&'static str, u64)> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows
            .extract_if(|_, window| window.is_over(now, WINDOW))
            .map(|(key, window)| (key, window.beyond(self.first_n_per_minute)))
            .collect()
    }
}

fn report(key: &str, suppressed: u64) {
    if suppressed > 0 {
        log::warn!("{key}: {suppressed} more within a minute were not logged");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// Attack: a flood of bad tokens, against the log and the trail.
    #[test]
    fn the_first_few_of_a_minute_are_printed_and_the_rest_counted() {
        let throttle = Throttle::new(2);
        let start = Instant::now();
        let printed: Vec<bool> = (0..5)
            .map(|i| throttle.admit("auth", start + SECOND * i).0)
            .collect();
        assert_eq!(printed, [true, true, false, false, false]);
        assert_eq!(throttle.admit("auth", start + SECOND * 60), (true, 3));
        assert_eq!(throttle.admit("auth", start + SECOND * 61), (true, 0));
        assert_eq!(throttle.admit("auth", start + SECOND * 120), (true, 0));
    }

    #[test]
    fn kinds_do_not_use_up_each_others_share() {
        let throttle = Throttle::new(1);
        let now = Instant::now();
        assert_eq!(throttle.admit("a", now), (true, 0));
        assert_eq!(throttle.admit("b", now), (true, 0));
        assert_eq!(throttle.admit("a", now), (false, 0));
    }

    #[test]
    fn a_flush_reports_a_flood_that_has_ended_once() {
        let throttle = Throttle::new(1);
        let now = Instant::now();
        (0..10).for_each(|_| throttle.log("a", now, String::new));
        assert_eq!(throttle.take_finished(now + SECOND * 59), []);
        assert_eq!(throttle.take_finished(now + SECOND * 60), [("a", 9)]);
        assert_eq!(throttle.take_finished(now + SECOND * 60), []);
    }

    #[test]
    fn a_suppressed_message_is_never_made() {
        let throttle = Throttle::new(0);
        throttle.log("a", Instant::now(), || unreachable!());
    }

    #[test]
    fn a_clock_read_before_the_window_began_is_within_it() {
        let throttle = Throttle::new(1);
        let now = Instant::now();
        throttle.admit("a", now + SECOND);
        assert_eq!(throttle.admit("a", now), (false, 0));
    }
}
