//! What is published: ids, priorities, topics, and the message itself, encoded once.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::pattern::MetricName;
pub use super::priority::{PerPriority, Priority};

/// `<milliseconds>-<sequence>`: the place of a message in the hub's one order.
///
/// Packed into 64 bits, 44 for the milliseconds since the Unix epoch (until the year 2527) and 20
/// for the sequence, because the history remembers the ids of very many messages and a connection
/// publishes its position through one atomic.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(u64);

impl MessageId {
    /// Before every message.
    pub const ZERO: Self = Self(0);
    const SEQUENCE_BITS: u32 = 20;
    const SEQUENCE_MAX: u64 = (1 << Self::SEQUENCE_BITS) - 1;
    const MILLIS_MAX: u64 = u64::MAX >> Self::SEQUENCE_BITS;

    /// `None` when a part does not fit, which no id of ours ever does.
    pub fn new(millis: u64, sequence: u64) -> Option<Self> {
        (millis <= Self::MILLIS_MAX && sequence <= Self::SEQUENCE_MAX)
            .then_some(Self(millis << Self::SEQUENCE_BITS | sequence))
    }

    /// Reads the form [`fmt::Display`] writes; `None` for anything that is no id of ours, leading
    /// zeros and signs included.
    pub fn parse(text: &str) -> Option<Self> {
        let (millis, sequence) = text.split_once('-')?;
        let id = Self::new(decimal(millis)?, decimal(sequence)?)?;
        Some(id)
    }

    pub fn millis(self) -> u64 {
        self.0 >> Self::SEQUENCE_BITS
    }

    pub fn sequence(self) -> u64 {
        self.0 & Self::SEQUENCE_MAX
    }

    /// The least id above this one.
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The packed form, for an atomic.
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// Back from [`MessageId::to_bits`].
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }
}

fn decimal(digits: &str) -> Option<u64> {
    let canonical = digits.bytes().all(|b| b.is_ascii_digit())
        && (digits.len() == 1 || !digits.starts_with('0'));
    canonical.then(|| digits.parse().ok()).flatten()
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.millis(), self.sequence())
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Gives out ids: strictly increasing, near the wall clock, never back with it.
#[derive(Debug)]
pub struct IdGenerator {
    last: MessageId,
}

impl IdGenerator {
    /// Every id given will be above `last`.
    pub fn above(last: MessageId) -> Self {
        Self { last }
    }

    /// The next id. When the clock stands or went back, the sequence counts on.
    pub fn next(&mut self, wall_millis: u64) -> MessageId {
        let by_clock = MessageId::new(wall_millis, 0).unwrap_or(self.last);
        self.last = by_clock.max(self.last.next());
        self.last
    }

    /// The newest id given, or what the generator was started above.
    pub fn last(&self) -> MessageId {
        self.last
    }
}

/// What a backlog keeps of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Retain {
    /// Every update, as far as the backlog reaches.
    #[default]
    All,
    /// A gauge: a later update replaces an earlier one of the same priority.
    Latest,
}

/// The transport a connection came by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Sse,
    Websocket,
}

impl Transport {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sse => "sse",
            Self::Websocket => "websocket",
        }
    }

    /// Back from [`Transport::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        let all = [Self::Sse, Self::Websocket];
        all.into_iter().find(|it| it.as_str() == text)
    }
}

/// Whose token it was: 1 to 128 bytes, no control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct UserId(Arc<str>);

impl TryFrom<String> for UserId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        Self::parse(&text).ok_or("a user has 1 to 128 bytes without control characters")
    }
}

impl UserId {
    pub const BYTES_MAX: usize = 128;

    /// `None` when empty, too long, or with a control character in it.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= Self::BYTES_MAX;
        (fits && !text.chars().any(char::is_control)).then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A JSON value as compact text on one line. Only [`crate::wire::json`] makes them from outside
/// text; whoever calls [`Json::trusted`] answers for the form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Json(Box<str>);

impl Json {
    /// `text` must be one valid JSON value without line breaks.
    pub fn trusted(text: String) -> Self {
        debug_assert!(
            !text.contains(['\n', '\r']),
            "a JSON value on several lines"
        );
        Self(text.into())
    }

    /// What this program has kept elsewhere and finds again; `None` for what it never writes. On several lines
    /// it would be several fields of an event.
    pub fn kept(text: String) -> Option<Self> {
        (!text.contains(['\n', '\r'])).then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An update that someone wants published and that has no id yet.
#[derive(Debug, Clone)]
pub struct Draft {
    pub metric: MetricName,
    pub data: Json,
    /// `None`: what is declared for the metric, else normal.
    pub priority: Option<Priority>,
    /// Only this user's connections get it.
    pub user: Option<UserId>,
    /// `None`: what is declared for the metric, else all.
    pub retain: Option<Retain>,
}

/// Of what a part of the hub remembers: 1 to 256 printable ASCII characters, the part's own word first, as in
/// `silence/42`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateName(Arc<str>);

impl StateName {
    pub const BYTES_MAX: usize = 256;

    /// `None` when empty, too long, or with anything else than printable ASCII in it.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = !text.is_empty() && text.len() <= Self::BYTES_MAX;
        (fits && text.bytes().all(|b| b.is_ascii_graphic())).then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StateName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a message is about, which decides whom it is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Every subscriber of the metric.
    Metric(MetricName),
    /// This user's subscribers of the metric.
    UserMetric(MetricName, UserId),
    /// Everybody.
    Alerts,
    /// This user's connections of one transport, whatever they subscribe to.
    Test(UserId, Transport),
    /// Nobody: what a part of the hub remembers by way of the log. The newest counts, `null` is as if there
    /// were none.
    State(StateName),
}

impl Topic {
    /// The metric's name, where there is one.
    pub fn metric(&self) -> Option<&MetricName> {
        match self {
            Self::Metric(name) | Self::UserMetric(name, _) => Some(name),
            Self::Alerts | Self::Test(..) | Self::State(_) => None,
        }
    }
}

/// A published message. Its bytes are made once and shared by every connection.
#[derive(Debug)]
pub struct Message {
    pub id: MessageId,
    pub topic: Topic,
    pub priority: Priority,
    pub retain: Retain,
    /// When it was published, by the clock that never jumps.
    pub published_at: Duration,
    /// The whole SSE event, empty line included.
    pub sse: Bytes,
    /// Where in `sse` the JSON object is: the WebSocket text.
    pub json: Range<usize>,
    /// Where in `sse` what was published is: a metric's value, an alert's data.
    pub value: Range<usize>,
    /// The WebSocket frame, made when the first WebSocket connection wants it.
    pub websocket: OnceLock<Bytes>,
    /// The id and the value of the message before it on the topic, where somebody wants to be sent what changes only.
    pub before: OnceLock<(MessageId, Bytes)>,
    /// What it changes, made when the first connection wants it.
    pub patch: OnceLock<Option<Box<Patch>>>,
}

/// A message as what it changes.
#[derive(Debug)]
pub struct Patch {
    /// The whole SSE event, empty line included.
    pub sse: Bytes,
    /// Where in `sse` the JSON object is: the WebSocket text.
    pub json: Range<usize>,
    /// The WebSocket frame, made when the first WebSocket connection wants it.
    pub websocket: OnceLock<Bytes>,
}

impl Message {
    /// The WebSocket text.
    pub fn json(&self) -> Bytes {
        self.sse.slice(self.json.clone())
    }

    /// What was published, as JSON text.
    pub fn value(&self) -> Bytes {
        self.sse.slice(self.value.clone())
    }

    /// The same message with another value, JSON on one line, and under another id: nothing else of it changes.
    pub fn with(&self, id: MessageId, value: &[u8]) -> Self {
        let before = &self.sse[self.json.start..self.value.start];
        let after = &self.sse[self.value.end..self.json.end];
        let after = String::from_utf8_lossy(after);
        let (old, new) = (self.id.to_string(), id.to_string());
        let after = after.replacen(&format!("\"{old}\""), &format!("\"{new}\""), 1);
        let head = format!("id: {new}\ndata: ");
        let parts: [&[u8]; 5] = [head.as_bytes(), before, value, after.as_bytes(), b"\n\n"];
        let sse = Bytes::from(parts.concat());
        let start = head.len() + before.len();
        Self {
            id,
            topic: self.topic.clone(),
            priority: self.priority,
            retain: self.retain,
            published_at: self.published_at,
            json: head.len()..sse.len() - b"\n\n".len(),
            value: start..start + value.len(),
            sse,
            websocket: OnceLock::new(),
            before: OnceLock::new(),
            patch: OnceLock::new(),
        }
    }

    /// What keeping it costs, in bytes: both encodings at worst, and the record.
    pub fn cost(&self) -> usize {
        self.sse.len() + self.json.len() + size_of::<Self>() + 64
    }
}

#[cfg(test)]
mod tests;
