//! Streams for clients that take gzip: what they read is what all others read, each event at once.

use serde_json::{Value, json};

use crate::support::hub::Hub;
use crate::support::message::text;
use crate::support::raw::RawClient;
use crate::support::sse::{SseClient, bearer};
use crate::support::{A, token};

/// Both ways in which a stream is written.
const DRIVERS: [&str; 2] = ["auto", "body"];

async fn hub_with(outgoing: &str) -> Hub {
    let config = format!("[outgoing]\n{outgoing}\n[sessions]\nconnections_max = 20\n");
    Hub::with().config(&config).start().await
}

async fn stream_for(hub: &Hub, accepts: &str, path: &str) -> SseClient {
    let authorization = bearer(&token::admin("ada"));
    let headers = [
        ("Authorization", &*authorization),
        ("Accept-Encoding", accepts),
    ];
    hub.sse_with(path, &headers).await
}

async fn gzip_stream(hub: &Hub, path: &str) -> SseClient {
    let stream = stream_for(hub, "gzip, deflate, br, zstd", path).await;
    assert_eq!(stream.head.header("content-encoding"), Some("gzip"));
    stream
}

#[tokio::test]
async fn whoever_takes_gzip_gets_it_and_nobody_else() {
    let hub = Hub::start().await;
    let off = hub_with("gzip = false").await;
    for (accepts, expected) in [
        ("gzip", Some("gzip")),
        ("br;q=1, gzip;q=0.1", Some("gzip")),
        ("gzip;q=0", None),
        ("identity", None),
        ("br", None),
        ("", None),
    ] {
        let mut stream = stream_for(&hub, accepts, "/stream").await;
        let head = &stream.head;
        assert_eq!(head.header("content-encoding"), expected, "{accepts:?}");
        let varies = head.headers.iter().filter(|(name, _)| name == "vary");
        let varies: Vec<_> = varies.map(|(_, value)| value.to_lowercase()).collect();
        assert!(varies.concat().contains("accept-encoding"), "{varies:?}");
        stream.opened().await;
        let stream = stream_for(&off, accepts, "/stream").await;
        assert_eq!(stream.head.header("content-encoding"), None);
    }
}

#[tokio::test]
async fn every_event_arrives_at_once_and_as_it_is_for_all() {
    for driver in DRIVERS {
        let hub = hub_with(&format!("driver = \"{driver}\"")).await;
        let api = hub.api(&token::admin("ada"));
        let mut plain = stream_for(&hub, "identity", "/stream").await;
        let mut gzip = gzip_stream(&hub, "/stream").await;
        let mut late = None;
        plain.opened().await;
        gzip.opened().await;
        let values = [
            json!(1),
            json!("x".repeat(60_000)),
            json!({"text": "ü".repeat(300)}),
            json!(null),
        ];
        for value in &values {
            let id = api.publish("m", value.clone()).await;
            let (of_plain, of_gzip) = (plain.next_event().await, gzip.next_event().await);
            assert_eq!(of_plain, of_gzip);
            assert_eq!(of_gzip.unwrap().id, Some(id), "{driver}");
            if late.is_none() {
                // Joins where others are in the middle, and shares their blocks from here on.
                let mut stream = gzip_stream(&hub, "/stream").await;
                stream.opened().await;
                late = Some(stream);
            } else if let Some(late) = &mut late {
                assert_eq!(late.next_event().await, of_plain);
            }
        }
        assert!(gzip.came_bytes * 5 < plain.came_bytes, "{driver}");
    }
}

#[tokio::test]
async fn a_snapshot_and_what_has_gathered_become_small() {
    let hub = hub_with("").await;
    let api = hub.api(&token::admin("ada"));
    let value = |n: usize| json!({"requests": n, "errors": n % 7, "region": "eu-central"});
    let messages = |from: usize| -> Vec<Value> {
        (from..from + 100)
            .map(|n| json!({"metric": format!("service.{}", n % 100), "data": value(n)}))
            .collect()
    };
    let publish = async |from| {
        let body = json!({"messages": messages(from)});
        assert_eq!(api.post("/publish", &body).await.status, 202);
    };
    publish(0).await;
    let mut plain = stream_for(&hub, "identity", "/stream").await;
    let mut gzip = gzip_stream(&hub, "/stream").await;
    let (_, _) = (plain.opened().await, gzip.opened().await);
    let snapshot = plain.came_bytes;
    assert!(gzip.came_bytes * 3 < snapshot, "{}", gzip.came_bytes);
    publish(100).await;
    for _ in 0..100 {
        assert_eq!(plain.next_event().await, gzip.next_event().await);
    }
    let (plain, gzip) = (plain.came_bytes - snapshot, gzip.came_bytes);
    assert!(gzip < plain, "{gzip} of {plain}");
}

#[tokio::test]
async fn what_is_missed_comes_compressed_to_whoever_resumes() {
    let hub = hub_with("").await;
    let api = hub.api(&token::admin("ada"));
    let mut stream = gzip_stream(&hub, "/stream?metrics=m").await;
    stream.opened().await;
    let path = format!("/reconnect?token={}", stream.reconnect_token());
    stream.reset();
    for n in 0..20 {
        api.publish("m", json!(n)).await;
    }
    let mut stream = gzip_stream(&hub, &path).await;
    stream.opened().await;
    for n in 0..20 {
        assert_eq!(stream.next_message("metrics_update").await["data"]["m"], n);
    }
}

#[tokio::test]
async fn a_stop_is_told_and_the_end_is_whole() {
    for driver in DRIVERS {
        let hub = hub_with(&format!("driver = \"{driver}\"")).await;
        let mut stream = gzip_stream(&hub, "/stream").await;
        stream.opened().await;
        hub.api(&token::admin("ada")).publish("m", json!(1)).await;
        let (rest, ended) = tokio::join!(stream.rest(), hub.stop());
        drop(ended);
        let (events, finished) = rest;
        assert!(finished, "length and check are right, {driver}");
        let last = events.last().expect("last words");
        assert_eq!(last.message().unwrap()["type"], "server_shutdown");
        assert!(last.retry.is_some());
    }
}

/// Attack: content of an attacker's compressed together with a secret, whose size tells how alike they are.
#[tokio::test]
async fn what_holds_a_token_is_not_compressed() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let mut client = RawClient::connect(hub.address).await;
    let request = format!(
        "GET {A}/stream HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {ada}\r\nAccept-Encoding: gzip\r\n\r\n"
    );
    client.send(request).await;
    let head = client.head().await.expect("an answer");
    let secret = head
        .header("x-reconnect-token")
        .expect("a token")
        .to_owned();
    let mut body = Vec::new();
    while !String::from_utf8_lossy(&body).contains(&secret) {
        assert!(client.read_more().await, "the stream ended");
        body.append(&mut client.pending);
    }
}

#[tokio::test]
async fn a_client_of_http_1_0_is_told_without_chunks() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let mut client = RawClient::connect(hub.address).await;
    let request = format!(
        "GET {A}/stream HTTP/1.0\r\nAuthorization: Bearer {ada}\r\nAccept-Encoding: gzip\r\n\r\n"
    );
    client.send(request).await;
    let head = client.head().await.expect("an answer");
    assert_eq!(head.header("content-encoding"), Some("gzip"));
    assert!(!head.is_chunked());
    while client.pending.len() < 2 {
        assert!(client.read_more().await, "the stream ended");
    }
    assert!(client.pending.starts_with(&[0x1f, 0x8b]));
}

#[tokio::test]
async fn one_users_own_metric_reaches_that_user_in_gzip_too() {
    let hub = hub_with("").await;
    let mut stream = gzip_stream(&hub, "/stream").await;
    stream.opened().await;
    let body = json!({"metric": "m", "data": "own ".repeat(100), "userId": "ada"});
    let answer = hub.api(&token::admin("ada")).post("/publish", &body).await;
    let message = stream.next_message("metrics_update").await;
    assert_eq!(
        text(&message["messageId"]),
        text(&answer.data()["messageId"])
    );
}
