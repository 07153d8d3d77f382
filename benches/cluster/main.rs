//! What several hubs over one Redis do: publishes a second and latency beside those of one hub alone, what
//! each thing costs Redis, and how long clients of a hub that is killed take to be back.
//!
//! `cargo bench --bench cluster [-- --seconds N] [-- --rounds N]`. Everything runs on loopback, in folders
//! of its own that are removed at the end, and stops by itself; needs `redis-server` on the path.

mod client;
mod failover;
mod figures;
mod http;
mod hub;
mod latency;
mod publishers;
mod redis;
mod sessions;
mod site;
mod table;

use std::process::ExitCode;
use std::time::Duration;

use failover::{Failover, Manner};
use figures::{Column, Round, Rows};
use sessions::{CLIENTS, Costs};
use site::{Shape, Site};
use table::{Table, number};

/// How long each load counts.
const SECONDS: u64 = 2;
/// Rounds over all of the shapes, so that what the machine does meanwhile meets them all.
const ROUNDS: u64 = 3;
const BATCH: usize = 100;
/// The first is what the others are compared with.
const SHAPES: [Shape; 5] = [
    Shape::Alone,
    Shape::Hubs(1),
    Shape::Hubs(2),
    Shape::Hubs(3),
    Shape::Replicated(3),
];
/// The columns of what is only measured with so many hubs.
const ONE_HUB: usize = 1;
const THREE_HUBS: usize = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    if !redis::Redis::is_there() {
        eprintln!(
            "There is no redis-server on the path. Debian's package is called redis-server; 6.2 or \
             newer is needed."
        );
        return ExitCode::FAILURE;
    }
    let time = Duration::from_secs(argument("--seconds").unwrap_or(SECONDS));
    let rounds = argument("--rounds").unwrap_or(ROUNDS);
    let mut columns = SHAPES.map(|shape| Column {
        shape,
        rounds: Vec::new(),
    });
    for round in 1..=rounds {
        for column in &mut columns {
            eprintln!("round {round} of {rounds}: {}", column.name());
            column.rounds.push(measured(column.shape, time).await);
        }
    }
    eprintln!("a hub that is killed");
    let at_once = failover::run(Manner::AtOnce).await;
    let event_source = failover::run(Manner::EventSource).await;
    eprintln!("sessions");
    let costs = sessions::run().await;
    let names: Vec<_> = columns.iter().map(Column::name).collect();
    let table = Table::begin(&names);
    let columns = &columns;
    Rows {
        table: &table,
        columns,
    }
    .print();
    print_failover(&table, &at_once, &event_source);
    print_costs(&table, &costs);
    ExitCode::SUCCESS
}

/// Everything of a round on the same hubs, which are new.
async fn measured(shape: Shape, time: Duration) -> Round {
    let mut site = Site::start(shape).await;
    let hubs = site.hubs.len();
    // Each begins when all hubs have read what came before.
    let light = latency::run(&mut site, time).await;
    let single = publishers::run(&mut site, hubs, 1, time).await;
    let batch = publishers::run(&mut site, hubs, BATCH, time).await;
    let elsewhere = match hubs {
        1 => None,
        _ => Some(publishers::run(&mut site, 1, BATCH, time).await),
    };
    Round {
        light,
        single,
        batch,
        elsewhere,
    }
}

fn print_failover(table: &Table, at_once: &Failover, event_source: &Failover) {
    let ways = [
        ("back at once", at_once),
        ("as an EventSource", event_source),
    ];
    for (name, failover) in ways {
        let name = format!("{CLIENTS} clients of a killed hub {name}, half / all, s");
        let (half, all) = (failover.half.as_secs_f64(), failover.all.as_secs_f64());
        let cell = match failover.failed {
            0 => format!("{half:.2} / {all:.2}"),
            failed => format!("{half:.2} / {all:.2}, {failed} attempts failed"),
        };
        table.one(&name, THREE_HUBS, cell);
    }
    let Failover {
        resume, entries, ..
    } = at_once;
    let rows = [
        ("a resume: scripts", resume.scripts, 2),
        ("a resume: scripts, µs", resume.scripts_us, 1),
        (
            "a resume: commands, with those in scripts",
            resume.commands,
            1,
        ),
        ("a resume: entries in the log", entries / CLIENTS as f64, 2),
        ("a resume: Redis' CPU, µs", resume.processor_us, 1),
    ];
    for (name, value, digits) in rows {
        table.one(name, THREE_HUBS, number(value, digits));
    }
}

fn print_costs(table: &Table, costs: &Costs) {
    let Costs {
        idle,
        opening,
        position,
        ..
    } = costs;
    let idle_bytes = idle.bytes_in + idle.bytes_out;
    let rows = [
        ("idle hub: scripts a second", idle.scripts, 1),
        ("idle hub: reads a second", idle.reads, 1),
        (
            "idle hub: commands a second, with those in scripts",
            idle.commands,
            1,
        ),
        ("idle hub: bytes in and out a second", idle_bytes, 0),
        (
            "idle hub: a script (pulse), µs",
            idle.scripts_us / idle.scripts,
            0,
        ),
        ("opening a stream: scripts", opening.scripts, 2),
        ("opening a stream: scripts, µs", opening.scripts_us, 1),
        (
            "opening a stream: commands, with those in scripts",
            opening.commands,
            1,
        ),
        ("opening a stream: Redis' CPU, µs", opening.processor_us, 1),
        (
            "position at a heartbeat: script, µs",
            position.scripts_us,
            2,
        ),
        (
            "position at a heartbeat: commands, with those in scripts",
            position.commands,
            2,
        ),
        ("position at a heartbeat: bytes in", position.bytes_in, 0),
        (
            "position at a heartbeat: Redis' CPU, µs",
            position.processor_us,
            2,
        ),
        ("bytes of a session's hash, live", costs.live_bytes, 0),
        ("bytes of a session's hash, away", costs.away_bytes, 0),
        (
            "bytes of a user's hash, for each of four connections",
            costs.slot_bytes,
            0,
        ),
        ("bytes of a message in the log", costs.message_bytes, 0),
        ("bytes of a metric's newest value", costs.newest_bytes, 0),
    ];
    for (name, value, digits) in rows {
        table.one(name, ONE_HUB, number(value, digits));
    }
}

fn argument(name: &str) -> Option<u64> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)?.parse().ok()
}
