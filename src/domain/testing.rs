//! Short ways to say what the tests of this room need.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::message::{Message, MessageId, Priority, Retain, Topic, UserId};
use super::pattern::{MetricName, Pattern};
use super::subscription::Subscription;
use super::view::Selector;

pub fn id(n: u64) -> MessageId {
    MessageId::new(n, 0).unwrap()
}

pub fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

pub fn metric(name: &str) -> Topic {
    Topic::Metric(MetricName::parse(name).unwrap())
}

pub fn own_metric(name: &str, of: &str) -> Topic {
    Topic::UserMetric(MetricName::parse(name).unwrap(), user(of))
}

/// Patterns, and objects as JSON.
pub fn patterns(texts: &[&str]) -> Vec<Selector> {
    let selector = |text: &&str| match text.starts_with('{') {
        true => serde_json::from_str(text).unwrap(),
        false => Pattern::parse(text).unwrap().into(),
    };
    texts.iter().map(selector).collect()
}

pub fn subscription(texts: &[&str]) -> Subscription {
    Subscription::new(&patterns(texts), MessageId::ZERO).unwrap()
}

pub fn message(n: u64, topic: Topic, priority: Priority) -> Arc<Message> {
    sized(n, topic, priority, Retain::All, 10)
}

pub fn sized(
    n: u64,
    topic: Topic,
    priority: Priority,
    retain: Retain,
    size: usize,
) -> Arc<Message> {
    Arc::new(Message {
        id: id(n),
        topic,
        priority,
        retain,
        published_at: Duration::ZERO,
        sse: Bytes::from(vec![b'.'; size]),
        json: 0..size,
        value: 0..size,
        websocket: Default::default(),
        before: Default::default(),
        patch: Default::default(),
    })
}
