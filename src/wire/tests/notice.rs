use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use actix_http::ws::{OpCode, Parser};
use bytes::BytesMut;
use serde_json::{Value, json};
use uuid::Uuid;

use super::message::{Received, metric, published, user};
use crate::domain::backlog::Receipt;
use crate::domain::message::{Message, MessageId, Priority, Topic, Transport};
use crate::domain::notice::{Established, Fault, Notice, Piece};
use crate::domain::outbox::Outgoing;
use crate::domain::pattern::Pattern;
use crate::domain::view::Selector;
use crate::wire::notice::*;

pub(super) const NOW_MS: u64 = 1_760_000_000_007;
const NOW: &str = "2025-10-09T08:53:20.007Z";
pub(super) const BOTH: [Transport; 2] = [Transport::Sse, Transport::Websocket];

fn id(n: u64) -> MessageId {
    MessageId::new(n, 0).unwrap()
}

fn update(n: u64, name: &str, data: &str) -> Arc<Message> {
    let topic = Topic::Metric(metric(name));
    Arc::new(published(id(n), topic, Priority::Normal, data))
}

fn everything() -> Vec<Selector> {
    vec![Pattern::everything().into()]
}

fn hello(resumed: bool, previous: Option<Uuid>, receipt: Receipt) -> Notice {
    Notice::Established(Box::new(Established {
        connection_id: Uuid::from_u128(1),
        reconnect_token: Uuid::from_u128(2),
        user: user("zoë\u{2028}\""),
        metrics: everything(),
        resumed,
        replayed: 3,
        receipt,
        previous_connection_id: previous,
        stale: Vec::new(),
    }))
}

fn receipt() -> Receipt {
    let mut receipt = Receipt::default();
    receipt.count(&Topic::Metric(metric("b")), Priority::Low, 2, 5);
    receipt.count(&Topic::Metric(metric("a")), Priority::High, 1, 0);
    receipt.count(&Topic::Alerts, Priority::Critical, 1, 0);
    receipt
}

/// A piece of a stream as its client reads it.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) retry: Option<u64>,
    pub(super) id: Option<String>,
    pub(super) json: String,
}

impl Read {
    pub(super) fn message(&self) -> Received<'_> {
        serde_json::from_str(&self.json).unwrap()
    }

    pub(super) fn data(&self) -> Value {
        serde_json::from_str(self.message().data.get()).unwrap()
    }
}

pub(super) fn read(outgoing: &Outgoing, transport: Transport) -> Read {
    let (opcode, text) = match transport {
        Transport::Websocket => frame(outgoing),
        Transport::Sse => return read_event(&outgoing.bytes),
    };
    assert_eq!(opcode, OpCode::Text);
    Read {
        json: String::from_utf8(text).unwrap(),
        ..Read::default()
    }
}

fn read_event(bytes: &[u8]) -> Read {
    let text = std::str::from_utf8(bytes).unwrap();
    let lines = text.strip_suffix("\n\n").unwrap();
    let mut read = Read::default();
    for line in lines.split('\n') {
        match line.split_once(": ").unwrap() {
            ("retry", millis) => read.retry = Some(millis.parse().unwrap()),
            ("id", id) => read.id = Some(id.to_owned()),
            ("data", json) => read.json += json,
            _ => panic!("an unexpected line: {line}"),
        }
    }
    read
}

pub(super) fn frame(outgoing: &Outgoing) -> (OpCode, Vec<u8>) {
    let mut bytes = BytesMut::from(&outgoing.bytes[..]);
    let (finished, opcode, payload) = Parser::parse(&mut bytes, false, 1 << 20).unwrap().unwrap();
    assert!(finished && bytes.is_empty(), "one whole frame");
    (opcode, payload.unwrap_or_default().to_vec())
}

#[test]
fn every_notice_is_as_the_wire_contract_says() {
    let check = |notice: Notice, kind: &str, priority: &str, data: Value| {
        for transport in BOTH {
            let outgoing = pieces(&[notice.clone().into()], transport, NOW_MS);
            let [outgoing] = &outgoing[..] else {
                panic!("one piece makes one");
            };
            let read = read(outgoing, transport);
            let message = read.message();
            assert_eq!((message.kind, message.priority), (kind, priority));
            assert_eq!(message.timestamp, NOW);
            assert_eq!(read.data(), data);
            assert_eq!((&read.id, read.retry), (&None, None), "no id: line");
            let random = Uuid::parse_str(message.message_id).unwrap();
            assert_eq!(random.get_version_num(), 4);
            assert_eq!(
                (outgoing.position, outgoing.priority.is_some()),
                (None, false)
            );
            assert_eq!(outgoing.published_at, None);
        }
    };
    let hello_data = |message: &str, resumed: bool| {
        json!({
            "connectionId": Uuid::from_u128(1), "reconnectToken": Uuid::from_u128(2),
            "userId": "zoë\u{2028}\"", "message": message, "metrics": ["**"],
            "resumed": resumed, "replayedMessagesCount": 3, "droppedMessagesCount": 0,
        })
    };
    for resumed in [false, true] {
        let data = hello_data("Connected to the live metrics", resumed);
        let notice = hello(resumed, None, Receipt::default());
        check(notice, "connection_established", "high", data);

        let mut data = hello_data("Reconnected to the live metrics", resumed);
        data["previousConnectionId"] = json!(Uuid::from_u128(7));
        data["bufferedMessagesCount"] = json!(3);
        let notice = hello(resumed, Some(Uuid::from_u128(7)), Receipt::default());
        check(notice, "reconnection_successful", "high", data);
    }

    let dropped = json!({
        "droppedMessagesCount": 4,
        "droppedByPriority": {"low": 2, "normal": 0, "high": 1, "critical": 1},
        "droppedMetrics": ["a", "b"],
        "conflatedMessagesCount": 5,
    });
    let mut data = hello_data("Connected to the live metrics", true);
    data.as_object_mut()
        .unwrap()
        .extend(dropped.as_object().unwrap().clone());
    check(
        hello(true, None, receipt()),
        "connection_established",
        "high",
        data,
    );
    check(
        Notice::Dropped(receipt()),
        "messages_dropped",
        "high",
        dropped,
    );

    let metrics = everything();
    check(
        Notice::Subscribed { metrics },
        "subscribed",
        "high",
        json!({"message": "Successfully subscribed to metrics", "metrics": ["**"]}),
    );
    check(
        Notice::Unsubscribed { metrics: vec![] },
        "unsubscribed",
        "high",
        json!({"message": "Successfully unsubscribed from metrics", "metrics": []}),
    );
    check(Notice::Pong, "pong", "high", json!({"timestamp": NOW}));
    check(
        Notice::Refreshed { expires_at_ms: 0 },
        "refreshed",
        "high",
        json!({"expiresAt": "1970-01-01T00:00:00.000Z"}),
    );
    let fault = Fault::UnknownType;
    let data = json!({"message": "Unknown message type", "code": "unknown_type"});
    check(Notice::Error(fault), "error", "critical", data);
}

#[test]
fn every_fault_has_a_text_and_a_code() {
    let check = |fault: Fault, code: &str, message: &str| {
        let outgoing = pieces(&[Notice::Error(fault).into()], Transport::Websocket, NOW_MS);
        let data = read(&outgoing[0], Transport::Websocket).data();
        assert_eq!(data["code"], code);
        let text = data["message"].as_str().unwrap();
        assert!(text.contains(message), "{text}");
    };
    check(
        Fault::InvalidMessage,
        "invalid_message",
        "Invalid message format",
    );
    check(Fault::UnknownType, "unknown_type", "Unknown message type");
    check(
        Fault::MetricsNoArray,
        "invalid_request",
        "Metrics must be an array",
    );
    check(
        Fault::InvalidMetric,
        "invalid_request",
        "at most 128 characters, in at most 16 dot-separated segments",
    );
    check(
        Fault::TooManyPatterns,
        "invalid_request",
        "at most 100 patterns",
    );
    check(Fault::RateLimited, "rate_limited", "Too many messages");
    check(Fault::TokenInvalid, "unauthenticated", "not valid");
    check(Fault::TokenOfOtherUser, "forbidden", "another user's");
    check(
        Fault::TokenExpiresEarlier,
        "invalid_request",
        "expires earlier",
    );
    check(Fault::Unavailable, "unavailable", "cannot");
}

#[test]
fn a_snapshot_holds_the_values_as_they_were_published() {
    let value = |n, name: &str, data| (metric(name), update(n, name, data));
    let check = |values: Vec<_>, data: &str| {
        let position = id(9);
        let notice = Notice::InitialMetrics {
            position,
            values,
            stale: Vec::new(),
        };
        for transport in BOTH {
            let outgoing = &pieces(&[notice.clone().into()], transport, NOW_MS)[0];
            let read = read(outgoing, transport);
            let message = read.message();
            let envelope = (message.kind, message.priority, message.message_id);
            assert_eq!(envelope, ("initial_metrics", "high", "9-0"));
            assert_eq!(message.data.get(), data);
            let id_line = (transport == Transport::Sse).then(|| "9-0".to_owned());
            assert_eq!(read.id, id_line);
            assert_eq!(
                (outgoing.position, outgoing.priority.is_some()),
                (Some(position), false)
            );
        }
    };
    check(vec![], "{}");
    check(vec![value(1, "a", "1e308")], r#"{"a":1e308}"#);
    check(
        vec![value(1, "a.b", "[1, 2]"), value(2, "c", r#""\n\u0000""#)],
        r#"{"a.b":[1,2],"c":"\n\u0000"}"#,
    );
}

#[test]
fn a_message_is_the_same_bytes_for_every_connection() {
    let message = update(4, "a", "1");
    for transport in BOTH {
        let lived = live(&message, transport, false);
        let replayed = &pieces(&[Piece::Message(message.clone())], transport, NOW_MS)[0];
        for outgoing in [&lived, replayed] {
            let read = read(outgoing, transport);
            assert_eq!(read.json.as_bytes(), message.json());
            assert_eq!(outgoing.position, Some(id(4)));
            assert!(outgoing.priority.is_some());
        }
        assert_eq!(lived.bytes.as_ptr(), replayed.bytes.as_ptr());
        assert_eq!(lived.published_at, Some(message.published_at));
        assert_eq!(replayed.published_at, None, "no measure of delivery");
    }
    assert_eq!(live(&message, Transport::Sse, false).bytes, message.sse);
}

#[test]
fn an_opening_says_when_to_come_back_and_ends_at_its_position() {
    let hello = |resumed| Piece::from(hello(resumed, None, Receipt::default()));
    let snapshot = || {
        Piece::from(Notice::InitialMetrics {
            stale: Vec::new(),
            position: id(7),
            values: vec![],
        })
    };
    let message = |n| Piece::Message(update(n, "a", "1"));
    let check = |pieces: &[Piece], positions: &[Option<u64>]| {
        for transport in BOTH {
            let retry = Duration::from_millis(3000);
            let opening = opening(pieces, transport, id(9), retry, NOW_MS);
            let expected: Vec<_> = positions.iter().map(|at| at.map(id)).collect();
            let found: Vec<_> = opening.iter().map(|piece| piece.position).collect();
            assert_eq!(found, expected);
            for (nth, piece) in opening.iter().enumerate() {
                let with_retry = nth == 0 && transport == Transport::Sse;
                assert_eq!(
                    read(piece, transport).retry,
                    with_retry.then_some(3000),
                    "{nth}"
                );
                assert_eq!(piece.published_at, None);
            }
            if transport == Transport::Sse {
                assert!(opening[0].bytes.starts_with(b"retry: 3000\n"));
            }
        }
    };
    check(&[hello(false), snapshot()], &[None, Some(7)]);
    check(&[hello(true)], &[Some(9)]);
    check(
        &[hello(true), message(5), message(6)],
        &[None, Some(5), Some(9)],
    );
    assert!(opening(&[], Transport::Sse, id(9), Duration::ZERO, NOW_MS).is_empty());
}

#[test]
fn who_has_caught_up_is_where_the_log_was() {
    let message = |n| Piece::Message(update(n, "a", "1"));
    let dropped = || Piece::from(Notice::Dropped(Receipt::default()));
    for (pieces, positions) in [
        (vec![message(5), message(6)], vec![Some(5), Some(9)]),
        (vec![dropped(), message(5)], vec![None, Some(9)]),
        (vec![dropped()], vec![Some(9)]),
        (vec![], vec![]),
    ] {
        for transport in BOTH {
            let caught_up = catch_up(&pieces, transport, id(9), NOW_MS);
            let found: Vec<_> = caught_up.iter().map(|piece| piece.position).collect();
            let expected: Vec<_> = positions.iter().map(|at| at.map(id)).collect();
            assert_eq!(found, expected);
        }
    }
}

#[test]
fn a_quiet_stream_gets_a_heartbeat_a_cursor_and_comments() {
    for transport in BOTH {
        let outgoing = heartbeat(transport, NOW_MS);
        let read = read(&outgoing, transport);
        let message = read.message();
        assert_eq!((message.kind, message.priority), ("heartbeat", "low"));
        assert_eq!((message.data.get(), message.timestamp), ("{}", NOW));
        assert_eq!((read.id.as_deref(), outgoing.position), (None, None));
    }
    let moved = cursor(id(9));
    assert_eq!(&moved.bytes[..], b"event: cursor\nid: 9-0\ndata:\n\n");
    assert_eq!(
        (moved.position, moved.priority.is_some()),
        (Some(id(9)), false)
    );
    assert_eq!(&comment().bytes[..], b":\n\n");
    assert_eq!(comment().position, None);
}

#[test]
fn no_two_notices_have_the_same_id() {
    let ids: HashSet<String> = (0..100)
        .map(|_| heartbeat(Transport::Sse, NOW_MS))
        .map(|outgoing| {
            let read = read(&outgoing, Transport::Sse);
            read.message().message_id.to_owned()
        })
        .collect();
    assert_eq!(ids.len(), 100);
}
