use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::any_json;
use crate::domain::message::{Message, MessageId, Priority, Retain, Topic, Transport, UserId};
use crate::domain::pattern::MetricName;
use crate::domain::time::Now;
use crate::wire::json::compact;
use crate::wire::message::{Publication, encode};

/// A message as a client reads it; every field must be there, and no other.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Received<'a> {
    #[serde(rename = "type")]
    pub kind: &'a str,
    #[serde(borrow)]
    pub data: &'a RawValue,
    pub timestamp: &'a str,
    pub message_id: &'a str,
    pub priority: &'a str,
}

pub fn published(id: MessageId, topic: Topic, priority: Priority, data: &str) -> Message {
    let publication = Publication {
        topic,
        data: compact(data).unwrap(),
        priority,
        retain: Retain::Latest,
    };
    let now = Now {
        wall_ms: 1_760_000_000_007,
        mono: Duration::from_millis(5),
    };
    encode(id, publication, now)
}

pub fn metric(name: &str) -> MetricName {
    MetricName::parse(name).unwrap()
}

pub fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

fn id() -> MessageId {
    MessageId::new(1_760_000_000_000, 3).unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_bytes_are_those_of_the_wire_contract() {
    let name = metric("credits.total");
    let message = published(
        id(),
        Topic::Metric(name),
        Priority::High,
        "{ \"n\": 1e308 }",
    );
    let json = concat!(
        r#"{"type":"metrics_update","data":{"credits.total":{"n":1e308}},"#,
        r#""timestamp":"2025-10-09T08:53:20.007Z","messageId":"1760000000000-3","priority":"high"}"#
    );
    assert_eq!(
        text(&message.sse),
        format!("id: 1760000000000-3\ndata: {json}\n\n")
    );
    assert_eq!(text(&message.json()), json);
    assert_eq!(text(&message.value()), r#"{"n":1e308}"#);
    assert_eq!(message.published_at, Duration::from_millis(5));
    assert_eq!(message.retain, Retain::Latest);
}

#[test]
fn the_topic_decides_the_type_and_what_the_data_is() {
    let check = |topic: Topic, kind: &str, data: &str, value: &str| {
        let message = published(id(), topic.clone(), Priority::Low, r#"{"a":[1]}"#);
        let json = message.json();
        let received: Received = serde_json::from_slice(&json).unwrap();
        assert_eq!((received.kind, received.data.get()), (kind, data));
        assert_eq!(text(&message.value()), value);
        assert_eq!(message.topic, topic);
    };
    let (as_is, named) = (r#"{"a":[1]}"#, r#"{"m":{"a":[1]}}"#);
    check(Topic::Metric(metric("m")), "metrics_update", named, as_is);
    check(
        Topic::UserMetric(metric("m"), user("7")),
        "metrics_update",
        named,
        as_is,
    );
    check(Topic::Alerts, "system_alert", as_is, as_is);
    check(
        Topic::Test(user("7"), Transport::Sse),
        "test_message",
        as_is,
        as_is,
    );
}

#[test]
fn a_clock_beyond_the_year_9999_still_gives_a_time_stamp() {
    use crate::wire::message::timestamp;
    assert_eq!(timestamp(0), "1970-01-01T00:00:00.000Z");
    assert_eq!(timestamp(1_760_000_000_120), "2025-10-09T08:53:20.120Z");
    assert_eq!(timestamp(u64::MAX), "9999-12-30T22:00:00.999Z");
}

fn any_topic() -> impl Strategy<Value = Topic> {
    let name = || "[A-Za-z0-9_-]{1,8}(\\.[A-Za-z0-9_-]{1,8}){0,3}".prop_map(|name| metric(&name));
    prop_oneof![
        name().prop_map(Topic::Metric),
        name().prop_map(|name| Topic::UserMetric(name, user("7"))),
        Just(Topic::Alerts),
        Just(Topic::Test(user("7"), Transport::Websocket)),
    ]
}

proptest! {
    /// Attack: injection of SSE fields.
    #[test]
    fn whatever_is_published_is_one_event_that_reads_back(
        (spaced, tight) in any_json(),
        topic in any_topic(),
        priority in prop::sample::select(&Priority::ALL),
        (millis, sequence) in (0..1u64 << 44, 0..1u64 << 20),
    ) {
        let id = MessageId::new(millis, sequence).unwrap();
        let message = published(id, topic.clone(), priority, &spaced);
        let sse = text(&message.sse);

        prop_assert!(!sse.contains('\r'));
        let json = message.json();
        let lines: Vec<&str> = sse.split('\n').collect();
        prop_assert_eq!(lines.len(), 4, "an id, a data and an empty line, each ended");
        prop_assert_eq!(lines[0], format!("id: {id}"));
        prop_assert_eq!(lines[1].strip_prefix("data: ").map(str::as_bytes), Some(&*json));
        prop_assert_eq!((lines[2], lines[3]), ("", ""));

        let received: Received = serde_json::from_slice(&json).unwrap();
        prop_assert_eq!(received.message_id, id.to_string());
        prop_assert_eq!(received.priority, priority.as_str());
        prop_assert_eq!(received.timestamp, "2025-10-09T08:53:20.007Z");
        match topic.metric() {
            Some(name) => {
                let data: BTreeMap<&str, &RawValue> = serde_json::from_str(received.data.get()).unwrap();
                prop_assert_eq!(data.len(), 1);
                prop_assert_eq!(data[name.as_str()].get(), &tight);
                prop_assert_eq!(&*message.value(), tight.as_bytes());
            }
            None => {
                prop_assert_eq!(received.data.get(), &tight);
                prop_assert_eq!(&*message.value(), tight.as_bytes());
            }
        }
    }
}
