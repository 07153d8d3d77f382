//! What the hub is doing, for those who look: statistics, latest values, what it offers.

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::access::Admin;
use super::body::QueryOf;
use super::history::patterns;
use super::openapi::schemas;
use super::reply::{self, Problem};
use super::state::State;
use super::statistics::{ConnectionStats, WebSocketStats};
use crate::hub::Overview;
use crate::telemetry::audit::Action;
use crate::wire::message::timestamp;

/// What the WebSocket offers.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WebSocketInfo<'a> {
    enabled: bool,
    /// Its path.
    endpoint: &'a str,
    protocols: &'static [&'static str],
    /// What a client may say.
    message_types: &'static [&'static str],
    features: &'static [&'static str],
}

/// `GET websocket-info`: fixed but for the two settings.
pub(super) async fn websocket_info(state: web::Data<State>, _: Admin) -> HttpResponse {
    let settings = state.settings.load();
    reply::ok(WebSocketInfo {
        enabled: settings.websocket.enabled && settings.realtime.enabled,
        endpoint: &settings.websocket.path,
        protocols: &["ws", "wss"],
        message_types: &["subscribe", "unsubscribe", "ping", "refresh"],
        features: &[
            "Automatic reconnection",
            "Message buffering",
            "Priority-based message handling",
            "Connection health monitoring",
        ],
    })
}

/// `GET connection-stats`.
pub(super) async fn connections(
    state: web::Data<State>,
    Admin(caller): Admin,
) -> Result<HttpResponse, Problem> {
    let (overview, nodes) = state.hub.overview_of_all().await?;
    let mut stats = ConnectionStats::of(&overview);
    stats.nodes = nodes;
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
    let stats = WebSocketStats::of(&overview.statistics.websocket);
    Ok(reply::ok(stats))
}

/// The numbers of `GET connection-stats`, also what a source of kind `hub` reads.
pub fn connection_stats(overview: &Overview) -> Value {
    json!(ConnectionStats::of(overview))
}

/// The latest value of a metric.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LatestValue)]
struct Latest<'a> {
    /// As it was published, byte for byte.
    #[schema(schema_with = schemas::any)]
    value: &'a RawValue,
    #[schema(schema_with = schemas::message_id)]
    message_id: String,
    #[schema(schema_with = schemas::time)]
    timestamp: String,
    /// There where the metric has not been updated for longer than it may be.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    stale: bool,
}

/// By the name of the metric.
#[derive(Serialize, ToSchema)]
#[schema(as = LatestValues)]
pub(super) struct AllLatest<'a>(BTreeMap<&'a str, Latest<'a>>);

#[derive(Deserialize, IntoParams)]
pub(super) struct Chosen {
    #[param(schema_with = schemas::optional_pattern_list)]
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
    let newest = newest.iter().filter(|newest| wanted(&newest.metric));
    let latest = newest.map(|newest| {
        let message = &newest.message;
        let value = serde_json::from_slice(&message.sse[message.value.clone()]);
        let latest = Latest {
            value: value.map_err(Problem::internal)?,
            message_id: message.id.to_string(),
            timestamp: timestamp(message.id.millis()),
            stale: newest.is_stale,
        };
        Ok((newest.metric.as_str(), latest))
    });
    let latest: BTreeMap<_, _> = latest.collect::<Result<_, Problem>>()?;
    Ok(reply::ok(AllLatest(latest)))
}
