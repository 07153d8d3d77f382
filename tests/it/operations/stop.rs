//! The end: SIGTERM and SIGINT drain, whatever the hub is doing; a second signal is not waited for.

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder};
use rustix::process::Signal;
use serde_json::json;

use super::stuck;
use crate::support::either::{Client, Transport};
use crate::support::hub::Hub;
use crate::support::raw::RawClient;
use crate::support::websocket::upgrade;
use crate::support::{A, eventually, in_time, token};

const SIGNALS: [Signal; 2] = [Signal::TERM, Signal::INT];

/// What the hub logs once it has begun to stop.
const STOPPING: &str = "stopping";

/// Failure: a stop or a bad reload in the middle of everything.
#[tokio::test]
async fn every_stream_is_told_when_to_come_back_and_ends_as_it_should() {
    let spread = "[realtime]\nreconnect_spread_min_ms = 700\nreconnect_spread_max_ms = 900";
    for signal in SIGNALS {
        let mut hub = Hub::with().config(spread).start().await;
        let mut clients = Vec::new();
        for user in ["ada", "bob"] {
            for transport in Transport::BOTH {
                let mut client = hub.open(transport, "", &token::admin(user)).await;
                client.opened().await;
                clients.push((transport, client));
            }
        }
        hub.api(&token::admin("ada")).publish("m", json!(1)).await;
        hub.signal(signal);
        let mut times = BTreeSet::new();
        for (transport, client) in clients {
            let (messages, code) = client.ended().await;
            let [update, last] = &messages[..] else {
                panic!("not what was published and a goodbye: {messages:?}");
            };
            assert_eq!(update["data"]["m"], 1);
            assert_eq!(last["type"], "server_shutdown");
            assert_eq!(last["priority"], "high");
            times.insert(last["data"]["reconnectInMs"].as_u64().expect("a time"));
            let going_away = (transport == Transport::WebSocket).then_some(1001);
            assert_eq!(code, going_away);
        }
        assert!(times.iter().all(|ms| (700..=900).contains(ms)), "{times:?}");
        assert_eq!(times.len(), 4, "another time for each: {times:?}");
        assert_eq!(hub.ended().await.code, Some(0));
    }
}

#[tokio::test]
async fn the_last_words_tell_an_event_source_itself_when_to_come_back() {
    let mut hub = Hub::start().await;
    let mut stream = hub.sse("/stream", &token::admin("ada")).await;
    stream.opened().await;
    hub.signal(Signal::TERM);
    let (events, finished) = stream.rest().await;
    let last = events.last().expect("last words");
    let message = last.message().expect("a message");
    assert_eq!(message["type"], "server_shutdown");
    assert_eq!(last.retry, message["data"]["reconnectInMs"].as_u64());
    assert!(finished, "the end is one by HTTP too");
    assert_eq!(hub.ended().await.code, Some(0));
}

/// The beginning of a request whose body goes on with `" "`.
async fn half_sent(hub: &Hub, path: &str, body: &str) -> RawClient {
    let ada = token::admin("ada");
    let length = body.len() + 1;
    let mut client = RawClient::connect(hub.address).await;
    let head = format!(
        "POST {A}{path} HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {ada}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\nExpect: 100-continue\r\n\r\n"
    );
    client.send(head).await;
    // The hub has begun to read the body: it is in the middle of the request.
    let interim = client.head().await.expect("an interim answer");
    assert_eq!(interim.status, 100);
    client.send(body).await;
    client
}

#[tokio::test]
async fn a_request_under_way_is_answered() {
    for signal in SIGNALS {
        let mut hub = Hub::start().await;
        let mut ticket = half_sent(&hub, "/ticket", "{}").await;
        let mut publish = half_sent(&hub, "/publish", r#"{"metric":"m","data":1}"#).await;
        hub.signal(signal);
        hub.logged(STOPPING).await;
        for client in [&mut ticket, &mut publish] {
            client.send(" ").await;
        }
        let answer = ticket.head().await.expect("an answer");
        assert_eq!(answer.status, 200);
        let answer = publish.head().await.expect("an answer");
        assert_eq!(answer.status, 202, "it was begun in time");
        for client in [&mut ticket, &mut publish] {
            let body = String::from_utf8(client.read_to_end().await).expect("a text");
            assert!(body.ends_with('}'), "a whole answer: {body:?}");
        }
        assert_eq!(hub.ended().await.code, Some(0));
    }
}

/// The status, or none where the hub does not take the connection, or breaks it off.
async fn status(request: RequestBuilder) -> Option<u16> {
    let answer = in_time("an answer", request.send()).await.ok()?;
    if answer.status() == 503 {
        assert!(answer.headers().contains_key("retry-after"), "{answer:?}");
    }
    Some(answer.status().as_u16())
}

#[tokio::test]
async fn a_hub_that_stops_takes_nobody_in() {
    let mut hub = Hub::start().await;
    let held_up = stuck(&hub, "bob").await;
    let api = hub.api(&token::admin("ada"));
    let get = |path| api.request(Method::GET, path);
    assert_eq!(status(get("/api/health/ready")).await, Some(200));
    hub.signal(Signal::TERM);
    eventually("health to tell of it", async || {
        let status = status(get("/api/health/ready")).await;
        (status != Some(200)).then_some(())
    })
    .await;
    // As long as it listens at all, which is not for long.
    for request in [get("/api/health/ready"), get("/stream"), api.upgrade("")] {
        let what = format!("{request:?}");
        let status = status(request).await;
        assert!(matches!(status, None | Some(503)), "{status:?} {what}");
    }
    // A supervisor that restarts what is not live must not do so because it stops.
    let live = status(get("/api/health/live")).await;
    assert!(matches!(live, None | Some(200)), "{live:?}");
    // A native EventSource that gets any answer but 200 is dead for good.
    let event_source = get("/stream").header("accept", "text/event-stream");
    assert_eq!(status(event_source).await, None);
    assert_eq!(hub.ended().await.code, Some(0));
    drop(held_up);
}

/// Failure: a stop or a bad reload in the middle of everything.
#[tokio::test]
async fn a_client_that_does_not_read_does_not_hold_up_the_stop_nor_the_others() {
    let hub = Hub::start().await;
    let held_up = stuck(&hub, "bob").await;
    let mut streams = Vec::new();
    for transport in Transport::BOTH {
        let mut client = hub.open(transport, "", &token::admin("ada")).await;
        client.opened().await;
        streams.push(client);
    }
    let ended = tokio::join!(hub.stop(), last_words(streams)).0;
    assert_eq!(ended.code, Some(0));
    drop(held_up);
}

#[tokio::test]
async fn a_websocket_that_does_not_answer_the_goodbye_is_not_waited_for() {
    let hub = Hub::start().await;
    let mut silent = RawClient::connect(hub.address).await;
    silent.send(upgrade(&token::admin("ada"))).await;
    assert_eq!(silent.head().await.expect("an answer").status, 101);
    let ended = hub.stop().await;
    assert_eq!(ended.code, Some(0));
    drop(silent);
}

async fn last_words(streams: Vec<Client>) {
    for client in streams {
        let (messages, _) = client.ended().await;
        assert_eq!(messages.last().expect("words")["type"], "server_shutdown");
    }
}

/// Failure: a stop or a bad reload in the middle of everything.
#[tokio::test]
async fn a_second_signal_stops_at_once() {
    for (first, second) in [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::TERM)] {
        let mut hub = Hub::start().await;
        // Which the hub would wait for.
        let unfinished = half_sent(&hub, "/ticket", "{}").await;
        let held_up = stuck(&hub, "bob").await;
        hub.signal(first);
        hub.logged(STOPPING).await;
        hub.signal(second);
        let ended = hub.ended().await;
        assert_eq!(ended.code, Some(1), "not everything was finished");
        // Other threads may have had something to log still.
        let why = ended
            .stderr
            .lines()
            .find(|line| line.starts_with("statshub: "));
        assert!(why.is_some(), "{}", ended.stderr);
        drop((unfinished, held_up));
    }
}

/// Failure: a stop or a bad reload in the middle of everything.
#[tokio::test]
async fn a_signal_that_comes_while_the_hub_still_starts_is_an_orderly_stop_too() {
    for (word, signal) in [
        ("serve", Signal::TERM),
        ("serve", Signal::INT),
        // Which has more to do before it listens.
        ("demo", Signal::TERM),
    ] {
        let mut hub = Hub::with().arg(word).launch();
        eventually("a handler for the signal", async || {
            hub.handles(signal).then_some(())
        })
        .await;
        hub.signal(signal);
        hub.listens(0).await;
        assert_eq!(hub.ended().await.code, Some(0), "{word} {signal:?}");
    }
}
