//! `REAL_TIME_*` and `WEBSOCKET_*`. That `REAL_TIME_ENABLED` and `WEBSOCKET_ENABLED` switch off what
//! they say is in the chapter on refusals, and where `WEBSOCKET_PATH` leads in that on endpoints.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::either::Transport;
use crate::support::eventually;
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::raw::RawClient;
use crate::support::token;
use crate::support::websocket::{WsClient, upgrade};

/// A day: nothing that happens by such an interval happens in a test.
const NEVER: &str = "86400000";

#[tokio::test]
async fn real_time_that_is_switched_off_reads_no_sources_either() {
    let config = "[[source]]\nmetric = \"s\"\nkind = \"hub\"\ninterval_ms = 10";
    let hub = Hub::with()
        .env("REAL_TIME_ENABLED", "0")
        .config(config)
        .start()
        .await;
    let ada = hub.api(&token::admin("ada"));
    let info = ada.get("/websocket-info").await;
    assert_eq!(info.data()["enabled"], false);
    let health = ada.get("/api/health").await.data().clone();
    assert_eq!(
        (&health["status"], &health["checks"]["sources"]),
        (&json!("healthy"), &json!([]))
    );
    assert_eq!(ada.get("/metrics").await.data(), &json!({}));
}

#[tokio::test]
async fn the_update_interval_is_that_of_sources_without_one_of_their_own() {
    let config = format!(
        "[[source]]\nmetric = \"often\"\nkind = \"hub\"\n\
         [[source]]\nmetric = \"once\"\nkind = \"hub\"\ninterval_ms = {NEVER}\n"
    );
    let start = Hub::with()
        .env("REAL_TIME_UPDATE_INTERVAL", "20")
        .config(&config);
    let hub = start.start().await;
    let ada = hub.api(&token::admin("ada"));
    let sources = eventually("several reads", async || {
        let health = ada.get("/api/health").await.data().clone();
        let sources = health["checks"]["sources"].clone();
        (sources[0]["polls"].as_u64() >= Some(3)).then_some(sources)
    })
    .await;
    assert_eq!(
        (&sources[0]["metric"], &sources[1]["polls"]),
        (&json!("often"), &json!(1))
    );
}

#[tokio::test]
async fn the_heartbeat_interval_is_that_of_heartbeats_on_every_stream() {
    let hub = Hub::with()
        .env("REAL_TIME_HEARTBEAT_INTERVAL", "30")
        .start()
        .await;
    for transport in Transport::BOTH {
        let mut client = hub.open(transport, "", &token::admin("ada")).await;
        client.opened().await;
        for _ in 0..3 {
            assert_eq!(client.next().await["type"], "heartbeat");
        }
    }
}

#[tokio::test]
async fn the_cleanup_interval_is_that_of_forgetting_idle_metrics() {
    let idle = "[history]\nmetric_idle_timeout_ms = 1";
    let values = async |api: &Api| -> Value { api.get("/metrics").await.data().clone() };
    let hub = async |interval| {
        Hub::with()
            .env("REAL_TIME_CLEANUP_INTERVAL", interval)
            // A session that could be resumed would keep them.
            .env("CONNECTION_TIMEOUT", "1")
            .config(idle)
            .start()
            .await
    };
    let (often, never) = (hub("20").await, hub(NEVER).await);
    let (often, never) = (
        often.api(&token::admin("ada")),
        never.api(&token::admin("ada")),
    );
    for api in [&never, &often] {
        api.publish("m", json!(1)).await;
    }
    eventually("the metric to be forgotten", async || {
        (values(&often).await == json!({})).then_some(())
    })
    .await;
    assert_eq!(values(&never).await["m"]["value"], 1, "which is as old");
}

#[tokio::test]
async fn a_slow_client_gets_its_backlog_when_it_reads_whatever_the_flush_interval() {
    for interval in ["10", NEVER] {
        let queue = "[outgoing]\nqueue_messages_max = 4";
        let start = Hub::with().env("REAL_TIME_BUFFER_FLUSH_INTERVAL", interval);
        let hub = start.config(queue).start().await;
        let api = hub.api(&token::admin("ada"));
        let mut slow = hub.sse_narrow("/stream", &token::admin("ada")).await;
        eventually("the client to lag", async || {
            api.publish("large", json!("x".repeat(60_000))).await;
            let lagging = api.get("/connections?state=lagging").await;
            (lagging.data()["total"] == 1).then_some(())
        })
        .await;
        api.publish("last", json!(1)).await;
        while slow.next_message("metrics_update").await["data"]
            .get("last")
            .is_none()
        {}
    }
}

#[tokio::test]
async fn the_websocket_path_may_be_any_other() {
    let hub = Hub::with()
        .env("WEBSOCKET_PATH", "/live/ws_2.0")
        .start()
        .await;
    let url = format!("ws://{}/live/ws_2.0", hub.address);
    let bearer = format!("Bearer {}", token::admin("ada"));
    let mut client = WsClient::open(&url, &[("authorization", &bearer)])
        .await
        .expect("an upgrade");
    client.opened().await;
    // A browser sends its token as a subprotocol, there too.
    let offered = format!("statshub, bearer.{}", token::admin("ada"));
    let client = WsClient::open(&url, &[("sec-websocket-protocol", &offered)]).await;
    client.expect("an upgrade").opened().await;
    let with_query = format!("{url}?access_token={}", token::admin("ada"));
    WsClient::open(&with_query, &[])
        .await
        .expect("an upgrade")
        .opened()
        .await;
}

#[tokio::test]
async fn the_ping_interval_is_that_of_pings() {
    let hub = Hub::with()
        .env("WEBSOCKET_PING_INTERVAL", "40")
        .start()
        .await;
    let mut client = hub.websocket("", &token::admin("ada")).await;
    client.opened().await;
    // Reading answers them, so that it stays past two intervals.
    for _ in 0..4 {
        let frame = client.next_frame().await;
        assert!(matches!(frame, Some(Message::Ping(_))), "{frame:?}");
    }
}

#[tokio::test]
async fn a_websocket_that_is_silent_for_two_ping_intervals_is_dropped() {
    let hub = Hub::with()
        .env("WEBSOCKET_PING_INTERVAL", "40")
        .start()
        .await;
    let mut client = RawClient::connect(hub.address).await;
    let began = std::time::Instant::now();
    client.send(upgrade(&token::admin("ada"))).await;
    assert_eq!(client.head().await.expect("an answer").status, 101);
    client.read_to_end().await;
    assert!(began.elapsed() >= Duration::from_millis(80), "not before");
}
