//! How a connection ends that nobody has misused: chapter 9's table, but for 4401 and 4403, which
//! are the business of tokens and operators, and have their tests there.

use rustix::process::Signal;
use serde_json::json;

use super::{hub, opened};
use crate::support::frames::{CLOSE, FIN, close, frame, ping, text};
use crate::support::hub::Hub;
use crate::support::token;

#[tokio::test]
async fn a_goodbye_is_answered_with_its_own_code_and_nothing_after_it_counts() {
    let hub = hub("").await;
    let more = [text(r#"{"type":"ping"}"#), ping("more")].concat();
    for (goodbye, code) in [
        (close(1000, ""), 1000),
        (close(1000, "bye"), 1000),
        (close(1000, "x".repeat(123)), 1000),
        (close(1001, "the page is left"), 1001),
        (close(3000, ""), 3000),
        (close(4999, "ä"), 4999),
        (frame(FIN | CLOSE, ""), 1000),
    ] {
        let mut client = opened(&hub).await;
        client.send([goodbye.clone(), more.clone()].concat()).await;
        let end = client.ended().await;
        assert_eq!(end.code(), Some(code), "{goodbye:?}");
        assert_eq!(end.frames, [], "{goodbye:?}");
    }
}

#[tokio::test]
async fn what_was_asked_before_the_goodbye_is_answered_before_it() {
    let hub = hub("").await;
    let mut client = opened(&hub).await;
    let subscribe = text(r#"{"type":"subscribe","data":{"metrics":["a"]}}"#);
    let frames = [text(r#"{"type":"ping"}"#), subscribe, close(1000, "")];
    client.send(frames.concat()).await;
    let end = client.ended().await;
    assert_eq!(end.code(), Some(1000));
    let kinds: Vec<_> = end.messages().iter().map(|it| it["type"].clone()).collect();
    assert_eq!(kinds, ["pong", "subscribed"]);
}

#[tokio::test]
async fn a_session_can_be_resumed_after_a_goodbye() {
    let hub = hub("").await;
    let ada = token::admin("ada");
    let mut client = hub.websocket("?metrics=a", &ada).await;
    let notice = client.opened().await;
    client.close().await;
    let missed = hub.api(&ada).publish("a", json!(1)).await;
    let reconnect_token = notice["data"]["reconnectToken"].as_str().expect("a token");
    let query = format!("?reconnectToken={reconnect_token}");
    let mut again = hub.websocket(&query, &ada).await;
    assert_eq!(again.opened().await["type"], "reconnection_successful");
    assert_eq!(again.next().await["messageId"], *missed);
}

#[tokio::test]
async fn who_hangs_up_without_a_word_is_gone_at_once() {
    let hub = hub("").await;
    let api = hub.api(&token::admin("ada"));
    let mut client = opened(&hub).await;
    client.finish().await;
    client.ended().await;
    let reset = hub.websocket("", &token::admin("ada")).await;
    reset.reset();
    crate::support::eventually("both to be away", async || {
        let stats = api.get("/websocket-stats").await;
        (stats.data()["activeConnections"] == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_connection_whose_session_is_resumed_elsewhere_is_told_so_and_closed_with_4001() {
    let hub = hub("").await;
    let ada = token::admin("ada");
    let mut old = hub.raw_websocket("", &ada).await;
    let notice = old.opened().await;
    let reconnect_token = notice["data"]["reconnectToken"].as_str().expect("a token");
    let query = format!("?reconnectToken={reconnect_token}");
    let mut new = hub.raw_websocket(&query, &ada).await;
    assert_eq!(new.next().await["type"], "reconnection_successful");
    let end = old.ended().await;
    assert_eq!(end.code(), Some(4001), "{end:?}");
    let messages = end.messages();
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert_eq!(messages[0]["type"], "connection_replaced");
    new.answers().await;
}

#[tokio::test]
async fn a_hub_that_stops_says_when_to_come_back_and_closes_with_1001() {
    let mut hub = Hub::start().await;
    let mut clients = [opened(&hub).await, opened(&hub).await];
    hub.signal(Signal::TERM);
    for client in &mut clients {
        let end = client.ended().await;
        assert_eq!(end.code(), Some(1001), "{end:?}");
        let messages = end.messages();
        assert_eq!(messages.len(), 1, "{messages:?}");
        assert_eq!(messages[0]["type"], "server_shutdown");
        assert!(
            messages[0]["data"]["reconnectInMs"].is_u64(),
            "{messages:?}"
        );
    }
    assert_eq!(hub.ended().await.code, Some(0));
}
