//! Settings: what the operator wrote, turned into what the hub means.
//!
//! Two steps. `written` holds what the operator wrote, layer over layer: defaults, `config.toml`,
//! environment variables, command-line flags. This module holds what the rooms are given: one
//! struct per room, every time a `Duration`, every limit checked. Between them stands `keys`, one
//! line a setting with its key, what is allowed and where it goes; reading, printing, comparing and
//! the tests of the documents all walk that one list.
//!
//! Uses the domain's names and priorities. The environment is passed in as a map, never read here;
//! no value of a secret is ever in an error, in `Settings::masked` or in a `Debug` print.

mod aggregates;
mod alerting;
mod auth_keys;
mod covered;
mod defaults;
mod entries;
mod environment;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod keys;
mod kinds;
mod load;
mod operations;
mod outboxes;
mod redis;
mod report;
mod secrets;
mod selector;
mod source;
mod sources;
mod store;
#[cfg(test)]
mod tests;
mod texts;
mod tls;
mod written;

pub use aggregates::{Aggregate, Events};
pub use alerting::{Alerting, Webhook, WebhookKeys, origin_of};
pub use auth_keys::AuthKeys;
pub use covered::Covered;
pub use environment::VARIABLES;
pub use error::ConfigError;
pub use load::Overrides;
pub use redis::{Acknowledge, Redis, RedisUrl, Topology};
pub use report::{Changes, Key, known_keys};
pub use secrets::{GOOD_WEBHOOK_SECRET, good_secret, is_good_secret, webhook_key};
pub use selector::{NAME as SERIES_NAME, Selector};
pub use source::{RedisKeys, SeriesAggregate, Source, SourceKind};
pub use store::{Durability, Retention, Store};
pub use texts::FIXED_PATHS;
pub use tls::Tls;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::domain::message::Priority;
use crate::domain::pattern::Pattern;
use crate::domain::rule::Rule;

/// Everything the hub can be told, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    pub http: Http,
    pub tls: Tls,
    pub realtime: RealTime,
    pub websocket: WebSocket,
    pub sessions: Sessions,
    pub history: History,
    pub store: Store,
    pub redis: Redis,
    pub outgoing: Outgoing,
    pub events: Events,
    pub auth: Auth,
    pub limits: Limits,
    pub audit: Audit,
    pub prometheus: Prometheus,
    pub console: Console,
    pub log: Log,
    pub traces: Traces,
    /// Retention declared per metric, first match wins.
    pub metrics: Vec<Metric>,
    /// `[[source]]`, and behind them `[[outbox]]`.
    pub sources: Vec<Source>,
    pub aggregates: Vec<Aggregate>,
    pub alerting: Alerting,
    /// What is to be told when a metric is not as it should be.
    pub alerts: Vec<Rule>,
    pub webhooks: Vec<Webhook>,
    /// What stands in the file and does not count, because something else goes over it.
    pub covered: Covered,
    /// Started with `--dev`: the host is a loopback address, and the secret may be one made here.
    pub dev: bool,
}

impl Settings {
    /// Whether streams' sockets are taken over from the HTTP server. What goes through TLS is written by it.
    pub fn detaches(&self) -> bool {
        self.outgoing.driver == Driver::Auto && !self.tls.is_on()
    }
}

/// `[http]`: the listener and what a request may cost.
#[derive(Debug, Clone, PartialEq)]
pub struct Http {
    /// `HOST`. Address to listen on.
    pub host: String,
    /// `PORT`. 0 takes a free port.
    pub port: u16,
    /// Where health and `/metrics` are answered too, whatever becomes of the other listener.
    pub health_listen: Option<SocketAddr>,
    /// Worker threads; 0 means one per core.
    pub workers: usize,
    /// Open sockets over all workers, streams and plain requests together.
    pub sockets_max: usize,
    /// Largest request body in bytes; above it 413.
    pub body_bytes_max: usize,
    /// Largest data of one published message in bytes; above it 413.
    pub message_bytes_max: usize,
    /// Longest query string in bytes.
    pub query_bytes_max: usize,
    pub header_timeout: Duration,
    pub body_timeout: Duration,
    pub keep_alive: Duration,
    /// Longest drain on SIGTERM; at most 10 s.
    pub drain_timeout: Duration,
    /// Exact origins that may read answers and use cookies across sites.
    pub allowed_origins: Vec<String>,
    /// Peers whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<ipnet::IpNet>,
}

impl Http {
    /// How many worker threads there are.
    pub fn workers(&self) -> usize {
        match self.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers,
        }
    }
}

/// `[realtime]`: the hub's clockwork.
#[derive(Debug, Clone, PartialEq)]
pub struct RealTime {
    /// `REAL_TIME_ENABLED`. When false every stream and publish answers 503.
    pub enabled: bool,
    /// `REAL_TIME_UPDATE_INTERVAL`. How often sources without an interval of their own are polled.
    pub update_interval: Duration,
    /// `REAL_TIME_HEARTBEAT_INTERVAL`.
    pub heartbeat_interval: Duration,
    /// `REAL_TIME_CLEANUP_INTERVAL`.
    pub cleanup_interval: Duration,
    /// `REAL_TIME_BUFFER_FLUSH_INTERVAL`.
    pub buffer_flush_interval: Duration,
    /// What `retry:` tells an EventSource in the first event.
    pub sse_retry: Duration,
    /// A stream without output for this long gets a comment line.
    pub sse_comment_after: Duration,
    /// Clients are told to come back between `.0` and `.1` after a shutdown, spread evenly.
    pub reconnect_spread: (Duration, Duration),
}

/// `[websocket]`.
#[derive(Debug, Clone, PartialEq)]
pub struct WebSocket {
    /// `WEBSOCKET_ENABLED`.
    pub enabled: bool,
    /// `WEBSOCKET_PATH`.
    pub path: String,
    /// `WEBSOCKET_PING_INTERVAL`. A connection silent for two of these is dropped.
    pub ping_interval: Duration,
    /// Largest message, all fragments together, in bytes.
    pub message_bytes_max: usize,
    pub fragments_max: usize,
    /// Frames a connection may send per second on average, control frames included.
    pub messages_per_second: u32,
    /// Frames it may send at once.
    pub message_burst: u32,
}

/// `[sessions]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Sessions {
    /// `MAX_CONNECTIONS_PER_USER`, both transports together.
    pub connections_per_user_max: usize,
    /// Live connections over all users.
    pub connections_max: usize,
    /// `MAX_BUFFER_SIZE`: messages in one backlog.
    pub backlog_messages_max: usize,
    /// `CONNECTION_TIMEOUT`: how long a session that is away can be resumed.
    pub timeout: Duration,
    /// Away sessions over all users; the one away longest is forgotten first.
    pub away_max: usize,
}

/// `[history]`: what the hub keeps for replays.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// Bytes of all messages kept; the oldest of the lowest priority goes first.
    pub bytes_max: usize,
    /// Of these, bytes of what is addressed to one user; that user's oldest of the lowest priority goes first.
    pub user_bytes_max: usize,
    /// Messages kept of what is addressed to one user.
    pub user_messages_max: usize,
    /// Distinct metrics; publishing one more answers 429.
    pub metrics_max: usize,
    /// A metric without an update for this long is forgotten.
    pub metric_idle_timeout: Duration,
    /// Ids remembered of messages no longer kept, so that drop counts stay exact (8 bytes each).
    pub counted_ids_max: usize,
}

/// How bytes get onto the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// The hub takes sockets over from the HTTP server where it can.
    Auto,
    /// Every stream is a response body.
    Body,
}

/// `[outgoing]`: what one connection may hold up.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    pub driver: Driver,
    /// Whether streams are compressed for clients that take gzip.
    pub gzip: bool,
    /// What is shorter is sent as it is.
    pub gzip_min_bytes: usize,
    /// Messages queued for one connection before it is lagging.
    pub queue_messages_max: usize,
    /// Bytes queued for one connection before it is lagging.
    pub queue_bytes_max: usize,
    /// A connection whose client takes nothing for this long is cut; its session stays resumable.
    pub stall_timeout: Duration,
    /// `TCP_NOTSENT_LOWAT` in bytes: how much the kernel may hide of a slow client.
    pub notsent_lowat_bytes: u32,
    /// `TCP_USER_TIMEOUT`.
    pub tcp_user_timeout: Duration,
    /// Idle time before TCP keep-alive probes.
    pub tcp_keepalive: Duration,
    /// Bytes handed to a worker and not yet fanned out; above it publishers wait, then get 503.
    pub worker_backlog_bytes_max: usize,
}

/// `[auth]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Auth {
    pub keys: AuthKeys,
    /// `JWT_PREVIOUS_SECRET_FILE`. Secrets that tokens are still taken with, one a line.
    pub previous_secret_file: Option<PathBuf>,
    /// Roles that may use everything.
    pub permitted_roles: Vec<String>,
    /// Roles that may publish, besides the permitted ones.
    pub publisher_roles: Vec<String>,
    /// `aud` must hold one of these; empty: `aud` is not looked at.
    pub audiences: Vec<String>,
    /// `iss` must be one of these; empty: `iss` is not looked at.
    pub issuers: Vec<String>,
    /// Clock difference granted to issuers.
    pub leeway: Duration,
    /// Tokens that live longer than this from now are refused; `None`: any.
    pub token_ttl_max: Option<Duration>,
    /// How long a ticket waits to be used.
    pub ticket_ttl: Duration,
}

/// `[limits]`: requests per second, per key, with a burst.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    pub per_ip_per_second: u32,
    pub per_ip_burst: u32,
    pub per_user_per_second: u32,
    pub per_user_burst: u32,
    /// Failed resumes (410) a user or address may make in a minute before each is answered late.
    pub failed_resumes_per_minute: u32,
}

/// `[audit]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Audit {
    pub enabled: bool,
    /// File to append to; `None`: standard error.
    pub file: Option<PathBuf>,
    /// Whether operators may do nothing while it cannot be written.
    pub required: bool,
    /// How long the store keeps an event.
    pub retention: Duration,
    /// Requests turned away (401, 403) that are events of their own in one minute.
    pub denied_per_minute: u32,
    /// Events of one user, action and outcome that stand for themselves in one hour.
    pub alike_per_hour: u32,
}

/// `[prometheus]`.
#[derive(Clone, PartialEq)]
pub struct Prometheus {
    pub enabled: bool,
    /// When set, `/metrics` wants `Authorization: Bearer <this>`, from anywhere; when `None` it answers loopback peers only.
    pub token: Option<String>,
}

impl std::fmt::Debug for Prometheus {
    /// Never prints the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prometheus")
            .field("enabled", &self.enabled)
            .field("token", &self.token.as_ref().map(|_| secrets::MASK))
            .finish()
    }
}

/// `[console]`: the operators' page at `/`.
#[derive(Debug, Clone, PartialEq)]
pub struct Console {
    /// `CONSOLE_ENABLED`. When false its paths answer 404.
    pub enabled: bool,
}

/// `[log]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Log {
    /// `RUST_LOG`, an env_logger filter.
    pub filter: String,
    pub format: LogFormat,
}

/// `[traces]`: spans for OpenTelemetry.
#[derive(Debug, Clone, PartialEq)]
pub struct Traces {
    /// `OTEL_EXPORTER_OTLP_ENDPOINT`. A collector's address for OTLP over HTTP; `None`: there are none.
    pub endpoint: Option<String>,
    /// Of the traces that begin here, this many are kept, 0 to 1.
    pub ratio: f64,
    /// `OTEL_SERVICE_NAME`.
    pub service_name: String,
    /// Spans that may wait to be sent; above it they are dropped.
    pub queue_spans_max: usize,
}

/// How an event of the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Time, level, target, message, then `key=value`.
    Text,
    /// One object, with the fields of the event beside its message.
    Json,
}

/// `[[metric]]`: declared properties of the metrics a pattern names.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    pub name: Pattern,
    pub retain: Option<crate::domain::message::Retain>,
    pub priority: Option<Priority>,
    /// Without an update for so long its value is stale.
    pub ttl: Option<Duration>,
}

/// Whether `address` is one that only this machine can reach.
pub fn is_loopback(address: &str) -> bool {
    address == "localhost" || address.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
