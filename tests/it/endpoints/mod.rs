//! Chapter 5 of the wire contract: what each endpoint answers, field by field.

mod connections;
mod disconnect;
mod health;
mod page;
mod publish;
mod statistics;
mod targeted;
mod test_connection;
mod websocket_info;

use serde_json::Value;

use crate::support::either::{Client, Transport};
use crate::support::hub::Hub;
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
    let mut client = hub.open(transport, query, &token::admin(user)).await;
    let notice = client.opened().await;
    (client, notice["data"].clone())
}

/// The names of an object's fields, in the alphabet's order.
fn fields(object: &Value) -> Vec<&str> {
    let fields = object
        .as_object()
        .unwrap_or_else(|| panic!("no object: {object}"));
    let mut fields: Vec<&str> = fields.keys().map(String::as_str).collect();
    fields.sort_unstable();
    fields
}

/// Everything that is promised is there; more may be.
fn assert_has(object: &Value, promised: &[&str]) {
    let fields = fields(object);
    let missing: Vec<_> = promised.iter().filter(|it| !fields.contains(it)).collect();
    assert!(missing.is_empty(), "{missing:?} not in {object}");
}

fn assert_is_time(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    assert!(
        text.parse::<jiff::Timestamp>().is_ok() && text.ends_with('Z'),
        "{text}"
    );
    assert_eq!(
        text.len(),
        "2026-01-01T00:00:00.000Z".len(),
        "in milliseconds: {text}"
    );
}
