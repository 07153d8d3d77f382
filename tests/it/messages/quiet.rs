//! What comes when nothing is published for a client: its position moves along, the hub shows that
//! it lives, and the connection is kept open.

use serde_json::{Value, json};

use crate::support::either::{Client, Transport};
use crate::support::http::Api;
use crate::support::hub::{Hub, Start};
use crate::support::id::Id;
use crate::support::message::text;
use crate::support::sse::{Event, SseClient};
use crate::support::{in_time, token};

/// Hubs whose heart beats fast.
fn with_beats() -> Start {
    Hub::with().env("REAL_TIME_HEARTBEAT_INTERVAL", "30")
}

/// A stream of ada's that is for `a` only, and its reconnect token.
async fn opened(hub: &Hub) -> (SseClient, String) {
    let mut client = hub.sse("/stream?metrics=a", &token::admin("ada")).await;
    client.opened().await;
    let reconnect_token = client.reconnect_token().to_owned();
    (client, reconnect_token)
}

fn is_heartbeat(event: &Event) -> bool {
    event.message().is_some_and(|it| it["type"] == "heartbeat")
}

/// Nothing comes but heartbeats.
async fn check_still(client: &mut SseClient) {
    for _ in 0..3 {
        let event = client.next_event().await.expect("a heartbeat");
        assert!(is_heartbeat(&event), "{event:?}");
    }
}

/// The cursor at `wanted`, past cursors of what passed before that, and heartbeats.
async fn cursor_at(client: &mut SseClient, wanted: &str) -> Event {
    let mut last = None;
    in_time("a cursor", async {
        loop {
            let event = client.next_event().await.expect("a cursor");
            if event.event.is_none() {
                assert!(is_heartbeat(&event), "{event:?}");
                continue;
            }
            let at = Some(Id::of(&json!(event.id)));
            assert!(at > last, "a cursor goes forward: {event:?}");
            last = at;
            if event.id.as_deref() == Some(wanted) {
                return event;
            }
        }
    })
    .await
}

/// Publishes what is not for ada's stream in every way there is; gives the newest id.
async fn publish_for_others(api: &Api) -> String {
    api.publish("b", json!(1)).await;
    let messages = json!([{"metric": "b", "data": 2}, {"metric": "c", "data": 3}]);
    api.post("/publish", &json!({"messages": messages})).await;
    let targeted = json!({"metric": "a", "data": 4, "userId": "bob"});
    let answer = api.post("/publish", &targeted).await;
    text(&answer.data()["messageId"]).to_owned()
}

#[tokio::test]
async fn what_passed_moves_the_position_before_the_next_heartbeat() {
    let hub = with_beats().start().await;
    let api = hub.api(&token::service("job"));
    let (mut client, _) = opened(&hub).await;
    for _ in 0..3 {
        let newest = publish_for_others(&api).await;
        let cursor = cursor_at(&mut client, &newest).await;
        assert_eq!(
            cursor.raw,
            format!("event: cursor\nid: {newest}\ndata:\n\n")
        );
        // Once is enough: when nothing more has passed there is no other.
        check_still(&mut client).await;
    }
    // What is for the client moves its position by itself.
    api.publish("a", json!(5)).await;
    client.next_message("metrics_update").await;
    check_still(&mut client).await;
}

#[tokio::test]
async fn a_resume_from_a_cursor_replays_the_rest_and_nothing_else() {
    let hub = with_beats().start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    for by_token in [false, true] {
        let (mut client, reconnect_token) = opened(&hub).await;
        api.publish("a", json!("seen")).await;
        let newest = publish_for_others(&api).await;
        client.next_message("metrics_update").await;
        cursor_at(&mut client, &newest).await;
        client.reset();
        let first = api.publish("a", json!(1)).await;
        publish_for_others(&api).await;
        let second = api.publish("a", json!(2)).await;
        let path = match by_token {
            false => "/stream?metrics=a".to_owned(),
            true => format!("/reconnect?token={reconnect_token}"),
        };
        let mut again = hub.sse_after(&path, &ada, &newest).await;
        let resumed = again.opened().await;
        assert_eq!(resumed["data"]["resumed"], true);
        assert_eq!(resumed["data"]["replayedMessagesCount"], 2);
        assert_eq!(resumed["data"]["droppedMessagesCount"], 0);
        for id in [first, second] {
            assert_eq!(again.next().await["messageId"], *id);
        }
    }
}

/// One message too large for a buffer to hide it, for the client, and one that only passes.
async fn publish_pair(api: &Api) -> String {
    let own = api.publish("a", json!("x".repeat(8192))).await;
    api.publish("b", json!(1)).await;
    own
}

#[tokio::test]
async fn a_cursor_never_passes_what_was_not_sent_yet() {
    for config in ["", "[outgoing]\nqueue_messages_max = 3"] {
        let start = with_beats().env("MAX_BUFFER_SIZE", "1000");
        let hub = start.config(config).start().await;
        let api = hub.api(&token::service("job"));
        let token = token::admin("ada");
        let mut client = hub.sse_narrow("/stream?metrics=a", &token).await;
        client.opened().await;
        let mut own = Vec::new();
        for _ in 0..60 {
            own.push(Id::of(&json!(publish_pair(&api).await)));
        }
        in_time("the cursor after all", check_cursors(&mut client, &own)).await;
    }
}

/// Reads up to a cursor after the last of `own`, the ids of what is for the client.
async fn check_cursors(client: &mut SseClient, own: &[Id]) {
    let mut seen = 0;
    loop {
        let event = client.next_event().await.expect("an event");
        if event.event.is_some() {
            let at = Id::of(&json!(event.id));
            let due = own.iter().filter(|own| **own <= at).count();
            assert_eq!(seen, due, "at {event:?}");
            if seen == own.len() {
                return;
            }
        } else if event.id.is_some() {
            assert_eq!(Id::of(&json!(event.id)), own[seen]);
            seen += 1;
        }
    }
}

#[tokio::test]
async fn a_position_also_moves_past_what_was_for_others_while_the_client_was_away() {
    let hub = with_beats().start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    for missed in [0, 2] {
        let (client, notice) = hub.opened(Transport::Sse, "?metrics=a", &ada).await;
        hub.lose(client, &notice).await;
        for number in 0..missed {
            api.publish("a", json!(number)).await;
        }
        let newest = publish_for_others(&api).await;
        let path = format!("/reconnect?token={}", text(&notice["reconnectToken"]));
        let mut again = hub.sse(&path, &ada).await;
        again.opened().await;
        for number in 0..missed {
            assert_eq!(again.next().await["data"], json!({"a": number}));
        }
        cursor_at(&mut again, &newest).await;
        // Who comes with that position knows it already.
        let mut again = hub.sse_after(&path, &ada, &newest).await;
        again.opened().await;
        check_still(&mut again).await;
    }
}

#[tokio::test]
async fn a_websocket_has_heartbeats_and_no_cursors() {
    let hub = with_beats().start().await;
    let api = hub.api(&token::service("job"));
    let ada = token::admin("ada");
    let (mut client, notice) = hub.opened(Transport::WebSocket, "?metrics=a", &ada).await;
    publish_for_others(&api).await;
    for _ in 0..3 {
        assert_eq!(client.next().await["type"], "heartbeat");
    }
    // Its position has moved all the same.
    let reconnect_token = text(&notice["reconnectToken"]);
    let mut again = hub
        .resume(Transport::WebSocket, reconnect_token, &ada)
        .await;
    let resumed: Value = again.opened().await;
    assert_eq!(resumed["data"]["resumed"], true);
    assert_eq!(resumed["data"]["replayedMessagesCount"], 0);
    assert_eq!(resumed["data"]["droppedMessagesCount"], 0);
}

#[tokio::test]
async fn every_stream_gets_heartbeats_as_often_as_configured() {
    let hub = with_beats().start().await;
    let ada = token::admin("ada");
    for transport in Transport::BOTH {
        let (mut first, notice) = hub.opened(transport, "", &ada).await;
        let (mut other, _) = hub
            .opened(transport, "?metrics=none", &token::admin("bob"))
            .await;
        for _ in 0..3 {
            for client in [&mut first, &mut other] {
                assert_eq!(client.next().await["type"], "heartbeat");
            }
        }
        let reconnect_token = text(&notice["reconnectToken"]);
        let mut again = hub.resume(transport, reconnect_token, &ada).await;
        again.opened().await;
        assert_eq!(again.next().await["type"], "heartbeat");
    }
}

#[tokio::test]
async fn an_event_stream_without_any_output_gets_comments() {
    let config = "[realtime]\nsse_comment_after_ms = 50";
    let hub = Hub::with().config(config).start().await;
    let ada = token::admin("ada");
    let (mut socket, _) = hub.opened(Transport::WebSocket, "", &ada).await;
    let (mut client, _) = opened(&hub).await;
    for _ in 0..3 {
        let comment = client.next_event().await.expect("a comment");
        assert!(comment.raw.starts_with(':'), "{comment:?}");
        assert!(!comment.comments.is_empty(), "{comment:?}");
        assert_eq!((comment.id, comment.data), (None, None));
    }
    hub.api(&ada).publish("a", json!(1)).await;
    assert_eq!(client.next().await["type"], "metrics_update");
    // It is none of a WebSocket's business.
    assert_eq!(socket.next().await["type"], "metrics_update");
}

#[tokio::test]
async fn a_stream_with_output_needs_no_comments() {
    let config = "[realtime]\nsse_comment_after_ms = 60000";
    let hub = with_beats().config(config).start().await;
    let (mut client, _) = opened(&hub).await;
    for _ in 0..10 {
        let event = client.next_event().await.expect("a heartbeat");
        assert!(is_heartbeat(&event), "{event:?}");
    }
    // Nor does one with messages lose any to them.
    let mut client = Client::Sse(Box::new(client));
    let api = hub.api(&token::admin("ada"));
    api.publish("a", json!(1)).await;
    assert_eq!(client.metrics_until_now(&api).await, ["a"]);
}
