//! The numbers of `GET connection-stats` and `GET websocket-stats`.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::openapi::answers::ByPriority;
use crate::domain::hub::{Statistics, TransportStatistics};
use crate::domain::message::UserId;
use crate::hub::{Node, Overview};
use crate::wire::view::by_priority;

/// Both transports together.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConnectionStats {
    /// Streams that are open.
    total_connections: usize,
    /// Those that keep up.
    active_connections: usize,
    #[schema(value_type = BTreeMap<String, usize>)]
    connections_by_user: BTreeMap<UserId, usize>,
    sse: OfTransport,
    websocket: OfTransport,
    /// In all backlogs.
    total_buffered_messages: u64,
    /// Sessions, each with a token.
    reconnect_tokens_count: usize,
    buffer_utilization: BufferUtilization,
    delivery_latency_ms: DeliveryLatency,
    reconnections: Reconnections,
    messages: MessageCounts,
    uptime_seconds: u64,
    /// Of several hubs, each of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<Vec<Node>>,
}

/// One transport.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TransportStats)]
pub(super) struct OfTransport {
    total_connections: usize,
    active_connections: usize,
    #[schema(value_type = BTreeMap<String, usize>)]
    connections_by_user: BTreeMap<UserId, usize>,
}

/// How full the backlogs are, from 0 to 1.
#[derive(Serialize, ToSchema)]
struct BufferUtilization {
    #[schema(minimum = 0)]
    mean: f64,
    #[schema(minimum = 0)]
    max: f64,
}

/// From publishing to the socket, in milliseconds.
#[derive(Serialize, ToSchema)]
struct DeliveryLatency {
    p50: f64,
    p95: f64,
    p99: f64,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Reconnections {
    attempted: u64,
    succeeded: u64,
    /// 1 where nothing was attempted: nothing has failed, and an alarm on a low rate stays quiet.
    success_rate: f64,
}

/// Since the start.
#[derive(Serialize, ToSchema)]
struct MessageCounts {
    published: u64,
    /// Handed to sockets.
    delivered: u64,
    #[schema(value_type = ByPriority)]
    dropped: Map<String, Value>,
}

impl ConnectionStats {
    pub fn of(overview: &Overview) -> Self {
        let statistics = &overview.statistics;
        let Statistics {
            sse,
            websocket,
            tally,
            ..
        } = statistics;
        let (attempted, succeeded) = (tally.resumes_attempted, tally.resumes_succeeded);
        Self {
            total_connections: sse.total + websocket.total,
            active_connections: sse.active + websocket.active,
            connections_by_user: statistics.connections_by_user.clone(),
            sse: OfTransport::of(sse),
            websocket: OfTransport::of(websocket),
            total_buffered_messages: statistics.buffered,
            reconnect_tokens_count: statistics.sessions,
            buffer_utilization: BufferUtilization {
                mean: statistics.utilization_mean,
                max: statistics.utilization_max,
            },
            delivery_latency_ms: DeliveryLatency {
                p50: overview.latency.p50_ms,
                p95: overview.latency.p95_ms,
                p99: overview.latency.p99_ms,
            },
            reconnections: Reconnections {
                attempted,
                succeeded,
                success_rate: success_rate(attempted, succeeded),
            },
            messages: MessageCounts {
                published: tally.published.total(),
                delivered: overview.delivered.total(),
                dropped: by_priority(&tally.dropped),
            },
            uptime_seconds: overview.uptime.as_secs(),
            nodes: None,
        }
    }
}

impl OfTransport {
    fn of(of: &TransportStatistics) -> Self {
        Self {
            total_connections: of.total,
            active_connections: of.active,
            connections_by_user: of.by_user.clone(),
        }
    }
}

fn success_rate(attempted: u64, succeeded: u64) -> f64 {
    match attempted {
        0 => 1.0,
        _ => succeeded as f64 / attempted as f64,
    }
}

/// One transport, and how its connections are.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct WebSocketStats {
    total_connections: usize,
    active_connections: usize,
    #[schema(value_type = BTreeMap<String, usize>)]
    connections_by_user: BTreeMap<UserId, usize>,
    ready_states: ReadyStates,
}

/// Only an accepted upgrade becomes a connection, and one that is gone is none: the hub has nothing
/// to count in the first and the last state, which dashboards expect to see.
#[derive(Serialize, ToSchema)]
struct ReadyStates {
    connecting: usize,
    open: usize,
    closing: usize,
    closed: usize,
}

impl WebSocketStats {
    pub fn of(websocket: &TransportStatistics) -> Self {
        let of = OfTransport::of(websocket);
        Self {
            total_connections: of.total_connections,
            active_connections: of.active_connections,
            connections_by_user: of.connections_by_user,
            ready_states: ReadyStates {
                connecting: 0,
                open: websocket.total,
                closing: websocket.closing,
                closed: 0,
            },
        }
    }
}
