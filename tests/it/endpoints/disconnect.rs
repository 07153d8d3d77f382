//! `disconnect`: an operator ends streams, and their sessions are forgotten.

use serde_json::{Value, json};

use super::opened_with_notice;
use crate::support::either::{Client, Transport};
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::token;

/// A connection of a token with these claims over an admin's.
async fn opened(hub: &Hub, transport: Transport, claims: Value) -> (Client, Value) {
    let mut all = json!({"sub": "ada", "role": "platform_admin", "exp": token::now() + 3600});
    for (name, value) in claims.as_object().unwrap() {
        all[name] = value.clone();
    }
    let mut client = hub.open(transport, "", &token::sign(&all)).await;
    let notice = client.opened().await;
    (client, notice["data"].clone())
}

async fn disconnect(api: &Api, selector: Value) -> Value {
    let answer = api.post("/disconnect", &selector).await;
    assert_eq!(answer.status, 200, "{selector} {answer:?}");
    answer.data()["connections"].clone()
}

/// The stream ends, and nobody comes back to its session.
async fn check_ended(hub: &Hub, transport: Transport, client: Client, notice: &Value, user: &str) {
    let (_, code) = client.ended().await;
    assert_eq!(code, (transport == Transport::WebSocket).then_some(4403));
    check_forgotten(hub, notice, user).await;
}

async fn check_forgotten(hub: &Hub, notice: &Value, user: &str) {
    let reconnect_token = notice["reconnectToken"].as_str().unwrap();
    let path = format!("/reconnect?token={reconnect_token}");
    let answer = hub.api(&token::admin(user)).get(&path).await;
    assert_eq!(answer.failure(), (410, "reconnect_token_invalid"));
}

async fn check_alive(mut client: Client, api: &Api) {
    api.publish("alive", json!(1)).await;
    let metrics = client.metrics_until_now(api).await;
    assert_eq!(metrics.last().map(String::as_str), Some("alive"));
}

/// Attack: a token whose owner has lost the right to it.
#[tokio::test]
async fn a_user_is_disconnected_from_everything() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("operator"));
    for transport in Transport::BOTH {
        let (first, first_notice) = opened_with_notice(&hub, transport, "", "ada").await;
        let (second, second_notice) = opened_with_notice(&hub, transport, "", "ada").await;
        let (other, _) = opened_with_notice(&hub, transport, "", "bob").await;
        assert_eq!(disconnect(&api, json!({"userId": "ada"})).await, 2);
        check_ended(&hub, transport, first, &first_notice, "ada").await;
        check_ended(&hub, transport, second, &second_notice, "ada").await;
        check_alive(other, &api).await;
    }
}

#[tokio::test]
async fn one_connection_is_ended_by_its_id() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("operator"));
    for transport in Transport::BOTH {
        let (ended, notice) = opened_with_notice(&hub, transport, "", "ada").await;
        let (other, _) = opened_with_notice(&hub, transport, "", "ada").await;
        let selector = json!({"connectionId": notice["connectionId"]});
        assert_eq!(disconnect(&api, selector).await, 1);
        check_ended(&hub, transport, ended, &notice, "ada").await;
        check_alive(other, &api).await;
    }
}

/// Attack: a token whose owner has lost the right to it.
#[tokio::test]
async fn the_connections_of_one_token_are_ended_by_the_tokens_id() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("operator"));
    for transport in Transport::BOTH {
        let (ended, notice) = opened(&hub, transport, json!({"jti": "stolen"})).await;
        let (other, _) = opened(&hub, transport, json!({"jti": "kept"})).await;
        let (unnamed, _) = opened(&hub, transport, json!({})).await;
        assert_eq!(disconnect(&api, json!({"tokenId": "stolen"})).await, 1);
        check_ended(&hub, transport, ended, &notice, "ada").await;
        check_alive(other, &api).await;
        check_alive(unnamed, &api).await;
    }
}

/// Attack: a token whose owner has lost the right to it.
#[tokio::test]
async fn the_connections_of_old_tokens_are_ended_by_when_those_were_issued() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("operator"));
    let now = token::now();
    for transport in Transport::BOTH {
        let (ended, notice) = opened(&hub, transport, json!({"iat": now - 600})).await;
        let (other, _) = opened(&hub, transport, json!({"iat": now - 60})).await;
        // Seconds, as in the claim.
        assert_eq!(
            disconnect(&api, json!({"issuedBefore": now - 300})).await,
            1
        );
        check_ended(&hub, transport, ended, &notice, "ada").await;
        check_alive(other, &api).await;
    }
}

#[tokio::test]
async fn a_session_that_is_away_is_forgotten_and_no_connection() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("operator"));
    let (client, notice) = opened_with_notice(&hub, Transport::Sse, "", "ada").await;
    client.reset();
    crate::support::eventually("the session to be away", async || {
        let stats = api.get("/connection-stats").await;
        (stats.data()["totalConnections"] == 0).then_some(())
    })
    .await;
    assert_eq!(disconnect(&api, json!({"userId": "ada"})).await, 0);
    check_forgotten(&hub, &notice, "ada").await;
    assert_eq!(
        api.get("/connection-stats").await.data()["reconnectTokensCount"],
        0
    );
}

#[tokio::test]
async fn nobody_to_disconnect_is_no_failure() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("operator"));
    for selector in [
        json!({"userId": "nobody"}),
        json!({"connectionId": "6b1f3c52-5d0e-4f0a-9c55-0d7f3f6c1a11"}),
        json!({"tokenId": "unknown"}),
        json!({"issuedBefore": 1}),
    ] {
        assert_eq!(disconnect(&api, selector).await, 0);
    }
}

#[tokio::test]
async fn an_operator_may_disconnect_himself() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let (client, notice) = opened_with_notice(&hub, Transport::WebSocket, "", "ada").await;
    assert_eq!(disconnect(&api, json!({"userId": "ada"})).await, 1);
    check_ended(&hub, Transport::WebSocket, client, &notice, "ada").await;
}

#[tokio::test]
async fn a_disconnected_user_whose_token_is_good_may_open_anew() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let (_client, _) = opened_with_notice(&hub, Transport::Sse, "", "ada").await;
    disconnect(&api, json!({"userId": "ada"})).await;
    let (client, notice) = opened_with_notice(&hub, Transport::Sse, "", "ada").await;
    assert_eq!(notice["resumed"], false);
    check_alive(client, &api).await;
}
