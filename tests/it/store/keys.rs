//! Publishing once, however often it is tried.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::either::Transport;
use crate::support::http::{Answer, Api, send};
use crate::support::hub::Hub;
use crate::support::token;

const MEMORY: &str = "[store]\ndurability = \"memory\"";

async fn publish(api: &Api, key: &str, body: &Value) -> Answer {
    let request = api.request(Method::POST, "/publish").json(body);
    send(request.header("Idempotency-Key", key)).await
}

/// A hub with a store, and one without.
async fn hubs() -> [Hub; 2] {
    [Hub::start().await, Hub::with().config(MEMORY).start().await]
}

#[tokio::test]
async fn the_same_key_is_the_same_message() {
    for hub in hubs().await {
        let ada = token::admin("ada");
        let api = hub.api(&ada);
        let (mut client, _) = hub.opened(Transport::Sse, "", &ada).await;
        let body = json!({"metric": "m", "data": 1});
        let first = publish(&api, "a", &body).await;
        assert_eq!(first.status, 202);
        for _ in 0..3 {
            let again = publish(&api, "a", &body).await;
            assert_eq!(again.status, 202);
            assert_eq!(again.data(), first.data());
        }
        let other = publish(&api, "b", &body).await;
        assert_ne!(other.data()["messageId"], first.data()["messageId"]);
        for answer in [first, other] {
            let came = client.next().await;
            assert_eq!(came["messageId"], answer.data()["messageId"]);
        }
    }
}

#[tokio::test]
async fn a_key_is_its_publishers_own_and_stands_for_one_message() {
    for hub in hubs().await {
        let body = json!({"metric": "m", "data": 1});
        let api = hub.api(&token::admin("ada"));
        let first = publish(&api, "a", &body).await;
        let other = publish(&hub.api(&token::admin("bob")), "a", &body).await;
        assert_ne!(other.data()["messageId"], first.data()["messageId"]);
        for changed in [
            json!({"metric": "n", "data": 1}),
            json!({"metric": "m", "data": 2}),
            json!({"metric": "m", "data": 1, "priority": "high"}),
            json!({"metric": "m", "data": 1, "userId": "eve"}),
            json!({"messages": [{"metric": "m", "data": 1}, {"metric": "m", "data": 1}]}),
        ] {
            let refused = publish(&api, "a", &changed).await;
            assert_eq!(refused.failure(), (400, "invalid_request"), "{changed}");
            assert!(refused.error().contains("key"), "{}", refused.error());
        }
    }
}

#[tokio::test]
async fn in_a_batch_each_message_may_have_a_key() {
    for hub in hubs().await {
        let api = hub.api(&token::admin("ada"));
        let message = |key: &str, n| json!({"metric": "m", "data": n, "key": key});
        let plain = json!({"metric": "m", "data": 0});
        let first = json!({"messages": [message("a", 1), plain, message("b", 2)]});
        let first = api.post("/publish", &first).await;
        let second = json!({"messages": [message("b", 2), message("c", 3), plain]});
        let second = api.post("/publish", &second).await;
        let (first, second) = (&first.data()["messageIds"], &second.data()["messageIds"]);
        assert_eq!(second[0], first[2]);
        assert_ne!(second[2], first[1], "one without a key is always another");
        let alone = api.post("/publish", &message("c", 3)).await;
        assert_eq!(alone.data()["messageId"], second[1]);

        let twice = json!({"messages": [message("d", 1), message("d", 2)]});
        let refused = api.post("/publish", &twice).await;
        assert_eq!(refused.failure(), (400, "invalid_request"));
        let both = publish(&api, "e", &json!({"messages": [message("f", 1)]})).await;
        assert_eq!(both.failure(), (400, "invalid_request"));
        let longest = "x".repeat(255);
        assert_eq!(publish(&api, &longest, &plain).await.status, 202);
        for bad in ["", "a b", &"x".repeat(256)] {
            let refused = publish(&api, bad, &plain).await;
            assert_eq!(refused.failure(), (400, "invalid_request"), "{bad:?}");
            let refused = api.post("/publish", &message(bad, 1)).await;
            assert_eq!(refused.failure(), (400, "invalid_request"), "{bad:?}");
        }
    }
}

#[tokio::test]
async fn an_alert_may_have_a_key() {
    for hub in hubs().await {
        let ada = token::admin("ada");
        let api = hub.api(&ada);
        let (mut client, _) = hub.opened(Transport::WebSocket, "", &ada).await;
        let alert = |text| {
            let body = json!({"severity": "low", "message": text});
            let request = api.request(Method::POST, "/alerts").json(&body);
            send(request.header("Idempotency-Key", "a"))
        };
        let first = alert("full").await;
        let again = alert("full").await;
        assert_eq!((first.status, first.data()), (202, again.data()));
        assert_eq!(alert("empty").await.failure(), (400, "invalid_request"));
        assert_eq!(client.next().await["messageId"], first.data()["messageId"]);
        let end = api.publish("m", json!("end")).await;
        assert_eq!(client.next().await["messageId"], end, "it came once");
    }
}

#[tokio::test]
async fn a_key_is_known_after_a_restart() {
    let mut hub = Hub::start().await;
    let body = json!({"metric": "m", "data": 1});
    let first = publish(&hub.api(&token::admin("ada")), "a", &body).await;
    hub.crash().await;
    let hub = hub.again().await;
    let again = publish(&hub.api(&token::admin("ada")), "a", &body).await;
    assert_eq!(again.data(), first.data());
}
