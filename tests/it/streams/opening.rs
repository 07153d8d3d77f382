//! The head of an event stream, its parameters, and in which order it begins.

use serde_json::json;

use crate::support::A;
use crate::support::either::Transport;
use crate::support::hub::Hub;
use crate::support::message::text;
use crate::support::raw::RawClient;
use crate::support::sse::SseClient;
use crate::support::token;

/// The one value of a header.
fn header<'a>(client: &'a SseClient, name: &str) -> &'a str {
    let mut values = client
        .head
        .headers
        .iter()
        .filter(|(known, _)| known == name);
    let value = values
        .next()
        .unwrap_or_else(|| panic!("no {name}: {:?}", client.head));
    assert_eq!(values.next(), None, "{name} is there twice");
    &value.1
}

fn check_head(client: &SseClient) {
    assert_eq!(client.head.status, 200);
    assert_eq!(header(client, "content-type"), "text/event-stream");
    assert_eq!(header(client, "cache-control"), "no-cache");
    assert_eq!(header(client, "connection"), "keep-alive");
    assert_eq!(header(client, "x-accel-buffering"), "no");
    // Its end can be told from a break.
    assert!(client.head.is_chunked(), "{:?}", client.head);
    let token = header(client, "x-reconnect-token");
    let parsed = uuid::Uuid::try_parse(token).expect("a UUID");
    assert_eq!(parsed.hyphenated().to_string(), token);
}

#[tokio::test]
async fn an_event_stream_has_the_headers_that_clients_and_proxies_look_for() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let mut tokens = Vec::new();
    for path in ["/stream", "/stream?metrics=a", "/stream?lastEventId=1-0"] {
        let mut client = hub.sse(path, &ada).await;
        check_head(&client);
        let notice = client.opened().await;
        let token = client.reconnect_token().to_owned();
        assert_eq!(notice["data"]["reconnectToken"], *token);
        let path = format!("/reconnect?token={token}");
        let mut resumed = hub.sse(&path, &ada).await;
        check_head(&resumed);
        assert_eq!(resumed.reconnect_token(), token);
        let notice = resumed.opened().await;
        assert_eq!(notice["data"]["reconnectToken"], *token);
        tokens.push(token);
    }
    tokens.sort_unstable();
    tokens.dedup();
    assert_eq!(tokens.len(), 3, "each session has its own");
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_events_without_chunks_up_to_the_end_of_the_connection() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let mut client = RawClient::connect(hub.address).await;
    let request = format!("GET {A}/stream HTTP/1.0\r\nAuthorization: Bearer {ada}\r\n\r\n");
    client.send(request).await;
    let head = client.head().await.expect("an answer");
    assert_eq!(head.status, 200);
    assert_eq!(head.header("transfer-encoding"), None, "{head:?}");
    hub.stop().await;
    let body = String::from_utf8(client.read_to_end().await).expect("a text");
    assert!(body.starts_with("retry: "), "{body}");
    assert!(
        body.contains("server_shutdown") && body.ends_with("\n\n"),
        "{body}"
    );
}

#[tokio::test]
async fn metrics_are_named_in_one_list_or_several() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    for transport in Transport::BOTH {
        for (query, expected) in [
            ("?metrics=a,b.*", json!(["a", "b.*"])),
            ("?metrics=a&metrics=b.*", json!(["a", "b.*"])),
            ("?metrics=,a,,b.*,", json!(["a", "b.*"])),
            ("?metrics=", json!(["**"])),
            ("?unknown=x", json!(["**"])),
        ] {
            let (_client, notice) = hub.opened(transport, query, &ada).await;
            assert_eq!(notice["metrics"], expected, "{query}");
            hub.api(&ada)
                .post("/disconnect", &json!({"userId": "ada"}))
                .await;
        }
    }
}

#[tokio::test]
async fn a_new_stream_begins_with_who_it_is_and_a_snapshot_and_goes_on_live() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    api.publish("a", json!("before")).await;
    for transport in Transport::BOTH {
        let mut client = hub.open(transport, "", &ada).await;
        let sent = api.publish("a", json!("after")).await;
        assert_eq!(client.next().await["type"], "connection_established");
        let snapshot = client.next().await;
        assert_eq!(snapshot["type"], "initial_metrics");
        assert_eq!(snapshot["data"], json!({"a": "before"}));
        assert_eq!(client.next().await["messageId"], *sent);
        api.publish("a", json!("before")).await;
    }
}

#[tokio::test]
async fn a_resumed_stream_begins_with_who_it_is_and_what_was_missed_and_goes_on_live() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    for transport in Transport::BOTH {
        for by_token in [false, true] {
            let (client, notice) = hub.opened(transport, "", &ada).await;
            let from = api.publish("a", json!(0)).await;
            client.reset();
            let mut ids = Vec::new();
            for number in 0..5 {
                ids.push(api.publish(["a", "b"][number % 2], json!(number)).await);
            }
            let reconnect_token = text(&notice["reconnectToken"]);
            let mut again = match by_token {
                true => {
                    hub.resume_after(transport, reconnect_token, &from, &ada)
                        .await
                }
                false => {
                    hub.open(transport, &format!("?lastEventId={from}"), &ada)
                        .await
                }
            };
            let first = again.next().await;
            let kind = ["connection_established", "reconnection_successful"];
            assert_eq!(first["type"], kind[usize::from(by_token)]);
            assert_eq!(first["data"]["resumed"], true);
            assert_eq!(first["data"]["replayedMessagesCount"], 5);
            assert_eq!(
                first["data"]["reconnectToken"] == *reconnect_token,
                by_token
            );
            ids.push(api.publish("c", json!("live")).await);
            for id in &ids {
                assert_eq!(again.next().await["messageId"], **id);
            }
            api.post("/disconnect", &json!({"userId": "ada"})).await;
        }
    }
}
