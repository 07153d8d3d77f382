//! What must hold when the hub takes a stream's socket over from the HTTP server, and holds all the
//! same where it does not. The other chapters say the rest: all run once with either driver.

use serde_json::json;

use crate::support::either::Transport;
use crate::support::hub::Hub;
use crate::support::raw::RawClient;
use crate::support::{A, eventually, token};

#[tokio::test]
async fn sockets_are_counted_whoever_drives_them() {
    for transport in Transport::BOTH {
        let config = "[http]\nsockets_max = 3\nworkers = 1\n[sessions]\nconnections_max = 3";
        let hub = Hub::with().config(config).start().await;
        let ada = token::admin("ada");
        let mut streams = Vec::new();
        for _ in 0..3 {
            streams.push(hub.opened(transport, "", &ada).await.0);
        }
        let mut one_more = RawClient::connect(hub.address).await;
        let request = "GET /health/live HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n";
        one_more.send(request).await;
        drop(streams.pop());
        // Either it had to wait for its turn, or it was hung up on and has to come again.
        eventually("room for a socket", async || {
            let mut client = RawClient::connect(hub.address).await;
            client.send(request).await;
            client.head().await.filter(|head| head.status == 200)
        })
        .await;
        hub.api(&ada).publish("m", json!(1)).await;
        for stream in &mut streams {
            assert_eq!(stream.next_message("metrics_update").await["data"]["m"], 1);
        }
    }
}

#[tokio::test]
async fn what_comes_right_behind_the_request_of_a_stream_does_not_disturb_it() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let mut client = RawClient::connect(hub.address).await;
    let stream =
        format!("GET {A}/stream HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {ada}\r\n\r\n");
    let more = "GET /health/live HTTP/1.1\r\nHost: hub\r\n\r\n".repeat(20);
    client.send(stream + &more).await;
    let head = client.head().await.expect("an answer");
    assert_eq!((head.status, head.is_chunked()), (200, true));
    hub.api(&ada).publish("m", json!("behind")).await;
    let mut text = String::new();
    while !text.contains("behind") {
        assert!(client.read_more().await, "the stream ended after {text}");
        text += &String::from_utf8_lossy(&std::mem::take(&mut client.pending));
    }
    assert!(
        !text.contains("HTTP/1.1"),
        "an answer in the stream: {text}"
    );
}

#[tokio::test]
async fn answers_that_come_before_a_stream_on_its_connection_come_whole() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    api.publish("large", json!("x".repeat(60_000))).await;
    let mut client = RawClient::connect_narrow(hub.address, 4096).await;
    let metrics =
        format!("GET {A}/metrics HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {ada}\r\n\r\n");
    let stream =
        format!("GET {A}/stream HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {ada}\r\n\r\n");
    client.send(metrics.repeat(8) + &stream).await;
    for _ in 0..8 {
        let head = client.head().await.expect("an answer");
        let length: usize = head
            .header("content-length")
            .and_then(|it| it.parse().ok())
            .expect("a length");
        while client.pending.len() < length {
            assert!(client.read_more().await, "an answer was cut");
        }
        client.pending.drain(..length);
    }
    let head = client.head().await.expect("the stream");
    assert_eq!((head.status, head.is_chunked()), (200, true));
    api.publish("m", json!("at the end")).await;
    let mut text = String::new();
    while !text.contains("at the end") {
        assert!(client.read_more().await, "the stream ended");
        text += &String::from_utf8_lossy(&std::mem::take(&mut client.pending));
    }
}

#[tokio::test]
async fn a_stream_is_in_the_access_log_and_no_error_is() {
    // As many as any machine has descriptors for.
    let config = "[http]\nsockets_max = 100\n[sessions]\nconnections_max = 100\n";
    let hub = Hub::with().env("RUST_LOG", "debug").config(config);
    let hub = hub.start().await;
    let ada = token::admin("ada");
    for transport in Transport::BOTH {
        let (client, _) = hub.opened(transport, "", &ada).await;
        client.reset();
    }
    hub.logged("/stream\" status=200").await;
    hub.logged("/websocket\" status=101").await;
    let ended = hub.stop().await;
    let wrong = ended
        .stderr
        .lines()
        .find(|line| line.contains(" ERROR ") || line.contains(" WARN "));
    assert_eq!(wrong, None);
}
