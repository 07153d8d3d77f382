//! Alert rules of several hubs: all evaluate, one acts, and another goes on when that one has ended.

use serde_json::{Value, json};

use crate::member;
use crate::scenario::LEASE;
use crate::support::hub::Hub;
use crate::support::redis::Redis;
use crate::support::{eventually, token};

async fn hub(redis: &Redis) -> Hub {
    let config = format!(
        "[redis]\nlease_ms = {LEASE}\n[store]\ndurability = \"memory\"\n\
         [[alert]]\nname = \"high\"\non = \"system\"\nwhen = \"data > 5\"\nfor = \"1s\"\nkeep_firing_for = \"1s\"\n\
         severity = \"high\"\nmessage = \"is {{data}}\"\n"
    );
    member::start(redis.address(), &config).await
}

async fn rules(hub: &Hub) -> Value {
    let health = hub.api(&token::admin("ada")).get("/api/health").await;
    health.data()["checks"]["rules"].clone()
}

/// Which of the hubs acts, once one does.
async fn acting(hubs: &[Hub]) -> usize {
    eventually("one hub acts", async || {
        for (nth, hub) in hubs.iter().enumerate() {
            if rules(hub).await["isActing"] == true {
                return Some(nth);
            }
        }
        None
    })
    .await
}

async fn all_see(hubs: &[Hub], what: &str, count: u64) {
    for hub in hubs {
        eventually(&format!("{count} {what} at every hub"), async || {
            (rules(hub).await[what] == count).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn an_alert_is_told_once_although_the_hub_that_tells_it_dies() {
    let redis = Redis::start().await;
    let mut hubs = Vec::new();
    for _ in 0..3 {
        hubs.push(hub(&redis).await);
    }
    let watched = hubs.pop().expect("a hub");
    let (mut client, mut all) = (
        watched.sse("/stream", &token::admin("eve")).await,
        Vec::new(),
    );
    client.opened().await;
    hubs.push(watched);
    // The last one is watched; another one is to act.
    for round in 0..3u64 {
        let api = hubs[hubs.len() - 1].api(&token::admin("ada"));
        api.publish("system", json!(9)).await;
        if round == 1 {
            // It ends while the rule is pending.
            all_see(&hubs, "pending", 1).await;
            let nth = acting(&hubs).await;
            if nth + 1 < hubs.len() {
                hubs.remove(nth).crash().await;
            }
        }
        all_see(&hubs, "firing", 1).await;
        let fired = client.next_message("system_alert").await;
        assert_eq!(fired["data"]["state"], "firing", "{all:?}");
        if round == 0 {
            // It ends while the alert fires.
            let nth = acting(&hubs).await;
            if nth + 1 < hubs.len() {
                hubs.remove(nth).crash().await;
            }
        }
        let api = hubs[hubs.len() - 1].api(&token::admin("ada"));
        api.publish("system", json!(1)).await;
        let over = client.next_message("system_alert").await;
        assert_eq!(over["data"]["state"], "resolved", "{all:?}");
        assert_eq!(over["data"]["alertId"], fired["messageId"]);
        all.push(fired["messageId"].clone());
        all_see(&hubs, "firing", 0).await;
    }
    let mut distinct = all.clone();
    distinct.dedup();
    assert_eq!(distinct.len(), 3);
}

#[tokio::test]
async fn a_rule_that_is_made_at_one_hub_holds_at_all() {
    let redis = Redis::start().await;
    let mut hubs = Vec::new();
    for _ in 0..2 {
        hubs.push(hub(&redis).await);
    }
    let ada = token::admin("ada");
    let rule = json!({"on": "x", "severity": "low", "when": "data > 1"});
    let request = hubs[0]
        .api(&ada)
        .request(reqwest::Method::PUT, "/rules/live")
        .json(&rule);
    assert_eq!(crate::support::http::send(request).await.status, 200);
    all_see(&hubs, "rules", 2).await;
    let until = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(1);
    let silence = json!({"alert": "live", "until": until.to_string(), "why": "x"});
    let answer = hubs[1].api(&ada).post("/silences", &silence).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    eventually("the silence at the other hub", async || {
        let listed = hubs[0].api(&ada).get("/silences").await;
        (listed.data()["silences"].as_array()?.len() == 1).then_some(())
    })
    .await;
    hubs[0].api(&ada).publish("x", json!(5)).await;
    all_see(&hubs, "firing", 1).await;
    for hub in &hubs {
        let shown = hub.api(&ada).get("/rules/live").await;
        let life = &shown.data()["alerts"][0];
        assert_eq!(
            (&life["silenced"], &life["alertId"]),
            (&json!(true), &Value::Null)
        );
    }
}
