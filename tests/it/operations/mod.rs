//! What whoever runs a hub relies on: how it stops and reloads, what it tells of itself, and what it
//! never tells.

mod audit;
mod health;
mod prometheus;
mod reload;
mod secrets;
mod service;
mod stop;

use serde_json::json;

use crate::support::eventually;
use crate::support::hub::Hub;
use crate::support::sse::SseClient;
use crate::support::token;

/// A stream whose client has stopped reading, with more on the way to it than the network holds.
pub async fn stuck(hub: &Hub, user: &str) -> SseClient {
    let client = hub.sse_narrow("/stream", &token::admin(user)).await;
    let api = hub.api(&token::admin(user));
    let large = json!("x".repeat(60_000));
    let message = json!({"metric": "large", "data": large});
    let batch = json!({"messages": vec![message; 15]});
    eventually("the client to lag", async || {
        assert_eq!(api.post("/publish", &batch).await.status, 202);
        let lagging = api
            .get(&format!("/connections?user={user}&state=lagging"))
            .await;
        (lagging.data()["total"] == 1).then_some(())
    })
    .await;
    client
}
