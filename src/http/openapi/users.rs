//! What a dashboard asks besides its stream.

use serde_json::json;

use super::USERS;
use super::operation::{Described, Draft, Who};
use crate::http::code::Code::ReconnectTokenInvalid;
use crate::http::reload::Nothing;
use crate::http::routes::BASE;
use crate::http::statistics::{ConnectionStats, WebSocketStats};
use crate::http::status::{AllLatest, Chosen, WebSocketInfo};
use crate::http::subscriptions::{Changed, Kind, Named, Tested};
use crate::http::tickets::{Issued, Refreshed, Session};

pub(super) fn operations() -> Vec<Described> {
    let drafts = [credentials(), subscriptions(), status()];
    drafts
        .into_iter()
        .flatten()
        .map(|draft| draft.done(USERS))
        .collect()
}

fn credentials() -> Vec<Draft> {
    let ticket = post("ticket", "ticket", "Get a ticket for a stream's URL")
        .says(
            "A random text that stands for the token, for an EventSource or WebSocket of a browser. A body is not \
             needed; where there is one it is JSON.",
        )
        .optional_body::<Nothing>(json!({}))
        .gives::<Issued>(200, "A ticket.", json!({"ticket": "b1946ac92492d2347c6235b4d2611184", "expiresIn": 30}));
    let refresh = post("refresh", "refresh", "Renew the token of an event stream")
        .says("The stream of that session goes on with the token of this request, which must not expire earlier.")
        .body::<Session>(json!({"reconnectToken": "9f1c2f1e-6f0b-4b8e-9a53-6d7a3c0c8a11"}))
        .gives::<Refreshed>(200, "Renewed.", json!({"expiresAt": "2026-01-31T13:00:00.000Z"}))
        .refuses(&[ReconnectTokenInvalid]);
    vec![ticket, refresh]
}

fn subscriptions() -> Vec<Draft> {
    let changed =
        |message: &str| json!({"message": message, "metrics": ["users.*"], "connections": 2});
    let subscribe = post("subscribe", "subscribe", "Subscribe all of the user's sessions")
        .says("On both transports, or the one session of `reconnectToken` alone. What takes everything is narrowed by its first subscription; later ones add.")
        .body::<Named>(json!({"metrics": ["users.*"]}))
        .gives::<Changed>(200, "Subscribed.", changed("Successfully subscribed to metrics"));
    let unsubscribe = post(
        "unsubscribe",
        "unsubscribe",
        "Unsubscribe all of the user's sessions",
    )
    .says("Likewise. Removing the last pattern leaves no metrics, and not all of them.")
    .body::<Named>(json!({"metrics": ["users.*"]}))
    .gives::<Changed>(
        200,
        "Unsubscribed.",
        changed("Successfully unsubscribed from metrics"),
    );
    let test = post(
        "test-connection",
        "testConnection",
        "Send the user's own connections a test message",
    )
    .optional_body::<Kind>(json!({"connectionType": "sse"}))
    .gives::<Tested>(
        200,
        "Sent, or there was nobody to send it to.",
        json!({"type": "sse", "status": "test_message_sent", "userId": "ada", "connections": 1}),
    );
    vec![subscribe, unsubscribe, test]
}

fn status() -> Vec<Draft> {
    let latest = json!({"orders.today": {
        "value": {"count": 12}, "messageId": "1769860800000-4096", "timestamp": "2026-01-31T12:00:00.000Z",
    }});
    let metrics = get(
        "metrics",
        "latestMetrics",
        "Read the latest value of every metric",
    )
    .says("What a snapshot would show, for clients that poll.")
    .query::<Chosen>()
    .gives::<AllLatest<'_>>(200, "Values by the names of metrics.", latest);
    let info = get(
        "websocket-info",
        "websocketInfo",
        "Ask what the WebSocket offers",
    )
    .gives::<WebSocketInfo<'_>>(
        200,
        "Path and features.",
        json!({
            "enabled": true,
            "endpoint": "/api/admin/analytics/websocket",
            "protocols": ["ws", "wss"],
            "messageTypes": ["subscribe", "unsubscribe", "ping", "refresh"],
            "features": ["Automatic reconnection", "Message buffering"],
        }),
    );
    let transport =
        json!({"totalConnections": 1, "activeConnections": 1, "connectionsByUser": {"ada": 1}});
    let websockets = get(
        "websocket-stats",
        "websocketStats",
        "Count WebSocket connections",
    )
    .gives::<WebSocketStats>(
        200,
        "Counts.",
        json!({
            "totalConnections": 1, "activeConnections": 1, "connectionsByUser": {"ada": 1},
            "readyStates": {"connecting": 0, "open": 1, "closing": 0, "closed": 0},
        }),
    );
    let all = get(
        "connection-stats",
        "connectionStats",
        "Count connections and messages",
    )
    .says("Of both transports together; of several hubs it speaks for all of them.")
    .gives::<ConnectionStats>(
        200,
        "Counts.",
        json!({
            "totalConnections": 2, "activeConnections": 2, "connectionsByUser": {"ada": 2},
            "sse": transport, "websocket": transport,
            "totalBufferedMessages": 0, "reconnectTokensCount": 2,
            "bufferUtilization": {"mean": 0.0, "max": 0.0},
            "deliveryLatencyMs": {"p50": 0.2, "p95": 0.6, "p99": 1.1},
            "reconnections": {"attempted": 1, "succeeded": 1, "successRate": 1.0},
            "messages": {
                "published": 120, "delivered": 240,
                "dropped": {"critical": 0, "high": 0, "normal": 0, "low": 0},
            },
            "uptimeSeconds": 3600,
        }),
    );
    vec![metrics, info, websockets, all]
}

fn get(path: &str, id: &str, summary: &str) -> Draft {
    Draft::get(format!("{BASE}/{path}"), id, summary).by(Who::Admin)
}

fn post(path: &str, id: &str, summary: &str) -> Draft {
    Draft::post(format!("{BASE}/{path}"), id, summary).by(Who::Admin)
}
