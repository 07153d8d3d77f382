//! Every message of a client's, good or bad, and its answer.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Value, json};

use super::{hub, opened};
use crate::support::frames::{TEXT, ping, text, upgrade};
use crate::support::hub::Hub;
use crate::support::token;
use crate::support::websocket::WsClient;

/// Sends `text` and gives what is answered.
async fn answer(client: &mut WsClient, text: &str) -> Value {
    let frame = tokio_tungstenite::tungstenite::Message::text(text);
    client.send_frame(frame).await;
    client.next().await
}

async fn client(hub: &Hub, query: &str) -> WsClient {
    let mut client = hub.websocket(query, &token::admin("ada")).await;
    client.opened().await;
    client
}

/// With a token that is good for longer than the one in use.
fn refresh() -> String {
    let longer = token::token("ada", "platform_admin", Duration::from_secs(7200));
    json!({"type": "refresh", "data": {"token": longer}}).to_string()
}

fn is_time(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() == "2026-01-01T00:00:00.000Z".len() && text.parse::<jiff::Timestamp>().is_ok()
}

/// What every message of the hub's is, and what a notice is besides: without a place in the order.
fn check_notice(message: &Value, kind: &str, priority: &str) {
    let fields = message.as_object().expect("an object");
    let fields: BTreeSet<&str> = fields.keys().map(String::as_str).collect();
    let all = ["data", "messageId", "priority", "timestamp", "type"];
    assert_eq!(fields, BTreeSet::from(all), "{message}");
    assert_eq!(message["type"], kind, "{message}");
    assert_eq!(message["priority"], priority, "{message}");
    assert!(is_time(&message["timestamp"]), "{message}");
    let id = message["messageId"].as_str().expect("an id");
    assert!(id.parse::<uuid::Uuid>().is_ok(), "{message}");
}

#[tokio::test]
async fn every_message_of_a_client_has_its_answer() {
    let hub = Hub::start().await;
    let mut client = client(&hub, "?metrics=a").await;
    let mut ids = BTreeSet::new();
    let mut check = |message: &Value, kind: &str| {
        check_notice(message, kind, "high");
        assert!(ids.insert(message["messageId"].to_string()), "{message}");
    };

    let pong = answer(&mut client, r#"{"type":"ping"}"#).await;
    check(&pong, "pong");
    assert!(is_time(&pong["data"]["timestamp"]), "{pong}");

    let subscribe = r#"{"type":"subscribe","data":{"metrics":["b.*"]}}"#;
    let subscribed = answer(&mut client, subscribe).await;
    check(&subscribed, "subscribed");
    let expected =
        json!({"message": "Successfully subscribed to metrics", "metrics": ["a", "b.*"]});
    assert_eq!(subscribed["data"], expected);

    let unsubscribe = r#"{"type":"unsubscribe","data":{"metrics":["a"]}}"#;
    let unsubscribed = answer(&mut client, unsubscribe).await;
    check(&unsubscribed, "unsubscribed");
    let expected = json!({"message": "Successfully unsubscribed from metrics", "metrics": ["b.*"]});
    assert_eq!(unsubscribed["data"], expected);

    let refreshed = answer(&mut client, &refresh()).await;
    check(&refreshed, "refreshed");
    assert!(is_time(&refreshed["data"]["expiresAt"]), "{refreshed}");

    check(&answer(&mut client, r#"{"type":"ping"}"#).await, "pong");
}

#[tokio::test]
async fn a_message_may_be_written_in_any_way_that_json_allows_and_say_more_than_is_known() {
    let hub = Hub::start().await;
    let mut client = client(&hub, "?metrics=a").await;
    for (text, kind) in [
        (" \r\n\t{ \"type\" : \"ping\" } ", "pong"),
        (r#"{"type":"p\u0069ng"}"#, "pong"),
        (
            r#"{"type":"ping","id":7,"data":{"a":[{}]},"timestamp":null}"#,
            "pong",
        ),
        (r#"{"type":"ping","data":"anything"}"#, "pong"),
        (
            r#"{"data":{"metrics":["a"]},"type":"subscribe"}"#,
            "subscribed",
        ),
        (
            r#"{"type":"subscribe","data":{"metrics":["a"],"metric":"b","x":1}}"#,
            "subscribed",
        ),
        (
            r#"{"type":"subscribe","data":{"metrics":[]},"metrics":["b"]}"#,
            "subscribed",
        ),
        (
            r#"{"type":"unsubscribe","data":{"metrics":[]}}"#,
            "unsubscribed",
        ),
    ] {
        let message = answer(&mut client, text).await;
        assert_eq!(message["type"], kind, "{text} {message}");
        if kind != "pong" {
            assert_eq!(message["data"]["metrics"], json!(["a"]), "{text}");
        }
    }
}

/// Texts, and the message and code of the error that each is answered with.
const ERRORS: [(&str, &str, &str); 32] = [
    ("", INVALID.0, INVALID.1),
    (" ", INVALID.0, INVALID.1),
    ("ping", INVALID.0, INVALID.1),
    ("{", INVALID.0, INVALID.1),
    ("{\"type\":\"ping\"", INVALID.0, INVALID.1),
    ("{'type':'ping'}", INVALID.0, INVALID.1),
    (r#"{"type":"ping",}"#, INVALID.0, INVALID.1),
    (r#"{"type":"ping"}{"type":"ping"}"#, INVALID.0, INVALID.1),
    (r#"{"type":"ping"} x"#, INVALID.0, INVALID.1),
    ("\u{feff}{\"type\":\"ping\"}", INVALID.0, INVALID.1),
    ("null", INVALID.0, INVALID.1),
    ("[]", INVALID.0, INVALID.1),
    (r#"["ping"]"#, INVALID.0, INVALID.1),
    (r#""ping""#, INVALID.0, INVALID.1),
    ("1e999", INVALID.0, INVALID.1),
    ("{}", INVALID.0, INVALID.1),
    (r#"{"data":{"metrics":["a"]}}"#, INVALID.0, INVALID.1),
    (r#"{"type":null}"#, INVALID.0, INVALID.1),
    (r#"{"type":5}"#, INVALID.0, INVALID.1),
    (r#"{"type":["ping"]}"#, INVALID.0, INVALID.1),
    (r#"{"type":"\ud800"}"#, INVALID.0, INVALID.1),
    (r#"{"type":""}"#, UNKNOWN.0, UNKNOWN.1),
    (r#"{"type":"Ping"}"#, UNKNOWN.0, UNKNOWN.1),
    (r#"{"type":"ping "}"#, UNKNOWN.0, UNKNOWN.1),
    (r#"{"type":"pong"}"#, UNKNOWN.0, UNKNOWN.1),
    (
        r#"{"type":"publish","data":{"metric":"a","data":1}}"#,
        UNKNOWN.0,
        UNKNOWN.1,
    ),
    (
        r#"{"type":"metrics_update","data":{"a":1}}"#,
        UNKNOWN.0,
        UNKNOWN.1,
    ),
    (r#"{"type":"é\u0000\n"}"#, UNKNOWN.0, UNKNOWN.1),
    (r#"{"type":"subscribe"}"#, NO_LIST.0, NO_LIST.1),
    (
        r#"{"type":"subscribe","metrics":["a"]}"#,
        NO_LIST.0,
        NO_LIST.1,
    ),
    (r#"{"type":"subscribe","data":["a"]}"#, NO_LIST.0, NO_LIST.1),
    (
        r#"{"type":"unsubscribe","data":{"metrics":"a"}}"#,
        NO_LIST.0,
        NO_LIST.1,
    ),
];

/// The empty text stands for one that the contract leaves open.
const INVALID: (&str, &str) = ("Invalid message format", "invalid_message");
const UNKNOWN: (&str, &str) = ("", "unknown_type");
const NO_LIST: (&str, &str) = ("Metrics must be an array", "invalid_request");

#[tokio::test]
async fn what_is_no_message_is_answered_by_an_error_and_the_connection_stays() {
    let hub = Hub::start().await;
    let mut client = client(&hub, "?metrics=kept").await;
    for (text, message, code) in ERRORS {
        let error = answer(&mut client, text).await;
        check_notice(&error, "error", "critical");
        assert_eq!(error["data"]["code"], code, "{text:?}");
        let said = error["data"]["message"].as_str().expect("a text");
        assert!(
            !said.is_empty() && (message.is_empty() || said == message),
            "{text:?} {said:?}"
        );
        assert_eq!(
            answer(&mut client, r#"{"type":"ping"}"#).await["type"],
            "pong",
            "{text:?}"
        );
    }
    let notice = client.subscribe(&[]).await;
    assert_eq!(
        notice["data"]["metrics"],
        json!(["kept"]),
        "nothing of it was done"
    );
}

/// Attack: JSON that is too deep, too much or ambiguous.
#[tokio::test]
async fn nesting_without_end_is_no_message_and_does_no_harm() {
    let hub = hub("").await;
    let mut client = opened(&hub).await;
    let deep = "[".repeat(30_000) + &"]".repeat(30_000);
    for (message, kind) in [
        (deep.clone(), "error"),
        ("{\"data\":".repeat(8000), "error"),
        (format!(r#"{{"type":{deep}}}"#), "error"),
        (
            format!(r#"{{"type":"subscribe","data":{{"metrics":{deep}}}}}"#),
            "error",
        ),
        (format!(r#"{{"type":"subscribe","data":{deep}}}"#), "error"),
        (format!(r#"{{"type":"ping","data":{deep}}}"#), "pong"),
    ] {
        client.send(text(&message)).await;
        assert_eq!(client.next().await["type"], kind, "{message:.40}");
    }
    client.answers().await;
}

#[tokio::test]
async fn messages_are_answered_in_the_order_they_were_sent_in() {
    let hub = Hub::start().await;
    let subscribe = r#"{"type":"subscribe","data":{"metrics":["a"]}}"#;
    let unsubscribe = r#"{"type":"unsubscribe","data":{"metrics":["a"]}}"#;
    let refresh = refresh();
    let sent = [
        (r#"{"type":"ping"}"#, "pong"),
        (subscribe, "subscribed"),
        (r#"{"type":"ping"}"#, "pong"),
        (subscribe, "subscribed"),
        ("nonsense", "error"),
        (unsubscribe, "unsubscribed"),
        (refresh.as_str(), "refreshed"),
        (r#"{"type":"unheard of"}"#, "error"),
        (subscribe, "subscribed"),
        (unsubscribe, "unsubscribed"),
        (r#"{"type":"ping"}"#, "pong"),
    ];
    let all: Vec<u8> = sent.iter().flat_map(|(message, _)| text(message)).collect();
    // An answer that overtakes another does so now and then only.
    for _ in 0..20 {
        let mut client = opened(&hub).await;
        client.send(&all).await;
        for (message, kind) in sent {
            assert_eq!(client.next().await["type"], kind, "to {message}");
        }
        client.finish().await;
        client.ended().await;
    }
}

#[tokio::test]
async fn what_comes_right_behind_the_handshake_is_answered_after_the_opening() {
    let hub = hub("").await;
    let authorization = format!("Authorization: Bearer {}\r\n", token::admin("ada"));
    let request = upgrade("?metrics=a", &authorization).into_bytes();
    let subscribe = text(r#"{"type":"subscribe","data":{"metrics":["b"]}}"#);
    let request = [
        request,
        ping("early"),
        text(r#"{"type":"ping"}"#),
        subscribe,
    ]
    .concat();
    for _ in 0..20 {
        let mut client = hub.raw_websocket_with(&request).await;
        let mut kinds = Vec::new();
        while kinds.last().is_none_or(|kind| kind != "subscribed") {
            let frame = client.next_frame().await.expect("a frame");
            if frame.opcode == TEXT {
                kinds.push(frame.message()["type"].as_str().unwrap_or("?").to_owned());
            }
        }
        let expected = [
            "connection_established",
            "initial_metrics",
            "pong",
            "subscribed",
        ];
        assert_eq!(kinds, expected);
    }
}
