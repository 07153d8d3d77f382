//! 429 and 503, with the time after which to come back.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::either::Transport;
use crate::support::eventually;
use crate::support::http::{Answer, Api, send, status_of};
use crate::support::hub::Hub;
use crate::support::token;

/// What a stream of each transport is refused with.
async fn refusals(api: &Api) -> [Answer; 2] {
    [api.get("/stream").await, send(api.upgrade("")).await]
}

/// Attack: more connections than allowed.
#[tokio::test]
async fn one_connection_too_many_is_refused_by_either_transport() {
    for open in Transport::BOTH {
        let hub = Hub::with()
            .env("MAX_CONNECTIONS_PER_USER", "2")
            .start()
            .await;
        let ada = token::admin("ada");
        let mut first = hub.open(Transport::Sse, "", &ada).await;
        first.opened().await;
        let mut second = hub.open(open, "", &ada).await;
        second.opened().await;
        for answer in refusals(&hub.api(&ada)).await {
            assert_eq!(answer.failure(), (429, "connection_limit"));
            assert!(answer.retry_after() >= 1);
        }
        // Another user has a limit of his own, and a place that becomes free is free.
        hub.open(open, "", &token::admin("bob"))
            .await
            .opened()
            .await;
        first.reset();
        eventually("the freed place", || async {
            let request = hub.api(&ada).request(Method::GET, "/stream");
            (status_of(request).await == 200).then_some(())
        })
        .await;
    }
}

/// Attack: a flood of requests by one user or address.
#[tokio::test]
async fn too_many_requests_of_a_user_are_refused_for_a_while() {
    let config = "[limits]\nper_user_per_second = 1\nper_user_burst = 3";
    let hub = Hub::with().config(config).start().await;
    let ada = hub.api(&token::admin("ada"));
    let refused = eventually("a refusal", || async {
        let answer = ada.get("/metrics").await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!(refused.failure(), (429, "rate_limited"));
    assert!(refused.retry_after() >= 1);
    let bob = hub.api(&token::admin("bob"));
    assert_eq!(bob.get("/metrics").await.status, 200, "his own limit");
}

/// Attack: a flood of requests by one user or address.
#[tokio::test]
async fn too_many_requests_of_an_address_are_refused_before_anyone_looks_who_asks() {
    let config = "[limits]\nper_ip_per_second = 1\nper_ip_burst = 3";
    let hub = Hub::with().config(config).start().await;
    let refused = eventually("a refusal", || async {
        let answer = hub.anonymous().get("/metrics").await;
        (answer.status != 401).then_some(answer)
    })
    .await;
    assert_eq!(refused.failure(), (429, "rate_limited"));
    assert!(refused.retry_after() >= 1);
}

/// Attack: metrics without number (cardinality).
#[tokio::test]
async fn one_metric_too_many_is_refused() {
    let hub = Hub::with()
        .config("[history]\nmetrics_max = 2")
        .start()
        .await;
    let api = hub.api(&token::admin("ada"));
    api.publish("a", json!(1)).await;
    api.publish("b", json!(1)).await;
    let answer = api
        .post("/publish", &json!({"metric": "c", "data": 1}))
        .await;
    assert_eq!(answer.failure(), (429, "rate_limited"));
    assert!(answer.retry_after() >= 1);
    api.publish("a", json!(2)).await;
}

#[tokio::test]
async fn without_real_time_every_stream_and_publish_is_unavailable() {
    let hub = Hub::with().env("REAL_TIME_ENABLED", "false").start().await;
    let api = hub.api(&token::admin("ada"));
    let unknown = "/reconnect?token=6b1f3c52-5d0e-4f0a-9c55-0d7f3f6c1a11";
    for answer in [
        api.get("/stream").await,
        api.get(unknown).await,
        send(api.upgrade("")).await,
        api.post("/publish", &json!({"metric": "m", "data": 1}))
            .await,
        api.post("/alerts", &json!({"severity": "low", "message": "m"}))
            .await,
    ] {
        assert_eq!(answer.failure(), (503, "unavailable"));
        assert!(answer.retry_after() >= 1);
    }
    assert_eq!(hub.anonymous().get("/api/health").await.status, 200);
    assert_eq!(hub.anonymous().get("/stream").await.status, 401);
}

#[tokio::test]
async fn without_websocket_its_upgrades_alone_are_unavailable() {
    let hub = Hub::with().env("WEBSOCKET_ENABLED", "false").start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let answer = send(api.upgrade("")).await;
    assert_eq!(answer.failure(), (503, "unavailable"));
    assert!(answer.retry_after() >= 1);
    let info = api.get("/websocket-info").await;
    assert_eq!(info.data()["enabled"], false);
    hub.sse("/stream", &ada).await.opened().await;
    api.publish("m", json!(1)).await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_waited_for_so_long_and_no_longer() {
    use crate::support::raw::RawClient;
    let hub = Hub::with()
        .config("[http]\nbody_timeout_ms = 100")
        .start()
        .await;
    let mut client = RawClient::connect(hub.address).await;
    let ada = token::admin("ada");
    let head = format!(
        "POST /api/admin/analytics/publish HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {ada}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    let began = std::time::Instant::now();
    client.send(head).await;
    assert_eq!(client.head().await.expect("an answer").status, 408);
    assert!(began.elapsed() >= Duration::from_millis(100));
}
