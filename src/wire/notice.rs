//! What a stream carries, in the bytes of its transport: notices, published messages, last words.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use uuid::Uuid;

pub use super::fault::fault_code;
use super::fault::told;
use super::message::{envelope, quoted, timestamp};
use super::patch;
use super::websocket::{Closing, text_frame};
use crate::domain::backlog::Receipt;
use crate::domain::message::{Message, MessageId, Priority, Topic, Transport};
use crate::domain::notice::{Established, Goodbye, Notice, Piece, Stale};
use crate::domain::outbox::{Mixing, Outgoing};
use crate::domain::pattern::MetricName;

/// As `retry:` it keeps a native EventSource away for a day: there is no way to say for good.
const STAY_AWAY: Duration = Duration::from_secs(24 * 60 * 60);

/// A message sent live. Its bytes are shared by all connections; the WebSocket frame is made when
/// the first one wants it.
///
/// `as_patch`: what it changes, where that can be said and is shorter.
pub fn live(message: &Message, transport: Transport, as_patch: bool) -> Outgoing {
    let mut outgoing = published(message, transport);
    let patch = || patch::of(message).map(Box::new);
    if as_patch && let Some(patch) = message.patch.get_or_init(patch) {
        let frame = || text_frame(&patch.sse[patch.json.clone()]);
        outgoing.bytes = match transport {
            Transport::Sse => patch.sse.clone(),
            Transport::Websocket => patch.websocket.get_or_init(frame).clone(),
        };
    }
    Outgoing {
        published_at: Some(message.published_at),
        ..outgoing
    }
}

/// Pieces of a stream after its opening. A message's position is its id, a snapshot's its own;
/// other notices have none. `wall_ms`, the time stamp, is in milliseconds since the Unix epoch.
pub fn pieces(pieces: &[Piece], transport: Transport, wall_ms: u64) -> Vec<Outgoing> {
    let outgoing = |piece: &Piece| match piece {
        Piece::Notice(notice) => said(&Words::of(notice, wall_ms), transport, wall_ms),
        Piece::Message(message) => published(message, transport),
    };
    pieces.iter().map(outgoing).collect()
}

/// The first pieces of a stream, after which the client has everything up to `through`. Over SSE
/// `retry`, after how long to come back, is in the first event's block: in a block of its own some
/// clients take it for an empty event.
pub fn opening(
    pieces: &[Piece],
    transport: Transport,
    through: MessageId,
    retry: Duration,
    wall_ms: u64,
) -> Vec<Outgoing> {
    let mut opening = self::pieces(pieces, transport, wall_ms);
    if let Some(first) = opening.first_mut() {
        ask_to_retry(first, transport, retry);
    }
    let snapshot = |piece: &Piece| matches!(piece, Piece::Notice(Notice::InitialMetrics { .. }));
    if let Some(last) = opening.last_mut()
        && !pieces.iter().any(snapshot)
    {
        last.position = Some(through);
    }
    opening
}

/// What a lagging client missed, after which it has everything up to `through`, or has been told of
/// it: as with an opening, what was told once is not to be told again.
pub fn catch_up(
    pieces: &[Piece],
    transport: Transport,
    through: MessageId,
    wall_ms: u64,
) -> Vec<Outgoing> {
    let mut missed = self::pieces(pieces, transport, wall_ms);
    if let Some(last) = missed.last_mut() {
        last.position = Some(through);
    }
    missed
}

/// The last words on a stream: over SSE one event, over WebSocket a message and the close frame.
pub fn goodbye(goodbye: Goodbye, transport: Transport, wall_ms: u64) -> Vec<Outgoing> {
    let (words, retry, closing) = last_words(goodbye);
    let mut last = said(&words, transport, wall_ms);
    if let Some(retry) = retry {
        ask_to_retry(&mut last, transport, retry);
    }
    match transport {
        Transport::Sse => vec![last],
        Transport::Websocket => vec![last, Outgoing::notice(closing.frame())],
    }
}

/// Moves the position of a quiet SSE client. In this form, an event that has a type and empty data,
/// it does so in every browser, and no `onmessage` fires.
pub fn cursor(through: MessageId) -> Outgoing {
    let event = format!("event: cursor\nid: {through}\ndata:\n\n");
    Outgoing::at(through, event.into())
}

/// An SSE comment, which keeps a quiet stream alive and says nothing.
pub fn comment() -> Outgoing {
    Outgoing::notice(Bytes::from_static(b":\n\n"))
}

/// Says that the hub is there.
pub fn heartbeat(transport: Transport, wall_ms: u64) -> Outgoing {
    let words = Words::new("heartbeat", Priority::Low, json!({}));
    said(&words, transport, wall_ms)
}

/// A notice that is not yet in an envelope.
struct Words {
    kind: &'static str,
    priority: Priority,
    /// JSON on one line.
    data: Vec<u8>,
    /// Metrics of a snapshot whose value is overdue.
    stale: Vec<MetricName>,
    /// Its id, for the one notice that moves a client's position; the others get a random one.
    position: Option<MessageId>,
}

impl Words {
    fn new(kind: &'static str, priority: Priority, data: Value) -> Self {
        Self {
            kind,
            priority,
            data: data.to_string().into(),
            stale: Vec::new(),
            position: None,
        }
    }

    fn of(notice: &Notice, wall_ms: u64) -> Self {
        let (kind, data) = match notice {
            Notice::Established(established) => self::established(established),
            Notice::InitialMetrics {
                position,
                values,
                stale,
            } => return snapshot(*position, values, stale),
            Notice::Stale(stale) => ("metric_stale", self::stale(stale)),
            Notice::Subscribed { metrics } => {
                let message = "Successfully subscribed to metrics";
                (
                    "subscribed",
                    json!({"message": message, "metrics": metrics}),
                )
            }
            Notice::Unsubscribed { metrics } => {
                let message = "Successfully unsubscribed from metrics";
                (
                    "unsubscribed",
                    json!({"message": message, "metrics": metrics}),
                )
            }
            Notice::Pong => ("pong", json!({"timestamp": timestamp(wall_ms)})),
            Notice::Refreshed { expires_at_ms } => {
                ("refreshed", json!({"expiresAt": timestamp(*expires_at_ms)}))
            }
            Notice::Dropped(receipt) => ("messages_dropped", with_receipt(json!({}), receipt)),
            Notice::Error(fault) => {
                let (message, code) = told(fault);
                return error(&message, code);
            }
        };
        Self::new(kind, Priority::High, data)
    }
}

fn established(established: &Established) -> (&'static str, Value) {
    let previous = established.previous_connection_id;
    let (kind, message) = match previous {
        Some(_) => ("reconnection_successful", "Reconnected to the live metrics"),
        None => ("connection_established", "Connected to the live metrics"),
    };
    let mut data = json!({
        "connectionId": established.connection_id,
        "reconnectToken": established.reconnect_token,
        "userId": established.user,
        "message": message,
        "metrics": established.metrics,
        "resumed": established.resumed,
        "replayedMessagesCount": established.replayed,
    });
    if !established.stale.is_empty() {
        data["staleMetrics"] = json!(established.stale);
    }
    if let Some(previous) = previous {
        data["previousConnectionId"] = json!(previous);
        data["bufferedMessagesCount"] = json!(established.replayed);
    }
    (kind, with_receipt(data, &established.receipt))
}

/// Adds what was not sent and will not be. Only the count is there when it is nothing.
fn with_receipt(mut data: Value, receipt: &Receipt) -> Value {
    let dropped = receipt.dropped.total();
    data["droppedMessagesCount"] = json!(dropped);
    if dropped > 0 {
        for (priority, count) in receipt.dropped.iter() {
            data["droppedByPriority"][priority.as_str()] = json!(count);
        }
        data["droppedMetrics"] = json!(receipt.metrics);
    }
    if receipt.conflated > 0 {
        data["conflatedMessagesCount"] = json!(receipt.conflated);
    }
    data
}

/// Puts the values' own bytes together, which were checked when they were published.
fn snapshot(
    position: MessageId,
    values: &[(MetricName, Arc<Message>)],
    stale: &[MetricName],
) -> Words {
    let size = |(name, message): &(MetricName, Arc<Message>)| {
        name.as_str().len() + message.value.len() + r#""":,"#.len()
    };
    let mut data = Vec::with_capacity(2 + values.iter().map(size).sum::<usize>());
    data.push(b'{');
    for (nth, (name, message)) in values.iter().enumerate() {
        if nth > 0 {
            data.push(b',');
        }
        data.extend_from_slice(quoted(name).as_bytes());
        data.push(b':');
        data.extend_from_slice(&message.sse[message.value.clone()]);
    }
    data.push(b'}');
    Words {
        kind: "initial_metrics",
        priority: Priority::High,
        data,
        stale: stale.to_vec(),
        position: Some(position),
    }
}

fn stale(stale: &Stale) -> Value {
    json!({
        "metric": stale.metric,
        "messageId": stale.newest.to_string(),
        "updatedAt": timestamp(stale.newest.millis()),
        "ttlMs": millis(stale.ttl),
    })
}

fn error(message: &str, code: &str) -> Words {
    let data = json!({"message": message, "code": code});
    Words::new("error", Priority::Critical, data)
}

/// The table of ends: what is said, when an SSE client should come back where that is not for it to
/// choose, and how a WebSocket is closed.
fn last_words(goodbye: Goodbye) -> (Words, Option<Duration>, Closing) {
    match goodbye {
        Goodbye::Replaced => {
            let data = json!({"message": "The session was resumed elsewhere"});
            let words = Words::new("connection_replaced", Priority::High, data);
            (words, Some(STAY_AWAY), Closing::REPLACED)
        }
        Goodbye::TokenExpired => {
            let words = error("The token has expired", "token_expired");
            (words, None, Closing::TOKEN_EXPIRED)
        }
        Goodbye::Disconnected => {
            let words = error("Disconnected by an operator", "disconnected");
            (words, Some(STAY_AWAY), Closing::DISCONNECTED)
        }
        Goodbye::Shutdown { reconnect_in } => {
            let data = json!({
                "message": "The hub is stopping",
                "reconnectInMs": millis(reconnect_in),
            });
            let words = Words::new("server_shutdown", Priority::High, data);
            (words, Some(reconnect_in), Closing::HUB_STOPPING)
        }
        Goodbye::TooManyMessages => {
            let words = error("Too many messages", "rate_limited");
            (words, None, Closing::TOO_MANY_MESSAGES)
        }
        Goodbye::Trouble => {
            let words = error("The hub cannot go on with this connection", "internal");
            (words, None, Closing::INTERNAL_ERROR)
        }
    }
}

fn said(words: &Words, transport: Transport, wall_ms: u64) -> Outgoing {
    let id = match words.position {
        Some(position) => position.to_string(),
        None => Uuid::new_v4().to_string(),
    };
    let (open, mut close) = envelope(words.kind, &id, words.priority, wall_ms);
    if !words.stale.is_empty() {
        close.truncate(close.len() - 1);
        close.push_str(&format!(r#","stale":{}}}"#, json!(words.stale)));
    }
    let json = [open.as_bytes(), &words.data, close.as_bytes()];
    let bytes = match transport {
        Transport::Websocket => text_frame(&json.concat()),
        Transport::Sse => {
            let id_line = words.position.map(|position| format!("id: {position}\n"));
            let id_line = id_line.unwrap_or_default();
            let [open, data, close] = json;
            [id_line.as_bytes(), b"data: ", open, data, close, b"\n\n"]
                .concat()
                .into()
        }
    };
    match words.position {
        Some(position) => Outgoing {
            mixing: Mixing::Alone,
            ..Outgoing::at(position, bytes)
        },
        None => Outgoing::notice(bytes),
    }
}

fn published(message: &Message, transport: Transport) -> Outgoing {
    let frame = || text_frame(&message.sse[message.json.clone()]);
    let bytes = match transport {
        Transport::Sse => &message.sse,
        Transport::Websocket => message.websocket.get_or_init(frame),
    };
    Outgoing {
        priority: Some(message.priority),
        mixing: mixing(&message.topic),
        ..Outgoing::at(message.id, bytes.clone())
    }
}

fn mixing(topic: &Topic) -> Mixing {
    match topic {
        Topic::Metric(_) | Topic::Alerts => Mixing::Together,
        Topic::UserMetric(..) | Topic::Test(..) | Topic::State(_) => Mixing::Alone,
    }
}

/// Puts a `retry:` line at the head of an SSE event; a WebSocket has no such thing.
fn ask_to_retry(outgoing: &mut Outgoing, transport: Transport, after: Duration) {
    if transport == Transport::Sse {
        let line = format!("retry: {}\n", millis(after));
        outgoing.bytes = [line.as_bytes(), &outgoing.bytes].concat().into();
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
