//! How one subscribes and publishes, in the bytes of a request.

use uuid::Uuid;

use super::endpoint::Endpoint;
use super::payload::Payload;
use super::plan::{Dialect, Plan, Transport};

/// Any key would do: the handshake's answer is not checked, since it protects caches and not us.
const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: c3RhdHNodWIgYmVuY2ggIQ==\r\n";
const EVENTS: &str = "Accept: text/event-stream\r\nCache-Control: no-cache\r\n";
const EVENTS_IN_GZIP: &str =
    "Accept: text/event-stream\r\nCache-Control: no-cache\r\nAccept-Encoding: gzip\r\n";

/// What a connection comes back with.
#[derive(Debug, Clone, Copy)]
pub struct Resume<'a> {
    pub token: Uuid,
    /// The last message that had arrived.
    pub last_event_id: &'a str,
}

/// The request that opens the stream of the connection with this number.
pub fn opening(plan: &Plan, index: usize, resume: Option<Resume<'_>>) -> Vec<u8> {
    let path = match resume {
        None if plan.metrics.are_many() => {
            let subscription = plan.metrics.subscription(index);
            plan.stream.path_with("metrics", &subscription)
        }
        None => plan.stream.path.clone(),
        Some(resume) => resuming(plan, resume),
    };
    let authorization = authorization(&plan.subscribers, index);
    let headers = match plan.transport {
        Transport::Sse if plan.gzip => EVENTS_IN_GZIP,
        Transport::Sse => EVENTS,
        Transport::WebSocket => UPGRADE,
    };
    let host = &plan.stream.host;
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{authorization}{headers}\r\n").into()
}

fn resuming(plan: &Plan, resume: Resume<'_>) -> String {
    let token = resume.token.to_string();
    let path = match (&plan.resume, plan.transport) {
        (Some(resume), Transport::Sse) => resume.path_with("token", &token),
        _ => plan.stream.path_with("reconnectToken", &token),
    };
    format!("{path}&lastEventId={}", resume.last_event_id)
}

/// A request that publishes, and where in it stands what differs from message to message.
#[derive(Debug)]
pub struct Publication {
    pub request: Vec<u8>,
    /// Where the name of the metric is, in the dialect that has it.
    pub name_at: Option<usize>,
    /// Still to be put in.
    pub stamp_at: usize,
}

/// The request that publishes over the connection with this number, a message of the first metric.
pub fn publication(plan: &Plan, to: &Endpoint, payload: &Payload, nth: usize) -> Publication {
    const NAMED: &str = r#"{"metric":""#;
    let (before, after) = match plan.dialect {
        Dialect::Statshub => (format!(r#"{NAMED}{}","data":"#, plan.metrics.name(0)), "}"),
        Dialect::Plain | Dialect::SocketIo | Dialect::Pusher => Default::default(),
    };
    let payload_bytes = payload.unstamped();
    let length = before.len() + payload_bytes.len() + after.len();
    let Endpoint { host, path, .. } = to;
    let authorization = authorization(&plan.publishers, nth);
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\n{authorization}\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{before}"
    );
    let name_at = head.len() - before.len() + NAMED.len();
    Publication {
        request: [head.as_bytes(), &payload_bytes, after.as_bytes()].concat(),
        name_at: (plan.dialect == Dialect::Statshub).then_some(name_at),
        stamp_at: head.len() + payload.stamp_at(),
    }
}

/// What a connection says to get messages, after the upgrade; nothing in most dialects.
pub fn joining(plan: &Plan) -> Vec<u8> {
    match plan.dialect {
        Dialect::Statshub | Dialect::Plain => Vec::new(),
        Dialect::SocketIo => engine_io::JOIN.to_owned(),
        Dialect::Pusher => {
            let data = serde_json::json!({"channel": plan.metrics.name(0)});
            let subscribe = serde_json::json!({"event": "pusher:subscribe", "data": data});
            subscribe.to_string().into_bytes()
        }
    }
}

fn authorization(tokens: &[String], index: usize) -> String {
    match index.checked_rem(tokens.len()) {
        Some(nth) => format!("Authorization: Bearer {}\r\n", tokens[nth]),
        None => String::new(),
    }
}

/// The token to come back with, out of the hub's first message. The JSON is not parsed, since it
/// lies in frames that may be cut; it is written by the hub without spaces.
pub fn resume_token(text: &[u8]) -> Option<Uuid> {
    const NAME: &[u8] = br#""reconnectToken":""#;
    let at = memchr::memmem::find(text, NAME)? + NAME.len();
    Uuid::try_parse_ascii(text.get(at..at + 36)?).ok()
}

/// The id that the hub gave a message, out of its answer to the publisher.
pub fn message_id(answer: &[u8]) -> Option<String> {
    let json: serde_json::Value = serde_json::from_slice(answer).ok()?;
    Some(json["data"]["messageId"].as_str()?.to_owned())
}

/// Engine.IO's packet types, one character at the head of a message.
pub mod engine_io {
    pub const OPEN: u8 = b'0';
    pub const PING: u8 = b'2';
    pub const MESSAGE: u8 = b'4';
    /// Joins socket.io's main namespace.
    pub const JOIN: &[u8] = b"40";
    pub const PONG: &[u8] = b"3";
}

/// Pusher's protocol: events in JSON, each well within one read as long as nothing is published.
pub mod pusher {
    pub const ESTABLISHED: &[u8] = b"pusher:connection_established";
    pub const SUBSCRIBED: &[u8] = b"pusher_internal:subscription_succeeded";
    pub const REFUSED: &[u8] = b"pusher:error";
    pub const PING: &[u8] = br#"{"event":"pusher:ping""#;
    pub const PONG: &[u8] = br#"{"event":"pusher:pong","data":{}}"#;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::metrics::Metrics;
    use crate::load::plan::{Mode, Pace};
    use std::time::Duration;
    use url::Url;

    fn plan(dialect: Dialect, transport: Transport) -> Plan {
        let at = |path: &str| {
            let base = Url::parse("http://127.0.0.1:3001").unwrap();
            Endpoint::of(&base.join(path).unwrap()).unwrap()
        };
        Plan {
            mode: Mode::FanOut,
            dialect,
            transport,
            gzip: false,
            connections: 3,
            stalled: 0,
            opening_max: 1,
            pace: Pace::InFlight(1),
            duration: Duration::ZERO,
            warm_up: Duration::ZERO,
            bytes: 100,
            metrics: Metrics::new("bench", 1),
            stream: at("/stream?metrics=bench"),
            resume: Some(at("/reconnect")),
            publish: None,
            subscribers: vec!["a".into(), "b".into()],
            publishers: Vec::new(),
        }
    }

    #[test]
    fn a_stream_is_asked_for_in_turn_by_each_user() {
        let plan = plan(Dialect::Statshub, Transport::Sse);
        let text = String::from_utf8(opening(&plan, 2, None)).unwrap();
        assert!(text.starts_with("GET /stream?metrics=bench HTTP/1.1\r\nHost: 127.0.0.1:3001\r\n"));
        assert!(text.contains("\r\nAuthorization: Bearer a\r\n"));
        assert!(text.ends_with("\r\n\r\n"));
    }

    #[test]
    fn of_many_metrics_each_connection_asks_for_its_own() {
        let mut plan = plan(Dialect::Statshub, Transport::Sse);
        plan.stream.path = "/stream".into();
        plan.metrics = Metrics::new("bench", 20);
        let text = String::from_utf8(opening(&plan, 2, None)).unwrap();
        let expected = "GET /stream?metrics=bench.8.08,bench.9.09,bench.0.10,bench.1.11,bench.2.* ";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn a_session_is_resumed_with_its_token_and_position() {
        let resume = Resume {
            token: Uuid::nil(),
            last_event_id: "1-2",
        };
        for (transport, path) in [
            (Transport::Sse, "/reconnect?token="),
            (
                Transport::WebSocket,
                "/stream?metrics=bench&reconnectToken=",
            ),
        ] {
            let plan = plan(Dialect::Statshub, transport);
            let text = String::from_utf8(opening(&plan, 0, Some(resume))).unwrap();
            let line = format!("GET {path}{}&lastEventId=1-2 HTTP/1.1\r\n", Uuid::nil());
            assert!(text.starts_with(&line), "{text}");
        }
    }

    #[test]
    fn a_publication_is_as_long_as_it_says() {
        for dialect in [Dialect::Statshub, Dialect::Plain] {
            let plan = plan(dialect, Transport::Sse);
            let payload = Payload::new(1, plan.bytes);
            let made = publication(&plan, &plan.stream, &payload, 0);
            let stamp_at = made.stamp_at;
            let text = String::from_utf8(made.request).unwrap();
            let (head, body) = text.split_once("\r\n\r\n").unwrap();
            assert!(head.ends_with(&format!("Content-Length: {}", body.len())));
            let json: serde_json::Value = serde_json::from_str(body).unwrap();
            assert_eq!(json["metric"] == "bench", dialect == Dialect::Statshub);
            assert!(text[..stamp_at].ends_with("~bench:00000001:"));
            let name = made.name_at.map(|at| text[at..].starts_with("bench\""));
            assert_eq!(name, (dialect == Dialect::Statshub).then_some(true));
        }
    }

    #[test]
    fn what_the_hub_says_is_found() {
        let text = br#"xx{"reconnectToken":"67e55044-10b1-426f-9247-bb680e5fe0c8","userId""#;
        assert!(resume_token(text).is_some());
        assert_eq!(resume_token(&text[..50]), None);
        let answer = br#"{"success":true,"data":{"messageId":"1-2","durability":"memory"}}"#;
        assert_eq!(message_id(answer).as_deref(), Some("1-2"));
    }
}
