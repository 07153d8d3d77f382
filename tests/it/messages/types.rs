//! The table of types: each with its priority, its kind of id, and its data.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::documents::check_message;
use crate::support::either::{Came, Client, Transport};
use crate::support::hub::Hub;
use crate::support::id::Id;
use crate::support::message::{assert_is_time, fields, text};
use crate::support::token;

/// What the contract says of one type.
struct Row {
    kind: &'static str,
    priority: &'static str,
    /// It has a place in the order of all messages, and is no notice about the connection itself.
    has_place: bool,
    /// Fields of `data` that are promised; more may be there.
    data: &'static [&'static str],
}

const fn row(
    kind: &'static str,
    priority: &'static str,
    has_place: bool,
    data: &'static [&'static str],
) -> Row {
    Row {
        kind,
        priority,
        has_place,
        data,
    }
}

const ESTABLISHED: [&str; 8] = [
    "connectionId",
    "reconnectToken",
    "userId",
    "message",
    "metrics",
    "resumed",
    "replayedMessagesCount",
    "droppedMessagesCount",
];

/// All but `messages_dropped`, which needs a slow client and has a file of its own.
const ROWS: [Row; 14] = [
    row("connection_established", "high", false, &ESTABLISHED),
    row("initial_metrics", "high", true, &[]),
    row("metrics_update", "normal", true, &["m"]),
    row("system_alert", "critical", true, &["severity", "message"]),
    row("heartbeat", "low", false, &[]),
    row("test_message", "low", true, &["message", "timestamp"]),
    row("subscribed", "high", false, &["message", "metrics"]),
    row("unsubscribed", "high", false, &["message", "metrics"]),
    row("refreshed", "high", false, &["expiresAt"]),
    row("pong", "high", false, &["timestamp"]),
    row("error", "critical", false, &["message", "code"]),
    row("reconnection_successful", "high", false, &ESTABLISHED),
    row("connection_replaced", "high", false, &[]),
    row("server_shutdown", "high", false, &["reconnectInMs"]),
];

/// Ids of notices that were seen.
#[derive(Default)]
struct Random(BTreeSet<String>);

/// Waits for a message of `kind`, holds it to its row and gives its data.
async fn expect(client: &mut Client, kind: &str, random: &mut Random) -> Value {
    let row = ROWS.iter().find(|row| row.kind == kind).expect("a row");
    let came = client.came(kind).await;
    let message = &came.message;
    check_message(message);
    assert_eq!(
        fields(message),
        ["data", "messageId", "priority", "timestamp", "type"]
    );
    assert_eq!(message["priority"], row.priority, "{message}");
    assert_is_time(&message["timestamp"]);
    let present = fields(&message["data"]);
    let missing = row.data.iter().find(|name| !present.contains(name));
    assert_eq!(missing, None, "{message}");
    check_id(row, &came, random);
    message["data"].clone()
}

fn check_id(row: &Row, came: &Came, random: &mut Random) {
    let own = text(&came.message["messageId"]);
    assert_eq!(Id::parse(own).is_some(), row.has_place, "{}", came.message);
    if !row.has_place {
        assert!(random.0.insert(own.into()), "{own} was there before");
    }
    if let Some(event) = &came.event {
        let line = row.has_place.then_some(own);
        assert_eq!(event.id.as_deref(), line, "{event:?}");
        assert_eq!(event.event, None, "{event:?}");
    }
}

async fn hub() -> Hub {
    Hub::with()
        .env("REAL_TIME_HEARTBEAT_INTERVAL", "50")
        .start()
        .await
}

#[tokio::test]
async fn every_type_is_as_the_contract_has_it() {
    for transport in Transport::BOTH {
        let hub = hub().await;
        let (ada, mut random) = (token::admin("ada"), Random::default());
        let mut client = hub.open(transport, "", &ada).await;
        let notice = expect(&mut client, "connection_established", &mut random).await;
        expect(&mut client, "initial_metrics", &mut random).await;
        what_is_published(&hub, transport, &mut client, &mut random).await;
        what_is_asked_for(&hub, &mut client, &mut random, &notice).await;
        if let Client::WebSocket(socket) = &mut client {
            socket.send(&json!({"type": "ping"})).await;
            socket.send_frame(Message::text("no message")).await;
            let pong = expect(&mut client, "pong", &mut random).await;
            assert_is_time(&pong["timestamp"]);
            let error = expect(&mut client, "error", &mut random).await;
            assert_eq!(error["code"], "invalid_message");
        }

        let again = hub.resume(transport, text(&notice["reconnectToken"]), &ada);
        let mut again = again.await;
        let resumed = expect(&mut again, "reconnection_successful", &mut random).await;
        assert_eq!(resumed["previousConnectionId"], notice["connectionId"]);
        assert_eq!(resumed["bufferedMessagesCount"], 0);
        expect(&mut client, "connection_replaced", &mut random).await;
        let stopped = tokio::spawn(hub.stop());
        expect(&mut again, "server_shutdown", &mut random).await;
        stopped.await.expect("a stop");
    }
}

async fn what_is_published(
    hub: &Hub,
    transport: Transport,
    client: &mut Client,
    random: &mut Random,
) {
    let api = hub.api(&token::admin("ada"));
    api.publish("m", json!(5)).await;
    assert_eq!(
        expect(client, "metrics_update", random).await,
        json!({"m": 5})
    );
    let alert = json!({"severity": "medium", "message": "disk full", "host": "db1"});
    api.post("/alerts", &alert).await;
    assert_eq!(expect(client, "system_alert", random).await, alert);
    api.post(
        "/test-connection",
        &json!({"connectionType": transport.name()}),
    )
    .await;
    let test = expect(client, "test_message", random).await;
    assert_is_time(&test["timestamp"]);
    // A beat, and another one with an id of its own.
    for _ in 0..2 {
        assert_eq!(expect(client, "heartbeat", random).await, json!({}));
    }
}

async fn what_is_asked_for(hub: &Hub, client: &mut Client, random: &mut Random, notice: &Value) {
    let api = hub.api(&token::admin("ada"));
    for (kind, text, now) in [
        ("subscribe", "Successfully subscribed to metrics", ["m"]),
        (
            "unsubscribe",
            "Successfully unsubscribed from metrics",
            ["m"],
        ),
    ] {
        let metrics = if kind == "subscribe" { "m" } else { "other" };
        api.post(&format!("/{kind}"), &json!({"metrics": [metrics]}))
            .await;
        let changed = expect(client, &format!("{kind}d"), random).await;
        assert_eq!(changed["message"], text);
        assert_eq!(changed["metrics"], json!(now));
    }
    let body = json!({"reconnectToken": notice["reconnectToken"]});
    assert_eq!(api.post("/refresh", &body).await.status, 200);
    let refreshed = expect(client, "refreshed", random).await;
    assert_is_time(&refreshed["expiresAt"]);
}

#[tokio::test]
async fn an_error_over_sse_is_a_notice_too() {
    let hub = Hub::start().await;
    let (mut client, notice) = hub.opened(Transport::Sse, "", &token::admin("ada")).await;
    let body = json!({"connectionId": notice["connectionId"]});
    hub.api(&token::admin("bob"))
        .post("/disconnect", &body)
        .await;
    expect(&mut client, "error", &mut Random::default()).await;
}

#[tokio::test]
async fn what_opens_a_new_stream_says_all_that_there_is_to_know() {
    let hub = Hub::start().await;
    for transport in Transport::BOTH {
        let ada = token::admin("ada");
        let (_client, notice) = hub.opened(transport, "?metrics=b,a.*", &ada).await;
        let (_other, second) = hub.opened(transport, "", &ada).await;
        // What was not dropped is not told of.
        let mut promised = ESTABLISHED;
        promised.sort_unstable();
        assert_eq!(fields(&notice), promised);
        assert_eq!(notice["userId"], "ada");
        assert_eq!(notice["metrics"], json!(["b", "a.*"]));
        assert_eq!(notice["resumed"], false);
        assert_eq!(notice["replayedMessagesCount"], 0);
        assert_eq!(notice["droppedMessagesCount"], 0);
        assert!(!text(&notice["message"]).is_empty());
        for unique in ["connectionId", "reconnectToken"] {
            let parsed = uuid::Uuid::try_parse(text(&notice[unique]));
            assert_eq!(parsed.expect("a UUID").get_version_num(), 4);
            assert_ne!(notice[unique], second[unique]);
        }
        assert_ne!(notice["connectionId"], notice["reconnectToken"]);
    }
}

#[tokio::test]
async fn notices_are_never_replayed_and_everything_with_a_place_is() {
    for transport in Transport::BOTH {
        let hub = hub().await;
        let ada = token::admin("ada");
        let mut client = hub.open(transport, "", &ada).await;
        let notice = client.came("connection_established").await.message;
        let start = client.came("initial_metrics").await.message["messageId"].clone();
        let mut random = Random::default();
        what_is_published(&hub, transport, &mut client, &mut random).await;
        what_is_asked_for(&hub, &mut client, &mut random, &notice["data"]).await;

        let reconnect_token = text(&notice["data"]["reconnectToken"]);
        let again = hub.resume_after(transport, reconnect_token, text(&start), &ada);
        let mut again = again.await;
        let resumed = again.next().await;
        assert_eq!(resumed["data"]["replayedMessagesCount"], 3);
        let mut last = Id::of(&start);
        for kind in ["metrics_update", "system_alert", "test_message"] {
            let message = again.next().await;
            assert_eq!(message["type"], kind);
            assert!(Id::of(&message["messageId"]) > last, "{message}");
            last = Id::of(&message["messageId"]);
        }
    }
}
