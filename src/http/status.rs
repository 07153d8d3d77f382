//! What the hub is doing, for those who look: statistics, latest values, what it offers.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::access::Admin;
use super::body::QueryOf;
use super::history::patterns;
use super::reply::{self, Problem};
use super::state::State;
use crate::domain::hub::{Statistics, TransportStatistics};
use crate::hub::Overview;
use crate::telemetry::audit::Action;
use crate::wire::message::timestamp;
use crate::wire::view::by_priority;

/// `GET websocket-info`: fixed but for the two settings.
pub(super) async fn websocket_info(state: web::Data<State>, _: Admin) -> HttpResponse {
    let settings = state.settings.load();
    reply::ok(json!({
        "enabled": settings.websocket.enabled && settings.realtime.enabled,
        "endpoint": settings.websocket.path,
        "protocols": ["ws", "wss"],
        "messageTypes": ["subscribe", "unsubscribe", "ping", "refresh"],
        "features": [
            "Automatic reconnection",
            "Message buffering",
            "Priority-based message handling",
            "Connection health monitoring",
        ],
    }))
}

/// `GET connection-stats`.
pub(super) async fn connections(
    state: web::Data<State>,
    Admin(caller): Admin,
) -> Result<HttpResponse, Problem> {
    let (overview, nodes) = state.hub.overview_of_all().await?;
    let mut stats = connection_stats(&overview);
    if let Some(nodes) = nodes {
        stats["nodes"] = json!(nodes);
    }
    state.audit.record(caller.event(Action::ReadStats));
    Ok(reply::ok(stats))
}

/// `GET websocket-stats`.
pub(super) async fn websockets(
    state: web::Data<State>,
    Admin(caller): Admin,
) -> Result<HttpResponse, Problem> {
    let (overview, _) = state.hub.overview_of_all().await?;
    state.audit.record(caller.event(Action::ReadStats));
    let websocket = &overview.statistics.websocket;
    let mut stats = of_transport(websocket);
    // Only an accepted upgrade becomes a connection, and one that is gone is none: the hub has
    // nothing to count in the first and the last state, which dashboards expect to see.
    stats["readyStates"] = json!({
        "connecting": 0,
        "open": websocket.total,
        "closing": websocket.closing,
        "closed": 0,
    });
    Ok(reply::ok(stats))
}

/// The numbers of `GET connection-stats`, also what a source of kind `hub` reads.
pub fn connection_stats(overview: &Overview) -> Value {
    let Statistics {
        sse,
        websocket,
        tally,
        ..
    } = &overview.statistics;
    let statistics = &overview.statistics;
    let (attempted, succeeded) = (tally.resumes_attempted, tally.resumes_succeeded);
    json!({
        "totalConnections": sse.total + websocket.total,
        "activeConnections": sse.active + websocket.active,
        "connectionsByUser": statistics.connections_by_user,
        "sse": of_transport(sse),
        "websocket": of_transport(websocket),
        "totalBufferedMessages": statistics.buffered,
        "reconnectTokensCount": statistics.sessions,
        "bufferUtilization": {
            "mean": statistics.utilization_mean,
            "max": statistics.utilization_max,
        },
        "deliveryLatencyMs": {
            "p50": overview.latency.p50_ms,
            "p95": overview.latency.p95_ms,
            "p99": overview.latency.p99_ms,
        },
        "reconnections": {
            "attempted": attempted,
            "succeeded": succeeded,
            "successRate": success_rate(attempted, succeeded),
        },
        "messages": {
            "published": tally.published.total(),
            "delivered": overview.delivered.total(),
            "dropped": by_priority(&tally.dropped),
        },
        "uptimeSeconds": overview.uptime.as_secs(),
    })
}

fn of_transport(of: &TransportStatistics) -> Value {
    json!({
        "totalConnections": of.total,
        "activeConnections": of.active,
        "connectionsByUser": of.by_user,
    })
}

/// 1 where nothing was attempted: nothing has failed, and an alarm on a low rate stays quiet.
fn success_rate(attempted: u64, succeeded: u64) -> f64 {
    match attempted {
        0 => 1.0,
        _ => succeeded as f64 / attempted as f64,
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Latest<'a> {
    /// As it was published, byte for byte.
    value: &'a RawValue,
    message_id: String,
    timestamp: String,
}

#[derive(Deserialize)]
pub(super) struct Chosen {
    metrics: Option<String>,
}

/// `GET metrics`: the latest values the caller may see, of all metrics or of those that are named; for
/// clients that poll, or whose subscription has grown.
pub(super) async fn metrics(
    state: web::Data<State>,
    Admin(caller): Admin,
    QueryOf(chosen): QueryOf<Chosen>,
) -> Result<HttpResponse, Problem> {
    let chosen = chosen.metrics.filter(|list| !list.is_empty());
    let patterns = patterns("metrics", chosen.as_deref())?;
    let newest = state.hub.latest(caller.user().clone()).await?;
    state.audit.record(caller.event(Action::ReadMetrics));
    let wanted = |name| patterns.iter().any(|pattern| pattern.matches(name));
    let newest = newest.iter().filter(|(name, _)| wanted(name));
    let latest = newest.map(|(name, message)| {
        let value = serde_json::from_slice(&message.sse[message.value.clone()]);
        let latest = Latest {
            value: value.map_err(Problem::internal)?,
            message_id: message.id.to_string(),
            timestamp: timestamp(message.id.millis()),
        };
        Ok((name.as_str(), latest))
    });
    let latest: BTreeMap<_, _> = latest.collect::<Result<_, Problem>>()?;
    Ok(reply::ok(latest))
}
