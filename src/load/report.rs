//! What a run tells: on the way, and at the end.

use serde::{Serialize, Serializer};

use super::latency::Quantiles;
use super::plan::{Dialect, Mode, Pace, Plan, Transport};

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Progress {
    /// So many connections are open.
    Opening { open: usize, of: usize },
    /// All are.
    Connected { connections: usize, seconds: f64 },
    /// From here on what is published counts. Whoever reads a server's processor time from outside
    /// begins now,
    Measuring,
    /// and ends now: everything has arrived, and the connections are still open.
    Measured,
    /// Of the time in which messages are published, or in which connections are idle.
    Running {
        seconds: f64,
        of: f64,
        delivered: u64,
    },
}

/// What was seen. Its names are those of `statshub bench --json`, which programs read.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    pub mode: Mode,
    pub dialect: &'static str,
    pub transport: Transport,
    /// Whether gzip was asked for.
    pub gzip: bool,
    pub connections: usize,
    /// Of these, the connections that did not read.
    pub stalled: usize,
    /// Metrics that were published in turn.
    pub metrics: usize,
    /// Bytes of data in a message.
    pub size: usize,
    /// Messages a second that were asked for; `None` where it was messages in flight.
    pub rate: Option<f64>,
    pub in_flight: Option<usize>,
    /// From the first connection to the last one open.
    #[serde(serialize_with = "to_the_millionth")]
    pub connect_seconds: f64,
    #[serde(serialize_with = "to_the_millionth")]
    pub connects_per_second: f64,
    /// Messages that the server took, after the warm-up.
    pub published: u64,
    /// Their arrivals at connections, each the first of its kind.
    pub delivered: u64,
    #[serde(serialize_with = "to_the_millionth")]
    pub deliveries_per_second: f64,
    /// Bytes that came over their connections meanwhile, chunks and frames around them counted.
    pub received_bytes: u64,
    /// From writing the request that publishes to reading the message, at each connection.
    pub latency_ms: Option<Quantiles>,
    /// What was measured took so long: from the first message to the last arrival; opening; coming back.
    #[serde(serialize_with = "to_the_millionth")]
    pub seconds: f64,
    /// What this program used of a processor meanwhile, and which share of one that is. Near 1 it
    /// has measured itself.
    #[serde(serialize_with = "to_the_millionth")]
    pub client_cpu_seconds: f64,
    #[serde(serialize_with = "to_the_millionth")]
    pub client_cpu_share: f64,
    /// Deliveries that never came.
    pub missing: u64,
    pub duplicates: u64,
    /// Deliveries after one that was published later. Messages that were published over several
    /// connections at once have no order among themselves.
    pub out_of_order: u64,
    /// Connections that ended before their time.
    pub lost: usize,
    /// Tries to open a connection that had to be repeated.
    pub retries: u64,
    /// Messages that the server had no time for (429, 503).
    pub refused: u64,
    /// How late a message went out at most, at a fixed rate.
    #[serde(serialize_with = "to_the_millionth")]
    pub behind_ms: f64,
    /// From the first connection coming back until all were back and had everything.
    #[serde(serialize_with = "to_the_millionth_if_any")]
    pub reconnect_seconds: Option<f64>,
    /// The last thing that went wrong with a connection.
    pub trouble: Option<String>,
}

impl Report {
    /// Nothing seen yet.
    pub fn new(plan: &Plan) -> Self {
        let (rate, in_flight) = match plan.pace {
            Pace::Rate(rate) => (Some(rate), None),
            Pace::InFlight(count) => (None, Some(count)),
        };
        let publishes = plan.mode == Mode::FanOut;
        Self {
            mode: plan.mode,
            dialect: dialect(plan),
            transport: plan.transport,
            gzip: plan.gzip,
            connections: plan.connections,
            stalled: plan.stalled,
            metrics: plan.metrics.count(),
            size: plan.bytes,
            rate: rate.filter(|_| publishes),
            in_flight: in_flight.filter(|_| publishes),
            connect_seconds: 0.0,
            connects_per_second: 0.0,
            published: 0,
            delivered: 0,
            deliveries_per_second: 0.0,
            received_bytes: 0,
            latency_ms: None,
            seconds: 0.0,
            client_cpu_seconds: 0.0,
            client_cpu_share: 0.0,
            missing: 0,
            duplicates: 0,
            out_of_order: 0,
            lost: 0,
            retries: 0,
            refused: 0,
            behind_ms: 0.0,
            reconnect_seconds: None,
            trouble: None,
        }
    }
}

/// By the name that the flag has.
fn dialect(plan: &Plan) -> &'static str {
    match (plan.dialect, plan.transport) {
        (Dialect::Statshub, _) => "statshub",
        (Dialect::Plain, Transport::Sse) => "sse",
        (Dialect::Plain, Transport::WebSocket) => "ws",
        (Dialect::SocketIo, _) => "socketio",
        (Dialect::Pusher, _) => "pusher",
    }
}

/// So many in so long, as a number a second.
pub fn per_second(count: u64, seconds: f64) -> f64 {
    if seconds > 0.0 {
        count as f64 / seconds
    } else {
        0.0
    }
}

/// What is behind that is noise, and hard to read.
fn to_the_millionth<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((value * 1e6).round() / 1e6)
}

fn to_the_millionth_if_any<S: Serializer>(
    value: &Option<f64>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => to_the_millionth(value, serializer),
        None => serializer.serialize_none(),
    }
}
