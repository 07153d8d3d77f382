//! How long messages took from being written by the publisher to being read by a connection.

use histogram::{Config, Histogram};
use serde::Serialize;

/// Bins of at most 1/128 of their value, so that everything told is within 0.8 %.
const GROUPING_POWER: u8 = 7;
/// Nanoseconds up to 2^36, 68 s; what took longer counts as that.
const VALUE_POWER: u8 = 36;
const NANOS_MAX: u64 = (1 << VALUE_POWER) - 1;

/// All latencies of a run; 30 KB however many they are.
pub struct Latency {
    bins: Histogram,
    longest: u64,
}

impl Latency {
    #[inline]
    pub fn record(&mut self, nanos: u64) {
        // Cannot be out of range.
        let _ = self.bins.increment(nanos.min(NANOS_MAX));
        self.longest = self.longest.max(nanos);
    }

    /// `None` where nothing was recorded.
    pub fn summary(&self) -> Option<Quantiles> {
        let at = |quantile| {
            let bin = self.bins.quantile_bucket(quantile).ok().flatten()?;
            // A bin's end may lie beyond the longest of all.
            Some(millis(bin.end().min(self.longest)))
        };
        Some(Quantiles {
            p50: at(0.5)?,
            p99: at(0.99)?,
            p999: at(0.999)?,
            max: millis(self.longest),
        })
    }
}

impl Default for Latency {
    fn default() -> Self {
        let bins = Config::new(GROUPING_POWER, VALUE_POWER).expect("a constant layout");
        Self {
            bins: Histogram::with_config(&bins),
            longest: 0,
        }
    }
}

impl std::fmt::Debug for Latency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Latency")
    }
}

/// What readers had to wait at most: half of them, 99 %, 99.9 %, all. In milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// Milliseconds to the microsecond.
fn millis(nanos: u64) -> f64 {
    (nanos as f64 / 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_recorded_has_no_quantiles() {
        assert_eq!(Latency::default().summary(), None);
    }

    #[test]
    fn quantiles_are_within_a_hundredth() {
        let mut latency = Latency::default();
        (1..=10_000u64).for_each(|tenths| latency.record(tenths * 100_000));
        let got = latency.summary().unwrap();
        for (got, expected) in [(got.p50, 500.0), (got.p99, 990.0), (got.p999, 999.0)] {
            assert!(
                (got - expected).abs() < expected / 100.0,
                "{got} {expected}"
            );
        }
        assert_eq!(got.max, 1000.0);
    }

    #[test]
    fn what_takes_for_ever_is_told_in_full() {
        let mut latency = Latency::default();
        latency.record(100_000_000_000);
        let got = latency.summary().unwrap();
        assert_eq!(got.max, 100_000.0);
        assert!(got.p50 > 68_000.0);
    }
}
