//! The bytes of an event, and the same JSON on both transports.

use serde_json::json;

use crate::support::either::{Came, Client, Transport};
use crate::support::hub::Hub;
use crate::support::message::text;
use crate::support::token;

/// Exactly an `id` line, a `data` line and an empty one.
fn assert_published(came: &Came) {
    let event = came.event.as_ref().expect("an event");
    let expected = format!(
        "id: {}\ndata: {}\n\n",
        text(&came.message["messageId"]),
        came.text
    );
    assert_eq!(event.raw, expected);
}

/// Exactly a `data` line and an empty one.
fn assert_notice(came: &Came) {
    let event = came.event.as_ref().expect("an event");
    assert_eq!(event.raw, format!("data: {}\n\n", came.text));
}

#[tokio::test]
async fn a_message_with_a_place_is_an_id_line_a_data_line_and_an_empty_line() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let mut client = hub.open(Transport::Sse, "", &token::admin("ada")).await;
    client.came("connection_established").await;
    assert_published(&client.came("initial_metrics").await);
    api.publish("m", json!({"a": [1, 2], "b": "two\nlines"}))
        .await;
    assert_published(&client.came("metrics_update").await);
    api.post("/alerts", &json!({"severity": "low", "message": "a\nb"}))
        .await;
    assert_published(&client.came("system_alert").await);
    api.post("/test-connection", &json!({})).await;
    assert_published(&client.came("test_message").await);
}

#[tokio::test]
async fn a_notice_is_a_data_line_and_an_empty_line() {
    let hub = Hub::with()
        .env("REAL_TIME_HEARTBEAT_INTERVAL", "50")
        .start()
        .await;
    let api = hub.api(&token::admin("ada"));
    let (mut client, _) = hub.opened(Transport::Sse, "", &token::admin("ada")).await;
    assert_notice(&client.came("heartbeat").await);
    api.post("/subscribe", &json!({"metrics": ["m"]})).await;
    assert_notice(&client.came("subscribed").await);
}

#[tokio::test]
async fn the_first_event_of_a_stream_and_no_other_says_when_to_come_back() {
    for (config, retry) in [("", 3000), ("[realtime]\nsse_retry_ms = 1234", 1234)] {
        let hub = Hub::with().config(config).start().await;
        let ada = token::admin("ada");
        let mut first = hub.open(Transport::Sse, "", &ada).await;
        let notice = first.came("connection_established").await;
        let reconnect_token = text(&notice.message["data"]["reconnectToken"]);
        let mut resumed = hub.resume(Transport::Sse, reconnect_token, &ada).await;
        let again = resumed.came("reconnection_successful").await;
        for came in [&notice, &again] {
            let raw = &came.event.as_ref().expect("an event").raw;
            // In a block of its own some clients take it for an empty event.
            assert_eq!(*raw, format!("retry: {retry}\ndata: {}\n\n", came.text));
        }
        assert_published(&first.came("initial_metrics").await);
        hub.api(&ada).publish("m", json!(1)).await;
        assert_published(&resumed.came("metrics_update").await);
    }
}

#[tokio::test]
async fn both_transports_carry_the_same_json() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let mut clients = Vec::new();
    for transport in Transport::BOTH {
        clients.push(hub.opened(transport, "", &ada).await.0);
    }
    let check = async |clients: &mut Vec<Client>, kind: &str| {
        let mut texts = Vec::new();
        for client in clients {
            texts.push(client.came(kind).await.text);
        }
        assert_eq!(texts[0], texts[1]);
        assert!(!texts[0].contains('\n'), "{}", texts[0]);
        texts.remove(0)
    };
    // As it was written, long numbers and all.
    let body = "{\"metric\": \"m\",\r\n \"data\": {\"z\" : 1.50,\n\t\"a\":[12345678901234567890123,\"\\u00e9\\/é\"]}}";
    assert_eq!(api.post_text("/publish", body).await.status, 202);
    let text = check(&mut clients, "metrics_update").await;
    let data = r#""data":{"m":{"z":1.50,"a":[12345678901234567890123,"\u00e9\/é"]}}"#;
    assert!(text.contains(data), "{text}");
    let alert = json!({"severity": "high", "message": "\u{2028}<b>", "more": {"b": 1, "a": 2}});
    assert_eq!(api.post("/alerts", &alert).await.status, 202);
    check(&mut clients, "system_alert").await;
    // A large one takes another form of frame.
    for length in [125, 126, 60_000] {
        api.publish("m", json!("x".repeat(length))).await;
        check(&mut clients, "metrics_update").await;
    }
}

#[tokio::test]
async fn a_replayed_message_is_the_message_that_was_sent_live() {
    for transport in Transport::BOTH {
        let hub = Hub::start().await;
        let ada = token::admin("ada");
        let api = hub.api(&ada);
        let (mut client, notice) = hub.opened(transport, "", &ada).await;
        let id = api.publish("m", json!(0)).await;
        api.publish("m", json!({"a": 1})).await;
        client.came("metrics_update").await;
        let live = client.came("metrics_update").await;
        let reconnect_token = text(&notice["reconnectToken"]);
        let again = hub.resume_after(transport, reconnect_token, &id, &ada);
        let replayed = again.await.came("metrics_update").await;
        assert_eq!(replayed.text, live.text);
    }
}
