//! A real Prometheus reads the numbers, and knows what to make of the rules and the dashboard.

use std::path::Path;

use serde_json::{Value, json};

use super::dashboards::DASHBOARD;
use crate::support::eventually;
use crate::support::hub::Hub;
use crate::support::prometheus::Prometheus;
use crate::support::token;

const RULES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/operations/alerts.yml");

#[tokio::test]
async fn prometheus_scrapes_a_hub_and_can_ask_what_the_rules_and_the_dashboard_ask() {
    let hub = Hub::start().await;
    hub.api(&token::admin("ada")).publish("m", json!(1)).await;
    let prometheus = Prometheus::start(hub.address, Path::new(RULES)).await;
    let up = || prometheus.query("up{job=\"statshub\"} == 1");
    eventually("a scrape", async || (up().await.len() == 1).then_some(())).await;
    let targets = prometheus.ask("targets", &[]).await;
    let target = &targets["activeTargets"][0];
    assert_eq!(
        (&target["health"], &target["lastError"]),
        (&json!("up"), &json!(""))
    );

    // That it was read as OpenMetrics: the older format knows no units and no kind "info".
    let metadata = prometheus.ask("targets/metadata", &[]).await;
    let metadata = metadata.as_array().expect("a list");
    for (family, kind, unit) in [
        ("statshub_build", "info", ""),
        (
            "statshub_http_request_duration_seconds",
            "histogram",
            "seconds",
        ),
        ("process_resident_memory_bytes", "gauge", "bytes"),
    ] {
        let found = metadata.iter().find(|it| it["metric"] == family);
        let found = found.unwrap_or_else(|| panic!("no {family} in {metadata:?}"));
        assert_eq!(
            (&found["type"], &found["unit"]),
            (&json!(kind), &json!(unit)),
            "{family}"
        );
    }
    let published = "statshub_http_requests_total{route=~\".*/publish\", status=\"202\"} == 1";
    assert_eq!(prometheus.query(published).await.len(), 1);

    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let targets = panels
        .filter_map(|panel| panel["targets"].as_array())
        .flatten();
    let expressions: Vec<_> = targets
        .map(|it| it["expr"].as_str().expect("a question"))
        .collect();
    assert!(expressions.len() > 40, "{expressions:?}");
    for expression in expressions {
        let expression = expression
            .replace("$job", "statshub")
            .replace("$instance", ".*")
            .replace("$__rate_interval", "1m")
            .replace("$__range", "1h");
        assert!(!expression.contains('$'), "{expression}");
        prometheus.query(&expression).await;
    }

    let rules = eventually("an evaluation of each rule", async || {
        let groups = prometheus.ask("rules", &[]).await;
        let rules = groups["groups"][0]["rules"]
            .as_array()
            .expect("rules")
            .clone();
        rules
            .iter()
            .all(|rule| rule["health"] != "unknown")
            .then_some(rules)
    })
    .await;
    assert!(rules.len() > 20, "{rules:?}");
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
    }
}
