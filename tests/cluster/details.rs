//! What needs no scenario: one thing each.

use serde_json::json;

use crate::redis::Redis;
use crate::support::hub::{Hub, Start};
use crate::support::message::text;
use crate::support::{eventually, token};

fn hub(redis: &Redis, settings: &str) -> Start {
    let url = format!("redis://{}", redis.address());
    Hub::with().env("REDIS_URL", &url).config(settings)
}

#[tokio::test]
async fn that_too_few_replicas_confirm_is_told() {
    let redis = Redis::start().await;
    let settings = "[redis]\nacknowledge = \"replicated\"\ntimeout_ms = 200\n";
    let hub = hub(&redis, settings).start().await;
    let api = hub.api(&token::admin("ada"));
    let health = async || api.get("/api/health").await.data().clone();
    assert_eq!(health().await["status"], "healthy");
    let body = json!({"metric": "m", "data": 1});
    let refused = api.post("/publish", &body).await;
    assert_eq!(refused.failure(), (503, "unavailable"));
    let health_now = health().await;
    assert_eq!(health_now["status"], "degraded");
    let reason = text(&health_now["checks"]["redis"]["lastError"]).to_owned();
    assert!(reason.contains("too few replicas"), "{health_now}");

    let replica = Redis::with().replica_of(redis.address()).start().await;
    eventually("a publish to be confirmed", async || {
        (api.post("/publish", &body).await.status == 202).then_some(())
    })
    .await;
    assert_eq!(health().await["status"], "healthy");
    drop(replica);
}
