use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::support::http::send;
use crate::support::hub::Hub;
use crate::support::token;

const PATHS: [(&str, Method); 7] = [
    ("/history?metric=a", Method::GET),
    ("/history?step=nonsense", Method::GET),
    ("/export", Method::GET),
    ("/alerts", Method::GET),
    ("/audit", Method::GET),
    ("/alerts/1-0/acknowledge", Method::POST),
    ("/alerts/1-0/resolve", Method::POST),
];

#[tokio::test]
async fn only_an_admin_may_ask() {
    let hub = Hub::start().await;
    let guest = token::token("gus", "guest", Duration::from_secs(60));
    for (path, method) in PATHS {
        let check = async |api: crate::support::http::Api, expected| {
            let answer = send(api.request(method.clone(), path).json(&json!({}))).await;
            assert_eq!(answer.failure(), expected, "{path}");
        };
        check(hub.anonymous(), (401, "unauthenticated")).await;
        check(hub.api("no.good.token"), (401, "unauthenticated")).await;
        check(hub.api(&guest), (403, "forbidden")).await;
        // Who publishes need not read.
        check(hub.api(&token::service("job")), (403, "forbidden")).await;
    }
}

#[tokio::test]
async fn a_hub_without_a_store_says_which_setting_history_needs() {
    let config = "[store]\ndurability = \"memory\"";
    let hub = Hub::with().config(config).start().await;
    let api = hub.api(&token::admin("ada"));
    for (path, method) in PATHS {
        let answer = send(api.request(method, path).json(&json!({}))).await;
        assert_eq!(answer.failure(), (503, "unavailable"), "{path}");
        assert!(
            answer.error().contains("store.durability"),
            "{}",
            answer.error()
        );
        assert!(answer.retry_after() > 0);
    }
    let alert = json!({"severity": "low", "message": "still told"});
    assert_eq!(api.post("/alerts", &alert).await.status, 202);
}
