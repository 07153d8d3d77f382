//! Rules that are made, changed and tried out while running.

use reqwest::Method;
use serde_json::{Value, json};

use super::{HIGH, admin, alerts_when, stage_when, with};
use crate::support::eventually;
use crate::support::http::{Answer, Api, send};

async fn put(api: &Api, name: &str, rule: &Value) -> Answer {
    send(
        api.request(Method::PUT, &format!("/rules/{name}"))
            .json(rule),
    )
    .await
}

async fn delete(api: &Api, name: &str) -> Answer {
    send(api.request(Method::DELETE, &format!("/rules/{name}"))).await
}

#[tokio::test]
async fn a_rule_is_made_changed_kept_over_a_restart_and_deleted() {
    let mut hub = with(HIGH).start().await;
    let api = admin(&hub).await;
    api.publish("orders.today", json!({"count": 0})).await;
    let rule = json!({"on": "orders.*", "severity": "low", "when": "data.count < 1"});
    let answer = put(&api, "no-orders", &rule).await;
    let made = answer.data();
    assert_eq!(made["source"], "live");
    assert_eq!(made["changedBy"], "ada");
    assert_eq!(made["rule"]["name"], "no-orders");
    assert_eq!(made["rule"]["when"], "data.count < 1");
    // It is asked of what is there already.
    let open = alerts_when(&api, "state=open", 1).await;
    assert_eq!(open[0]["message"], "no-orders on orders.today");

    hub.crash().await;
    let hub = hub.again().await;
    let api = admin(&hub).await;
    stage_when(&api, "no-orders", "firing").await;
    let listed = api.get("/rules").await;
    let rules = listed.data()["rules"].as_array().expect("rules");
    let names = rules
        .iter()
        .map(|it| json!([it["rule"]["name"], it["source"]]));
    let expected = [
        json!(["high_error_rate", "file"]),
        json!(["no-orders", "live"]),
    ];
    assert_eq!(names.collect::<Vec<_>>(), expected);

    let other =
        json!({"on": "orders.*", "severity": "low", "when": "data.count < 0", "message": "none"});
    assert_eq!(put(&api, "no-orders", &other).await.status, 200);
    alerts_when(&api, "state=resolved", 1).await;
    assert_eq!(put(&api, "no-orders", &rule).await.status, 200);
    alerts_when(&api, "state=open", 1).await;
    assert_eq!(delete(&api, "no-orders").await.status, 200);
    alerts_when(&api, "state=resolved", 2).await;
    assert_eq!(
        delete(&api, "no-orders").await.failure(),
        (404, "not_found")
    );
    assert_eq!(
        api.get("/rules/no-orders").await.failure(),
        (404, "not_found")
    );
    eventually("three changes in the audit trail", async || {
        let trail = api.get("/audit?action=set_rule").await;
        (trail.data()["events"].as_array()?.len() == 3).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_wrong_rule_is_refused_with_its_place_and_one_of_the_file_altogether() {
    let hub = with(HIGH).start().await;
    let api = admin(&hub).await;
    let rule = |key: &str, value: Value| {
        let mut rule = json!({"on": "m", "severity": "low", "when": "data > 1"});
        rule[key] = value;
        rule
    };
    for (key, value, details) in [
        (
            "when",
            json!("data >\n  dta"),
            json!({"path": "when", "line": 2, "column": 3}),
        ),
        (
            "message",
            json!("is {data +}"),
            json!({"path": "message", "line": 1, "column": 11}),
        ),
        (
            "keepFiringFor",
            json!("5"),
            json!({"path": "keepFiringFor"}),
        ),
        ("on", json!("a..b"), json!({"path": "on"})),
        ("name", json!("other"), json!({"path": "name"})),
    ] {
        let answer = put(&api, "r", &rule(key, value)).await;
        assert_eq!(answer.failure(), (400, "invalid_request"), "{key}");
        assert_eq!(answer.body["details"], details, "{}", answer.error());
    }
    let unknown = put(&api, "r", &rule("wen", json!("x"))).await;
    assert_eq!(unknown.failure(), (400, "invalid_request"));
    let good = rule("when", json!("data > 2"));
    for answer in [
        put(&api, "high_error_rate", &good).await,
        delete(&api, "high_error_rate").await,
    ] {
        assert_eq!(answer.failure(), (400, "invalid_request"));
        assert!(answer.error().contains("the file"), "{}", answer.error());
    }
    assert_eq!(
        put(&api, "a%20b", &good).await.failure(),
        (400, "invalid_request")
    );
}

#[tokio::test]
async fn a_rule_is_tried_out_and_changes_nothing() {
    let hub = with(HIGH).start().await;
    let api = admin(&hub).await;
    let data = json!({"errorRate": 0.07});
    let tested = api
        .post(
            "/rules/test",
            &json!({"name": "high_error_rate", "data": data}),
        )
        .await;
    let expected = json!({
        "metric": "system", "data": data, "when": {"result": true, "error": null},
        "resolve": {"result": false, "error": null}, "holds": true, "message": "Error rate is 0.07",
        "values": {"data.errorRate": 0.07},
    });
    assert_eq!(*tested.data(), expected);
    let rule = json!({"on": "a.*", "severity": "low", "when": "data.x > 1"});
    let wanted = json!({"rule": rule, "metric": "a.b", "data": {"y": 1}});
    let tested = api.post("/rules/test", &wanted).await;
    assert_eq!(tested.data()["holds"], Value::Null);
    assert!(
        tested.data()["when"]["error"]
            .as_str()
            .is_some_and(|it| it.contains('x'))
    );
    for bad in [
        json!({}),
        json!({"rule": rule}),
        json!({"rule": rule, "metric": "a.b"}),
        json!({"rule": rule, "metric": "a..b", "data": 1}),
        json!({"rule": {"on": "a", "severity": "low", "when": "data >"}, "data": 1}),
        json!({"name": "high_error_rate", "rule": rule, "data": 1}),
    ] {
        let answer = api.post("/rules/test", &bad).await;
        assert_eq!(answer.failure(), (400, "invalid_request"), "{bad}");
    }
    let unknown = api
        .post("/rules/test", &json!({"name": "none", "data": 1}))
        .await;
    assert_eq!(unknown.failure(), (404, "not_found"));
    api.publish("a.b", json!({"x": 2})).await;
    let newest = api
        .post("/rules/test", &json!({"rule": rule, "metric": "a.b"}))
        .await;
    assert_eq!(newest.data()["holds"], true);
    assert_eq!(api.get("/alerts").await.data()["alerts"], json!([]));
}

#[tokio::test]
async fn rules_of_the_file_change_with_a_reload_and_wrong_ones_do_not() {
    let hub = with(HIGH).start().await;
    let api = admin(&hub).await;
    api.publish("system", json!({"errorRate": 0.04})).await;
    let changed = HIGH.replace("> 0.05", "> 0.03");
    let store = "[store]\ndurability = \"process\"\n";
    hub.reload(&format!("{store}{changed}"));
    alerts_when(&api, "state=open", 1).await;
    let wrong = HIGH.replace("> 0.05", "> ");
    hub.reload(&format!("{store}{wrong}"));
    hub.logged("alert.1.when is wrong: line 1, column").await;
    stage_when(&api, "high_error_rate", "firing").await;
    hub.reload(store);
    alerts_when(&api, "state=resolved", 1).await;
    eventually("no rules", async || {
        let health = api.get("/api/health").await;
        (health.data()["checks"]["rules"]["rules"] == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_start_with_a_wrong_rule_is_refused_with_its_place() {
    for (config, says) in [
        (
            HIGH.replace("> 0.05", "> rate"),
            "alert.1.when is wrong: line 1, column 18: there is no \"rate\"",
        ),
        (
            HIGH.replace("{data.", "{dta."),
            "alert.1.message is wrong: line 1, column 16",
        ),
        (
            HIGH.replace("severity = \"critical\"\n", ""),
            "alert.1.severity is missing",
        ),
        (
            format!("{HIGH}{HIGH}"),
            "alert.2.name is \"high_error_rate\"; allowed is each once",
        ),
        (
            format!("{HIGH}for = \"2\""),
            "alert.1.for is \"2\"; allowed is a time with its unit",
        ),
    ] {
        let output = crate::support::hub::Hub::with().config(&config).run().await;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && text.contains(says),
            "{says}: {text}"
        );
    }
}
