//! `MAX_*` and `CONNECTION_TIMEOUT`. How many connections a user may have by
//! `MAX_CONNECTIONS_PER_USER` is in the chapter on refusals.

use serde_json::json;

use crate::support::either::Transport;
use crate::support::eventually;
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::token;

/// A session of ada's whose client has just gone; its reconnect token.
async fn away(hub: &Hub, api: &Api) -> String {
    let mut client = hub.sse("/stream", &token::admin("ada")).await;
    client.opened().await;
    let reconnect_token = client.reconnect_token().to_owned();
    client.reset();
    eventually("the connection to have ended", async || {
        let live = api.get("/connections?state=live").await;
        (live.data()["total"] == 0).then_some(())
    })
    .await;
    reconnect_token
}

#[tokio::test]
async fn the_buffer_size_is_how_many_messages_a_backlog_holds() {
    for size in [1_u64, 3] {
        let hub = Hub::with()
            .env("MAX_BUFFER_SIZE", &size.to_string())
            .start()
            .await;
        let ada = token::admin("ada");
        let api = hub.api(&ada);
        let reconnect_token = away(&hub, &api).await;
        for n in 0..5 {
            api.publish("m", json!(n)).await;
        }
        let mut client = hub.resume(Transport::Sse, &reconnect_token, &ada).await;
        let notice = client.opened().await;
        assert_eq!(notice["data"]["bufferedMessagesCount"], size);
        assert_eq!(notice["data"]["droppedMessagesCount"], 5 - size);
        for n in 5 - size..5 {
            assert_eq!(client.next().await["data"]["m"], n);
        }
    }
}

#[tokio::test]
async fn the_connection_timeout_is_how_long_a_session_can_be_resumed() {
    let hub = Hub::with().env("CONNECTION_TIMEOUT", "50").start().await;
    let api = hub.api(&token::admin("ada"));
    let reconnect_token = away(&hub, &api).await;
    let path = format!("/reconnect?token={reconnect_token}");
    eventually("the session to be forgotten", async || {
        (api.get("/connections").await.data()["total"] == 0).then_some(())
    })
    .await;
    let answer = api.get(&path).await;
    assert_eq!(answer.failure(), (410, "reconnect_token_invalid"));
}

#[tokio::test]
async fn an_user_has_twice_as_many_sessions_away_as_connections() {
    let hub = Hub::with()
        .env("MAX_CONNECTIONS_PER_USER", "1")
        .start()
        .await;
    let api = hub.api(&token::admin("ada"));
    let mut sessions = Vec::new();
    for _ in 0..3 {
        sessions.push(away(&hub, &api).await);
    }
    let longest = api.get(&format!("/reconnect?token={}", sessions[0])).await;
    assert_eq!(longest.status, 410, "the one away longest is forgotten");
    let ada = token::admin("ada");
    let mut client = hub.resume(Transport::Sse, &sessions[1], &ada).await;
    assert_eq!(client.opened().await["type"], "reconnection_successful");
}
