//! What operators are shown of a session.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::message::timestamp;
use crate::domain::hub::SessionView;
use crate::domain::message::PerPriority;

/// A session as `GET connections` shows it. Never with its reconnect token, by which it could be taken over.
pub fn session(view: &SessionView) -> Value {
    let session = &view.session;
    let connection = &session.connection;
    let last_write_ms = connection.progress.last_write_ms();
    json!({
        "connectionId": session.connection_id,
        "user": session.user(),
        "transport": session.transport,
        "state": view.delivery,
        "since": timestamp(session.since_ms),
        "remoteAddress": connection.remote,
        "userAgent": connection.user_agent,
        "subscription": session.subscription.selectors(),
        "backlog": by_priority(&view.backlog),
        "sent": session.sent(),
        "dropped": by_priority(&view.dropped),
        "lastWrite": (last_write_ms > 0).then(|| timestamp(last_write_ms)),
    })
}

/// By which sessions are ordered.
pub fn order(view: &SessionView) -> (u64, Uuid) {
    (view.session.since_ms, view.session.connection_id)
}

/// The most important first.
pub fn by_priority(counts: &PerPriority<u64>) -> Map<String, Value> {
    let counts = counts.iter().rev();
    counts
        .map(|(priority, count)| (priority.as_str().to_owned(), json!(count)))
        .collect()
}
