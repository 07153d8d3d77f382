//! Seeing and ending what others have open, and who did what.

use serde_json::json;

use super::OPERATORS;
use super::answers::AuditPage;
use super::operation::{Described, Draft, Who};
use crate::http::audit;
use crate::http::explain::{Explained, Question};
use crate::http::operators::{Disconnected, Page, Selector, Sessions};
use crate::http::reload::{Nothing, Reloaded};
use crate::http::routes::BASE;

pub(super) fn operations() -> Vec<Described> {
    let none = json!({"critical": 0, "high": 0, "normal": 0, "low": 0});
    let session = json!({
        "connectionId": "9f1c2f1e-6f0b-4b8e-9a53-6d7a3c0c8a11", "user": "ada", "transport": "sse", "state": "live",
        "since": "2026-01-31T12:00:00.000Z", "remoteAddress": "203.0.113.7", "userAgent": "Mozilla/5.0",
        "subscription": ["users.*"], "backlog": none, "sent": 120, "dropped": none,
        "lastWrite": "2026-01-31T12:05:00.000Z",
    });
    let connections = Draft::get(
        format!("{BASE}/connections"),
        "listConnections",
        "Read every session",
    )
    .says("Those that are away among them, in the order in which they began.")
    .by(Who::Admin)
    .query::<Page>()
    .gives::<Sessions>(
        200,
        "A page of sessions.",
        json!({"connections": [session], "total": 1, "offset": 0, "limit": 100}),
    );
    let disconnect = Draft::post(
        format!("{BASE}/disconnect"),
        "disconnect",
        "End streams and forget their sessions",
    )
    .says("Exactly one of the four says which. A WebSocket is closed with 4403.")
    .by(Who::Admin)
    .body::<Selector>(json!({"userId": "ada"}))
    .gives::<Disconnected>(
        200,
        "How many streams were live.",
        json!({"connections": 2}),
    );
    let explain = Draft::get(
        format!("{BASE}/explain"),
        "explain",
        "Say why a user has a message, or has not",
    )
    .says(
        "Of the recent past, by what the user's sessions at this hub subscribe to now: for when somebody says that \
         an alert has not come.",
    )
    .by(Who::Admin)
    .query::<Question>()
    .gives::<Explained>(
        200,
        "What became of it.",
        json!({
            "messageId": "1769860800000-0", "userId": "ada", "message": "kept", "metric": "orders.today",
            "priority": "high", "sessions": [{
                "connectionId": "9f1c2f1e-6f0b-4b8e-9a53-6d7a3c0c8a11", "transport": "sse", "state": "away",
                "outcome": "waiting",
            }],
        }),
    );
    let event = json!({
        "id": 4711, "time": "2026-01-31T12:00:00.000Z", "actor": "ada", "role": "platform_admin", "action": "connect",
        "target": null, "remote": "203.0.113.7", "outcome": "ok", "requestId": "6d7a3c0c",
        "details": {"transport": "sse"},
    });
    let audit = Draft::get(format!("{BASE}/audit"), "audit", "Read the audit trail, the newest first")
        .says("Only where the hub has a store; else 503. Asking is an event too. Some 20,000 events are looked through for one answer.")
        .by(Who::Admin)
        .query::<audit::Wanted>()
        .gives::<AuditPage>(200, "A page of events.", json!({"events": [event], "nextCursor": "4711"}));
    let reload = Draft::post(
        format!("{BASE}/reload"),
        "reload",
        "Read the settings again",
    )
    .says("As on SIGHUP. With a mistake in them all stays as it was, and the answer, 400, says what is wrong.")
    .by(Who::Admin)
    .optional_body::<Nothing>(json!({}))
    .gives::<Reloaded>(
        200,
        "What has changed, and what waits for a restart.",
        json!({"applied": ["log.filter"], "needsRestart": ["http.workers"]}),
    );
    [connections, disconnect, explain, audit, reload]
        .map(|draft| draft.done(OPERATORS))
        .into()
}
