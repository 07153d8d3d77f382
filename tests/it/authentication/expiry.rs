//! A stream does not outlive its token; its session does.

use std::time::Duration;

use serde_json::json;

use crate::support::either::Transport;
use crate::support::http::send;
use crate::support::hub::Hub;
use crate::support::token;

/// Long enough to open a stream on a busy machine.
const SHORT: Duration = Duration::from_secs(3);

fn short(user: &str) -> String {
    token::token(user, "platform_admin", SHORT)
}

/// Attack: a stream kept open beyond the end of its token.
#[tokio::test]
async fn at_expiry_the_client_is_told_and_the_stream_ends() {
    for transport in Transport::BOTH {
        let hub = Hub::start().await;
        let expires = token::now() + SHORT.as_secs();
        let mut client = hub.open(transport, "", &short("ada")).await;
        client.opened().await;
        let error = client.next_message("error").await;
        assert!(token::now() >= expires, "not before its time");
        assert_eq!(error["data"]["code"], "token_expired");
        assert!(
            error["data"]["message"]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        );
        assert_eq!(error["priority"], "critical");
        let (after, code) = client.ended().await;
        assert!(after.is_empty(), "{after:?}");
        assert_eq!(code, (transport == Transport::WebSocket).then_some(4401));
    }
}

/// Attack: a stream kept open beyond the end of its token.
#[tokio::test]
async fn an_expired_streams_session_is_resumed_with_a_fresh_token() {
    for transport in Transport::BOTH {
        let hub = Hub::start().await;
        let mut client = hub.open(transport, "?metrics=a", &short("ada")).await;
        let notice = client.opened().await;
        let reconnect_token = notice["data"]["reconnectToken"]
            .as_str()
            .unwrap()
            .to_owned();
        client.ended().await;
        let missed = hub.api(&token::admin("bob")).publish("a", json!(1)).await;

        // Neither the old token nor another user's will do.
        let path = format!("/reconnect?token={reconnect_token}");
        let stranger = hub.api(&token::admin("eve")).get(&path).await;
        assert_eq!(stranger.failure(), (410, "reconnect_token_invalid"));

        let mut again = hub
            .resume(transport, &reconnect_token, &token::admin("ada"))
            .await;
        let resumed = again.opened().await;
        assert_eq!(resumed["type"], "reconnection_successful");
        assert_eq!(resumed["data"]["metrics"], json!(["a"]));
        let update = again.next_message("metrics_update").await;
        assert_eq!(update["messageId"], *missed);
    }
}

#[tokio::test]
async fn an_expired_token_opens_nothing() {
    let hub = Hub::start().await;
    let claims = json!({"sub": "ada", "role": "platform_admin", "exp": token::now() - 60});
    let api = hub.api(&token::sign(&claims));
    for answer in [
        api.get("/stream").await,
        api.get("/reconnect?token=6b1f3c52-5d0e-4f0a-9c55-0d7f3f6c1a11")
            .await,
        send(api.upgrade("")).await,
    ] {
        assert_eq!(answer.failure(), (401, "unauthenticated"));
    }
}

#[tokio::test]
async fn the_streams_of_other_tokens_go_on() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let mut long = hub.sse("/stream", &ada).await;
    long.opened().await;
    let mut soon = hub.sse("/stream", &short("ada")).await;
    soon.opened().await;
    soon.next_message("error").await;
    hub.api(&ada).publish("a", json!(1)).await;
    assert_eq!(long.next().await["type"], "metrics_update");
}
