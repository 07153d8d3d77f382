//! Metrics, messages and limits that the benchmarks share.

use std::sync::Arc;
use std::time::Duration;

use statshub::domain::history::Limits;
use statshub::domain::message::{IdGenerator, Json, Message, MessageId, Priority, Retain, Topic};
use statshub::domain::pattern::{MetricName, Pattern};
use statshub::domain::time::Now;
use statshub::wire::message::{Publication, encode};

/// Some day in 2033.
pub const NOW: Now = Now {
    wall_ms: 2_000_000_000_000,
    mono: Duration::from_secs(1000),
};
/// Metrics that one pattern names.
pub const GROUP_METRICS: usize = 100;
/// Data of a message, as `statshub bench` publishes it.
pub const DATA_BYTES: usize = 512;

/// Those of the default settings.
pub fn history_limits() -> Limits {
    Limits {
        backlog_messages_max: 100,
        bytes_max: 64 * 1024 * 1024,
        user_bytes_max: 8 * 1024 * 1024,
        user_messages_max: 10_000,
        metrics_max: 10_000,
        counted_ids_max: 1_000_000,
    }
}

/// The name of a metric, one of a group.
pub fn metric(number: usize) -> MetricName {
    let (group, member) = (number / GROUP_METRICS, number % GROUP_METRICS);
    MetricName::parse(&format!("group-{group}.metric-{member}")).expect("a metric's name")
}

/// The pattern that names one group.
pub fn group(number: usize) -> Pattern {
    pattern(&format!("group-{number}.*"))
}

pub fn pattern(text: &str) -> Pattern {
    Pattern::parse(text).expect("a pattern")
}

/// An object that takes so many bytes.
fn object(bytes: usize) -> String {
    let (open, close) = (r#"{"user":7,"text":""#, r#""}"#);
    let text = "x".repeat(bytes - open.len() - close.len());
    format!("{open}{text}{close}")
}

pub fn publication(metric: MetricName, data_bytes: usize) -> Publication {
    Publication {
        topic: Topic::Metric(metric),
        data: Json::trusted(object(data_bytes)),
        priority: Priority::Normal,
        retain: Retain::All,
    }
}

/// Makes messages of so many metrics, one after the other.
pub struct Publisher {
    ids: IdGenerator,
    metrics: Vec<MetricName>,
    messages: usize,
}

impl Publisher {
    pub fn new(metrics: usize) -> Self {
        Self {
            ids: IdGenerator::above(MessageId::ZERO),
            metrics: (0..metrics).map(metric).collect(),
            messages: 0,
        }
    }

    pub fn next(&mut self) -> Arc<Message> {
        let metric = self.metrics[self.messages % self.metrics.len()].clone();
        self.messages += 1;
        let id = self.ids.next(NOW.wall_ms);
        Arc::new(encode(id, publication(metric, DATA_BYTES), NOW))
    }
}
