//! How many patterns a connection may have, and what is none.

use serde_json::{Value, json};

use crate::support::either::{Client, Transport};
use crate::support::http::send;
use crate::support::hub::Hub;
use crate::support::token;
use crate::support::websocket::WsClient;

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("m{number}")).collect()
}

/// Sends in place what is refused, and gives the text; the connection stays.
async fn refused_in_place(client: &mut WsClient, kind: &str, metrics: &Value) -> String {
    client
        .send(&json!({"type": kind, "data": {"metrics": metrics}}))
        .await;
    let error = client.next().await;
    assert_eq!(error["type"], "error", "{kind} {metrics}");
    assert!(error["data"]["code"].is_string(), "{error}");
    client.send(&json!({"type": "ping"})).await;
    assert_eq!(client.next().await["type"], "pong");
    error["data"]["message"]
        .as_str()
        .expect("a text")
        .to_owned()
}

/// Attack: names and patterns that are none, or too many.
#[tokio::test]
async fn a_hundred_patterns_are_taken_and_one_more_is_not() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    for transport in Transport::BOTH {
        let query = format!("?metrics={}", names(100).join(","));
        let mut client = hub.open(transport, &query, &ada).await;
        let notice = client.opened().await;
        assert_eq!(
            notice["data"]["metrics"].as_array().map(Vec::len),
            Some(100)
        );
    }
    let query = format!("?metrics={}", names(101).join(","));
    for answer in [
        api.get(&format!("/stream{query}")).await,
        send(api.upgrade(&query)).await,
        api.post("/subscribe", &json!({"metrics": names(101)}))
            .await,
    ] {
        assert_eq!(answer.failure(), (400, "invalid_request"));
    }
}

#[tokio::test]
async fn a_request_that_is_too_much_for_one_session_changes_none() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let full = format!("?metrics={}", names(100).join(","));
    let mut full = hub.open(Transport::Sse, &full, &ada).await;
    full.opened().await;
    let mut other = hub.open(Transport::WebSocket, "?metrics=a", &ada).await;
    other.opened().await;
    let answer = api
        .post("/subscribe", &json!({"metrics": ["one.more"]}))
        .await;
    assert_eq!(answer.failure(), (400, "invalid_request"));
    api.publish("one.more", json!(1)).await;
    for client in [&mut full, &mut other] {
        assert_eq!(client.metrics_until_now(&api).await, [""; 0]);
    }
    // What it has already is no more.
    let answer = api
        .post("/subscribe", &json!({"metrics": ["m0", "m99"]}))
        .await;
    assert_eq!(answer.status, 200);
    // And what goes makes room.
    api.post("/unsubscribe", &json!({"metrics": ["m0"]})).await;
    let answer = api
        .post("/subscribe", &json!({"metrics": ["one.more"]}))
        .await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn in_place_a_hundred_is_the_limit_too_and_nothing_is_half_applied() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let query = format!("?metrics={}", names(99).join(","));
    let mut client = hub.websocket(&query, &ada).await;
    client.opened().await;
    refused_in_place(&mut client, "subscribe", &json!(["x", "y"])).await;
    refused_in_place(&mut client, "subscribe", &json!(names(200))).await;
    let subscribed = client.subscribe(&["x"]).await;
    let metrics = subscribed["data"]["metrics"].as_array().unwrap();
    assert_eq!(metrics.len(), 100);
    assert!(!metrics.contains(&json!("y")));
}

/// What is neither a name nor a pattern.
const BAD: [&str; 16] = [
    "", ".", "a..b", ".a", "a.", "a b", " a", "ä", "a/b", "a\nb", "a\0b", "a*", "*a", "***",
    "**.a", "a.**.b",
];

#[tokio::test]
async fn a_bad_name_is_refused_and_takes_the_good_ones_with_it() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let long = "x".repeat(129);
    let mut client = hub.websocket("?metrics=kept", &ada).await;
    client.opened().await;
    for bad in BAD.into_iter().chain([&*long]) {
        let metrics = json!(["good", bad]);
        for kind in ["subscribe", "unsubscribe"] {
            let answer = api
                .post(&format!("/{kind}"), &json!({"metrics": metrics}))
                .await;
            assert_eq!(answer.failure(), (400, "invalid_request"), "{kind} {bad:?}");
            refused_in_place(&mut client, kind, &metrics).await;
        }
    }
    api.publish("good", json!(1)).await;
    api.publish("kept", json!(1)).await;
    let mut client = Client::WebSocket(Box::new(client));
    assert_eq!(client.metrics_until_now(&api).await, ["kept"]);
}

#[tokio::test]
async fn names_up_to_the_limit_are_taken() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let longest = "x".repeat(128);
    for good in ["a", "A-b_0.c", "a.*.c", "*.**", "**", &longest] {
        let answer = api.post("/subscribe", &json!({"metrics": [good]})).await;
        assert_eq!(answer.status, 200, "{good}");
    }
}

#[tokio::test]
async fn in_place_metrics_that_are_no_list_are_refused_in_the_words_that_dashboards_know() {
    let hub = Hub::start().await;
    let mut client = hub.websocket("", &token::admin("ada")).await;
    client.opened().await;
    for metrics in [json!("a"), json!(null), json!({"0": "a"}), json!(5)] {
        for kind in ["subscribe", "unsubscribe"] {
            let text = refused_in_place(&mut client, kind, &metrics).await;
            assert_eq!(text, "Metrics must be an array", "{metrics}");
        }
    }
    for kind in ["subscribe", "unsubscribe"] {
        for message in [json!({"type": kind, "data": {}}), json!({"type": kind})] {
            client.send(&message).await;
            let error = client.next_message("error").await;
            assert_eq!(
                error["data"]["message"], "Metrics must be an array",
                "{message}"
            );
        }
    }
}
