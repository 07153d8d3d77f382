//! What the log has: pages, buckets, exports, and what has become of alerts.

mod access;
mod alerts;
mod buckets;
mod exports;
mod pages;
mod parameters;
mod stalled;

use serde_json::{Value, json};

use crate::support::http::Api;
use crate::support::id::Id;

/// Publishes messages in one request; gives their ids.
async fn publish(api: &Api, messages: &[Value]) -> Vec<String> {
    let answer = api.post("/publish", &json!({"messages": messages})).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let ids = answer.data()["messageIds"].as_array().expect("ids");
    ids.iter()
        .map(|id| id.as_str().expect("an id").to_owned())
        .collect()
}

/// The data of `GET history`; `query` without its `?`.
async fn history(api: &Api, query: &str) -> Value {
    let answer = api.get(&format!("/history?{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.data().clone()
}

/// All messages that `query` picks, page by page.
async fn all(api: &Api, query: &str) -> Vec<Value> {
    let mut messages = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = history(api, &format!("{query}{cursor}")).await;
        messages.extend(page["messages"].as_array().expect("messages").clone());
        match page["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return messages,
        }
    }
}

fn ids_of(messages: &[Value]) -> Vec<&str> {
    messages
        .iter()
        .map(|message| message["messageId"].as_str().expect("an id"))
        .collect()
}

/// Milliseconds of an id.
fn millis(id: &str) -> u64 {
    Id::parse(id).expect("an id").parts().0
}
