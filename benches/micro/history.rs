//! The log: a message comes, and what a client missed is found.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion};
use statshub::domain::backlog::Reader;
use statshub::domain::history::History;
use statshub::domain::message::{MessageId, Transport, UserId};
use statshub::domain::subscription::Subscription;

use crate::fixture::{Publisher, history_limits, metric, pattern};

/// All rings are full: every message evicts one.
pub fn push(criterion: &mut Criterion) {
    let mut benches = criterion.benchmark_group("history_push");
    for metrics in [1, 100, 10_000] {
        let mut publisher = Publisher::new(metrics);
        // So few that all rings are full before the bytes run out.
        let mut limits = history_limits();
        limits.backlog_messages_max = 3;
        let full = metrics * limits.backlog_messages_max;
        let mut history = History::new(limits, MessageId::ZERO);
        (0..full).for_each(|_| history.push(publisher.next()));
        benches.bench_function(BenchmarkId::new("full", metrics), |bencher| {
            let push = |message| {
                history.push(message);
                // As the hub does: the ids of what went are bounded.
                if let Some(to) = history.overgrown() {
                    history.cut(to);
                }
            };
            bencher.iter_batched(|| publisher.next(), push, BatchSize::SmallInput);
        });
    }
}

/// For a client that is so many messages behind: of the one metric that it wants, or of a thousand.
pub fn backlog(criterion: &mut Criterion) {
    let mut benches = criterion.benchmark_group("backlog");
    let user = UserId::parse("ann").expect("a user");
    for (kind, metrics, wanted) in [
        ("one_metric", 1, pattern(metric(0).as_str())),
        ("all_of_1000", 1000, pattern("**")),
    ] {
        for behind in [0, 100, 10_000] {
            let mut publisher = Publisher::new(metrics);
            let mut history = History::new(history_limits(), MessageId::ZERO);
            (0..10_000).for_each(|_| history.push(publisher.next()));
            let position = history.last();
            (0..behind).for_each(|_| history.push(publisher.next()));
            let subscription = Subscription::new(&[wanted.clone().into()], MessageId::ZERO);
            let subscription = subscription.expect("one pattern");
            let reader = Reader {
                user: &user,
                transport: Transport::Sse,
                subscription: &subscription,
                view: None,
                since: MessageId::ZERO,
                transport_since: MessageId::ZERO,
            };
            benches.bench_function(BenchmarkId::new(kind, behind), |bencher| {
                bencher.iter(|| {
                    history.backlog(black_box(&reader), black_box(position), MessageId::ZERO)
                });
            });
        }
    }
}
