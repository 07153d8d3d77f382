//! A client that stayed connected and read too slowly is told what it will not get, before it gets
//! the rest.

use serde_json::{Value, json};

use crate::documents::check_message;
use crate::support::either::{Client, Transport};
use crate::support::hub::Hub;
use crate::support::id::Id;
use crate::support::message::{assert_is_time, fields, text};
use crate::support::{in_time, token};

/// Too large for the kernel's buffers to hide for long that nobody reads.
const SIZE: usize = 16 * 1024;
/// Room in a backlog.
const KEPT: usize = 5;

/// A hub with short queues, and a stream on it whose client has stopped reading and been noticed,
/// with the number of messages that were published until then.
async fn lagging(transport: Transport, backlog: usize) -> (Hub, Client, usize) {
    let hub = Hub::with()
        .env("MAX_BUFFER_SIZE", &backlog.to_string())
        .config("[outgoing]\nqueue_messages_max = 4")
        .start()
        .await;
    let mut client = hub.open_narrow(transport, "", &token::admin("ada")).await;
    client.opened().await;
    let api = hub.api(&token::admin("bob"));
    let published = in_time("the client to be noticed as slow", async {
        for published in 1.. {
            api.publish("early", json!("x".repeat(SIZE))).await;
            let lagging = api.get("/connections?state=lagging").await;
            if lagging.body.to_string().contains("\"ada\"") {
                return published;
            }
        }
        unreachable!("there are more numbers than that")
    })
    .await;
    (hub, client, published)
}

/// Reads updates up to the one of `end`; all that came, in the order in which it came.
async fn read_up_to(client: &mut Client, end: &str) -> Vec<Value> {
    let mut messages = Vec::new();
    loop {
        let message = client.next().await;
        let is_end = message["data"].get(end).is_some();
        messages.push(message);
        if is_end {
            return messages;
        }
    }
}

#[tokio::test]
async fn it_is_told_just_before_its_backlog_what_was_dropped() {
    for transport in Transport::BOTH {
        let (hub, mut client, early) = lagging(transport, KEPT).await;
        let api = hub.api(&token::admin("bob"));
        for number in 0..20 {
            let low = json!({"metric": "late.low", "data": number, "priority": "low"});
            assert_eq!(api.post("/publish", &low).await.status, 202);
            api.publish("late.normal", json!(number)).await;
        }
        api.publish("end", json!(0)).await;
        let messages = read_up_to(&mut client, "end").await;

        let at = messages
            .iter()
            .position(|message| message["type"] == "messages_dropped")
            .expect("a notice of what was dropped");
        let (before, rest) = messages.split_at(at);
        let (notice, backlog) = (&rest[0], &rest[1..]);
        check_message(notice);
        check_notice(notice);
        assert_eq!(backlog.len(), KEPT, "just before the backlog");
        let kept: Vec<&Value> = backlog.iter().map(|it| &it["data"]).collect();
        let normal = |number| json!({"late.normal": number});
        let newest = [normal(16), normal(17), normal(18), normal(19)];
        assert_eq!(kept[..KEPT - 1], newest.iter().collect::<Vec<_>>()[..]);
        assert!(before.iter().chain(backlog).is_sorted_by_key(|message| {
            assert_eq!(message["type"], "metrics_update");
            Id::of(&message["messageId"])
        }));
        // What was sent and what is reported make all that was published.
        let dropped = (early - before.len()) + 20 + (20 - (KEPT - 1));
        assert_eq!(notice["data"]["droppedMessagesCount"], dropped);
        let by_priority = &notice["data"]["droppedByPriority"];
        assert_eq!(by_priority["low"], 20);
        assert_eq!(by_priority["normal"], dropped - 20);
        let names = notice["data"]["droppedMetrics"].to_string();
        assert!(names.contains("late.low") && names.contains("late.normal"));

        // And then it goes on as if nothing had been.
        api.publish("after", json!(1)).await;
        assert_eq!(client.next().await["data"], json!({"after": 1}));
    }
}

fn check_notice(notice: &Value) {
    assert_eq!(notice["priority"], "high");
    assert_is_time(&notice["timestamp"]);
    assert_eq!(Id::parse(text(&notice["messageId"])), None);
    assert_eq!(
        fields(&notice["data"]),
        [
            "droppedByPriority",
            "droppedMessagesCount",
            "droppedMetrics"
        ]
    );
}

#[tokio::test]
async fn it_is_told_nothing_when_nothing_was_dropped() {
    for transport in Transport::BOTH {
        let (hub, mut client, early) = lagging(transport, 10_000).await;
        let api = hub.api(&token::admin("bob"));
        for number in 0..20 {
            api.publish("late", json!(number)).await;
        }
        api.publish("end", json!(0)).await;
        let messages = read_up_to(&mut client, "end").await;
        assert_eq!(messages.len(), early + 21);
        assert!(messages.is_sorted_by_key(|message| {
            assert_eq!(message["type"], "metrics_update");
            Id::of(&message["messageId"])
        }));
    }
}

#[tokio::test]
async fn nobody_else_waits_for_it() {
    for transport in Transport::BOTH {
        let (hub, _client, _) = lagging(transport, KEPT).await;
        let api = hub.api(&token::admin("bob"));
        for other in Transport::BOTH {
            let (mut fast, _) = hub.opened(other, "", &token::admin("ada")).await;
            let sent = api.publish("m", json!(1)).await;
            assert_eq!(fast.next().await["messageId"], *sent);
        }
    }
}
