//! A message into the bytes that all its connections share.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput};
use statshub::domain::message::MessageId;
use statshub::wire::message::encode;
use statshub::wire::websocket::text_frame;

use crate::fixture::{NOW, metric, publication};

pub fn message(criterion: &mut Criterion) {
    let mut benches = criterion.benchmark_group("encode");
    let id = MessageId::new(NOW.wall_ms, 7).expect("an id");
    for data_bytes in [64, 512, 16 * 1024] {
        benches.throughput(Throughput::Bytes(data_bytes as u64));
        let publication = publication(metric(0), data_bytes);
        benches.bench_function(BenchmarkId::new("sse", data_bytes), |bencher| {
            let encode = |publication| encode(id, publication, NOW);
            bencher.iter_batched(|| publication.clone(), encode, BatchSize::SmallInput);
        });
        let text = encode(id, publication.clone(), NOW).json();
        benches.bench_function(BenchmarkId::new("websocket", data_bytes), |bencher| {
            bencher.iter(|| text_frame(black_box(&text)));
        });
    }
}
