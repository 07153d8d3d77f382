//! The upgrade itself: what is agreed on, and what is no upgrade.

use serde_json::json;

use super::hub;
use crate::support::frames::{FIN, TEXT, frame, upgrade};
use crate::support::hub::Hub;
use crate::support::raw::{RawAnswer, RawClient};
use crate::support::{A, token};

fn authorization() -> String {
    format!("Authorization: Bearer {}\r\n", token::admin("ada"))
}

#[tokio::test]
async fn the_answer_proves_that_the_key_was_read() {
    let hub = hub("").await;
    let client = hub.raw_websocket("", &token::admin("ada")).await;
    // The example of the RFC.
    let accept = client.head.header("sec-websocket-accept");
    assert_eq!(accept, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    let upgrade = client.head.header("upgrade").unwrap_or_default();
    assert!(upgrade.eq_ignore_ascii_case("websocket"), "{upgrade}");
    let connection = client.head.header("connection").unwrap_or_default();
    assert!(connection.eq_ignore_ascii_case("upgrade"), "{connection}");
}

#[tokio::test]
async fn a_subprotocol_is_answered_where_it_is_ours_and_no_other() {
    let hub = hub("").await;
    for (offered, answered) in [
        (None, None),
        (Some("statshub"), Some("statshub")),
        (Some("graphql-ws, statshub"), Some("statshub")),
        (Some("statshub,graphql-ws"), Some("statshub")),
        (Some("graphql-ws"), None),
        (Some("Statshub"), None),
        (Some(""), None),
    ] {
        let line = offered.map(|it| format!("Sec-WebSocket-Protocol: {it}\r\n"));
        let headers = authorization() + &line.unwrap_or_default();
        let mut client = hub.raw_websocket_with(upgrade("", &headers)).await;
        let protocol = client.head.header("sec-websocket-protocol");
        assert_eq!(protocol, answered, "{offered:?}");
        client.opened().await;
    }
}

/// Attack: a compression bomb.
#[tokio::test]
async fn compression_is_not_agreed_on_whoever_offers_it() {
    let hub = hub("").await;
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    let headers = authorization() + offer;
    let mut client = hub.raw_websocket_with(upgrade("", &headers)).await;
    assert_eq!(client.head.header("sec-websocket-extensions"), None);
    client.opened().await;
    client.answers().await;
    // "Hello", compressed as in RFC 7692.
    let compressed = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];
    client.send(frame(FIN | 0x40 | TEXT, compressed)).await;
    assert_eq!(client.ended().await.code(), Some(1002));
}

/// The answer to an upgrade in which `from` stands where `to` should.
async fn answer_without(hub: &Hub, from: &str, to: &str) -> RawAnswer {
    let request = upgrade("", &authorization());
    assert!(request.contains(from), "{from} is in {request}");
    let mut client = RawClient::connect(hub.address).await;
    client.send(request.replace(from, to)).await;
    client.answer().await.expect("an answer")
}

const VERSION: &str = "Sec-WebSocket-Version: 13\r\n";
const KEY: &str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// Attack: a handshake that is none.
#[tokio::test]
async fn another_version_is_told_which_one_is_spoken() {
    let hub = hub("").await;
    for version in ["12", "14", "8", "7", "0", "013", "13, 8", "", "thirteen"] {
        let line = format!("Sec-WebSocket-Version: {version}\r\n");
        let answer = answer_without(&hub, VERSION, &line).await;
        assert_eq!(
            answer.failure(),
            (426, "invalid_request".into()),
            "{version:?}"
        );
        let spoken = answer.head.header("sec-websocket-version");
        assert_eq!(spoken, Some("13"), "{version:?}");
    }
}

/// Attack: a handshake that is none.
#[tokio::test]
async fn what_is_no_handshake_is_refused_in_the_envelope_and_opens_nothing() {
    let hub = hub("").await;
    let other_key = |key: &str| format!("Sec-WebSocket-Key: {key}\r\n");
    for (from, to) in [
        (VERSION, String::new()),
        (KEY, String::new()),
        // A key is 16 bytes in base64.
        (KEY, other_key("")),
        (KEY, other_key("short")),
        (KEY, other_key("dGhlIHNhbXBsZSBub25j")),
        (KEY, other_key("dGhlIHNhbXBsZSBub25jZSBhbmQgbW9yZQ==")),
        (KEY, other_key("dGhlIHNhbXBsZSBub25j!!==")),
        (KEY, other_key("dGhlIHNhbXBsZSBub25jZQAA")),
        ("Upgrade: websocket\r\n", String::new()),
        ("Upgrade: websocket\r\n", "Upgrade: h2c\r\n".into()),
        ("Upgrade: websocket\r\n", "Upgrade: notwebsocket\r\n".into()),
        ("Connection: Upgrade\r\n", String::new()),
        (
            "Connection: Upgrade\r\n",
            "Connection: keep-alive\r\n".into(),
        ),
        // Its frames would not be where the body begins.
        (KEY, format!("{KEY}Transfer-Encoding: chunked\r\n")),
    ] {
        let answer = answer_without(&hub, from, &to).await;
        assert_eq!(
            answer.failure(),
            (400, "invalid_request".into()),
            "{from:?} {to:?}"
        );
    }
    let post = answer_without(&hub, "GET ", "POST ").await;
    assert_eq!(post.failure(), (405, "method_not_allowed".into()));
    assert_eq!(post.head.header("allow"), Some("GET"));

    let stats = hub.api(&token::admin("ada")).get("/connection-stats").await;
    assert_eq!(stats.data()["reconnectTokensCount"], 0);
}

#[tokio::test]
async fn headers_are_read_as_http_says_whatever_their_case_and_company() {
    let hub = hub("").await;
    for (from, to) in [
        ("Upgrade: websocket\r\n", "UPGRADE: WebSocket\r\n"),
        (
            "Connection: Upgrade\r\n",
            "connection: keep-alive, upgrade\r\n",
        ),
        (
            "Host: hub\r\n",
            "Host: hub:3001\r\nOrigin: https://elsewhere.example\r\n",
        ),
    ] {
        let request = upgrade("", &authorization()).replace(from, to);
        hub.raw_websocket_with(request).await.opened().await;
    }
}

#[tokio::test]
async fn who_may_not_come_in_is_told_so_before_the_handshake_is_looked_at() {
    let hub = hub("").await;
    let mut client = RawClient::connect(hub.address).await;
    client
        .send(upgrade("", "").replace(KEY, "").replace(VERSION, ""))
        .await;
    let answer = client.answer().await.expect("an answer");
    assert_eq!(answer.failure(), (401, "unauthenticated".into()));
}

#[tokio::test]
async fn a_refused_upgrade_leaves_the_connection_to_http() {
    let hub = hub("").await;
    let mut client = RawClient::connect(hub.address).await;
    let plain = format!(
        "GET {A}/websocket HTTP/1.1\r\nHost: hub\r\n{}\r\n",
        authorization()
    );
    client.send(&plain).await;
    assert_eq!(client.answer().await.expect("an answer").status(), 400);
    client
        .send("GET /api/health HTTP/1.1\r\nHost: hub\r\n\r\n")
        .await;
    let answer = client.answer().await.expect("an answer");
    assert_eq!(answer.envelope()["data"]["status"], json!("healthy"));
}
