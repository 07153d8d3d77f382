//! What compression costs: once for a message, and what each connection adds.

use criterion::{BenchmarkId, Criterion, Throughput};
use statshub::domain::message::{Json, MessageId, Priority, Retain, Topic};
use statshub::wire::gzip::{Deflater, Sum};
use statshub::wire::message::{Publication, encode};

use crate::fixture::{NOW, metric};

pub fn deflate(criterion: &mut Criterion) {
    let mut benches = criterion.benchmark_group("gzip");
    let mut deflater = Deflater::default();
    for (what, messages, bytes) in [
        ("message", 1, 200),
        ("message", 1, 1024),
        ("message", 1, 10 * 1024),
        ("run of 8", 8, 200),
        ("run of 32", 32, 200),
        ("snapshot", 1, 64 * 1024),
    ] {
        let events: Vec<_> = (0..messages).map(|number| event(number, bytes)).collect();
        let pieces = events.iter().map(|event| &event[..]);
        let plain: usize = pieces.clone().map(<[u8]>::len).sum();
        let block = deflater.deflate(pieces.clone()).block.len();
        println!("{what}: {plain} bytes become {block}");
        benches.throughput(Throughput::Bytes(plain as u64));
        benches.bench_function(BenchmarkId::new(what, bytes), |bencher| {
            bencher.iter(|| deflater.deflate(pieces.clone()));
        });
    }
    let block = deflater.deflate([&event(0, 200)[..]].into_iter());
    let mut sum = Sum::default();
    benches.throughput(Throughput::Elements(1));
    benches.bench_function("check of a stream", |bencher| {
        bencher.iter(|| sum.add(&block));
    });
}

/// An update of about so many bytes, as monitoring publishes them: names that repeat, numbers that do not.
fn event(number: usize, bytes: usize) -> bytes::Bytes {
    let mut state = number as u64 + 88_172_645_463_325_252;
    let mut random = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let mut data = format!("{{\"value\":{}", random(100_000));
    for nth in 0.. {
        let row = format!(
            ",\"service-{nth}\":{{\"requests\":{},\"latencyMs\":{}.{:02},\"status\":\"{}\"}}",
            random(100_000),
            random(1000),
            random(100),
            if random(5) == 0 {
                "degraded"
            } else {
                "healthy"
            }
        );
        // What is around the data of a message takes some 150 bytes.
        if data.len() + row.len() + 150 > bytes {
            break;
        }
        data += &row;
    }
    let publication = Publication {
        topic: Topic::Metric(metric(number)),
        data: Json::trusted(data + "}"),
        priority: Priority::Normal,
        retain: Retain::All,
    };
    let id = MessageId::new(NOW.wall_ms, number as u64).expect("an id");
    encode(id, publication, NOW).sse
}
