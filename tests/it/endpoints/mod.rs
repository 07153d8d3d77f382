//! Chapter 5 of the wire contract: what each endpoint answers, field by field.

mod client_library;
mod connections;
mod console;
mod disconnect;
mod explain;
mod health;
mod polling;
mod publish;
mod statistics;
mod targeted;
mod test_connection;
mod websocket_info;
mod write;

use serde_json::Value;

use crate::support::either::{Client, Transport};
use crate::support::hub::Hub;
use crate::support::message::{assert_is_time, fields};
use crate::support::token;

/// A stream of an admin, past what opens it.
async fn opened(hub: &Hub, transport: Transport, query: &str, user: &str) -> Client {
    opened_with_notice(hub, transport, query, user).await.0
}

/// As [`opened`], with the notice that says which connection and session it is.
async fn opened_with_notice(
    hub: &Hub,
    transport: Transport,
    query: &str,
    user: &str,
) -> (Client, Value) {
    hub.opened(transport, query, &token::admin(user)).await
}

/// Everything that is promised is there; more may be.
fn assert_has(object: &Value, promised: &[&str]) {
    let fields = fields(object);
    let missing: Vec<_> = promised.iter().filter(|it| !fields.contains(it)).collect();
    assert!(missing.is_empty(), "{missing:?} not in {object}");
}
