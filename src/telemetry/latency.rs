//! How long messages take from being published to being handed to a connection.

use serde::{Deserialize, Serialize};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use histogram::{AtomicHistogram, Config, Histogram};

/// Bins of at most 1/128 of their value, so that everything told is within 0.8 %.
const GROUPING_POWER: u8 = 7;
/// Microseconds up to 2^24, 16.8 s; what took longer counts as that.
const VALUE_POWER: u8 = 24;
const MICROS_MAX: u64 = (1 << VALUE_POWER) - 1;

/// Upper bounds of the buckets for Prometheus, in seconds: 0.5 ms to 10 s.
pub const BOUNDS: [f64; 14] = [
    0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// One worker's latencies since the start. Recording is two relaxed additions, no lock; about
/// 18 KB.
pub struct Latency {
    bins: AtomicHistogram,
    sum_micros: AtomicU64,
}

impl Latency {
    pub fn new() -> Self {
        Self {
            bins: AtomicHistogram::with_config(&bins()),
            sum_micros: AtomicU64::new(0),
        }
    }

    pub fn record(&self, latency: Duration) {
        self.record_many(latency, 1);
    }

    /// The same for `count` messages that took alike.
    pub fn record_many(&self, latency: Duration, count: u64) {
        let micros = u64::try_from(latency.as_micros()).unwrap_or(MICROS_MAX);
        let micros = micros.min(MICROS_MAX);
        // Cannot be out of range, having just been brought into it.
        let _ = self.bins.add(micros, count);
        self.sum_micros.fetch_add(micros * count, Ordering::Relaxed);
    }
}

impl Default for Latency {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Latency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Latency")
    }
}

/// Several workers' latencies as numbers. All zero where nothing was recorded yet.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Summary {
    pub p50_ms: f64,
    pub p95_ms: f64,
    pub p99_ms: f64,
    pub sum_seconds: f64,
    pub count: u64,
    /// How many took at most the bound of the same place in [`BOUNDS`]; cumulative.
    pub at_most: [u64; BOUNDS.len()],
}

impl Summary {
    /// Those of another hub. Quantiles cannot be put together: the worse ones stand for both.
    pub fn add(&mut self, other: &Self) {
        self.p50_ms = self.p50_ms.max(other.p50_ms);
        self.p95_ms = self.p95_ms.max(other.p95_ms);
        self.p99_ms = self.p99_ms.max(other.p99_ms);
        self.sum_seconds += other.sum_seconds;
        self.count += other.count;
        for (mine, theirs) in self.at_most.iter_mut().zip(other.at_most) {
            *mine += theirs;
        }
    }

    /// The latencies of all `workers` together. They go on recording meanwhile, so the sum may be
    /// a few events off the count.
    pub fn of<'a>(workers: impl IntoIterator<Item = &'a Latency>) -> Self {
        let mut all = Histogram::with_config(&bins());
        let mut sum_micros = 0;
        for worker in workers {
            // Fails only for bins of another layout, or 2^64 events.
            let _ = all.checked_add_assign(&worker.bins.load());
            sum_micros += worker.sum_micros.load(Ordering::Relaxed);
        }
        Self {
            p50_ms: quantile_ms(&all, 0.50),
            p95_ms: quantile_ms(&all, 0.95),
            p99_ms: quantile_ms(&all, 0.99),
            sum_seconds: Duration::from_micros(sum_micros).as_secs_f64(),
            count: all.as_slice().iter().sum(),
            at_most: cumulative(&all),
        }
    }
}

fn bins() -> Config {
    Config::new(GROUPING_POWER, VALUE_POWER).expect("a constant layout")
}

fn quantile_ms(all: &Histogram, quantile: f64) -> f64 {
    let bin = all.quantile_bucket(quantile).ok().flatten();
    bin.map_or(0.0, |bin| bin.end() as f64 / 1e3)
}

/// One pass over the bins; one that straddles a bound counts as above it.
fn cumulative(all: &Histogram) -> [u64; BOUNDS.len()] {
    let mut at_most = [0; BOUNDS.len()];
    for bin in all.iter().filter(|bin| bin.count() > 0) {
        let seconds = bin.end() as f64 / 1e6;
        let fits = BOUNDS.partition_point(|bound| *bound < seconds);
        at_most[fits..].iter_mut().for_each(|n| *n += bin.count());
    }
    at_most
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn recorded(millis: impl IntoIterator<Item = u64>) -> Latency {
        let latency = Latency::new();
        for millis in millis {
            latency.record(Duration::from_millis(millis));
        }
        latency
    }

    #[track_caller]
    fn check_near(got: f64, expected: f64) {
        let within = expected * 0.01;
        assert!((got - expected).abs() <= within, "{got} is not {expected}");
    }

    #[test]
    fn nothing_recorded_is_all_zero() {
        assert_eq!(Summary::of([]), Summary::default());
        assert_eq!(Summary::of([&Latency::new()]), Summary::default());
    }

    #[test]
    fn several_workers_are_told_as_one() {
        let (odd, even) = (
            recorded((1..=1000).step_by(2)),
            recorded((2..=1000).step_by(2)),
        );
        let summary = Summary::of([&odd, &even]);
        assert_eq!(summary.count, 1000);
        check_near(summary.p50_ms, 500.0);
        check_near(summary.p95_ms, 950.0);
        check_near(summary.p99_ms, 990.0);
        check_near(summary.sum_seconds, 500.5);
    }

    #[test]
    fn buckets_are_cumulative_over_their_bounds() {
        let summary = Summary::of([&recorded([0, 2, 30, 30, 3000])]);
        let at = |seconds: f64| summary.at_most[BOUNDS.iter().position(|b| *b == seconds).unwrap()];
        assert_eq!((at(0.0005), at(0.001), at(0.0025)), (1, 1, 2));
        assert_eq!((at(0.025), at(0.05), at(2.5)), (2, 4, 4));
        assert_eq!((at(5.0), at(10.0)), (5, 5));
    }

    #[test]
    fn what_takes_for_ever_counts_as_longer_than_every_bucket() {
        let latency = Latency::new();
        latency.record(Duration::MAX);
        let summary = Summary::of([&latency]);
        assert_eq!((summary.count, summary.at_most), (1, [0; BOUNDS.len()]));
        check_near(summary.p50_ms, 16_777.0);
    }

    proptest! {
        #[test]
        fn buckets_rise_to_at_most_the_count(micros in prop::collection::vec(0..20_000_000u64, 0..200)) {
            let latency = Latency::new();
            micros.iter().for_each(|m| latency.record(Duration::from_micros(*m)));
            let summary = Summary::of([&latency]);
            prop_assert_eq!(summary.count, micros.len() as u64);
            prop_assert!(summary.at_most.is_sorted());
            prop_assert!(summary.at_most[BOUNDS.len() - 1] <= summary.count);
            prop_assert!(summary.p50_ms <= summary.p95_ms && summary.p95_ms <= summary.p99_ms);
        }
    }
}
