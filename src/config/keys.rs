//! Every setting outside the keys, metrics and sources: one line each, with its key, what is
//! allowed, and where it goes. The order is that of `config.toml`.

use super::kinds::{Choice, Flag, List, Maybe, Millis, Number, Visitor};
use super::secrets;
use super::texts::{file, host, listen_address, network, origin, websocket_path, word};
use super::{Auth, Driver, Durability, Http, Outgoing, RealTime, Sessions, Settings};

pub const SECOND: u64 = 1000;
pub const MINUTE: u64 = 60 * SECOND;
pub const HOUR: u64 = 60 * MINUTE;
pub const DAY: u64 = 24 * HOUR;
const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
const GIB: usize = 1024 * MIB;

/// More of anything than one machine holds; above it a digit was typed twice.
const MANY: usize = 10_000_000;
/// The same, of what comes in one second or minute.
pub const RATE_MAX: u32 = 1_000_000;

/// Takes `visitor` to every setting, section by section.
pub fn visit<V: Visitor>(settings: &mut Settings, visitor: &mut V) -> Result<(), V::Error> {
    http(&mut settings.http, visitor)?;
    super::tls::visit(&mut settings.tls, visitor)?;
    realtime(&mut settings.realtime, visitor)?;
    websocket(&mut settings.websocket, visitor)?;
    sessions(&mut settings.sessions, visitor)?;
    history(&mut settings.history, visitor)?;
    store(&mut settings.store, visitor)?;
    super::redis::visit(&mut settings.redis, visitor)?;
    outgoing(&mut settings.outgoing, visitor)?;
    visitor.visit(
        "events.queue_events_max",
        Number(1..=MANY),
        &mut settings.events.queue_events_max,
    )?;
    auth(&mut settings.auth, visitor)?;
    limits(&mut settings.limits, visitor)?;
    super::operations::visit(settings, visitor)
}

fn http<V: Visitor>(http: &mut Http, v: &mut V) -> Result<(), V::Error> {
    v.visit("http.host", host(), &mut http.host)?;
    v.visit("http.port", Number(0..=u16::MAX), &mut http.port)?;
    v.visit(
        "http.health_listen",
        Maybe(listen_address()),
        &mut http.health_listen,
    )?;
    v.visit("http.workers", Number(0..=1024), &mut http.workers)?;
    v.visit("http.sockets_max", Number(1..=MANY), &mut http.sockets_max)?;
    v.visit(
        "http.body_bytes_max",
        Number(KIB..=GIB),
        &mut http.body_bytes_max,
    )?;
    v.visit(
        "http.message_bytes_max",
        Number(16..=GIB),
        &mut http.message_bytes_max,
    )?;
    v.visit(
        "http.query_bytes_max",
        Number(256..=64 * KIB),
        &mut http.query_bytes_max,
    )?;
    v.visit(
        "http.header_timeout_ms",
        Millis(10..=10 * MINUTE),
        &mut http.header_timeout,
    )?;
    v.visit(
        "http.body_timeout_ms",
        Millis(10..=10 * MINUTE),
        &mut http.body_timeout,
    )?;
    v.visit(
        "http.keep_alive_ms",
        Millis(10..=HOUR),
        &mut http.keep_alive,
    )?;
    v.visit(
        "http.drain_timeout_ms",
        Millis(10..=10 * SECOND),
        &mut http.drain_timeout,
    )?;
    v.visit(
        "http.allowed_origins",
        List {
            of: origin(),
            min: 0,
        },
        &mut http.allowed_origins,
    )?;
    v.visit(
        "http.trusted_proxies",
        List {
            of: network(),
            min: 0,
        },
        &mut http.trusted_proxies,
    )
}

fn realtime<V: Visitor>(realtime: &mut RealTime, v: &mut V) -> Result<(), V::Error> {
    let (spread_min, spread_max) = &mut realtime.reconnect_spread;
    v.visit("realtime.enabled", Flag, &mut realtime.enabled)?;
    v.visit(
        "realtime.update_interval_ms",
        Millis(1..=DAY),
        &mut realtime.update_interval,
    )?;
    v.visit(
        "realtime.heartbeat_interval_ms",
        Millis(1..=DAY),
        &mut realtime.heartbeat_interval,
    )?;
    v.visit(
        "realtime.cleanup_interval_ms",
        Millis(1..=DAY),
        &mut realtime.cleanup_interval,
    )?;
    v.visit(
        "realtime.buffer_flush_interval_ms",
        Millis(1..=DAY),
        &mut realtime.buffer_flush_interval,
    )?;
    v.visit(
        "realtime.sse_retry_ms",
        Millis(1..=HOUR),
        &mut realtime.sse_retry,
    )?;
    v.visit(
        "realtime.sse_comment_after_ms",
        Millis(1..=HOUR),
        &mut realtime.sse_comment_after,
    )?;
    v.visit(
        "realtime.reconnect_spread_min_ms",
        Millis(0..=HOUR),
        spread_min,
    )?;
    v.visit(
        "realtime.reconnect_spread_max_ms",
        Millis(0..=HOUR),
        spread_max,
    )
}

fn websocket<V: Visitor>(websocket: &mut super::WebSocket, v: &mut V) -> Result<(), V::Error> {
    v.visit("websocket.enabled", Flag, &mut websocket.enabled)?;
    v.visit("websocket.path", websocket_path(), &mut websocket.path)?;
    v.visit(
        "websocket.ping_interval_ms",
        Millis(1..=DAY),
        &mut websocket.ping_interval,
    )?;
    v.visit(
        "websocket.message_bytes_max",
        Number(KIB..=16 * MIB),
        &mut websocket.message_bytes_max,
    )?;
    v.visit(
        "websocket.fragments_max",
        Number(1..=65_536),
        &mut websocket.fragments_max,
    )?;
    v.visit(
        "websocket.messages_per_second",
        Number(1..=1_000_000),
        &mut websocket.messages_per_second,
    )?;
    v.visit(
        "websocket.message_burst",
        Number(1..=1_000_000),
        &mut websocket.message_burst,
    )
}

fn sessions<V: Visitor>(sessions: &mut Sessions, v: &mut V) -> Result<(), V::Error> {
    v.visit(
        "sessions.connections_per_user_max",
        Number(1..=MANY),
        &mut sessions.connections_per_user_max,
    )?;
    v.visit(
        "sessions.connections_max",
        Number(1..=MANY),
        &mut sessions.connections_max,
    )?;
    v.visit(
        "sessions.backlog_messages_max",
        Number(1..=1_000_000),
        &mut sessions.backlog_messages_max,
    )?;
    v.visit(
        "sessions.timeout_ms",
        Millis(1..=7 * DAY),
        &mut sessions.timeout,
    )?;
    v.visit(
        "sessions.away_max",
        Number(0..=MANY),
        &mut sessions.away_max,
    )
}

fn history<V: Visitor>(history: &mut super::History, v: &mut V) -> Result<(), V::Error> {
    v.visit(
        "history.bytes_max",
        Number(KIB..=1024 * GIB),
        &mut history.bytes_max,
    )?;
    v.visit(
        "history.user_bytes_max",
        Number(KIB..=1024 * GIB),
        &mut history.user_bytes_max,
    )?;
    v.visit(
        "history.user_messages_max",
        Number(1..=MANY),
        &mut history.user_messages_max,
    )?;
    v.visit(
        "history.metrics_max",
        Number(1..=MANY),
        &mut history.metrics_max,
    )?;
    v.visit(
        "history.metric_idle_timeout_ms",
        Millis(1..=365 * DAY),
        &mut history.metric_idle_timeout,
    )?;
    v.visit(
        "history.counted_ids_max",
        Number(0..=10 * MANY),
        &mut history.counted_ids_max,
    )
}

const DURABILITIES: Choice<Durability> = Choice(&[
    ("memory", Durability::Memory),
    ("process", Durability::Process),
    ("power", Durability::Power),
]);

fn store<V: Visitor>(store: &mut super::Store, v: &mut V) -> Result<(), V::Error> {
    v.visit("store.durability", DURABILITIES, &mut store.durability)?;
    v.visit("store.file", file(), &mut store.file)?;
    v.visit("store.url", Maybe(secrets::postgres_url()), &mut store.url)?;
    v.visit(
        "store.key_ttl_ms",
        Millis(SECOND..=365 * DAY),
        &mut store.key_ttl,
    )?;
    let retention = &mut store.retention;
    v.visit(
        "store.retention.age_ms",
        Millis(SECOND..=36_500 * DAY),
        &mut retention.age,
    )?;
    v.visit(
        "store.retention.messages_per_metric_max",
        Number(1..=1_000_000_000_000),
        &mut retention.messages_per_metric_max,
    )?;
    v.visit(
        "store.retention.file_bytes_max",
        Number(1 << 20..=1 << 46),
        &mut retention.file_bytes_max,
    )
}

const DRIVERS: Choice<Driver> = Choice(&[("auto", Driver::Auto), ("body", Driver::Body)]);

fn outgoing<V: Visitor>(outgoing: &mut Outgoing, v: &mut V) -> Result<(), V::Error> {
    v.visit("outgoing.driver", DRIVERS, &mut outgoing.driver)?;
    v.visit("outgoing.gzip", Flag, &mut outgoing.gzip)?;
    v.visit(
        "outgoing.gzip_min_bytes",
        Number(0..=MIB),
        &mut outgoing.gzip_min_bytes,
    )?;
    v.visit(
        "outgoing.queue_messages_max",
        Number(1..=1_000_000),
        &mut outgoing.queue_messages_max,
    )?;
    v.visit(
        "outgoing.queue_bytes_max",
        Number(KIB..=GIB),
        &mut outgoing.queue_bytes_max,
    )?;
    v.visit(
        "outgoing.stall_timeout_ms",
        Millis(10..=HOUR),
        &mut outgoing.stall_timeout,
    )?;
    v.visit(
        "outgoing.notsent_lowat_bytes",
        Number(1024..=16 << 20),
        &mut outgoing.notsent_lowat_bytes,
    )?;
    v.visit(
        "outgoing.tcp_user_timeout_ms",
        Millis(100..=HOUR),
        &mut outgoing.tcp_user_timeout,
    )?;
    // The kernel counts this one in whole seconds, up to 32767 of them.
    v.visit(
        "outgoing.tcp_keepalive_ms",
        Millis(SECOND..=2 * HOUR),
        &mut outgoing.tcp_keepalive,
    )?;
    v.visit(
        "outgoing.worker_backlog_bytes_max",
        Number(KIB..=4 * GIB),
        &mut outgoing.worker_backlog_bytes_max,
    )
}

fn auth<V: Visitor>(auth: &mut Auth, v: &mut V) -> Result<(), V::Error> {
    v.visit(
        "auth.previous_secret_file",
        Maybe(file()),
        &mut auth.previous_secret_file,
    )?;
    v.visit(
        "auth.permitted_roles",
        List { of: word(), min: 1 },
        &mut auth.permitted_roles,
    )?;
    v.visit(
        "auth.publisher_roles",
        List { of: word(), min: 0 },
        &mut auth.publisher_roles,
    )?;
    v.visit(
        "auth.audiences",
        List { of: word(), min: 0 },
        &mut auth.audiences,
    )?;
    v.visit(
        "auth.issuers",
        List { of: word(), min: 0 },
        &mut auth.issuers,
    )?;
    v.visit("auth.leeway_ms", Millis(0..=5 * MINUTE), &mut auth.leeway)?;
    v.visit(
        "auth.token_ttl_max_ms",
        Maybe(Millis(SECOND..=3650 * DAY)),
        &mut auth.token_ttl_max,
    )?;
    v.visit(
        "auth.ticket_ttl_ms",
        Millis(10..=10 * MINUTE),
        &mut auth.ticket_ttl,
    )
}

fn limits<V: Visitor>(limits: &mut super::Limits, v: &mut V) -> Result<(), V::Error> {
    for (key, rate) in [
        ("limits.per_ip_per_second", &mut limits.per_ip_per_second),
        ("limits.per_ip_burst", &mut limits.per_ip_burst),
        (
            "limits.per_user_per_second",
            &mut limits.per_user_per_second,
        ),
        ("limits.per_user_burst", &mut limits.per_user_burst),
        (
            "limits.failed_resumes_per_minute",
            &mut limits.failed_resumes_per_minute,
        ),
    ] {
        v.visit(key, Number(1..=RATE_MAX), rate)?;
    }
    Ok(())
}
