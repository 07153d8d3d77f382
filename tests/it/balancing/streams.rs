//! One client, one proxy, one hub: streams as if nothing were in between.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde_json::json;

use super::{Site, behind_each, hubs};
use crate::support::raw::RawClient;
use crate::support::sse::{SseClient, bearer};
use crate::support::token;
use crate::support::websocket::{WsClient, upgrade};

/// Nothing comes of itself, so that only what a test does can make anything move.
const SILENT: &str = "[realtime]\nsse_comment_after_ms = 600000\nheartbeat_interval_ms = 600000\n\
                      [websocket]\nping_interval_ms = 600000\n";
/// Signs of life much more often than [`SHORT`].
const LIVELY: &str = "[realtime]\nsse_comment_after_ms = 500\nheartbeat_interval_ms = 600000\n\
                      [websocket]\nping_interval_ms = 500\n";
/// The idle time-outs of a proxy, scaled down.
const SHORT: [(&str, &str); 1] = [("90s", "3s")];
/// Well above those.
const QUIET: Duration = Duration::from_secs(7);

#[tokio::test]
async fn an_event_arrives_while_the_stream_goes_on() {
    behind_each(async |kind| {
        let hubs = hubs(1, SILENT).await;
        let site = Site::of(kind, &hubs).await;
        let ada = token::admin("ada");
        let headers = [
            ("Authorization", &*bearer(&ada)),
            ("Accept-Encoding", "gzip, deflate, br"),
        ];
        let mut stream = site.sse_with("/stream?metrics=m", &headers).await;
        let head = stream.head.clone();
        assert_eq!(head.status, 200, "{kind:?} {head:?}");
        assert_eq!(head.header("content-type"), Some("text/event-stream"));
        assert_eq!(head.header("x-accel-buffering"), Some("no"), "{kind:?}");
        assert_eq!(head.header("cache-control"), Some("no-cache"), "{kind:?}");
        assert_eq!(head.header("content-encoding"), Some("gzip"), "{kind:?}");
        stream.opened().await;
        // A proxy that gathers would wait for more than one small event, and cut a large one.
        for value in [json!(1), json!("x".repeat(60_000)), json!(2)] {
            let id = site.api(&ada).publish("m", value.clone()).await;
            let message = stream.next().await;
            assert_eq!(message["messageId"], *id, "{kind:?}");
            assert_eq!(message["data"], json!({"m": value}), "{kind:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_websocket_goes_both_ways() {
    behind_each(async |kind| {
        let hubs = hubs(1, SILENT).await;
        let site = Site::of(kind, &hubs).await;
        let ada = token::admin("ada");
        let offered = format!("statshub, bearer.{ada}");
        let headers = [("sec-websocket-protocol", &*offered)];
        let url = site.websocket_url("?metrics=none");
        let mut client = WsClient::open(&url, &headers).await.expect("an upgrade");
        assert_eq!(client.headers["sec-websocket-protocol"], "statshub");
        client.opened().await;
        client.subscribe(&["m"]).await;
        for value in [json!(1), json!("x".repeat(60_000)), json!(2)] {
            site.api(&ada).publish("m", value.clone()).await;
            assert_eq!(client.next().await["data"], json!({"m": value}), "{kind:?}");
            client.send(&json!({"type": "ping"})).await;
            assert_eq!(client.next().await["type"], "pong", "{kind:?}");
        }
        client.close().await;
    })
    .await;
}

#[tokio::test]
async fn signs_of_life_keep_a_quiet_stream_longer_than_a_proxys_patience() {
    behind_each(async |kind| {
        let hubs = hubs(1, LIVELY).await;
        let site = Site::with(kind, &hubs, &SHORT).await;
        let ada = token::admin("ada");
        let mut stream = site.sse("/stream", &ada).await;
        let mut socket = site.websocket("", &ada).await;
        stream.opened().await;
        socket.opened().await;
        tokio::join!(stream.stays_quiet(QUIET), socket.stays_quiet(QUIET));
        site.api(&ada).publish("m", json!(1)).await;
        assert_eq!(stream.next().await["data"]["m"], 1, "{kind:?}");
        assert_eq!(socket.next().await["data"]["m"], 1, "{kind:?}");
    })
    .await;
}

/// What the test above is worth: that patience has an end.
#[tokio::test]
async fn a_stream_whose_hub_says_nothing_at_all_is_given_up() {
    behind_each(async |kind| {
        let hubs = hubs(1, SILENT).await;
        let site = Site::with(kind, &hubs, &SHORT).await;
        let ada = token::admin("ada");
        let mut stream = site.sse("/stream", &ada).await;
        let mut socket = site.websocket("", &ada).await;
        stream.opened().await;
        socket.opened().await;
        let ((events, _), (messages, _)) = tokio::join!(stream.rest(), socket.closed());
        assert!(events.is_empty() && messages.is_empty(), "{kind:?}");
        hubs[0].api(&ada).sessions_when("?state=away", 2).await;
    })
    .await;
}

#[tokio::test]
async fn the_hub_sees_the_address_of_the_client_whatever_that_claims() {
    behind_each(async |kind| {
        let hubs = hubs(1, SILENT).await;
        let site = Site::of(kind, &hubs).await;
        let ada = token::admin("ada");
        let source = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 5));
        let connection = RawClient::connect_as(source, site.address).await;
        let headers = [
            ("Authorization", &*bearer(&ada)),
            ("X-Forwarded-For", "203.0.113.7"),
        ];
        let mut stream = SseClient::open(connection, "/stream", &headers).await;
        stream.opened().await;
        let mut socket = RawClient::connect_as(source, site.address).await;
        socket.send(upgrade(&ada)).await;
        assert_eq!(socket.head().await.expect("an answer").status, 101);
        let sessions = hubs[0].api(&ada).sessions_when("?state=live", 2).await;
        for session in sessions {
            assert_eq!(session["remoteAddress"], "127.0.0.5", "{kind:?} {session}");
        }
    })
    .await;
}

#[tokio::test]
async fn the_hub_hears_of_a_client_that_leaves_though_it_has_nothing_to_say_to_it() {
    behind_each(async |kind| {
        let hubs = hubs(1, SILENT).await;
        let site = Site::of(kind, &hubs).await;
        let ada = token::admin("ada");
        let mut streams = Vec::new();
        for _ in 0..2 {
            let mut stream = site.sse("/stream", &ada).await;
            stream.opened().await;
            streams.push(stream);
        }
        let mut socket = site.websocket("", &ada).await;
        socket.opened().await;
        let api = hubs[0].api(&ada);
        api.sessions_when("?state=live", 3).await;
        // One with a reset, the other as a program that closes its socket.
        streams.pop().expect("a stream").reset();
        drop(streams);
        socket.reset();
        api.sessions_when("?state=live", 0).await;
    })
    .await;
}

#[tokio::test]
async fn what_the_hub_refuses_is_refused_in_its_own_words() {
    behind_each(async |kind| {
        let hubs = hubs(1, SILENT).await;
        let site = Site::of(kind, &hubs).await;
        let ada = token::admin("ada");
        let api = site.api(&ada);
        let big = json!({"metric": "m", "data": "x".repeat(1 << 20)});
        assert_eq!(
            api.post("/publish", &big).await.failure(),
            (413, "payload_too_large")
        );
        let authorized = [("Authorization", &*bearer(&ada))];
        for (path, headers, status) in [
            ("/stream", &[][..], 401),
            ("/reconnect?token=none", &authorized, 410),
        ] {
            let refused = site.sse_with(path, headers).await;
            assert_eq!(refused.head.status, status, "{kind:?}");
            refused.refusal().await;
        }
        let metrics = api
            .request_at(reqwest::Method::GET, "/metrics")
            .send()
            .await;
        assert_eq!(metrics.expect("an answer").status(), 404, "{kind:?}");
    })
    .await;
}
