//! `health`: open to all, and more for those who may know.

use std::time::Duration;

use serde_json::Value;

use super::fields;
use crate::support::http::{Api, send};
use crate::support::hub::Hub;
use crate::support::token;

const PATHS: [&str; 5] = [
    "/api/health",
    "/api/health/live",
    "/api/health/ready",
    "/health/live",
    "/health/ready",
];

async fn health(api: &Api, path: &str) -> Value {
    let answer = send(api.request_at(reqwest::Method::GET, path)).await;
    assert_eq!(answer.status, 200, "{path} {answer:?}");
    answer.data().clone()
}

#[tokio::test]
async fn anyone_may_ask_and_learns_no_more_than_needed() {
    let hub = Hub::start().await;
    let guest = token::token("gus", "guest", Duration::from_secs(60));
    for api in [hub.anonymous(), hub.api("no.good.token"), hub.api(&guest)] {
        for path in PATHS {
            let health = health(&api, path).await;
            assert_eq!(
                fields(&health),
                ["status", "uptimeSeconds", "version"],
                "{path}"
            );
            assert_eq!(health["status"], "healthy");
            assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
            assert!(
                health["uptimeSeconds"]
                    .as_f64()
                    .is_some_and(|it| (0.0..60.0).contains(&it))
            );
        }
    }
}

#[tokio::test]
async fn an_admin_also_sees_the_checks() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let health = health(&api, "/api/health").await;
    assert_eq!(
        fields(&health),
        ["checks", "status", "uptimeSeconds", "version"]
    );
    assert!(
        health["checks"].is_object() || health["checks"].is_array(),
        "{health}"
    );
}

#[tokio::test]
async fn no_check_shows_a_secret() {
    let config = "[[source]]\nmetric = \"m\"\nkind = \"http\"\n\
                  url = \"http://user:CANARY@127.0.0.1:9/status?key=CANARY\"\n\
                  headers = { Authorization = \"Bearer CANARY\" }";
    let hub = Hub::with().config(config).start().await;
    let health = health(&hub.api(&token::admin("ada")), "/api/health").await;
    assert!(!health.to_string().contains("CANARY"), "{health}");
    let ended = hub.stop().await;
    assert!(!ended.stderr.contains("CANARY"), "{}", ended.stderr);
}
