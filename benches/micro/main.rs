//! How long single steps of the hub take, without actors, threads or network.
//!
//! `cargo bench --bench micro`: docs/performance.md.

mod encode;
mod fixture;
mod gzip;
mod history;
mod hub;
mod routes;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

/// A minute for all, where criterion's defaults would take six.
fn quick() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .sample_size(50)
}

criterion_group! {
    name = micro;
    config = quick();
    targets =
        encode::message,
        gzip::deflate,
        routes::pattern_match,
        routes::visit,
        history::push,
        history::backlog,
        hub::publish,
        hub::views,
        hub::connect,
        hub::tick,
}
criterion_main!(micro);
