//! Nothing that somebody publishes, or is called, can break out of its event.

use serde_json::{Value, json};

use crate::support::either::{Client, Transport};
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::token;

/// What would end a line, an event or a string somewhere, or begin a field.
const TEXTS: [&str; 16] = [
    "\n",
    "\r",
    "\r\n",
    "\n\n",
    "a\n\ndata: {\"type\":\"forged\"}\n\n",
    "\nid: 99999999999999-0",
    "\revent: cursor\r",
    "\r\nretry: 1\r\n",
    "data: x",
    ": comment",
    "\u{2028}\u{2029}\u{85}",
    "\0",
    "\u{feff}",
    "\u{202e}\u{1b}[31m",
    "\"},\"type\":\"forged\",\"x\":{\"",
    "\\\"\\n\\u000a",
];

/// Streams of both transports, past what opens them.
async fn both(hub: &Hub, user: &str) -> [Client; 2] {
    let token = token::admin(user);
    [
        hub.opened(Transport::Sse, "", &token).await.0,
        hub.opened(Transport::WebSocket, "", &token).await.0,
    ]
}

/// The next thing that comes is one event with this message in it, over either transport.
async fn check(clients: &mut [Client; 2], kind: &str, data: &Value) {
    for client in clients {
        if let Client::Sse(client) = client {
            let event = client.next_event().await.expect("an event");
            let shape: Vec<&str> = event
                .raw
                .split(['\n', '\r'])
                .map(|line| line.split_once(": ").map_or(line, |(field, _)| field))
                .collect();
            assert_eq!(shape, ["id", "data", "", ""], "{:?}", event.raw);
            let message = event.message().expect("a message");
            assert_eq!((&message["type"], &message["data"]), (&json!(kind), data));
        } else {
            let message = client.next().await;
            assert_eq!((&message["type"], &message["data"]), (&json!(kind), data));
        }
    }
}

async fn post(api: &Api, path: &str, body: &Value) {
    assert_eq!(api.post(path, body).await.status, 202, "{body}");
}

/// Attack: injection of SSE fields.
#[tokio::test]
async fn the_data_of_a_metric_arrives_unchanged_in_one_event() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let mut clients = both(&hub, "ada").await;
    for nasty in TEXTS {
        for data in [json!(nasty), json!({nasty: {"x": [nasty]}})] {
            post(&api, "/publish", &json!({"metric": "m", "data": data})).await;
            check(&mut clients, "metrics_update", &json!({"m": data})).await;
        }
    }
    // And in a snapshot, which puts values together.
    let all: Value = TEXTS.map(|nasty| json!({nasty: nasty})).into();
    api.publish("m", all.clone()).await;
    for transport in Transport::BOTH {
        let mut client = hub.open(transport, "", &token::admin("ada")).await;
        let snapshot = client.came("initial_metrics").await;
        assert_eq!(snapshot.message["data"], json!({"m": all}));
        assert!(!snapshot.text.contains(['\n', '\r']));
    }
}

/// Attack: injection of SSE fields.
#[tokio::test]
async fn the_texts_of_an_alert_arrive_unchanged_in_one_event() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let mut clients = both(&hub, "ada").await;
    for nasty in TEXTS {
        let message = format!("!{nasty}");
        let alert = json!({"severity": "low", "message": message, nasty: nasty, "x": [nasty]});
        post(&api, "/alerts", &alert).await;
        check(&mut clients, "system_alert", &alert).await;
    }
}

/// Attack: injection of SSE fields.
#[tokio::test]
async fn a_user_may_be_called_anything_that_fits_on_a_line() {
    let hub = Hub::start().await;
    for user in [
        "data: x",
        "id: 1-0",
        ": x",
        "\u{2028}\u{2029}",
        "\u{202e}\u{feff}",
        "\"},\"type\":\"forged\",\"x\":{\"",
        "\\n",
    ] {
        let token = token::admin(user);
        for transport in Transport::BOTH {
            let (_, notice) = hub.opened(transport, "", &token).await;
            assert_eq!(notice["userId"], user);
        }
        let mut clients = both(&hub, user).await;
        let targeted = json!({"metric": "m", "data": 1, "userId": user});
        post(&hub.api(&token), "/publish", &targeted).await;
        check(&mut clients, "metrics_update", &json!({"m": 1})).await;
    }
}

#[tokio::test]
async fn a_pretty_document_is_put_on_one_line_and_keeps_its_strings() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let mut clients = both(&hub, "ada").await;
    for line_break in ["\n", "\r", "\r\n", "\n\n\n"] {
        let body = r#"{ "metric": "m", "data": { "a  b": [ 1 , " c  d " ] } }"#;
        // Every space outside a string becomes a line break.
        let mut in_string = false;
        let broken: String = body
            .chars()
            .map(|c| {
                in_string ^= c == '"';
                match c {
                    ' ' if !in_string => line_break.to_owned(),
                    c => c.to_string(),
                }
            })
            .collect();
        assert_eq!(api.post_text("/publish", broken).await.status, 202);
        let data = json!({"m": {"a  b": [1, " c  d "]}});
        check(&mut clients, "metrics_update", &data).await;
    }
}
