//! Sessions that go from hub to hub while something else goes wrong.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::faults::{Weather, Wire};
use crate::member;
use crate::redis::Redis;
use crate::support::either::Transport;
use crate::support::http::status_of;
use crate::support::hub::Hub;
use crate::support::message::text;
use crate::support::{eventually, token};

async fn hub(address: SocketAddr, settings: &str) -> Hub {
    let memory = "[store]\ndurability = \"memory\"\n";
    member::start(address, &format!("{memory}{settings}")).await
}

/// Streams, sessions and tickets are forgotten a second after the last that was heard of them.
const FORGETFUL: &str = "[sessions]\ntimeout_ms = 1000\nconnections_per_user_max = 1\n\
                         [realtime]\nheartbeat_interval_ms = 200\n";
/// Long enough for all of them.
const FORGOTTEN: Duration = Duration::from_millis(2500);

#[tokio::test]
async fn an_old_stream_still_has_its_slot() {
    let redis = Redis::start().await;
    let one = hub(redis.address(), FORGETFUL).await;
    let other = hub(redis.address(), FORGETFUL).await;
    let ada = token::admin("ada");
    for transport in Transport::BOTH {
        let (client, notice) = one.opened(transport, "", &ada).await;
        sleep(FORGOTTEN).await;
        let again = other.api(&ada).request(Method::GET, "/stream");
        assert_eq!(status_of(again).await, 429);
        one.lose(client, &notice).await;
    }
}

#[tokio::test]
async fn an_old_ticket_leads_back_to_its_session_at_any_hub() {
    let redis = Redis::start().await;
    let mut one = hub(redis.address(), FORGETFUL).await;
    let other = hub(redis.address(), FORGETFUL).await;
    let api = one.api(&token::admin("ada"));
    let ticket = api.post("/ticket", &json!({})).await.data()["ticket"].clone();
    let path = format!("/stream?metrics=m&ticket={}", text(&ticket));
    let mut client = one.sse_with(&path, &[]).await;
    client.opened().await;
    let last = api.publish("m", json!(0)).await;
    client.next_message("metrics_update").await;
    sleep(FORGOTTEN).await;
    one.crash().await;
    let id = other.api(&token::admin("eve")).publish("m", json!(1)).await;
    let mut again = other.sse_with(&path, &[("Last-Event-ID", &last)]).await;
    assert_eq!(again.opened().await["data"]["resumed"], true);
    assert_eq!(again.next_message("metrics_update").await["messageId"], id);
}

#[tokio::test]
async fn an_opening_whose_answer_was_lost_can_be_tried_again_at_the_same_hub() {
    let redis = Redis::start().await;
    let wire = Wire::to(redis.address()).await;
    let one = hub(redis.address(), "").await;
    let other = hub(wire.address(), "[redis]\ntimeout_ms = 300\n").await;
    let ada = token::admin("ada");
    let (client, notice) = one.opened(Transport::Sse, "?metrics=m", &ada).await;
    one.lose(client, &notice).await;
    let id = one.api(&ada).publish("m", json!(1)).await;
    let reconnect_token = text(&notice["reconnectToken"]);
    let path = format!("/reconnect?token={reconnect_token}");
    wire.set(Weather::LOSE_ANSWERS);
    let refused = status_of(other.api(&ada).request(Method::GET, &path)).await;
    assert_eq!(refused, 503);
    wire.set(Weather::Pass);
    let mut again = eventually("Redis to be there", async || {
        let redis = other.api(&ada).get("/api/health").await;
        let is_there = redis.data()["checks"]["redis"]["ok"] == true;
        is_there.then_some(())?;
        Some(other.resume(Transport::Sse, reconnect_token, &ada).await)
    })
    .await;
    assert_eq!(again.opened().await["data"]["resumed"], true);
    assert_eq!(again.next_message("metrics_update").await["messageId"], id);
}

/// Each has a copy of the other's at the hub where it was before.
#[tokio::test]
async fn when_redis_has_lost_all_streams_stay_where_they_are() {
    let mut redis = Redis::start().await;
    let hubs = [
        hub(redis.address(), "").await,
        hub(redis.address(), "").await,
    ];
    let mut clients = Vec::new();
    for (nth, transport) in Transport::BOTH.into_iter().cycle().take(8).enumerate() {
        let who = token::admin(&format!("user-{nth}"));
        let (before, after) = (&hubs[nth % 2], &hubs[(nth + 1) % 2]);
        let (client, notice) = before.opened(transport, "?metrics=m", &who).await;
        before.lose(client, &notice).await;
        let reconnect_token = text(&notice["reconnectToken"]);
        let mut client = after.resume(transport, reconnect_token, &who).await;
        client.opened().await;
        clients.push(client);
    }
    redis.again_empty().await;
    let ada = token::admin("ada");
    for hub in &hubs {
        eventually("Redis to be there", async || {
            let health = hub.api(&ada).get("/api/health").await;
            (health.data()["checks"]["redis"]["ok"] == true).then_some(())
        })
        .await;
    }
    // By then every hub has written what it has.
    sleep(Duration::from_millis(1500)).await;
    let id = hubs[0].api(&ada).publish("m", json!(1)).await;
    for client in &mut clients {
        let mut kinds = Vec::new();
        let came = loop {
            let message = client.next().await;
            kinds.push(message["type"].clone());
            if message["type"] == "metrics_update" {
                break message;
            }
        };
        assert_eq!(came["messageId"], Value::from(id.as_str()), "{kinds:?}");
        assert!(!kinds.contains(&json!("connection_replaced")), "{kinds:?}");
    }
}

#[tokio::test]
async fn what_is_asked_for_while_a_session_is_nowhere_counts_from_then() {
    let redis = Redis::start().await;
    let mut one = hub(redis.address(), "").await;
    let other = hub(redis.address(), "").await;
    let ada = token::admin("ada");
    for transport in Transport::BOTH {
        let (_client, notice) = one.opened(transport, "?metrics=a", &ada).await;
        let last = other.api(&ada).publish("a", json!(0)).await;
        one.crash().await;
        let api = other.api(&ada);
        api.post("/subscribe", &json!({"metrics": ["b"]})).await;
        let id = api.publish("b", json!(1)).await;
        let reconnect_token = text(&notice["reconnectToken"]);
        let mut again = other
            .resume_after(transport, reconnect_token, &last, &ada)
            .await;
        again.opened().await;
        assert_eq!(again.next_message("metrics_update").await["messageId"], id);
        one = hub(redis.address(), "").await;
    }
}
