//! The audit trail: one line for everything that somebody did, or was kept from doing.

mod file;
mod flood;
mod over_http;
mod requests;
mod streams;

use std::fs;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::hub::Hub;

const FILE: &str = "audit.jsonl";

/// A hub whose trail is in [`FILE`], and with what else is to be in its settings.
async fn audited(config: &str) -> Hub {
    let config = format!("{config}\n[audit]\nfile = \"{FILE}\"\n");
    Hub::with().config(&config).start().await
}

/// Stops the hub, so that everything is written, and takes its trail apart.
async fn lines_of(mut hub: Hub) -> Vec<Value> {
    hub.signal(Signal::TERM);
    assert_eq!(hub.ended().await.code, Some(0));
    lines(&fs::read_to_string(hub.path(FILE)).expect("a trail"))
}

/// Every line a whole event.
fn lines(text: &str) -> Vec<Value> {
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "a torn line: {text:?}"
    );
    text.lines().map(line).collect()
}

fn line(text: &str) -> Value {
    let line: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let time = line["time"].as_str().expect("a time");
    assert!(time.parse::<jiff::Timestamp>().is_ok(), "{line}");
    assert_eq!(time.len(), "2026-01-31T12:00:00.000Z".len(), "{line}");
    for field in ["actor", "role", "target", "remote", "requestId"] {
        let value = line
            .get(field)
            .unwrap_or_else(|| panic!("no {field} in {line}"));
        assert!(value.is_null() || value.is_string(), "{field} in {line}");
    }
    assert!(
        line["action"].is_string() && line["outcome"].is_string(),
        "{line}"
    );
    line
}

/// The lines whose `field` is `value`.
fn find<'a>(trail: &'a [Value], field: &'a str, value: &'a str) -> impl Iterator<Item = &'a Value> {
    trail.iter().filter(move |line| line[field] == value)
}

/// The actions of all lines, in their order.
fn actions(trail: &[Value]) -> Vec<&str> {
    trail
        .iter()
        .map(|line| line["action"].as_str().unwrap_or("?"))
        .collect()
}
