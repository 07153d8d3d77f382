//! What is to be measured, with nothing left open.

use std::time::Duration;

use serde::Serialize;

use super::endpoint::Endpoint;
use super::metrics::Metrics;

/// One measurement.
#[derive(Debug)]
pub struct Plan {
    pub mode: Mode,
    pub dialect: Dialect,
    pub transport: Transport,
    /// Whether they take gzip.
    pub gzip: bool,
    /// Connections that subscribe.
    pub connections: usize,
    /// Connections of these that stop reading once they are open.
    pub stalled: usize,
    /// Connections that may be on their way to being open at any time.
    pub opening_max: usize,
    pub pace: Pace,
    /// How long it counts.
    pub duration: Duration,
    /// How long messages are published before they count.
    pub warm_up: Duration,
    /// Size of a message's data in bytes.
    pub bytes: usize,
    /// What is published, in turn; names as they stand in JSON.
    pub metrics: Metrics,
    /// Of many metrics each connection adds its own to the query.
    pub stream: Endpoint,
    /// Where a session is resumed over SSE.
    pub resume: Option<Endpoint>,
    /// Where messages are posted; needed where any are.
    pub publish: Option<Endpoint>,
    /// JWTs that connections subscribe with, in turn; none: without credentials.
    pub subscribers: Vec<String>,
    /// JWTs that messages are published with, in turn.
    pub publishers: Vec<String>,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Messages go out to every connection for a while.
    FanOut,
    /// Connections are opened and stay idle for a while.
    Connect,
    /// All connections are dropped at once and come back at once.
    Reconnect,
}

/// How subscribers connect and messages are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// As the hub's interface has it, sessions and all.
    Statshub,
    /// A plain GET or upgrade, and the payload as it is.
    Plain,
    /// The WebSocket transport of socket.io 4, that is of Engine.IO 4.
    SocketIo,
    /// Pusher's protocol 7, one public channel. Publishes must be signed, which is not done here: they
    /// are posted like plain ones, to something that signs them.
    Pusher,
}

/// What a stream travels over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    Sse,
    #[serde(rename = "ws")]
    WebSocket,
}

/// When the next message is published.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// So many a second, whatever becomes of them.
    Rate(f64),
    /// When fewer than this many are published and not yet with every connection.
    InFlight(usize),
}

impl Plan {
    /// For each metric, the connections that its messages must reach. Those that stall are the first.
    pub fn readers(&self) -> Vec<u32> {
        self.metrics.readers(self.stalled, self.connections)
    }
}
