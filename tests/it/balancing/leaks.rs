//! What a proxy writes about a stream, whatever becomes of it, holds no credential.

use futures::future::join_all;
use serde_json::json;

use super::{MANY, Site, behind_each, hubs};
use crate::support::sse::bearer;
use crate::support::token;
use crate::support::websocket::WsClient;
use crate::support::{A, eventually};

/// In everything that is secret here.
const CANARY: &str = "CANARY";

/// Attack: reading credentials out of logs, errors or the trail (the canary).
#[tokio::test]
async fn no_credential_gets_into_a_log() {
    behind_each(async |kind| {
        let mut hubs = hubs(2, MANY).await;
        let site = Site::of(kind, &hubs).await;
        let ada = token::admin(CANARY);
        let payload = ada.split('.').nth(1).expect("a payload").to_owned();
        let answer = site.api(&ada).post("/ticket", &json!({})).await;
        let ticket = answer.data()["ticket"]
            .as_str()
            .expect("a ticket")
            .to_owned();
        let paths = [
            format!("/stream?access_token={ada}"),
            format!("/stream?ticket={ticket}"),
            format!("/stream?ticket={CANARY}"),
            format!("/reconnect?token={CANARY}&access_token={ada}"),
        ];
        let offered = format!("statshub, bearer.{ada}");
        let in_headers = [
            ("Sec-WebSocket-Protocol", &*offered),
            ("Authorization", &*bearer(&ada)),
            ("Cookie", "access_token=CANARY"),
        ];
        let url = site.websocket_url(&format!("?access_token={ada}"));
        let mut reconnect_tokens = Vec::new();
        // While both are there, while streams break off, and while nobody is there.
        for _ in 0..3 {
            let streams = paths.iter().map(|path| site.sse_with(path, &[]));
            let (mut streams, stream, socket) = tokio::join!(
                join_all(streams),
                site.sse_with("/stream", &in_headers),
                WsClient::open(&url, &in_headers[..1]),
            );
            streams.push(stream);
            for stream in &mut streams {
                let token = stream.head.header("x-reconnect-token");
                reconnect_tokens.extend(token.map(str::to_owned));
                stream.next_event().await;
            }
            if let Some(mut hub) = hubs.pop() {
                hub.crash().await;
            }
            drop((streams, socket.ok()));
        }
        // What came last is written last.
        site.sse_with("/reconnect?token=CANARY&last", &[("User-Agent", "x")])
            .await;
        eventually(&format!("{kind:?} to note its requests"), async || {
            let text = site.wrote();
            (text.matches(&format!("{A}/reconnect")).count() >= 4).then_some(())
        })
        .await;
        let wrote = site.wrote();
        assert!(wrote.contains(&format!("{A}/stream")), "{kind:?} {wrote}");
        assert!(
            wrote.contains(&format!("{A}/websocket")),
            "{kind:?} {wrote}"
        );
        let secrets = [CANARY, &payload, &ticket, "bearer.", "access_token"];
        let tokens = reconnect_tokens.iter().map(String::as_str);
        for secret in secrets.into_iter().chain(tokens) {
            let leak = wrote.lines().find(|line| line.contains(secret));
            assert_eq!(leak, None, "{kind:?} writes {secret}");
        }
    })
    .await;
}
