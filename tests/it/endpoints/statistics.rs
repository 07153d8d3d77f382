//! `connection-stats` and `websocket-stats`.

use serde_json::{Value, json};

use super::{assert_has, fields, opened, opened_with_notice};
use crate::support::either::Transport::{Sse, WebSocket};
use crate::support::eventually;
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::token;

async fn stats(api: &Api) -> Value {
    api.get("/connection-stats").await.data().clone()
}

/// Statistics as soon as `check` holds of them.
async fn stats_when(api: &Api, what: &str, check: impl Fn(&Value) -> bool) -> Value {
    eventually(what, async || Some(stats(api).await).filter(|it| check(it))).await
}

/// A count, or counts by priority, added up.
fn total(value: &Value) -> u64 {
    match value {
        Value::Object(by_priority) => by_priority.values().map(total).sum(),
        count => count
            .as_u64()
            .unwrap_or_else(|| panic!("no count: {count}")),
    }
}

#[tokio::test]
async fn every_field_is_there_from_the_start() {
    let hub = Hub::start().await;
    let stats = stats(&hub.api(&token::admin("ada"))).await;
    assert_has(
        &stats,
        &[
            "activeConnections",
            "bufferUtilization",
            "connectionsByUser",
            "deliveryLatencyMs",
            "messages",
            "reconnectTokensCount",
            "reconnections",
            "sse",
            "totalBufferedMessages",
            "totalConnections",
            "uptimeSeconds",
            "websocket",
        ],
    );
    let nobody = json!({"totalConnections": 0, "activeConnections": 0, "connectionsByUser": {}});
    assert_eq!((&stats["sse"], &stats["websocket"]), (&nobody, &nobody));
    for field in [
        "totalConnections",
        "activeConnections",
        "totalBufferedMessages",
        "reconnectTokensCount",
    ] {
        assert_eq!(stats[field], 0, "{field}");
    }
    assert_eq!(stats["connectionsByUser"], json!({}));
    assert_has(&stats["bufferUtilization"], &["max", "mean"]);
    assert_has(&stats["deliveryLatencyMs"], &["p50", "p95", "p99"]);
    assert_has(
        &stats["reconnections"],
        &["attempted", "succeeded", "successRate"],
    );
    assert_has(&stats["messages"], &["delivered", "dropped", "published"]);
    assert_eq!(
        fields(&stats["messages"]["dropped"]),
        ["critical", "high", "low", "normal"]
    );
    assert!(
        stats["uptimeSeconds"]
            .as_f64()
            .is_some_and(|it| (0.0..60.0).contains(&it))
    );
}

#[tokio::test]
async fn connections_are_counted_over_both_transports_and_for_each() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("watcher"));
    let _clients = [
        opened(&hub, Sse, "", "ada").await,
        opened(&hub, WebSocket, "", "ada").await,
        opened(&hub, WebSocket, "", "bob").await,
    ];
    let stats = stats(&api).await;
    assert_eq!(stats["totalConnections"], 3);
    assert_eq!(stats["activeConnections"], 3);
    assert_eq!(stats["connectionsByUser"], json!({"ada": 2, "bob": 1}));
    assert_eq!(stats["reconnectTokensCount"], 3);
    assert_eq!(
        stats["sse"],
        json!({"totalConnections": 1, "activeConnections": 1, "connectionsByUser": {"ada": 1}})
    );
    assert_eq!(
        stats["websocket"],
        json!({"totalConnections": 2, "activeConnections": 2, "connectionsByUser": {"ada": 1, "bob": 1}})
    );
}

#[tokio::test]
async fn a_session_that_is_away_is_no_connection_and_has_a_backlog() {
    for transport in [Sse, WebSocket] {
        let hub = Hub::with().env("MAX_BUFFER_SIZE", "10").start().await;
        let api = hub.api(&token::admin("watcher"));
        let _live = opened(&hub, transport, "", "bob").await;
        opened(&hub, transport, "", "ada").await.reset();
        let gone = stats_when(&api, "the connection to end", |it| {
            it["totalConnections"] == 1
        })
        .await;
        assert_eq!(gone["connectionsByUser"], json!({"bob": 1}));
        assert_eq!(gone["reconnectTokensCount"], 2, "its token is kept");
        assert_eq!(gone["totalBufferedMessages"], 0);

        for number in 0..5 {
            api.publish("a", json!(number)).await;
        }
        let stats = stats(&api).await;
        assert_eq!(stats["totalBufferedMessages"], 5);
        assert_eq!(stats["bufferUtilization"]["max"], 0.5);
        assert_eq!(
            stats["bufferUtilization"]["mean"], 0.25,
            "over two sessions"
        );
    }
}

#[tokio::test]
async fn messages_are_counted_when_published_delivered_and_dropped() {
    let hub = Hub::with().env("MAX_BUFFER_SIZE", "2").start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let mut live = opened(&hub, Sse, "", "bob").await;
    let (away, notice) = opened_with_notice(&hub, Sse, "", "ada").await;
    away.reset();
    stats_when(&api, "the connection to end", |it| {
        it["totalConnections"] == 1
    })
    .await;
    for number in 0..5 {
        api.publish("a", json!(number)).await;
    }
    for _ in 0..5 {
        live.next_message("metrics_update").await;
    }
    let reconnect_token = notice["reconnectToken"].as_str().unwrap();
    let mut again = hub.resume(Sse, reconnect_token, &ada).await;
    assert_eq!(again.opened().await["data"]["droppedMessagesCount"], 3);
    let stats = stats_when(&api, "all to be counted", |it| {
        total(&it["messages"]["delivered"]) >= 5
    })
    .await;
    assert_eq!(total(&stats["messages"]["published"]), 5);
    assert_eq!(
        stats["messages"]["dropped"],
        json!({"critical": 0, "high": 0, "normal": 3, "low": 0})
    );
    for percentile in ["p50", "p95", "p99"] {
        assert!(
            stats["deliveryLatencyMs"][percentile]
                .as_f64()
                .is_some_and(|ms| ms >= 0.0)
        );
    }
}

#[tokio::test]
async fn attempts_to_come_back_are_counted_with_those_that_succeed() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    for transport in [Sse, WebSocket] {
        let (client, notice) = opened_with_notice(&hub, transport, "", "ada").await;
        client.reset();
        let reconnect_token = notice["reconnectToken"].as_str().unwrap();
        hub.resume(transport, reconnect_token, &ada)
            .await
            .opened()
            .await;
    }
    let before = stats(&api).await;
    assert_eq!(
        before["reconnections"],
        json!({"attempted": 2, "succeeded": 2, "successRate": 1.0})
    );
    let unknown = "6b1f3c52-5d0e-4f0a-9c55-0d7f3f6c1a11";
    for _ in 0..2 {
        let answer = api.get(&format!("/reconnect?token={unknown}")).await;
        assert_eq!(answer.status, 410);
    }
    let after = stats(&api).await;
    assert_eq!(
        after["reconnections"],
        json!({"attempted": 4, "succeeded": 2, "successRate": 0.5})
    );
}

#[tokio::test]
async fn no_statistic_shows_a_reconnect_token() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let (_client, notice) = opened_with_notice(&hub, Sse, "", "ada").await;
    let reconnect_token = notice["reconnectToken"].as_str().unwrap();
    for path in ["/connection-stats", "/websocket-stats", "/connections"] {
        let shown = api.get(path).await.body.to_string();
        assert!(!shown.contains(reconnect_token), "{path}: {shown}");
    }
}

#[tokio::test]
async fn websocket_connections_have_statistics_of_their_own() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("watcher"));
    let none = json!({
        "totalConnections": 0, "activeConnections": 0, "connectionsByUser": {},
        "readyStates": {"connecting": 0, "open": 0, "closing": 0, "closed": 0},
    });
    assert_eq!(api.get("/websocket-stats").await.data(), &none);
    let _clients = [
        opened(&hub, Sse, "", "ada").await,
        opened(&hub, WebSocket, "", "ada").await,
        opened(&hub, WebSocket, "", "bob").await,
    ];
    let stats = api.get("/websocket-stats").await.data().clone();
    assert_eq!(fields(&stats), fields(&none));
    assert_eq!(stats["totalConnections"], 2);
    assert_eq!(stats["activeConnections"], 2);
    assert_eq!(stats["connectionsByUser"], json!({"ada": 1, "bob": 1}));
    assert_eq!(
        fields(&stats["readyStates"]),
        ["closed", "closing", "connecting", "open"]
    );
    assert_eq!(stats["readyStates"]["open"], 2);
}
