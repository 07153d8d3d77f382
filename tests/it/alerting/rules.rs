use serde_json::{Value, json};

use super::receiver::{Receiver, SECRET};
use super::{HIGH, admin, alerts, alerts_when, lives_when, stage_when, with};
use crate::support::either::Transport::{Sse, WebSocket};
use crate::support::hub::Hub;
use crate::support::message::assert_is_time;
use crate::support::token;

#[tokio::test]
async fn an_alert_fires_is_acknowledged_and_resolves_itself() {
    let receiver = Receiver::start().await;
    let hook = receiver.hook("events = [\"firing\", \"acknowledged\", \"resolved\"]");
    let hub = with(&format!("{HIGH}{hook}")).start().await;
    let api = admin(&hub).await;
    let (mut sse, _) = hub.opened(Sse, "?metrics=none", &token::admin("eve")).await;
    let (mut websocket, _) = hub.opened(WebSocket, "", &token::admin("bob")).await;

    api.publish("system", json!({"errorRate": 0.04})).await;
    api.publish("system", json!({"errorRate": 0.07})).await;
    let fired = sse.next_message("system_alert").await;
    let (data, id) = (&fired["data"], &fired["messageId"]);
    for (key, value) in [
        ("severity", json!("critical")),
        ("message", json!("Error rate is 0.07")),
        ("alert", json!("high_error_rate")),
        ("metric", json!("system")),
        ("state", json!("firing")),
        ("reason", json!("condition")),
        ("values", json!({"data.errorRate": 0.07})),
        ("value", json!({"errorRate": 0.07})),
    ] {
        assert_eq!(data[key], value, "{key}");
    }
    assert_is_time(&data["startedAt"]);
    assert_eq!(fired["priority"], "critical");
    assert_eq!(websocket.next_message("system_alert").await, fired);
    let open = alerts(&api, "state=open").await;
    assert_eq!(open.len(), 1);
    assert_eq!(open[0]["alertId"], *id);
    assert_eq!(open[0]["alert"], "high_error_rate");
    let life = stage_when(&api, "high_error_rate", "firing").await;
    assert_eq!(life["alertId"], *id);

    // Between the two limits it goes on, and nobody hears of it again.
    api.publish("system", json!({"errorRate": 0.09})).await;
    api.publish("system", json!({"errorRate": 0.04})).await;
    let path = format!("/alerts/{}/acknowledge", id.as_str().expect("an id"));
    let answer = hub.api(&token::admin("bob")).post(&path, &json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = sse.next_message("system_alert").await;
    assert_eq!(told["data"]["state"], "acknowledged");
    let life = stage_when(&api, "high_error_rate", "acknowledged").await;
    assert_eq!(life["acknowledgedBy"], "bob");

    api.publish("system", json!({"errorRate": 0.01})).await;
    let told = sse.next_message("system_alert").await;
    assert_eq!(told["data"]["state"], "resolved");
    assert_eq!(told["data"]["alertId"], *id);
    assert_eq!(told["data"]["resolvedBy"], "rule/high_error_rate");
    assert_eq!(told["data"]["acknowledgedBy"], "bob");
    assert_eq!(told["data"]["startedAt"], data["startedAt"]);
    lives_when(&api, "high_error_rate", <[Value]>::is_empty).await;
    let resolved = alerts(&api, "state=resolved").await;
    assert_eq!(resolved, [told["data"].clone()]);

    let received = receiver.received_when(3).await;
    let kinds: Vec<_> = received.iter().map(|it| &it.body["type"]).collect();
    assert_eq!(
        kinds,
        ["alert.firing", "alert.acknowledged", "alert.resolved"]
    );
    for one in &received {
        assert!(one.is_signed_with(SECRET));
        assert_eq!(one.headers["content-type"], "application/json");
        assert_eq!(one.body["data"]["alertId"], *id);
        assert_eq!(one.body["data"]["message"], "Error rate is 0.07");
        assert_is_time(&one.body["timestamp"]);
    }
    assert_eq!(received[0].body["data"]["state"], "firing");
    assert_eq!(received[1].body["data"]["acknowledgedBy"], "bob");
    assert_eq!(
        received[2].body["data"]["resolvedBy"],
        "rule/high_error_rate"
    );
}

#[tokio::test]
async fn what_stays_away_is_told_and_so_is_its_return() {
    let config = "[[alert]]\nname = \"silent\"\non = \"heart.beat\"\nabsent_for = \"1s\"\nseverity = \"high\"\n";
    let hub = with(config).start().await;
    let api = admin(&hub).await;
    let open = alerts_when(&api, "state=open", 1).await;
    assert_eq!(open[0]["reason"], "absence");
    assert_eq!(open[0]["message"], "silent on heart.beat");
    api.publish("heart.beat", json!(1)).await;
    alerts_when(&api, "state=resolved", 1).await;
    alerts_when(&api, "state=open", 1).await;
}

#[tokio::test]
async fn a_silence_holds_back_and_ends() {
    let hub = with(HIGH).start().await;
    let api = admin(&hub).await;
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    for bad in [
        json!({"until": until.to_string(), "why": "x"}),
        json!({"alert": "a b", "until": until.to_string(), "why": "x"}),
        json!({"metric": "a..b", "until": until.to_string(), "why": "x"}),
        json!({"alert": "a", "until": "tomorrow", "why": "x"}),
        json!({"alert": "a", "until": "2020-01-01T00:00:00Z", "why": "x"}),
        json!({"alert": "a", "until": "2999-01-01T00:00:00Z", "why": "x"}),
        json!({"alert": "a", "until": until.to_string(), "why": " "}),
    ] {
        let answer = api.post("/silences", &bad).await;
        assert_eq!(answer.failure(), (400, "invalid_request"), "{bad}");
    }
    let wanted = json!({"metric": "sys*", "until": until.to_string(), "why": "x"});
    assert_eq!(api.post("/silences", &wanted).await.status, 400);
    let wanted = json!({"metric": "system", "until": until.to_string(), "why": "upgrade"});
    let answer = api.post("/silences", &wanted).await;
    let silence = answer.data().clone();
    assert_eq!(
        (&silence["by"], &silence["active"]),
        (&json!("ada"), &json!(true))
    );
    let listed = api.get("/silences").await;
    assert_eq!(listed.data()["silences"], json!([silence]));

    api.publish("system", json!({"errorRate": 0.07})).await;
    let life = stage_when(&api, "high_error_rate", "firing").await;
    assert_eq!(
        (&life["silenced"], &life["alertId"]),
        (&json!(true), &Value::Null)
    );
    // Behind this one the rule had its time to fire.
    let (mut client, _) = hub.opened(Sse, "", &token::admin("eve")).await;
    assert!(alerts(&api, "").await.is_empty());
    let path = format!("/silences/{}", silence["id"].as_str().expect("an id"));
    let deleted = api.request(reqwest::Method::DELETE, &path);
    assert_eq!(crate::support::http::send(deleted).await.status, 200);
    let again = api.request(reqwest::Method::DELETE, &path);
    assert_eq!(crate::support::http::send(again).await.status, 404);
    let told = client.next_message("system_alert").await;
    assert_eq!(told["data"]["alert"], "high_error_rate");
}

#[tokio::test]
async fn who_resolves_it_is_not_told_again_before_it_was_over() {
    let hub = with(HIGH).start().await;
    let api = admin(&hub).await;
    api.publish("system", json!({"errorRate": 0.07})).await;
    let open = alerts_when(&api, "state=open", 1).await;
    let id = open[0]["alertId"].as_str().expect("an id").to_owned();
    api.post(&format!("/alerts/{id}/resolve"), &json!({})).await;
    stage_when(&api, "high_error_rate", "resolved").await;
    api.publish("system", json!({"errorRate": 0.08})).await;
    api.publish("system", json!({"errorRate": 0.01})).await;
    lives_when(&api, "high_error_rate", <[Value]>::is_empty).await;
    assert_eq!(alerts(&api, "").await.len(), 1);
    api.publish("system", json!({"errorRate": 0.08})).await;
    alerts_when(&api, "state=open", 1).await;
}

/// Attack: a publisher that says of somebody's alert that it is over.
#[tokio::test]
async fn what_a_publisher_says_of_an_alert_is_nothing_to_its_rule() {
    let hub = with(HIGH).start().await;
    let api = admin(&hub).await;
    api.publish("system", json!({"errorRate": 0.07})).await;
    let open = alerts_when(&api, "state=open", 1).await;
    let forged = json!({
        "severity": "low", "message": "x", "alertId": open[0]["alertId"], "alert": "high_error_rate",
        "metric": "system", "state": "resolved", "resolvedBy": "ada",
    });
    let service = hub.api(&token::service("backend"));
    assert_eq!(service.post("/alerts", &forged).await.status, 202);
    api.publish("system", json!({"errorRate": 0.09})).await;
    stage_when(&api, "high_error_rate", "firing").await;
    api.publish("system", json!({"errorRate": 0.01})).await;
    let resolved = alerts_when(&api, "state=resolved", 1).await;
    assert_eq!(resolved[0]["alertId"], open[0]["alertId"]);
}

#[tokio::test]
async fn without_a_store_it_works_for_as_long_as_the_process_does() {
    let config = format!("[store]\ndurability = \"memory\"\n{HIGH}");
    let hub = Hub::with().config(&config).start().await;
    let api = admin(&hub).await;
    let (mut client, _) = hub.opened(Sse, "?metrics=none", &token::admin("eve")).await;
    api.publish("system", json!({"errorRate": 0.07})).await;
    let fired = client.next_message("system_alert").await;
    assert_eq!(fired["data"]["state"], "firing");
    api.publish("system", json!({"errorRate": 0.01})).await;
    let over = client.next_message("system_alert").await;
    assert_eq!(over["data"]["state"], "resolved");
    assert_eq!(over["data"]["alertId"], fired["messageId"]);
}
