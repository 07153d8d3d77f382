//! The life of a stream, and what is asked for over a WebSocket.

use serde_json::json;

use super::{audited, find, lines_of};
use crate::support::either::Transport;
use crate::support::{eventually, token};

#[tokio::test]
async fn the_life_of_a_stream_is_in_lines() {
    for transport in Transport::BOTH {
        let hub = audited("").await;
        let ada = token::admin("ada");
        let api = hub.api(&ada);
        let mut first = hub.open(transport, "", &ada).await;
        let session = first.opened().await["data"].clone();
        first.reset();
        eventually("the session to be away", async || {
            let away = api.get("/connections?state=away").await;
            (away.data()["total"] == 1).then_some(())
        })
        .await;
        let reconnect_token = session["reconnectToken"].as_str().expect("a token");
        let mut second = hub.resume(transport, reconnect_token, &ada).await;
        let resumed = second.opened().await["data"].clone();
        api.post("/disconnect", &json!({"userId": "ada"})).await;
        second.ended().await;
        let mut third = hub.open(transport, "", &ada).await;
        let last = third.opened().await["data"].clone();
        let trail = tokio::join!(lines_of(hub), third.ended()).0;
        for (opened, action, reason) in [
            (&session, "connect", "client_gone"),
            (&resumed, "resume", "disconnected"),
            (&last, "connect", "shutdown"),
        ] {
            let id = opened["connectionId"].as_str().expect("an id");
            let lines: Vec<_> = find(&trail, "target", id).collect();
            let [begin, end] = lines[..] else {
                panic!("not a beginning and an end of {id}: {lines:?}");
            };
            assert_eq!(
                (&begin["action"], &end["action"]),
                (&json!(action), &json!("disconnect"))
            );
            assert_eq!(end["details"]["reason"], reason);
            for field in ["actor", "role", "remote", "requestId"] {
                assert_eq!(begin[field], end[field], "{field}");
            }
            assert_eq!(begin["actor"], "ada");
            assert_eq!(begin["details"]["transport"], transport.name());
        }
    }
}

#[tokio::test]
async fn what_is_asked_for_over_a_websocket_is_a_line_too() {
    let hub = audited("").await;
    let ada = token::admin("ada");
    let mut client = hub.websocket("", &ada).await;
    let connection = client.opened().await["data"]["connectionId"].clone();
    client.subscribe(&["a"]).await;
    let unsubscribe = json!({"type": "unsubscribe", "data": {"metrics": ["a"]}});
    client.send(&unsubscribe).await;
    client.next_message("unsubscribed").await;
    let mut refresh = async |jwt: String| {
        client
            .send(&json!({"type": "refresh", "data": {"token": jwt}}))
            .await;
    };
    refresh(token::admin("bob")).await;
    // By which it is seen that the role is gone: the last thing of this connection.
    refresh(token::service("ada")).await;
    let (messages, closed) = client.closed().await;
    assert_eq!(closed.map(|(code, _)| code), Some(4403), "{messages:?}");
    let trail = lines_of(hub).await;
    let mut lines = Vec::new();
    for action in ["subscribe", "unsubscribe", "refresh"] {
        lines.extend(find(&trail, "action", action));
    }
    let told: Vec<_> = lines
        .iter()
        .map(|it| {
            (
                it["action"].as_str().unwrap_or("?"),
                it["outcome"].as_str().unwrap_or("?"),
            )
        })
        .collect();
    let expected = [
        ("subscribe", "ok"),
        ("unsubscribe", "ok"),
        ("refresh", "forbidden"),
        ("refresh", "forbidden"),
    ];
    assert_eq!(told, expected);
    for line in lines {
        assert_eq!(
            (&line["actor"], &line["role"]),
            (&json!("ada"), &json!("platform_admin"))
        );
        assert_eq!(
            (&line["target"], &line["remote"]),
            (&connection, &json!("127.0.0.1"))
        );
        assert!(line["requestId"].is_string(), "{line}");
    }
}
