#![cfg(test)]
//! What several hubs keep of the log: each a file of its own, or all one database.

use serde_json::{Value, json};

use crate::member;
use crate::scenario::LEASE;
use crate::support::database;
use crate::support::http::{Answer, Api, send};
use crate::support::hub::Hub;
use crate::support::redis::Redis;
use crate::support::{eventually, token};

/// What a hub is started with, one of several.
async fn hub(redis: &Redis, store: &str) -> Hub {
    let config = format!("[redis]\nlease_ms = {LEASE}\n[store]\n{store}\n");
    member::start(redis.address(), &config).await
}

fn api(hub: &Hub) -> Api {
    hub.api(&token::admin("ada"))
}

/// The values of a metric, the oldest first, once there are as many as wanted.
async fn values(api: &Api, metric: &str, count: usize) -> Vec<Value> {
    let path = format!("/history?metric={metric}&order=asc&limit=1000");
    eventually("the history is complete", async || {
        let answer = api.get(&path).await;
        let messages = answer.data()["messages"].as_array()?.clone();
        let values = messages.iter().map(|message| message["value"].clone());
        let values: Vec<_> = values.collect();
        assert!(values.len() <= count, "more than was published: {values:?}");
        (values.len() == count).then_some(values)
    })
    .await
}

async fn publish_with_key(api: &Api, key: &str, data: Value) -> Answer {
    let body = json!({"metric": "keyed", "data": data, "key": key});
    send(api.request(reqwest::Method::POST, "/publish").json(&body)).await
}

/// Which hub writes the database, once one does.
async fn scribe(hubs: &[Hub]) -> usize {
    eventually("somebody writes the log down", async || {
        for (nth, hub) in hubs.iter().enumerate() {
            let health = api(hub).get("/api/health").await;
            if health.data()["checks"]["scribe"]["isWriting"] == true {
                return Some(nth);
            }
        }
        None
    })
    .await
}

#[tokio::test]
async fn every_hub_has_the_whole_history_in_a_file_of_its_own() {
    let redis = Redis::start().await;
    let mut hubs = Vec::new();
    for _ in 0..2 {
        hubs.push(hub(&redis, "durability = \"process\"").await);
    }
    for n in 0..20 {
        api(&hubs[n % 2]).publish("m", json!(n)).await;
    }
    let expected: Vec<Value> = (0..20).map(|n| json!(n)).collect();
    for hub in &hubs {
        assert_eq!(values(&api(hub), "m", 20).await, expected);
    }
    // What comes while one is away it reads when it is back, once.
    let mut away = hubs.remove(1);
    away.crash().await;
    for n in 20..40 {
        api(&hubs[0]).publish("m", json!(n)).await;
    }
    let back = away.again().await;
    let expected: Vec<Value> = (0..40).map(|n| json!(n)).collect();
    assert_eq!(values(&api(&back), "m", 40).await, expected);
    assert_eq!(api(&back).get("/metrics").await.data()["m"]["value"], 39);
}

/// With `primary` nobody can know what a Redis that was started anew had before, and all is read again.
#[tokio::test]
async fn what_is_read_again_is_written_down_once() {
    let mut redis = Redis::with().appendonly().start().await;
    let hub = hub(&redis, "durability = \"process\"").await;
    let api = api(&hub);
    for n in 0..3 {
        api.publish("m", json!(n)).await;
        redis.again().await;
        eventually("the hub to be back", async || {
            let health = api.get("/api/health").await;
            (health.data()["checks"]["redis"]["ok"] == true).then_some(())
        })
        .await;
    }
    api.publish("m", json!(3)).await;
    let expected: Vec<Value> = (0..4).map(|n| json!(n)).collect();
    assert_eq!(values(&api, "m", 4).await, expected);
    let health = api.get("/api/health").await;
    assert_eq!(health.data()["checks"]["store"]["failures"], 0);
    assert_ne!(health.data()["checks"]["redis"]["epochs"], 0);
}

#[tokio::test]
async fn hubs_with_a_database_in_common_have_one_history_whoever_writes_it() {
    let redis = Redis::start().await;
    let store = format!("url = \"{}\"", database::new());
    let mut hubs = Vec::new();
    for _ in 0..3 {
        hubs.push(hub(&redis, &store).await);
    }
    for n in 0..30 {
        api(&hubs[n % 3]).publish("m", json!(n)).await;
    }
    let alert = json!({"severity": "high", "message": "the disk is full"});
    let raised = api(&hubs[0]).post("/alerts", &alert).await;
    let id = raised.data()["messageId"].as_str().unwrap().to_owned();
    let expected: Vec<Value> = (0..30).map(|n| json!(n)).collect();
    for hub in &hubs {
        assert_eq!(values(&api(hub), "m", 30).await, expected);
    }
    // What has become of an alert at one hub is so at the others.
    let path = format!("/alerts/{id}/acknowledge");
    eventually("the alert is known", async || {
        let answer = api(&hubs[1]).post(&path, &json!({})).await;
        (answer.status == 200).then_some(())
    })
    .await;
    eventually("the alert is acknowledged everywhere", async || {
        let alerts = api(&hubs[2]).get("/alerts?state=acknowledged").await;
        let found = alerts.data()["alerts"][0]["alertId"] == *id;
        found.then_some(())
    })
    .await;
    // Another one goes on where the writer has ended.
    let nth = scribe(&hubs).await;
    hubs[nth].crash().await;
    hubs.remove(nth);
    for n in 30..60 {
        api(&hubs[n % 2]).publish("m", json!(n)).await;
    }
    let expected: Vec<Value> = (0..60).map(|n| json!(n)).collect();
    for hub in &hubs {
        assert_eq!(values(&api(hub), "m", 60).await, expected);
    }
}

#[tokio::test]
async fn a_key_outlives_the_log_where_there_is_a_database() {
    let redis = Redis::start().await;
    let store = format!("url = \"{}\"", database::new());
    let hub = hub(&redis, &store).await;
    let api = api(&hub);
    let first = publish_with_key(&api, "k1", json!(1)).await;
    let id = first.data()["messageId"].clone();
    values(&api, "keyed", 1).await;
    redis.ask(&["FLUSHALL"]).await;
    let again = eventually("the hub has joined the new log", async || {
        let answer = publish_with_key(&api, "k1", json!(1)).await;
        (answer.status == 202).then_some(answer)
    })
    .await;
    assert_eq!(again.data()["messageId"], id);
    let other = publish_with_key(&api, "k1", json!(2)).await;
    assert_eq!(other.failure(), (400, "invalid_request"));
    // A new one goes into the new log, behind everything before.
    let second = eventually("publishing works again", async || {
        let answer = publish_with_key(&api, "k2", json!(2)).await;
        (answer.status == 202).then_some(answer)
    })
    .await;
    assert_ne!(second.data()["messageId"], id);
    assert_eq!(values(&api, "keyed", 2).await, [json!(1), json!(2)]);
}

/// Redis is the log: a database that is away loses nothing.
#[tokio::test]
async fn history_catches_up_when_the_database_is_back() {
    use crate::support::postgres::Postgres;
    let redis = Redis::start().await;
    let mut postgres = Postgres::start();
    let store = format!("url = \"{}\"", postgres.url());
    let hub = hub(&redis, &store).await;
    let api = api(&hub);
    api.publish("m", json!(0)).await;
    values(&api, "m", 1).await;
    postgres.stop();
    for n in 1..20 {
        api.publish("m", json!(n)).await;
    }
    eventually("health says why", async || {
        let health = api.get("/api/health").await;
        let scribe = &health.data()["checks"]["scribe"];
        let ails = health.data()["status"] == "degraded" && !scribe["lastError"].is_null();
        ails.then_some(())
    })
    .await;
    postgres.start_again();
    let expected: Vec<Value> = (0..20).map(|n| json!(n)).collect();
    assert_eq!(values(&api, "m", 20).await, expected);
}
