use serde_json::{Value, json};

use crate::support::either::Transport::Sse;
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::message::assert_is_time;
use crate::support::token;

async fn raised(api: &Api, severity: &str, message: &str) -> String {
    let body = json!({"severity": severity, "message": message, "host": "db1"});
    let answer = api.post("/alerts", &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.data()["messageId"].as_str().unwrap().to_owned()
}

async fn alerts(api: &Api, query: &str) -> Vec<Value> {
    let mut alerts = Vec::new();
    let mut cursor = String::new();
    loop {
        let answer = api.get(&format!("/alerts?{query}{cursor}")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        alerts.extend(answer.data()["alerts"].as_array().unwrap().clone());
        match answer.data()["nextCursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return alerts,
        }
    }
}

async fn post(api: &Api, id: &str, what: &str, body: Value) -> Value {
    let answer = api.post(&format!("/alerts/{id}/{what}"), &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.data().clone()
}

#[tokio::test]
async fn an_alert_is_acknowledged_and_resolved_and_everybody_is_told() {
    let mut hub = Hub::start().await;
    let (ada, bob) = (hub.api(&token::admin("ada")), hub.api(&token::admin("bob")));
    let (mut client, _) = hub.opened(Sse, "?metrics=none", &token::admin("eve")).await;
    let id = raised(&ada, "high", "disk full").await;
    let new = client.next_message("system_alert").await;
    let published = json!({"severity": "high", "message": "disk full", "host": "db1"});
    assert_eq!(new["data"], published, "as dashboards know it");
    assert_eq!(new["messageId"], *id);

    let open = alerts(&ada, "").await;
    assert_eq!(open.len(), 1);
    let expected = json!({
        "severity": "high", "message": "disk full", "host": "db1",
        "alertId": id, "raisedAt": new["timestamp"], "state": "open",
        "acknowledgedBy": null, "acknowledgedAt": null, "acknowledgedNote": null,
        "resolvedBy": null, "resolvedAt": null, "resolvedNote": null,
    });
    assert_eq!(open[0], expected);

    let answer = post(&bob, &id, "acknowledge", json!({"note": "I am\non it"})).await;
    assert_eq!(answer["alert"]["state"], "acknowledged");
    assert_eq!(answer["alert"]["acknowledgedBy"], "bob");
    assert_eq!(answer["alert"]["acknowledgedNote"], "I am\non it");
    assert_is_time(&answer["alert"]["acknowledgedAt"]);
    let told = client.next_message("system_alert").await;
    assert_eq!(told["data"], answer["alert"]);
    assert_eq!(told["messageId"], answer["messageId"]);
    assert_eq!(told["priority"], "critical");

    // Again: nothing changes, and nobody is told.
    let again = post(&ada, &id, "acknowledge", json!({})).await;
    assert_eq!(again["alert"], answer["alert"]);
    assert_eq!(again["messageId"], json!(null));

    hub.crash().await;
    let hub = hub.again().await;
    let (ada, bob) = (hub.api(&token::admin("ada")), hub.api(&token::admin("bob")));
    assert_eq!(
        alerts(&ada, "state=acknowledged").await,
        [answer["alert"].clone()]
    );
    let (mut client, _) = hub.opened(Sse, "", &token::admin("eve")).await;

    let resolved = post(&ada, &id, "resolve", json!({})).await;
    assert_eq!(resolved["alert"]["state"], "resolved");
    assert_eq!(resolved["alert"]["resolvedBy"], "ada");
    assert_eq!(resolved["alert"]["acknowledgedBy"], "bob");
    let told = client.next_message("system_alert").await;
    assert_eq!(told["data"], resolved["alert"]);
    let again = post(&bob, &id, "resolve", json!({"note": "late"})).await;
    assert_eq!(again["alert"], resolved["alert"]);

    let path = format!("/alerts/{id}/acknowledge");
    let answer = bob.post(&path, &json!({})).await;
    assert_eq!(answer.failure(), (400, "invalid_request"));
    assert!(answer.error().contains("resolved"), "{}", answer.error());
    assert_eq!(alerts(&ada, "state=open").await, [""; 0]);
    assert_eq!(
        alerts(&ada, "state=resolved").await,
        [resolved["alert"].clone()]
    );
}

#[tokio::test]
async fn a_body_is_not_needed_and_a_bad_one_is_refused() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let id = raised(&api, "low", "x").await;
    let path = format!("/alerts/{id}/resolve");
    for bad in [
        json!({"note": ""}),
        json!({"note": " "}),
        json!({"note": "x".repeat(1001)}),
        json!({"note": 5}),
        json!({"notes": "x"}),
    ] {
        let answer = api.post(&path, &bad).await;
        assert_eq!(answer.failure(), (400, "invalid_request"), "{bad}");
    }
    for unknown in ["1-0", "x", "9999999999999-0", "%00"] {
        let path = format!("/alerts/{unknown}/acknowledge");
        let answer = api.post(&path, &json!({})).await;
        assert_eq!(answer.failure(), (404, "not_found"), "{unknown}");
    }
    let metric = api.publish("m", json!(1)).await;
    let answer = api
        .post(&format!("/alerts/{metric}/resolve"), &json!({}))
        .await;
    assert_eq!(answer.failure(), (404, "not_found"), "no alert");
    assert_eq!(alerts(&api, "state=open").await.len(), 1);
    let bare = api.request(reqwest::Method::POST, &path);
    assert_eq!(crate::support::http::send(bare).await.status, 200);
    assert_eq!(alerts(&api, "state=open").await, [""; 0]);
}

#[tokio::test]
async fn alerts_are_listed_by_state_and_severity_page_by_page() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let severities = ["low", "medium", "high", "critical"];
    let mut ids = Vec::new();
    for n in 0..24 {
        let id = raised(&api, severities[n % 4], &format!("alert {n}")).await;
        match n / 4 {
            0 | 1 => {}
            2 | 3 => _ = post(&api, &id, "acknowledge", json!({})).await,
            _ => _ = post(&api, &id, "resolve", json!({})).await,
        }
        ids.push(id);
    }
    ids.reverse();
    let states = ["open", "acknowledged", "resolved"];
    for state in [None, Some(0), Some(1), Some(2)] {
        for severity in [None, Some(0), Some(3)] {
            let mut query = "limit=3".to_owned();
            if let Some(state) = state {
                query += &format!("&state={}", states[state]);
            }
            if let Some(severity) = severity {
                query += &format!("&severity={}", severities[severity]);
            }
            let picks = |index: usize| {
                let n = 23 - index;
                state.is_none_or(|it| n / 8 == it) && severity.is_none_or(|it| n % 4 == it)
            };
            let expected: Vec<_> = (0..24).filter(|n| picks(*n)).map(|n| &ids[n]).collect();
            let found = alerts(&api, &query).await;
            let found: Vec<_> = found
                .iter()
                .map(|it| it["alertId"].as_str().unwrap())
                .collect();
            assert_eq!(found, expected, "{query}");
        }
    }
}

#[tokio::test]
async fn a_key_that_was_used_makes_no_second_alert() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let body = json!({"severity": "low", "message": "once"});
    for _ in 0..3 {
        let request = api.request(reqwest::Method::POST, "/alerts").json(&body);
        let request = request.header("idempotency-key", "one");
        assert_eq!(crate::support::http::send(request).await.status, 202);
    }
    assert_eq!(alerts(&api, "").await.len(), 1);
}

#[tokio::test]
async fn fields_of_the_publisher_do_not_hide_what_has_become_of_an_alert() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let body = r#"{"severity":"low","message":"m","state":"resolved","alertId":7,"n":1.50}"#;
    assert_eq!(api.post_text("/alerts", body).await.status, 202);
    let found = alerts(&api, "state=open").await;
    assert_eq!(found[0]["state"], "open");
    assert!(found[0]["alertId"].is_string());
    let request = api.request(reqwest::Method::GET, "/alerts");
    let text = crate::support::http::respond(request).await.text().await;
    let text = text.expect("a body");
    assert!(text.contains(r#""n":1.50"#), "as it was written: {text}");
}

#[tokio::test]
async fn of_those_who_are_first_at_once_one_is() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let id = raised(&api, "critical", "race").await;
    let users: Vec<_> = (0..8)
        .map(|n| hub.api(&token::admin(&format!("user{n}"))))
        .collect();
    let requests = users
        .iter()
        .map(|api| post(api, &id, "acknowledge", json!({})));
    let answers = futures::future::join_all(requests).await;
    let first: Vec<_> = answers
        .iter()
        .filter(|answer| answer["messageId"].is_string())
        .collect();
    assert_eq!(first.len(), 1);
    for answer in &answers {
        assert_eq!(answer["alert"], first[0]["alert"]);
    }
}

#[tokio::test]
async fn a_resolved_alert_goes_by_age_and_an_open_one_stays() {
    let config = "[store.retention]\nage_ms = 1000";
    let hub = Hub::with().config(config).start().await;
    let api = hub.api(&token::admin("ada"));
    let open = raised(&api, "low", "open").await;
    let resolved = raised(&api, "low", "resolved").await;
    post(&api, &resolved, "resolve", json!({})).await;
    crate::support::eventually("the resolved alert to go", async || {
        let left = alerts(&api, "").await;
        (left.len() == 1).then_some(left)
    })
    .await;
    assert_eq!(alerts(&api, "").await[0]["alertId"], *open);
    post(&api, &open, "resolve", json!({})).await;
}
