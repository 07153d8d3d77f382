//! The numbers as Prometheus reads them, in the OpenMetrics text format.
//!
//! Nothing is kept here: whoever answers a scrape fills a [`Snapshot`] and gets the text.

use std::fmt;
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use super::aggregates::AggregatesSnapshot;
use super::alerting::AlertingSnapshot;
use super::audit::AuditState;
use super::counters::{Counter, Totals};
use super::delivered::Delivered;
use super::exposition::Out;
use super::latency::{BOUNDS, Summary};
use super::process::Process;
use super::requests::{self, Answered};
use super::standing::Standing;
use crate::domain::message::PerPriority;
use crate::domain::pattern::MetricName;
use crate::trace;

/// What the text must be served as, because Prometheus picks its parser by it.
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All that is told, at one moment. Totals count since the start.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Snapshot {
    pub uptime: Duration,
    /// `None`: the system does not say.
    pub process: Option<Process>,
    pub standing: Standing,
    pub requests: Vec<Answered>,
    pub connections_sse: u64,
    pub connections_websocket: u64,
    pub sessions_away: u64,
    /// Messages given an id.
    pub published: PerPriority<u64>,
    /// Messages sent, each connection counted.
    pub delivered: Delivered,
    /// Messages dropped from backlogs.
    pub dropped: PerPriority<u64>,
    /// Messages waiting for their clients, over all sessions.
    pub backlog_messages: u64,
    /// Bytes of the messages kept for replays.
    pub history_bytes: u64,
    pub delivery_latency: Summary,
    pub resumes_attempted: u64,
    pub resumes_succeeded: u64,
    /// Messages waiting in the hub's mailbox.
    pub hub_mailbox_messages: u64,
    /// How long a message takes from the Hub to its connections.
    pub delivery_lag: Duration,
    pub totals: Totals,
    pub audit: AuditState,
    /// `None`: clients come over plain HTTP.
    pub tls: Option<TlsSnapshot>,
    /// `None`: nothing outlives the process, and there are no samples.
    pub store: Option<StoreSnapshot>,
    /// `None`: this hub stands alone.
    pub redis: Option<RedisSnapshot>,
    /// `None`: hubs have no database in common.
    pub scribe: Option<ScribeSnapshot>,
    pub alerting: AlertingSnapshot,
    pub sources: Vec<SourceSnapshot>,
    pub aggregates: AggregatesSnapshot,
    /// Zeros, where none are made.
    pub spans: trace::Totals,
}

/// TLS by the hub itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TlsSnapshot {
    /// The last moment at which its certificate is good, in seconds since the Unix epoch.
    pub not_after_seconds: i64,
    pub handshake_failures: u64,
}

/// The log that several hubs share.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RedisSnapshot {
    pub is_up: bool,
    pub lag: Duration,
    /// Entries of the log that are yet to be read.
    pub behind: u64,
    pub batches: u64,
    pub calls: u64,
    pub failures: u64,
    pub disconnects: u64,
    pub epochs: u64,
}

/// What writes the shared log into a database that hubs have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScribeSnapshot {
    /// This hub is the one that writes.
    pub is_writing: bool,
    /// It failed the last time.
    pub has_failed: bool,
    pub entries: u64,
    /// How often the log no longer had what came after what is written.
    pub gaps: u64,
}

/// What survives a restart, and how it gets there.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreSnapshot {
    /// Transactions.
    pub commits: u64,
    /// Batches of publishers in them.
    pub batches: u64,
    /// Transactions that failed.
    pub failures: u64,
    /// Bytes that wait to be written.
    pub waiting_bytes: u64,
    /// How long something takes to be written.
    pub lag: Duration,
    /// Records of the audit trail written, and those missing from it.
    pub audit_written: u64,
    pub audit_lost: u64,
    /// The number of the newest of them; `None` while none has been written since the start.
    pub audit_newest: Option<u64>,
}

/// One metric source. Its metric's name is the label.
#[derive(Debug, Clone, PartialEq)]
pub struct SourceSnapshot {
    pub metric: MetricName,
    pub polls: u64,
    pub failures: u64,
    /// How long the last poll took.
    pub last_duration: Duration,
    /// `None` while it never succeeded; then there is no sample either.
    pub last_success_age: Option<Duration>,
}

/// The text for one scrape.
///
/// # Errors
/// None that a `String` can cause.
pub fn render(snapshot: Snapshot) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    if let Some(process) = snapshot.process {
        let registry = registry.sub_registry_with_prefix("process");
        registry.register_collector(Box::new(process));
    }
    let ours = registry.sub_registry_with_prefix("statshub");
    ours.register_collector(Box::new(snapshot));
    let mut out = String::with_capacity(8 * 1024);
    text::encode(&mut out, &registry)?;
    Ok(out)
}

impl Collector for Snapshot {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out(encoder);
        self.encode_process(&mut out)?;
        self.standing.encode(&mut out)?;
        requests::encode(&self.requests, &mut out)?;
        self.encode_sessions(&mut out)?;
        self.encode_messages(&mut out)?;
        self.encode_refusals(&mut out)?;
        self.encode_tls(&mut out)?;
        self.encode_audit(&mut out)?;
        self.encode_store(&mut out)?;
        self.encode_redis(&mut out)?;
        self.encode_scribe(&mut out)?;
        self.alerting.encode(&mut out)?;
        self.encode_sources(&mut out)?;
        self.aggregates.encode(&mut out)?;
        let spans = [
            ("exported", self.spans.exported),
            ("dropped", self.spans.dropped),
        ];
        let help = "Spans of traces that a collector took, and that were lost.";
        out.counters("trace_spans", help, "outcome", spans)
    }
}

impl Snapshot {
    fn encode_process(&self, out: &mut Out<'_>) -> fmt::Result {
        out.describe("build", "The version that runs.", None, MetricType::Info)?
            .encode_info(&[("version", env!("CARGO_PKG_VERSION"))])?;
        let uptime = self.uptime.as_secs_f64();
        out.gauge(
            "uptime",
            "Time since the start.",
            Some(&Unit::Seconds),
            &uptime,
        )
    }

    fn encode_sessions(&self, out: &mut Out<'_>) -> fmt::Result {
        out.gauges(
            "connections",
            "Live connections.",
            None,
            "transport",
            [
                ("sse", self.connections_sse),
                ("websocket", self.connections_websocket),
            ],
        )?;
        let help = "Sessions whose client is away and may resume.";
        out.gauge("sessions_away", help, None, &self.sessions_away)?;
        let help = "Attempts to resume a session.";
        out.counter("resumes_attempted", help, self.resumes_attempted)?;
        let help = "Sessions resumed.";
        out.counter("resumes_succeeded", help, self.resumes_succeeded)
    }

    fn encode_messages(&self, out: &mut Out<'_>) -> fmt::Result {
        let published = self.published.iter();
        out.counters(
            "messages_published",
            "Messages published.",
            "priority",
            published.map(|(priority, n)| (priority.as_str(), *n)),
        )?;
        let help = "Messages delivered, each connection counted.";
        out.deliveries("messages_delivered", help, &self.delivered)?;
        let dropped = self.dropped.iter();
        out.counters(
            "messages_dropped",
            "Messages dropped from backlogs.",
            "priority",
            dropped.map(|(priority, n)| (priority.as_str(), *n)),
        )?;
        let help = "Messages waiting for their clients.";
        out.gauge("backlog_messages", help, None, &self.backlog_messages)?;
        let help = "Size of the messages kept for replays.";
        out.gauge("history", help, Some(&Unit::Bytes), &self.history_bytes)?;
        let help = "Messages waiting in the mailbox of the hub.";
        out.gauge(
            "hub_mailbox_messages",
            help,
            None,
            &self.hub_mailbox_messages,
        )?;
        let help = "How long a message takes at the moment from the hub to its connections.";
        let lag = self.delivery_lag.as_secs_f64();
        out.gauge("delivery_lag", help, Some(&Unit::Seconds), &lag)?;
        self.encode_latency(out)
    }

    fn encode_latency(&self, out: &mut Out<'_>) -> fmt::Result {
        let latency = &self.delivery_latency;
        let help = "Time from publishing a message to handing it to a connection.";
        let bounds = BOUNDS.into_iter().chain([f64::INFINITY]);
        let at_most = latency.at_most.into_iter().chain([latency.count]);
        let mut below = 0;
        let buckets: Vec<(f64, u64)> = bounds
            .zip(at_most)
            .map(|(bound, n)| (bound, n.saturating_sub(std::mem::replace(&mut below, n))))
            .collect();
        out.describe(
            "delivery_latency",
            help,
            Some(&Unit::Seconds),
            MetricType::Histogram,
        )?
        .encode_histogram::<NoLabelSet>(
            latency.sum_seconds,
            latency.count,
            &buckets,
            None,
        )
    }

    fn encode_refusals(&self, out: &mut Out<'_>) -> fmt::Result {
        let totals = &self.totals;
        out.counters(
            "rate_limited",
            "Requests, connections and messages turned away for being too many.",
            "kind",
            [
                ("ip", totals[Counter::RateLimitedIp]),
                ("user", totals[Counter::RateLimitedUser]),
                ("websocket", totals[Counter::RateLimitedWebsocket]),
                ("connection_limit", totals[Counter::ConnectionLimit]),
            ],
        )?;
        let help = "Requests without a valid token.";
        out.counter("unauthenticated", help, totals[Counter::Unauthenticated])?;
        let help = "Requests with a valid token that permits less.";
        out.counter("forbidden", help, totals[Counter::Forbidden])?;
        let help = "Panics while answering a request.";
        out.counter("handler_panics", help, totals[Counter::HandlerPanic])
    }

    fn encode_tls(&self, out: &mut Out<'_>) -> fmt::Result {
        let Some(tls) = &self.tls else {
            return Ok(());
        };
        let help = "When the certificate of the hub expires, since the Unix epoch.";
        let (name, unit) = ("tls_certificate_not_after_timestamp", Some(&Unit::Seconds));
        out.gauge(name, help, unit, &tls.not_after_seconds)?;
        let help = "Handshakes of TLS that began and came to no good end.";
        out.counter("tls_handshake_failures", help, tls.handshake_failures)
    }

    fn encode_audit(&self, out: &mut Out<'_>) -> fmt::Result {
        let help = "Lines written to the audit trail.";
        out.counter("audit_events_written", help, self.audit.written)?;
        let help = "Events missing from the audit trail.";
        out.counter("audit_events_lost", help, self.audit.lost)?;
        let help = "Failed attempts to write the audit trail.";
        out.counter("audit_write_errors", help, self.audit.errors)
    }

    fn encode_redis(&self, out: &mut Out<'_>) -> fmt::Result {
        let Some(redis) = &self.redis else {
            return Ok(());
        };
        let help = "1 while there is a connection to the log that hubs share.";
        out.gauge("redis_up", help, None, &u64::from(redis.is_up))?;
        let help = "How far this hub is behind the shared log.";
        let seconds = redis.lag.as_secs_f64();
        out.gauge("redis_lag", help, Some(&Unit::Seconds), &seconds)?;
        let help = "Messages of the shared log that this hub has yet to read.";
        out.gauge("redis_behind_messages", help, None, &redis.behind)?;
        let help = "Batches of messages that this hub appended to the shared log.";
        out.counter("redis_batches", help, redis.batches)?;
        let help = "Calls in which they were appended, several in one.";
        out.counter("redis_calls", help, redis.calls)?;
        let help = "Calls that failed; publishers were told.";
        out.counter("redis_failures", help, redis.failures)?;
        let help = "Connections to the shared log that were lost.";
        out.counter("redis_disconnects", help, redis.disconnects)?;
        let help = "How often the shared log was another one than before.";
        out.counter("redis_epochs", help, redis.epochs)
    }

    fn encode_scribe(&self, out: &mut Out<'_>) -> fmt::Result {
        let Some(scribe) = &self.scribe else {
            return Ok(());
        };
        let help = "1 while this is the hub that writes the shared log into the database.";
        out.gauge("scribe_writing", help, None, &u64::from(scribe.is_writing))?;
        let help = "1 while the last attempt to write into the database has failed.";
        out.gauge("scribe_failed", help, None, &u64::from(scribe.has_failed))?;
        let help = "Entries of the shared log that this hub wrote into the database.";
        out.counter("scribe_entries", help, scribe.entries)?;
        let help = "Times that the shared log no longer had what was to be written next.";
        out.counter("scribe_gaps", help, scribe.gaps)
    }

    fn encode_store(&self, out: &mut Out<'_>) -> fmt::Result {
        let Some(store) = &self.store else {
            return Ok(());
        };
        out.counter("store_commits", "Transactions of the store.", store.commits)?;
        let help = "Batches of messages written to the store, several in a transaction.";
        out.counter("store_batches", help, store.batches)?;
        let help = "Transactions of the store that failed.";
        out.counter("store_failures", help, store.failures)?;
        let help = "Size of what waits to be written to the store.";
        let bytes = Some(&Unit::Bytes);
        out.gauge("store_waiting", help, bytes, &store.waiting_bytes)?;
        let help = "How long something takes at the moment from the hub into the store.";
        let lag = store.lag.as_secs_f64();
        out.gauge("store_lag", help, Some(&Unit::Seconds), &lag)?;
        let help = "Events of the audit trail written to the store.";
        out.counter("store_audit_events_written", help, store.audit_written)?;
        let help = "Events missing from the audit trail in the store.";
        out.counter("store_audit_events_lost", help, store.audit_lost)?;
        let Some(newest) = store.audit_newest else {
            return Ok(());
        };
        let help = "Number of the newest record of the audit trail in the store.";
        out.gauge("store_audit_newest_record", help, None, &newest)
    }
}

#[cfg(test)]
#[path = "prometheus_tests.rs"]
mod tests;
