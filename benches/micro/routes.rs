//! From a metric to the connections that want it.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion};
use statshub::domain::message::{MessageId, Topic, UserId};
use statshub::domain::pattern::Pattern;
use statshub::domain::routing::{Routes, Slot};
use statshub::domain::subscription::Subscription;

use crate::fixture::{GROUP_METRICS, group, metric, pattern};

/// Whether a pattern names a metric, which is asked when either is new.
pub fn pattern_match(criterion: &mut Criterion) {
    let mut benches = criterion.benchmark_group("pattern_match");
    let name = metric(4242);
    for text in [
        "group-42.metric-42",
        "group-42.*",
        "group-42.**",
        "group-43.*",
    ] {
        let pattern = pattern(text);
        benches.bench_function(text, |bencher| {
            bencher.iter(|| black_box(&pattern).matches(black_box(&name)));
        });
    }
}

/// The connections of a metric, one for each, where they have been asked for before.
pub fn visit(criterion: &mut Criterion) {
    let mut benches = criterion.benchmark_group("routes_visit");
    for metrics in [1, 100, 10_000] {
        let names = (0..metrics).map(|number| pattern(metric(number).as_str()));
        let groups = (0..metrics.div_ceil(GROUP_METRICS)).map(group);
        for (kind, mut routes) in [("exact", routes(names)), ("pattern", routes(groups))] {
            let topics: Vec<_> = (0..metrics).map(metric).map(Topic::Metric).collect();
            topics
                .iter()
                .for_each(|topic| routes.visit(topic, None, |_| {}));
            let mut next = topics.iter().cycle();
            benches.bench_function(BenchmarkId::new(kind, metrics), |bencher| {
                bencher
                    .iter(|| routes.visit(next.next().unwrap(), None, |slot| _ = black_box(slot)));
            });
        }
    }
}

/// A connection for each pattern.
fn routes(patterns: impl Iterator<Item = Pattern>) -> Routes {
    let mut routes = Routes::default();
    let user = UserId::parse("ann").expect("a user");
    for (slot, pattern) in patterns.enumerate() {
        let subscription =
            Subscription::new(&[pattern.into()], MessageId::ZERO).expect("one pattern");
        routes.add(slot as Slot, &user, &subscription);
    }
    routes
}
