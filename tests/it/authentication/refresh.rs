//! A stream that goes on under a fresh token.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::either::{Client, Transport};
use crate::support::eventually;
use crate::support::hub::Hub;
use crate::support::sse::SseClient;
use crate::support::token;
use crate::support::websocket::WsClient;

/// Long enough to open a stream and renew its token on a busy machine.
const SHORT: Duration = Duration::from_secs(4);

fn short(user: &str) -> String {
    token::token(user, "platform_admin", SHORT)
}

fn refresh(token: &str) -> Value {
    json!({"type": "refresh", "data": {"token": token}})
}

async fn websocket(hub: &Hub, token: &str) -> WsClient {
    let mut client = hub.websocket("", token).await;
    client.opened().await;
    client
}

async fn sse(hub: &Hub, token: &str) -> SseClient {
    let mut client = hub.sse("/stream", token).await;
    client.opened().await;
    client
}

/// Waits until a token made by [`short`] just now has run out for certain.
async fn expired() {
    let expires = token::now() + SHORT.as_secs() + 1;
    eventually("the old token to expire", async || {
        (token::now() > expires).then_some(())
    })
    .await;
}

/// Only what is published from now on comes, so that the stream is proved to live.
async fn check_alive(hub: &Hub, client: Client) {
    let mut client = client;
    let api = hub.api(&token::admin("ada"));
    api.publish("alive", json!(1)).await;
    assert_eq!(client.metrics_until_now(&api).await, ["alive"]);
}

#[tokio::test]
async fn a_websocket_client_renews_in_place() {
    let hub = Hub::start().await;
    let mut client = websocket(&hub, &short("ada")).await;
    client.send(&refresh(&token::admin("ada"))).await;
    let refreshed = client.next().await;
    assert_eq!(refreshed["type"], "refreshed");
    assert_eq!(refreshed["priority"], "high");
    assert_ne!(refreshed["data"]["expiresAt"], Value::Null);
    expired().await;
    check_alive(&hub, Client::WebSocket(Box::new(client))).await;
}

#[tokio::test]
async fn a_sse_client_renews_by_a_request() {
    let hub = Hub::start().await;
    let mut client = sse(&hub, &short("ada")).await;
    let body = json!({"reconnectToken": client.reconnect_token()});
    let answer = hub.api(&token::admin("ada")).post("/refresh", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(client.next().await["type"], "refreshed");
    expired().await;
    check_alive(&hub, Client::Sse(Box::new(client))).await;
}

/// Attack: a session renewed with a token of another user or without the role.
#[tokio::test]
async fn a_websocket_client_keeps_its_token_when_the_new_one_is_no_better() {
    let hub = Hub::start().await;
    let mut client = websocket(&hub, &short("ada")).await;
    let expired = json!({"sub": "ada", "role": "platform_admin", "exp": token::now() - 60});
    let sooner = token::token("ada", "platform_admin", Duration::from_secs(1));
    for bad in [
        refresh(&token::admin("bob")),
        refresh(&token::sign(&expired)),
        refresh(&sooner),
        refresh("garbage"),
        json!({"type": "refresh", "data": {"token": 5}}),
        json!({"type": "refresh", "data": {}}),
        json!({"type": "refresh"}),
    ] {
        client.send(&bad).await;
        let error = client.next().await;
        assert_eq!(error["type"], "error", "{bad}");
        assert!(error["data"]["code"].is_string(), "{error}");
        client.send(&json!({"type": "ping"})).await;
        assert_eq!(client.next().await["type"], "pong", "{bad}");
    }
    // The old token is still the one that counts.
    let (messages, closed) = client.closed().await;
    assert_eq!(messages.last().unwrap()["data"]["code"], "token_expired");
    assert_eq!(closed.map(|(code, _)| code), Some(4401));
}

/// Attack: a session renewed with a token of another user or without the role.
#[tokio::test]
async fn a_websocket_client_whose_token_has_lost_its_role_is_closed() {
    for role in ["guest", "service"] {
        let hub = Hub::start().await;
        let mut client = websocket(&hub, &token::admin("ada")).await;
        let worse = token::token("ada", role, Duration::from_secs(7200));
        client.send(&refresh(&worse)).await;
        let (_, closed) = client.closed().await;
        assert_eq!(closed.map(|(code, _)| code), Some(4403), "{role}");
    }
}

/// Attack: a session renewed with a token of another user or without the role.
#[tokio::test]
async fn a_session_is_renewed_by_its_own_user_only() {
    let hub = Hub::start().await;
    let client = sse(&hub, &token::admin("ada")).await;
    let body = json!({"reconnectToken": client.reconnect_token()});
    let check = async |token: String, status: u16, code: &str| {
        let answer = hub.api(&token).post("/refresh", &body).await;
        assert_eq!(answer.failure(), (status, code));
    };
    check(token::admin("bob"), 410, "reconnect_token_invalid").await;
    check(token::service("ada"), 403, "forbidden").await;
    check("garbage".into(), 401, "unauthenticated").await;
    check_alive(&hub, Client::Sse(Box::new(client))).await;
}

/// Attack: a session renewed with a token of another user or without the role.
#[tokio::test]
async fn a_refused_renewal_of_a_sse_stream_changes_nothing() {
    let hub = Hub::start().await;
    let client = sse(&hub, &short("ada")).await;
    let body = json!({"reconnectToken": client.reconnect_token()});
    let answer = hub.api(&token::admin("bob")).post("/refresh", &body).await;
    assert_eq!(answer.status, 410);
    let (messages, _) = Client::Sse(Box::new(client)).ended().await;
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert_eq!(messages[0]["data"]["code"], "token_expired");
}

#[tokio::test]
async fn a_renewal_by_a_request_also_serves_a_websocket_session() {
    let hub = Hub::start().await;
    let mut client = hub.open(Transport::WebSocket, "", &short("ada")).await;
    let notice = client.opened().await;
    let body = json!({"reconnectToken": notice["data"]["reconnectToken"]});
    let answer = hub.api(&token::admin("ada")).post("/refresh", &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(client.next().await["type"], "refreshed");
}
