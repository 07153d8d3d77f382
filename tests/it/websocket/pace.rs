//! Too many messages: they are ignored and the client is told; one that goes on is closed with 1008.

use std::time::Duration;

use serde_json::{Value, json};

use super::{hub, opened};
use crate::support::frames::{End, FIN, PONG, close, fragments, frame, ping, text};
use crate::support::http::respond;
use crate::support::hub::Hub;
use crate::support::witness::Witness;

/// Three at once, and then one with each quarter of a second.
const THREE: &str = "[websocket]\nmessages_per_second = 4\nmessage_burst = 3\n";

/// After this every client may send three at once again.
const FORGIVEN_AFTER: Duration = Duration::from_millis(750);

const PING_MESSAGE: &str = r#"{"type":"ping"}"#;

fn check_told_and_closed(end: &End) {
    assert_eq!(end.code(), Some(1008), "{end:?}");
    let messages = end.messages();
    let told = messages
        .iter()
        .position(|it| it["data"]["code"] == "rate_limited");
    let told = told.expect("it was told");
    // Once, and with the last words again.
    let rest: Vec<_> = messages[told + 1..]
        .iter()
        .map(|it| it["data"]["code"].clone())
        .collect();
    assert!(
        rest.iter().all(|code| code == "rate_limited") && rest.len() <= 1,
        "{rest:?}"
    );
}

/// Attack: a flood of pings, pongs or messages.
#[tokio::test]
async fn a_thousand_frames_at_once_are_too_many_of_whatever_kind() {
    let hub = hub("").await;
    let mut witness = Witness::of(&hub).await;
    let subscribe = text(r#"{"type":"subscribe","data":{"metrics":["a"]}}"#);
    for (what, frame) in [
        ("pings", ping("payload")),
        ("pongs", frame(FIN | PONG, "")),
        ("messages", text(PING_MESSAGE)),
        ("changes", subscribe),
        ("nonsense", text("nonsense")),
    ] {
        let mut client = opened(&hub).await;
        client.send(frame.repeat(1000)).await;
        let end = client.ended().await;
        check_told_and_closed(&end);
        // A hundred at once, and fifty more in each second that it took.
        assert!(
            end.frames.len() < 500,
            "{what}: {} answers",
            end.frames.len()
        );
        witness.is_undisturbed().await;
    }
    hub.is_at_rest().await;
}

/// Attack: a flood of pings, pongs or messages.
#[tokio::test]
async fn a_few_too_many_are_ignored_and_told_once_and_forgiven_after_a_pause() {
    let hub = hub(THREE).await;
    let mut client = opened(&hub).await;
    for _ in 0..2 {
        client.send(text(PING_MESSAGE).repeat(6)).await;
        for _ in 0..3 {
            assert_eq!(client.next().await["type"], "pong");
        }
        let error = client.next().await;
        assert_eq!(error["type"], "error");
        assert_eq!(error["data"]["code"], "rate_limited");
        tokio::time::sleep(FORGIVEN_AFTER).await;
    }
    client.answers().await;
}

#[tokio::test]
async fn who_stays_within_the_rate_is_never_told_anything() {
    let hub = hub("[websocket]\nmessages_per_second = 1000\nmessage_burst = 1\n").await;
    let mut client = opened(&hub).await;
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_millis(2)).await;
        client.send(text(PING_MESSAGE)).await;
        assert_eq!(client.next().await["type"], "pong");
    }
}

#[tokio::test]
async fn a_goodbye_is_heard_however_much_was_said_before_it() {
    let hub = hub(THREE).await;
    let mut client = opened(&hub).await;
    client
        .send([ping("").repeat(5), close(1000, "")].concat())
        .await;
    let end = client.ended().await;
    assert_eq!(end.code(), Some(1000), "{end:?}");
    assert_eq!(end.count(PONG), 3);
}

const PARTS: [&str; 3] = [
    r#"{"type":"subscribe","data":{"metrics":["a""#,
    r#","b""#,
    "]}}",
];

/// Sends the parts of a message after so many other frames that not all of them are within the rate,
/// and gives the first answer after a pause, to another message.
async fn after_a_broken_message(hub: &Hub, before: usize) -> Value {
    let mut client = opened(hub).await;
    let others = frame(FIN | PONG, "").repeat(before);
    client
        .send([others, fragments(&PARTS).concat()].concat())
        .await;
    let error = client.next().await;
    assert_eq!(error["data"]["code"], "rate_limited", "{before} {error}");
    tokio::time::sleep(FORGIVEN_AFTER).await;
    client
        .send(text(r#"{"type":"subscribe","data":{"metrics":["c"]}}"#))
        .await;
    client.next().await
}

#[tokio::test]
async fn a_message_of_which_a_fragment_was_too_many_is_ignored_whole() {
    let hub = hub(THREE).await;
    // The last part is too many, the last two, all three.
    let tried = [1, 2, 3].map(|before| after_a_broken_message(&hub, before));
    for answer in futures::future::join_all(tried).await {
        assert_eq!(
            answer["type"], "subscribed",
            "no breach of the protocol: {answer}"
        );
        assert_eq!(
            answer["data"]["metrics"],
            json!(["none", "c"]),
            "and no half of a message"
        );
    }
}

#[tokio::test]
async fn a_message_is_not_put_together_without_the_fragment_that_was_too_many() {
    let hub = hub(THREE).await;
    let mut client = opened(&hub).await;
    let [first, second, last] = fragments(&PARTS).try_into().expect("three");
    client
        .send([frame(FIN | PONG, "").repeat(2), first, second].concat())
        .await;
    assert_eq!(client.next().await["data"]["code"], "rate_limited");
    tokio::time::sleep(FORGIVEN_AFTER).await;
    client.send([last, text(PING_MESSAGE)].concat()).await;
    assert_eq!(client.next().await["type"], "pong");
}

#[tokio::test]
async fn everything_that_was_too_much_is_counted() {
    let hub = hub(THREE).await;
    let mut client = opened(&hub).await;
    client.send(ping("").repeat(5)).await;
    assert_eq!(client.next().await["data"]["code"], "rate_limited");
    let counted = r#"statshub_rate_limited_total{kind="websocket"} 2"#;
    crate::support::eventually(counted, async || {
        let request = hub.anonymous().request_at(reqwest::Method::GET, "/metrics");
        let text = respond(request).await.text().await.expect("a text");
        text.lines().any(|line| line == counted).then_some(())
    })
    .await;
}
