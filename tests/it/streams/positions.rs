//! `Last-Event-ID` and `lastEventId`: from where a stream goes on, and what is no such place.

use serde_json::{Value, json};

use crate::support::either::{Client, Transport};
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::id::Id;
use crate::support::message::text;
use crate::support::sse::bearer;
use crate::support::token;

/// An event stream with a header and a parameter, each of which may be missing.
async fn open(hub: &Hub, path: &str, header: Option<&str>, parameter: Option<&str>) -> Client {
    let ada = bearer(&token::admin("ada"));
    let mut headers = vec![("Authorization", &*ada)];
    headers.extend(header.map(|id| ("Last-Event-ID", id)));
    let separator = if path.contains('?') { '&' } else { '?' };
    let path = match parameter {
        Some(id) => format!("{path}{separator}lastEventId={id}"),
        None => path.to_owned(),
    };
    let client = hub.sse_with(&path, &headers).await;
    assert_eq!(client.head.status, 200, "{header:?} {parameter:?}");
    Client::Sse(Box::new(client))
}

/// Publishes so many updates of `m`, and gives their ids.
async fn publish(api: &Api, count: u64) -> Vec<String> {
    let mut ids = Vec::new();
    for number in 0..count {
        ids.push(api.publish("m", json!(number)).await);
    }
    ids
}

/// It goes on after `ids[from]`.
async fn check_resumed(mut client: Client, ids: &[String], from: usize) {
    let notice = client.next().await;
    assert_eq!(notice["data"]["resumed"], true, "{notice}");
    assert_eq!(notice["data"]["droppedMessagesCount"], 0, "{notice}");
    assert_eq!(
        notice["data"]["replayedMessagesCount"],
        ids.len() - from - 1
    );
    for id in &ids[from + 1..] {
        assert_eq!(client.next().await["messageId"], **id);
    }
}

/// It begins anew, with a snapshot of all there is.
async fn check_anew(mut client: Client, kind: &str, values: &Value) {
    let notice = client.next().await;
    assert_eq!(notice["type"], kind, "{notice}");
    assert_eq!(notice["data"]["resumed"], false, "{notice}");
    assert_eq!(notice["data"]["replayedMessagesCount"], 0, "{notice}");
    assert_eq!(notice["data"]["droppedMessagesCount"], 0, "{notice}");
    let snapshot = client.next().await;
    assert_eq!(snapshot["type"], "initial_metrics");
    assert_eq!(snapshot["data"], *values);
}

/// Room for a stream a case.
async fn hub() -> Hub {
    Hub::with()
        .env("MAX_CONNECTIONS_PER_USER", "1000")
        .start()
        .await
}

#[tokio::test]
async fn of_header_and_parameter_the_larger_counts() {
    let hub = hub().await;
    let ada = token::admin("ada");
    let ids = publish(&hub.api(&ada), 6).await;
    let at = |index: usize| Some(&*ids[index]);
    for (header, parameter, from) in [
        (at(1), None, 1),
        (None, at(2), 2),
        (at(1), at(3), 3),
        (at(4), at(2), 4),
        (at(5), at(5), 5),
        // What is no id counts as absent, and the other one holds.
        (Some("garbage"), at(2), 2),
        (Some(""), at(2), 2),
        (at(3), Some("garbage"), 3),
        (at(3), Some(""), 3),
        // Of another log, but smaller.
        (at(3), Some("1-0"), 3),
    ] {
        let client = open(&hub, "/stream", header, parameter).await;
        check_resumed(client, &ids, from).await;
    }
    for (parameter, from) in [(&ids[0], 0), (&ids[5], 5)] {
        let query = format!("?lastEventId={parameter}");
        let client = hub.open(Transport::WebSocket, &query, &ada);
        check_resumed(client.await, &ids, from).await;
    }
}

/// What a client may send as its position and the hub never gave out.
const MALFORMED: [&str; 38] = [
    "",
    " ",
    "0",
    "-",
    "--",
    "a-b",
    "1-",
    "-1",
    "-5-0",
    "1-0-0",
    "1--0",
    "+1-0",
    "1-+0",
    "0x1-0",
    "1e3-0",
    "1.0-0",
    "01-0",
    "1-00",
    "1 - 0",
    "1764176569000",
    "1764176569000_0",
    "1764176569000-0;",
    "99999999999999999999-1",
    "1-99999999999999999999",
    "17592186044416-0",
    "1764176569000-1048576",
    "null",
    "undefined",
    "*",
    "<id>",
    "6b1f3c52-5d0e-4f0a-9c55-0d7f3f6c1a11",
    "\u{661}-0",
    "\u{feff}1-0",
    // These no header can carry.
    "\0",
    "1-0\0",
    "\n1-0",
    "1-0\r\ndata: x",
    "1-0\u{7f}",
];

/// Each as it stands in a header, where it can, and in a query.
fn malformed() -> Vec<(Option<String>, String)> {
    let long = ["9".repeat(4096), "1-0,".repeat(1000)];
    let texts = MALFORMED.into_iter().chain(long.iter().map(String::as_str));
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let in_header = |text: &&str| !text.contains(char::is_control);
    let mut all: Vec<_> = texts
        .map(|text| {
            let header = Some(text).filter(in_header).map(str::to_owned);
            (header, encoded(text))
        })
        .collect();
    // Not even text.
    all.push((None, "%FF-%FE".into()));
    all
}

/// Attack: a `Last-Event-ID` that is garbage or from the future.
#[tokio::test]
async fn what_is_no_id_of_ours_counts_as_absent() {
    let hub = hub().await;
    let ada = token::admin("ada");
    publish(&hub.api(&ada), 3).await;
    let values = json!({"m": 2});
    for (header, parameter) in malformed() {
        let established = "connection_established";
        if let Some(header) = header {
            let client = open(&hub, "/stream", Some(&header), None).await;
            check_anew(client, established, &values).await;
        }
        let client = open(&hub, "/stream", None, Some(&parameter)).await;
        check_anew(client, established, &values).await;
        let query = format!("?lastEventId={parameter}");
        let client = hub.open(Transport::WebSocket, &query, &ada).await;
        check_anew(client, established, &values).await;
    }
}

#[tokio::test]
async fn a_session_resumes_from_what_was_sent_where_its_client_names_no_id() {
    let hub = hub().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    for (header, parameter) in malformed() {
        let (client, notice) = hub.opened(Transport::Sse, "", &ada).await;
        hub.lose(client, &notice).await;
        let missed = publish(&api, 2).await;
        let path = format!("/reconnect?token={}", text(&notice["reconnectToken"]));
        let mut again = open(&hub, &path, header.as_deref(), Some(&parameter)).await;
        let resumed = again.opened().await;
        assert_eq!(resumed["data"]["resumed"], true, "{parameter}");
        for id in missed {
            assert_eq!(again.next().await["messageId"], *id);
        }
    }
}

/// Both transports and both ways, each with a position that the hub's log does not hold.
async fn check_unknown(hub: &Hub, position: &str, values: &Value) {
    let ada = token::admin("ada");
    for transport in Transport::BOTH {
        let query = format!("?lastEventId={position}");
        let client = hub.open(transport, &query, &ada).await;
        check_anew(client, "connection_established", values).await;

        let (_old, notice) = hub.opened(transport, "", &ada).await;
        let reconnect_token = text(&notice["reconnectToken"]);
        let client = hub.resume_after(transport, reconnect_token, position, &ada);
        check_anew(client.await, "reconnection_successful", values).await;
    }
    let client = open(hub, "/stream", Some(position), None).await;
    check_anew(client, "connection_established", values).await;
}

/// Attack: a `Last-Event-ID` that is garbage or from the future.
#[tokio::test]
async fn a_position_ahead_of_the_log_or_from_before_it_gets_a_snapshot() {
    let hub = hub().await;
    let ids = publish(&hub.api(&token::admin("ada")), 3).await;
    let (millis, sequence) = Id::of(&json!(ids[2])).parts();
    for position in [
        format!("{millis}-{}", sequence + 1),
        format!("{}-0", millis + 1),
        format!("{}-0", millis + 86_400_000),
        "17592186044415-1048575".into(),
        "0-0".into(),
        "1-0".into(),
        format!("{}-0", millis - 86_400_000),
    ] {
        check_unknown(&hub, &position, &json!({"m": 2})).await;
    }
}

#[tokio::test]
async fn after_a_restart_without_a_store_positions_get_a_snapshot_and_tokens_are_gone() {
    let memory = "[store]\ndurability = \"memory\"";
    let mut hub = Hub::with().config(memory).start().await;
    let ada = token::admin("ada");
    let mut client = hub.open(Transport::Sse, "", &ada).await;
    let notice = client.next().await;
    let first = client.next().await["messageId"].clone();
    let ids = publish(&hub.api(&ada), 3).await;
    hub.crash().await;
    let hub = hub.again().await;
    check_unknown(&hub, &ids[2], &json!({})).await;
    check_unknown(&hub, text(&first), &json!({})).await;
    let fresh = publish(&hub.api(&ada), 3).await;
    check_unknown(&hub, &ids[2], &json!({"m": 2})).await;
    // Whoever was told by a snapshot goes on from there.
    let client = open(&hub, "/stream", Some(&ids[2]), Some(&fresh[1])).await;
    check_resumed(client, &fresh, 1).await;
    let reconnect_token = text(&notice["data"]["reconnectToken"]);
    let path = format!("/reconnect?token={reconnect_token}&lastEventId={}", ids[0]);
    let answer = hub.api(&ada).get(&path).await;
    assert_eq!(answer.failure(), (410, "reconnect_token_invalid"));
}

#[tokio::test]
async fn a_position_is_gone_on_from_with_the_metrics_that_are_asked_for_now() {
    let hub = hub().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let from = api.publish("a", json!(0)).await;
    for name in ["a", "b", "a", "c.d"] {
        api.publish(name, json!(name)).await;
    }
    let mut alerts = 0;
    for transport in Transport::BOTH {
        for (metrics, expected) in [
            ("", vec!["a", "b", "a", "c.d"]),
            ("&metrics=a", vec!["a", "a"]),
            ("&metrics=b,c.*", vec!["b", "c.d"]),
            ("&metrics=none", vec![]),
        ] {
            let query = format!("?lastEventId={from}{metrics}");
            let mut client = hub.open(transport, &query, &ada).await;
            let notice = client.opened().await;
            let count = &notice["data"]["replayedMessagesCount"];
            assert_eq!(*count, expected.len() + alerts, "{metrics}");
            assert_eq!(client.metrics_until_now(&api).await, expected, "{metrics}");
            // It ended with one, which is for everybody after that.
            alerts += 1;
        }
    }
}
