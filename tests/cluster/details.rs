//! What needs no scenario: one thing each.

use std::fs;
use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::member;
use crate::redis::Redis;
use crate::support::either::{Client, Transport};
use crate::support::message::text;
use crate::support::{eventually, token};

/// The first heartbeat, with which all positions are written, is half a minute away.
#[tokio::test]
async fn another_hub_soon_knows_what_a_new_stream_was_sent() {
    let redis = Redis::start().await;
    let (one, other) = (
        member::start(redis.address(), "").await,
        member::start(redis.address(), "").await,
    );
    let ada = token::admin("ada");
    for transport in Transport::BOTH {
        let (client, notice) = one.opened(transport, "?metrics=m", &ada).await;
        // The client could be there for any time: what the hub does after a second is no answer to anything.
        sleep(Duration::from_secs(2)).await;
        other.api(&ada).publish("m", json!(1)).await;
        let reconnect_token = text(&notice["reconnectToken"]);
        let mut again = other.resume(transport, reconnect_token, &ada).await;
        let notice = again.opened().await;
        assert_eq!(notice["data"]["resumed"], true, "{notice}");
        let message = again.next_message("metrics_update").await;
        assert_eq!(message["data"]["m"], 1);
        client.reset();
    }
}

#[tokio::test]
async fn any_hub_explains_what_the_sessions_of_all_got() {
    let redis = Redis::start().await;
    let (one, other) = (
        member::start(redis.address(), "").await,
        member::start(redis.address(), "").await,
    );
    let (ada, bob) = (token::admin("ada"), token::admin("bob"));
    let mut clients = Vec::new();
    for (hub, query) in [(&one, "?metrics=m"), (&other, "?metrics=n")] {
        clients.push(hub.opened(Transport::Sse, query, &bob).await.0);
    }
    let id = one.api(&ada).publish("m", json!(1)).await;
    clients[0].next_message("metrics_update").await;
    for hub in [&one, &other] {
        let path = format!("/explain?messageId={id}&userId=bob");
        let answer = hub.api(&ada).get(&path).await;
        let sessions = answer.data()["sessions"].as_array().expect("a list");
        let mut outcomes: Vec<_> = sessions.iter().map(|it| text(&it["outcome"])).collect();
        outcomes.sort_unstable();
        assert_eq!(outcomes, ["delivered", "filtered"]);
        assert_ne!(sessions[0]["node"], sessions[1]["node"]);
    }
    clients.into_iter().for_each(Client::reset);
}

#[tokio::test]
async fn that_too_few_replicas_confirm_is_told() {
    let redis = Redis::start().await;
    let settings = "[redis]\nacknowledge = \"replicated\"\ntimeout_ms = 200\n";
    let hub = member::start(redis.address(), settings).await;
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

/// Failure: Redis has a disk that is full, or may not be written, and takes nothing that it could not save.
#[tokio::test]
async fn a_redis_that_cannot_save_is_told_and_made_right_while_running() {
    let redis = Redis::start().await;
    let hub = member::start(redis.address(), "").await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let (mut client, _) = hub.opened(Transport::Sse, "?metrics=m", &ada).await;
    api.publish("m", json!(1)).await;
    assert_eq!(client.next_message("metrics_update").await["data"]["m"], 1);

    // Nobody, not even root, puts a file in the place of a folder that has something in it.
    let dump = redis.path().join("dump.rdb");
    fs::create_dir_all(dump.join("full")).expect("a folder");
    redis.ask(&["CONFIG", "SET", "save", "3600 1"]).await;
    let saved = async |wanted: &str| {
        redis.ask(&["BGSAVE"]).await;
        eventually(wanted, async || {
            let status = redis.info("rdb_last_bgsave_status").await?;
            (status == wanted).then_some(())
        })
        .await;
    };
    saved("err").await;
    let body = json!({"metric": "m", "data": 2});
    let refused = api.post("/publish", &body).await;
    assert_eq!(refused.failure(), (503, "unavailable"));
    let health = api.get("/api/health").await.data().clone();
    assert_eq!(health["status"], "degraded", "{health}");
    let reason = text(&health["checks"]["redis"]["lastError"]);
    assert!(reason.contains("MISCONF"), "{health}");

    fs::remove_dir_all(&dump).expect("a folder");
    saved("ok").await;
    eventually("a publish to be taken", async || {
        (api.post("/publish", &body).await.status == 202).then_some(())
    })
    .await;
    let message = client.next_message("metrics_update").await;
    assert_eq!(message["data"]["m"], 2, "the stream went on, and once");
    eventually("the hub to be well", async || {
        let health = api.get("/api/health").await;
        (health.data()["status"] == "healthy").then_some(())
    })
    .await;
}

/// Failure: Redis was started again, and reads what it has before it answers.
#[tokio::test]
async fn a_redis_that_is_loading_is_waited_for() {
    let slow = Redis::with()
        .set("enable-debug-command yes")
        .set("key-load-delay 20000")
        .set("loading-process-events-interval-bytes 1024");
    let mut redis = slow.start().await;
    let hub = member::start(redis.address(), "").await;
    let api = hub.api(&token::admin("ada"));
    api.publish("m", json!(1)).await;
    // A key takes 20 ms to be read, and Redis answers somebody after each.
    for key in 0..100 {
        let value = format!("{key:02}").repeat(1024);
        redis.ask(&["SET", &format!("key-{key}"), &value]).await;
    }
    redis.ask(&["SAVE"]).await;
    let watched = async {
        eventually("the hub to be told", async || {
            let health = api.get("/api/health").await.data().clone();
            let reason = health["checks"]["redis"]["lastError"].as_str()?.to_owned();
            reason.to_lowercase().contains("loading").then_some(())
        })
        .await;
        let refused = api
            .post("/publish", &json!({"metric": "m", "data": 2}))
            .await;
        assert_eq!(refused.failure(), (503, "unavailable"));
    };
    futures::join!(redis.again(), watched);
    eventually("a publish to be taken", async || {
        let body = json!({"metric": "m", "data": 3});
        (api.post("/publish", &body).await.status == 202).then_some(())
    })
    .await;
}
