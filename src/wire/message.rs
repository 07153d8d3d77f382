//! A published message, encoded once.

use std::fmt;
use std::sync::OnceLock;

use jiff::Timestamp;
use serde_json::Value;

use crate::domain::message::{Json, Message, MessageId, Priority, Retain, Topic};
use crate::domain::pattern::MetricName;
use crate::domain::time::Now;

/// What is to be published, with nothing left open.
#[derive(Debug, Clone)]
pub struct Publication {
    pub topic: Topic,
    pub data: Json,
    pub priority: Priority,
    pub retain: Retain,
}

/// Makes the bytes that every connection will share: the SSE event in one allocation of its exact
/// size, with the WebSocket text and the metric's value as ranges of it. What is published is on
/// one line ([`Json`]), so it can never end its `data:` line and begin another field.
pub fn encode(id: MessageId, publication: Publication, now: Now) -> Message {
    let Publication {
        topic,
        data,
        priority,
        retain,
    } = publication;
    let head = format!("id: {id}\ndata: ");
    let (open, close) = envelope(kind(&topic), &id, priority, now.wall_ms);
    let (name, end) = match topic.metric() {
        Some(name) => (format!("{{{}:", quoted(name)), "}"),
        None => Default::default(),
    };
    let data = data.as_str();
    let sse = [&head, &open, &name, data, end, &close, "\n\n"].concat();

    let json = head.len()..sse.len() - "\n\n".len();
    let value = head.len() + open.len() + name.len();
    let value = value..value + data.len();
    Message {
        id,
        topic,
        priority,
        retain,
        published_at: now.mono,
        sse: sse.into(),
        json,
        value,
        websocket: OnceLock::new(),
        before: OnceLock::new(),
        patch: OnceLock::new(),
    }
}

fn kind(topic: &Topic) -> &'static str {
    match topic {
        Topic::Metric(_) | Topic::UserMetric(..) => "metrics_update",
        Topic::Alerts => "system_alert",
        Topic::Test(..) => "test_message",
        // Sent to nobody.
        Topic::State(_) => "state",
    }
}

/// What stands before and after the data in every message of the hub.
pub(super) fn envelope(
    kind: &'static str,
    id: &impl fmt::Display,
    priority: Priority,
    wall_ms: u64,
) -> (String, String) {
    let time = timestamp(wall_ms);
    let priority = priority.as_str();
    let open = format!(r#"{{"type":"{kind}","data":"#);
    let close = format!(r#","timestamp":"{time}","messageId":"{id}","priority":"{priority}"}}"#);
    (open, close)
}

/// RFC 3339 in UTC with milliseconds. What is past the year 9999 becomes the last moment of it.
pub fn timestamp(wall_ms: u64) -> String {
    let millis = i64::try_from(wall_ms).unwrap_or(i64::MAX);
    let time = Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX);
    format!("{time:.3}")
}

/// A metric's name as a JSON string.
pub(super) fn quoted(name: &MetricName) -> String {
    Value::from(name.as_str()).to_string()
}
