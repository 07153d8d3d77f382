//! `test-connection`: whether a user's own streams work.

use reqwest::Method;
use serde_json::{Value, json};

use super::{assert_is_time, opened};
use crate::support::either::Transport::{self, Sse, WebSocket};
use crate::support::http::send;
use crate::support::hub::Hub;
use crate::support::token;

/// What is asked for, and of which transport that is.
fn requests() -> [(Value, Transport); 3] {
    [
        (json!({}), Sse),
        (json!({"connectionType": "sse"}), Sse),
        (json!({"connectionType": "websocket"}), WebSocket),
    ]
}

#[tokio::test]
async fn the_users_connections_of_that_kind_get_a_test_message() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    for (body, transport) in requests() {
        let mut right = [
            opened(&hub, transport, "?metrics=none", "ada").await,
            opened(&hub, transport, "", "ada").await,
        ];
        let other = if transport == Sse { WebSocket } else { Sse };
        let mut wrong = [
            opened(&hub, other, "", "ada").await,
            opened(&hub, transport, "", "bob").await,
        ];
        let answer = api.post("/test-connection", &body).await;
        let expected = json!({
            "type": transport.name(), "status": "test_message_sent", "userId": "ada",
            "connections": 2,
        });
        assert_eq!((answer.status, answer.data()), (200, &expected), "{body}");
        api.publish("next", json!(1)).await;
        for client in &mut right {
            let test = client.next().await;
            assert_eq!(
                (&test["type"], &test["priority"]),
                (&json!("test_message"), &json!("low"))
            );
            assert!(
                test["data"]["message"]
                    .as_str()
                    .is_some_and(|text| !text.is_empty())
            );
            assert_is_time(&test["data"]["timestamp"]);
        }
        for client in &mut wrong {
            assert_eq!(
                client.next().await["type"],
                "metrics_update",
                "and no test before it"
            );
        }
        // All are gone before the next kind is tried.
        let gone = api.post("/disconnect", &json!({"userId": "ada"})).await;
        assert_eq!(gone.data()["connections"], 3);
    }
}

#[tokio::test]
async fn without_a_connection_of_that_kind_there_is_nothing_to_test() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let _bobs = opened(&hub, Sse, "", "bob").await;
    for (body, transport) in requests() {
        let answer = api.post("/test-connection", &body).await;
        let expected = json!({
            "type": transport.name(), "status": "no_active_connections", "userId": "ada",
            "connections": 0,
        });
        assert_eq!((answer.status, answer.data()), (200, &expected), "{body}");
    }
}

#[tokio::test]
async fn no_body_at_all_is_the_default() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let answer = send(api.request(Method::POST, "/test-connection")).await;
    assert_eq!(answer.data()["type"], "sse");
}
