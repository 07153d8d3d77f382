//! What durability costs: publishes a second and latency without a store, with one that survives the
//! process, and with one that survives a power cut; how long a start takes over the log's size, and
//! what queries of a long log take.
//!
//! `cargo bench --bench store [-- --seconds N] [-- --messages N]`. Everything runs on loopback, in a
//! folder of its own that is removed at the end, and stops by itself.

mod hub;
mod publishers;
mod queries;

use std::time::Duration;

use hub::Hub;
use publishers::Figures;

const PUBLISHERS: usize = 64;
const SECONDS: u64 = 5;
/// Rounds over all of the levels, so that what the machine does meanwhile meets them all.
const ROUNDS: usize = 3;
const LEVELS: [&str; 3] = ["memory", "process", "power"];
const BATCH: usize = 1000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let seconds = Duration::from_secs(argument("--seconds").unwrap_or(SECONDS));
    let messages_max = argument("--messages").unwrap_or(1_000_000);
    for audit in [false, true] {
        println!(
            "\n{PUBLISHERS} publishers, one message each at a time, audit {}",
            if audit { "on" } else { "off" }
        );
        println!(
            "| durability | publishes/s | min-max | of memory's | p50 ms | p99 ms | added p99 ms |"
        );
        println!("| --- | --- | --- | --- | --- | --- | --- |");
        let mut figures = LEVELS.map(|_| Vec::<Figures>::new());
        for round in 0..ROUNDS {
            for (level, figures) in LEVELS.iter().zip(&mut figures) {
                eprintln!("round {} of {ROUNDS}: {level}", round + 1);
                let hub = Hub::start(level, audit);
                figures.push(publishers::run(hub.address, PUBLISHERS, seconds).await);
            }
        }
        let medians = figures.each_ref().map(|all| Figures::median(all));
        for ((level, median), all) in LEVELS.iter().zip(&medians).zip(&figures) {
            let rates = || all.iter().map(|it| it.per_second);
            println!(
                "| {level} | {:.0} | {:.0}-{:.0} | {:.2} | {:.2} | {:.2} | {:+.2} |",
                median.per_second,
                rates().fold(f64::INFINITY, f64::min),
                rates().fold(0.0, f64::max),
                median.per_second / medians[0].per_second,
                median.p50_ms,
                median.p99_ms,
                median.p99_ms - medians[0].p99_ms,
            );
        }
    }
    starts(messages_max).await;
}

/// How long until a killed hub takes requests again.
async fn starts(messages_max: u64) {
    println!("\n| messages in the log | file MB | start ms |\n| --- | --- | --- |");
    let mut hub = Hub::start("process", false);
    let mut messages = 0;
    let mut wanted = messages_max / 100;
    while wanted <= messages_max {
        eprintln!("filling the log up to {wanted} messages");
        let batches = (wanted - messages).div_ceil(BATCH as u64);
        publishers::fill(hub.address, batches, BATCH).await;
        messages += batches * BATCH as u64;
        let mut took = Vec::new();
        for _ in 0..ROUNDS {
            took.push(hub.kill_and_start());
        }
        took.sort_unstable();
        let megabytes = hub.file_bytes() as f64 / 1e6;
        let millis = took[took.len() / 2].as_secs_f64() * 1e3;
        println!("| {messages} | {megabytes:.0} | {millis:.0} |");
        wanted *= 10;
    }
    queries::run(hub.address).await;
}

fn argument(name: &str) -> Option<u64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)?.parse().ok()
}
