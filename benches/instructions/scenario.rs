//! What is measured: a few messages to many connections.

use std::time::Duration;

use actix_rt::{System, SystemRunner};
use futures::future::join_all;
use statshub::domain::message::Transport;
use statshub::domain::pattern::{MetricName, Pattern};
use tokio::time::sleep;

use crate::harness::Harness;

/// Metrics where there are many.
const METRICS: usize = 10_000;
/// How many of them one pattern names.
const GROUP_METRICS: usize = 100;
/// From one metric to the next that is used. A prime, so that they are spread over all.
const STRIDE: usize = 7919;

pub const SCENARIOS: [Scenario; 5] = [
    Scenario {
        name: "sse",
        ..BROADCAST
    },
    Scenario {
        name: "websocket",
        transport: Transport::Websocket,
        ..BROADCAST
    },
    Scenario {
        name: "eight in flight",
        in_flight: 8,
        ..BROADCAST
    },
    Scenario {
        name: "many metrics",
        metrics: METRICS,
        connections: 1_000,
        patterns: four_metrics_and_a_group,
        in_flight: 8,
        rounds: 100,
        ..BROADCAST
    },
    // What a message costs once, however many get it. Many at a time, or the waiting in between would
    // be a good part of it.
    Scenario {
        name: "publish to nobody",
        connections: 0,
        in_flight: 50,
        rounds: 20,
        ..BROADCAST
    },
];

/// One metric to everybody.
const BROADCAST: Scenario = Scenario {
    name: "",
    transport: Transport::Sse,
    metrics: 1,
    connections: 10_000,
    patterns: the_one_metric,
    in_flight: 1,
    rounds: 8,
};

pub struct Scenario {
    pub name: &'static str,
    transport: Transport,
    metrics: usize,
    connections: usize,
    /// What the connection of this number subscribes to.
    patterns: fn(usize) -> Vec<Pattern>,
    /// Messages published at once; the next follow when all are delivered.
    in_flight: usize,
    rounds: usize,
}

impl Scenario {
    /// Runs it. Returns how many deliveries were measured, or how many messages where nobody gets them.
    pub fn run(&self) -> u64 {
        // Under a paused clock no timer fires while there is work, or how many do would depend on how
        // busy the machine is. To read such a clock takes some 150 instructions, once a delivery.
        let system = System::with_tokio_rt(|| {
            tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .start_paused(true)
                .build()
                .expect("a runtime")
        });
        let metrics: Vec<_> = (0..self.metrics).map(metric).collect();
        let harness = system.block_on(self.set_up(&metrics));
        let before = system.block_on(harness.delivered());
        measured(self, &system, &harness, &metrics);
        match self.connections {
            0 => (self.rounds * self.in_flight) as u64,
            _ => system.block_on(harness.delivered()) - before,
        }
    }

    async fn set_up(&self, metrics: &[MetricName]) -> Harness {
        let mut harness = Harness::start();
        for number in 0..self.connections {
            let patterns = (self.patterns)(number);
            harness.connect(self.transport, patterns).await;
        }
        for metric in metrics {
            harness.publish(metric).await;
        }
        settle().await;
        harness
    }

    async fn publish(&self, harness: &Harness, metrics: &[MetricName]) {
        for round in 0..self.rounds {
            let first = round * self.in_flight;
            let messages = (first..first + self.in_flight)
                .map(|number| harness.publish(&metrics[number * STRIDE % self.metrics]));
            join_all(messages).await;
            settle().await;
        }
    }
}

/// Everything that is counted happens in here. Callgrind finds it by its name.
#[inline(never)]
fn measured(scenario: &Scenario, system: &SystemRunner, harness: &Harness, metrics: &[MetricName]) {
    system.block_on(scenario.publish(harness, metrics));
}

/// Waits until there is nothing left to do: a paused clock moves on no earlier.
async fn settle() {
    sleep(Duration::from_millis(1)).await;
}

fn the_one_metric(_: usize) -> Vec<Pattern> {
    vec![pattern(&name(0))]
}

fn four_metrics_and_a_group(connection: usize) -> Vec<Pattern> {
    let group = connection % (METRICS / GROUP_METRICS);
    let metrics = (0..4).map(|nth| name((4 * connection + nth) * STRIDE % METRICS));
    metrics
        .chain([format!("group-{group}.*")])
        .map(|text| pattern(&text))
        .collect()
}

fn metric(number: usize) -> MetricName {
    MetricName::parse(&name(number)).expect("a metric's name")
}

fn name(number: usize) -> String {
    let (group, member) = (number / GROUP_METRICS, number % GROUP_METRICS);
    format!("group-{group}.metric-{member}")
}

fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).expect("a pattern")
}
