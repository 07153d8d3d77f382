//! One order over everything that is published, and when that was.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::either::Transport;
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::id::Id;
use crate::support::message::{assert_is_time, text};
use crate::support::token;

/// Publishes in every way there is; gives the ids that the answers name.
async fn publish_in_every_way(api: &Api) -> Vec<Value> {
    let mut ids = Vec::new();
    let message = |name: &str, user: Option<&str>| match user {
        Some(user) => json!({"metric": name, "data": 1, "userId": user}),
        None => json!({"metric": name, "data": 1}),
    };
    for priority in ["low", "critical", "normal", "high"] {
        let mut body = message("a", None);
        body["priority"] = json!(priority);
        ids.push(api.post("/publish", &body).await.data()["messageId"].clone());
    }
    let mut gauge = message("gauge", None);
    gauge["retain"] = json!("latest");
    ids.push(api.post("/publish", &gauge).await.data()["messageId"].clone());
    let batch: Vec<Value> = (0..50)
        .map(|n| message(["a", "b.c", "d"][n % 3], None))
        .collect();
    let batch = api.post("/publish", &json!({"messages": batch})).await;
    ids.extend(batch.data()["messageIds"].as_array().expect("ids").clone());
    let alert = json!({"severity": "low", "message": "m"});
    ids.push(api.post("/alerts", &alert).await.data()["messageId"].clone());
    let targeted = api.post("/publish", &message("a", Some("ada"))).await;
    ids.push(targeted.data()["messageId"].clone());
    ids
}

fn assert_increasing(ids: &[Value]) {
    let wrong = ids
        .windows(2)
        .find(|pair| Id::of(&pair[0]) >= Id::of(&pair[1]));
    assert_eq!(wrong, None);
}

#[tokio::test]
async fn ids_increase_over_everything_that_is_published() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let mut clients = Vec::new();
    for transport in Transport::BOTH {
        clients.push(hub.opened(transport, "", &ada).await.0);
    }
    let mut ids = publish_in_every_way(&api).await;
    ids.extend(publish_in_every_way(&api).await);
    assert_increasing(&ids);
    for client in &mut clients {
        for id in &ids {
            assert_eq!(client.next().await["messageId"], *id);
        }
    }
}

#[tokio::test]
async fn publishers_at_the_same_time_get_places_in_one_order() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let mut clients = Vec::new();
    for transport in Transport::BOTH {
        clients.push(hub.opened(transport, "", &ada).await.0);
    }
    let apis: Vec<Api> = (0..8).map(|_| hub.api(&ada)).collect();
    let published = join_all(apis.iter().map(publish_in_every_way)).await;
    for ids in &published {
        assert_increasing(ids);
    }
    let mut all = published.concat();
    all.sort_by_key(Id::of);
    assert_increasing(&all);
    for client in &mut clients {
        for id in &all {
            assert_eq!(client.next().await["messageId"], *id);
        }
    }
}

/// Failure: the clock jumps.
#[tokio::test]
async fn ids_go_on_increasing_after_a_restart() {
    let mut hub = Hub::start().await;
    let ada = token::admin("ada");
    let mut ids = Vec::new();
    for _ in 0..3 {
        let mut client = hub.open(Transport::Sse, "", &ada).await;
        ids.push(client.came("initial_metrics").await.message["messageId"].clone());
        ids.extend(publish_in_every_way(&hub.api(&ada)).await);
        hub.crash().await;
        hub = hub.again().await;
    }
    assert_increasing(&ids);
}

/// Milliseconds since the Unix epoch.
fn millis(time: &Value) -> i64 {
    let time: jiff::Timestamp = text(time).parse().expect("a time");
    time.as_millisecond()
}

#[tokio::test]
async fn a_message_says_when_it_was_published() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    for transport in Transport::BOTH {
        let (mut client, _) = hub.opened(transport, "", &ada).await;
        let before = jiff::Timestamp::now().as_millisecond();
        api.publish("m", json!(1)).await;
        api.post("/alerts", &json!({"severity": "low", "message": "m"}))
            .await;
        let after = jiff::Timestamp::now().as_millisecond();
        for _ in 0..2 {
            let message = client.next().await;
            assert_is_time(&message["timestamp"]);
            let at = millis(&message["timestamp"]);
            assert!((before..=after).contains(&at), "{message}");
            let (in_id, _) = Id::of(&message["messageId"]).parts();
            assert!(in_id.abs_diff(at.unsigned_abs()) <= 1000, "{message}");
        }
    }
}
