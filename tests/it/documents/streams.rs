//! `docs/asyncapi.yaml`: what is said on a stream, and by its client.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use jsonschema::{Draft, Validator};
use serde_json::{Value, json};
use statshub::domain::message::Transport;
use statshub::domain::notice::{Fault, Goodbye};
use statshub::wire::notice::{fault_code, goodbye};
use statshub::wire::websocket::Closing;

use super::openapi::find;
use super::schema::{hold, validator};
use crate::support::hub::Hub;
use crate::support::message::text;
use crate::support::token;

const TEXT: &str = include_str!("../../../docs/asyncapi.yaml");

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let mut document: yaml_serde::Value = yaml_serde::from_str(TEXT).expect("YAML");
    document.apply_merge().expect("merges");
    serde_json::to_value(document).expect("JSON")
});

static MESSAGES: LazyLock<BTreeMap<&str, Validator>> = LazyLock::new(|| {
    let messages = DOCUMENT["components"]["messages"].as_object();
    let messages = messages.expect("messages").iter();
    let one = |(name, message): (&'static String, &Value)| {
        let validator = validator(&DOCUMENT, Draft::Draft7, &message["payload"]);
        (name.as_str(), validator)
    };
    messages.map(one).collect()
});

/// Holds a message of a hub's or of a client's to the document.
pub fn check_message(message: &Value) {
    let kind = text(&message["type"]);
    let described = MESSAGES.get(kind);
    hold(
        described.unwrap_or_else(|| panic!("{kind} is not described")),
        message,
        kind,
    );
}

fn names(pointer: &str) -> BTreeSet<&'static str> {
    let object = DOCUMENT.pointer(pointer).and_then(Value::as_object);
    object.expect(pointer).keys().map(String::as_str).collect()
}

#[test]
fn every_message_is_that_of_its_name_and_belongs_to_a_channel() {
    let all = names("/components/messages");
    for name in &all {
        let kind = &DOCUMENT["components"]["messages"][name]["payload"]["properties"]["type"];
        assert_eq!(kind["const"], *name);
    }
    assert_eq!(names("/channels/websocket/messages"), all);
    let commands = BTreeSet::from(["ping", "pong", "refresh", "subscribe", "unsubscribe"]);
    let over_sse: BTreeSet<_> = all.difference(&commands).copied().collect();
    assert_eq!(names("/channels/events/messages"), over_sse);
    assert_eq!(names("/channels/resumed/messages"), over_sse);
    let channels = names("/channels");
    let mut references = Vec::new();
    find(&DOCUMENT, "$ref", &mut references);
    let is_missing = |it: &&Value| DOCUMENT.pointer(text(it).trim_start_matches('#')).is_none();
    let missing: Vec<_> = references.into_iter().filter(is_missing).collect();
    assert!(missing.is_empty() && channels.len() == 3, "{missing:?}");
}

#[test]
fn it_has_every_close_code_and_every_code_of_an_error() {
    let closes: BTreeSet<_> = Closing::ALL.map(|closing| closing.code.to_string()).into();
    let named = names("/channels/websocket/x-close-codes");
    assert_eq!(named, closes.iter().map(String::as_str).collect());
    let code = &DOCUMENT["components"]["messages"]["error"]["payload"]["properties"]["data"]["properties"]
        ["code"];
    let named = code["enum"]
        .as_array()
        .expect("codes")
        .iter()
        .map(|code| text(code).to_owned());
    assert_eq!(named.collect::<BTreeSet<_>>(), error_codes());
}

/// The codes that `error` messages have.
pub fn error_codes() -> BTreeSet<String> {
    let faults = Fault::ALL.map(|fault| fault_code(&fault).to_owned());
    let last_words = Goodbye::FOR_ONE.map(|end| {
        let event = goodbye(end, Transport::Sse, 0).remove(0).bytes;
        let event = String::from_utf8(event.to_vec()).expect("a text");
        let (_, data) = event.split_once("data: ").expect("data");
        let message: Value = serde_json::from_str(data).expect("JSON");
        check_message(&message);
        message["data"]["code"].as_str().map(str::to_owned)
    });
    faults
        .into_iter()
        .chain(last_words.into_iter().flatten())
        .collect()
}

#[tokio::test]
async fn what_a_client_may_say_is_what_the_hub_takes() {
    let hub = Hub::start().await;
    let longer = token::token(
        "ada",
        "platform_admin",
        std::time::Duration::from_secs(7200),
    );
    let mut client = hub.websocket("", &token::admin("ada")).await;
    client.opened().await;
    for (command, answer) in [
        (
            json!({"type": "subscribe", "data": {"metrics": ["users.*", "a.**", "**"]}}),
            "subscribed",
        ),
        (
            json!({"type": "unsubscribe", "data": {"metrics": ["users.*"]}}),
            "unsubscribed",
        ),
        (json!({"type": "ping"}), "pong"),
        (
            json!({"type": "refresh", "data": {"token": longer}}),
            "refreshed",
        ),
        (
            json!({"type": "subscribe", "data": {"metrics": ["a..b"]}}),
            "error",
        ),
    ] {
        let is_good = answer != "error";
        let kind = text(&command["type"]);
        assert_eq!(MESSAGES[kind].is_valid(&command), is_good, "{command}");
        client.send(&command).await;
        let answered = client.next_message(answer).await;
        check_message(&answered);
    }
    client.close().await;
    hub.stop().await;
}
