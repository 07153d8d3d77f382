//! From events to what dashboards see.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{COUNT, hub, lines, result_of, sale};
use crate::support::either::Transport;
use crate::support::hub::Hub;
use crate::support::{eventually, token};

#[tokio::test]
async fn events_become_results_that_everybody_gets() {
    let (hub, api) = hub(COUNT).await;
    let ada = token::admin("ada");
    let mut clients = Vec::new();
    for transport in Transport::BOTH {
        clients.push(hub.opened(transport, "?metrics=sales.sum", &ada).await.0);
    }
    let answer = api
        .post("/events", &json!({"events": [sale(1), sale(2)]}))
        .await;
    assert_eq!(
        (answer.status, answer.data()),
        (202, &json!({"accepted": 2}))
    );
    let answer = api.post_text("/events", json!([sale(4)]).to_string()).await;
    assert_eq!(answer.data(), &json!({"accepted": 1}));
    let answer = lines(
        &api,
        &format!("{}\n{}\n", sale(8), json!({"event": "sail"})),
    )
    .await;
    assert_eq!(answer.data(), &json!({"accepted": 2, "unused": 1}));
    for client in &mut clients {
        // Earlier results may have been of a part of them.
        let value = loop {
            let message = client.next().await;
            assert_eq!(message["type"], "metrics_update");
            let value = message["data"]["sales.sum"].clone();
            if value["count"] == 4 {
                break value;
            }
        };
        assert_eq!(value["value"], 15);
        assert_eq!(value["late"], 0);
        let times = ["windowStart", "windowEnd"].map(|name| value[name].as_str().unwrap().len());
        assert_eq!(times, [24, 24], "{value}");
    }
    let health = hub.api(&ada).get("/api/health").await;
    assert_eq!(health.data()["status"], "healthy");
    let checks = &health.data()["checks"];
    assert_eq!(checks["aggregates"][0]["counted"], 4);
    assert_eq!(checks["events"]["events"], 5);
    assert_eq!(checks["events"]["unused"], 1);
}

/// What is published anyway needs nothing sent; what is for one user stays that user's.
#[tokio::test]
async fn messages_of_a_metric_are_summed_up_too() {
    let (hub, api) = hub(COUNT).await;
    for amount in 1..=10 {
        api.publish("sale", json!({"amount": amount})).await;
    }
    let private = json!({"metric": "sale", "data": {"amount": 1000}, "userId": "bob"});
    assert_eq!(api.post("/publish", &private).await.status, 202);
    api.publish("sale", json!({"amount": "no number"})).await;
    api.publish("sale", json!({"amount": 45})).await;
    let value = result_of(&hub, "sales.sum", 11).await;
    assert_eq!(value["value"], 100);
}

#[tokio::test]
async fn groups_quantiles_and_distinct_values_are_told_within_their_bounds() {
    let aggregate = |metric: &str, rest: &str| {
        format!(
            "[[aggregate]]\nmetric = \"{metric}\"\nfrom = \"visit\"\nwindow = \"5m\"\nevery = \"500ms\"\n\
             grace = \"500ms\"\n{rest}\n"
        )
    };
    let config = [
        aggregate("by", "op = \"count\"\nby = [\"/page\"]\ngroups_max = 3"),
        aggregate("p95", "op = \"p95\"\nfield = \"/ms\""),
        aggregate("users", "op = \"distinct\"\nfield = \"/user\""),
    ];
    let (hub, api) = hub(&config.concat()).await;
    let mut body = String::new();
    for n in 0..5000 {
        let page = ["a", "a", "b", "c", "d"][n % 5];
        let visit =
            json!({"event": "visit", "data": {"page": page, "ms": n + 1, "user": n % 2000}});
        writeln!(body, "{visit}").unwrap();
    }
    assert_eq!(lines(&api, &body).await.status, 202);
    let near = |value: &Value, exact: f64, part: f64| {
        let found = value["value"].as_f64().unwrap();
        assert!((found - exact).abs() <= exact * part, "{found} for {exact}");
    };
    near(&result_of(&hub, "p95", 5000).await, 4750.0, 0.0102);
    near(&result_of(&hub, "users", 5000).await, 2000.0, 4.0 * 0.01625);
    let by = result_of(&hub, "by", 5000).await;
    let groups = by["groups"].as_object().unwrap();
    let names: BTreeSet<_> = groups.keys().map(String::as_str).collect();
    assert_eq!(names, BTreeSet::from(["a", "b", "c", "other"]));
    let count = |name: &str| (groups[name]["value"].clone(), groups[name]["count"].clone());
    assert_eq!(count("a"), (json!(2000), json!(2000)));
    assert_eq!(count("other"), (json!(1000), json!(1000)));
    assert_eq!(by["ungrouped"], 1000);
}

#[tokio::test]
async fn what_comes_too_late_or_from_the_future_is_counted_as_that() {
    let (hub, api) = hub(COUNT).await;
    let at =
        |timestamp: &str| json!({"event": "sale", "data": {"amount": 1}, "timestamp": timestamp});
    let events = json!([
        at("2020-01-01T00:00:00Z"),
        at("2100-01-01T00:00:00Z"),
        sale(1)
    ]);
    let answer = api.post_text("/events", events.to_string()).await;
    assert_eq!(answer.data(), &json!({"accepted": 3}));
    result_of(&hub, "sales.sum", 1).await;
    let ada = hub.api(&token::admin("ada"));
    eventually("a result that tells of it", async || {
        let values = ada.get("/metrics").await;
        (values.data()["sales.sum"]["value"]["late"] == 1).then_some(())
    })
    .await;
    let health = ada.get("/api/health").await;
    let check = &health.data()["checks"]["aggregates"][0];
    assert_eq!((&check["late"], &check["ahead"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn a_reload_begins_ends_and_keeps_aggregates() {
    let other = COUNT
        .replace("sales.sum", "sales.many")
        .replace("\"sum\"", "\"count\"");
    let (hub, api) = hub(COUNT).await;
    api.publish("sale", json!({"amount": 5})).await;
    assert_eq!(lines(&api, &sale(7).to_string()).await.status, 202);
    assert_eq!(result_of(&hub, "sales.sum", 2).await["value"], 12);
    hub.reload(&format!("{COUNT}{other}"));
    let line = hub.logged("settings read again").await;
    assert!(line.contains("aggregate"), "{line}");
    // The new one begins with what the log has: the message, and not the event.
    assert_eq!(result_of(&hub, "sales.many", 1).await["value"], 1);
    api.publish("sale", json!({"amount": 1})).await;
    assert_eq!(result_of(&hub, "sales.sum", 3).await["value"], 13);
    assert_eq!(result_of(&hub, "sales.many", 2).await["value"], 2);
    hub.reload("");
    let ada = hub.api(&token::admin("ada"));
    eventually("no aggregates", async || {
        let health = ada.get("/api/health").await;
        (health.data()["checks"]["aggregates"] == json!([])).then_some(())
    })
    .await;
    assert_eq!(lines(&api, &sale(1).to_string()).await.data()["unused"], 1);
}

/// What hubs keep of their windows is nobody's to see.
#[tokio::test]
async fn what_is_kept_of_windows_is_hidden() {
    let (hub, api) = hub(COUNT).await;
    assert_eq!(lines(&api, &sale(1).to_string()).await.status, 202);
    result_of(&hub, "sales.sum", 1).await;
    let ada = hub.api(&token::admin("ada"));
    for path in ["/metrics", "/history?metric=**"] {
        let answer = ada.get(path).await;
        assert!(!answer.data().to_string().contains("aggregate/"), "{path}");
    }
    let name = json!({"metric": "aggregate/sales.sum/alone/0", "data": 1});
    assert_eq!(
        api.post("/publish", &name).await.failure(),
        (400, "invalid_request")
    );
}

#[tokio::test]
async fn a_mistake_in_the_settings_is_told_in_one_line() {
    for (wrong, line) in [
        (
            "every = \"7s\"",
            "aggregate.1.window is \"5m\"; allowed is a whole multiple of aggregate.1.every",
        ),
        (
            "every = 5",
            "aggregate.1.every is 5; allowed is a time such as",
        ),
        (
            "from = \"sales.sum\"",
            "aggregate.1.from is \"sales.sum\"; allowed is another metric",
        ),
        (
            "field = \"amount\"",
            "aggregate.1.field is \"amount\"; allowed is a JSON Pointer",
        ),
        (
            "op = \"median\"",
            "aggregate.1.op is \"median\"; allowed is one of rate, count",
        ),
    ] {
        let key = wrong.split(' ').next().unwrap();
        let lines = COUNT.lines().filter(|line| !line.starts_with(key));
        let config = format!("{}\n{wrong}\n", lines.collect::<Vec<_>>().join("\n"));
        let output = Hub::with().config(&config).arg("check-config").run().await;
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(told.contains(line), "{wrong}: {told}");
    }
}
