//! A message as what it changes: a JSON Merge Patch (RFC 7396) on the value that the message before it had.

use std::sync::OnceLock;

use bytes::Bytes;
use indexmap::IndexMap;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::message::{Message, Patch};

/// A whole value is sent at least this often, in milliseconds: whoever applied something wrongly is right again.
const WHOLE_EVERY_MS: u64 = 60_000;

const WHOLE: &str = r#"{"type":"metrics_update","#;
const PATCH: &str = r#"{"type":"metrics_patch","#;

/// The message as a patch; `None` where it has none to be put on,
/// is to be whole, or where a patch would be no shorter or could not say what changed.
pub fn of(message: &Message) -> Option<Patch> {
    let (base, before) = message.before.get()?;
    if base.millis() / WHOLE_EVERY_MS != message.id.millis() / WHOLE_EVERY_MS {
        return None;
    }
    let value = message.value();
    let patch = diff(str::from_utf8(before).ok()?, str::from_utf8(&value).ok()?)?;
    let base = format!(r#","baseMessageId":"{base}"}}"#);
    if patch.len() + base.len() >= value.len() {
        return None;
    }
    let head = &message.sse[..message.json.start];
    let open =
        message.sse[message.json.start..message.value.start].strip_prefix(WHOLE.as_bytes())?;
    let close = message.sse[message.value.end..message.json.end].strip_suffix(b"}")?;
    let parts: [&[u8]; 7] = [
        head,
        PATCH.as_bytes(),
        open,
        patch.as_bytes(),
        close,
        base.as_bytes(),
        b"\n\n",
    ];
    let sse = Bytes::from(parts.concat());
    Some(Patch {
        json: head.len()..sse.len() - b"\n\n".len(),
        sse,
        websocket: OnceLock::new(),
    })
}

/// An object's members as they were written.
type Members<'a> = IndexMap<String, &'a RawValue>;

fn members(value: &str) -> Option<Members<'_>> {
    value
        .starts_with('{')
        .then(|| serde_json::from_str(value).ok())?
}

/// What makes `new` of `old`, in the words in which it was written; `None` where a patch cannot say it: it is of
/// objects only, and `null` means that a member goes.
fn diff(old: &str, new: &str) -> Option<String> {
    let (old, new) = (members(old)?, members(new)?);
    let mut changes = Vec::new();
    for (key, value) in &new {
        let value = value.get();
        let change = match old.get(key) {
            Some(before) if before.get() == value => continue,
            Some(before) if before.get().starts_with('{') && value.starts_with('{') => {
                diff(before.get(), value)?
            }
            // In what is new as a whole a null would be taken for a member that goes.
            _ if has_null(value) => return None,
            _ => value.to_owned(),
        };
        changes.push(format!("{}:{change}", Value::from(key.as_str())));
    }
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    changes.extend(gone.map(|key| format!("{}:null", Value::from(key.as_str()))));
    Some(format!("{{{}}}", changes.join(",")))
}

/// Whether it is `null`, or an object with one in it, lists aside: those are taken as a whole.
fn has_null(value: &str) -> bool {
    value == "null" || members(value).is_some_and(|it| it.values().any(|it| has_null(it.get())))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::domain::message::{Json, MessageId, Priority, Retain, Topic};
    use crate::domain::pattern::MetricName;
    use crate::domain::time::Now;
    use crate::wire::message::{Publication, encode};

    fn message(ms: u64, value: &str) -> Message {
        let publication = Publication {
            topic: Topic::Metric(MetricName::parse("a.b").unwrap()),
            data: Json::trusted(value.to_owned()),
            priority: Priority::Normal,
            retain: Retain::All,
        };
        let now = Now {
            wall_ms: ms,
            mono: Duration::ZERO,
        };
        encode(MessageId::new(ms, 0).unwrap(), publication, now)
    }

    fn after(before: &Message, ms: u64, value: &str) -> Message {
        let message = message(ms, value);
        message.before.set((before.id, before.value())).unwrap();
        message
    }

    /// RFC 7396, section 2.
    fn apply(target: Value, patch: &Value) -> Value {
        let Value::Object(patch) = patch else {
            return patch.clone();
        };
        let mut target = match target {
            Value::Object(target) => target,
            _ => serde_json::Map::new(),
        };
        for (key, value) in patch {
            if value.is_null() {
                target.shift_remove(key);
            } else {
                let was = target.get(key).cloned().unwrap_or_default();
                target.insert(key.clone(), apply(was, value));
            }
        }
        Value::Object(target)
    }

    #[test]
    fn a_patch_is_a_message_of_its_own_type_with_what_it_is_put_on() {
        let old = message(
            1000,
            r#"{"total":1.50,"plans":{"pro":1,"free":2},"gone":7,"text":"long enough to pay for it, which takes some sixty letters"}"#,
        );
        let new = after(
            &old,
            2000,
            r#"{"total":2.50,"plans":{"pro":1,"free":3},"text":"long enough to pay for it, which takes some sixty letters"}"#,
        );
        let Patch { sse, json, .. } = of(&new).unwrap();
        let text = str::from_utf8(&sse).unwrap();
        assert!(
            text.starts_with("id: 2000-0\ndata: {\"type\":\"metrics_patch\",")
                && text.ends_with("}\n\n")
        );
        let value: Value = serde_json::from_slice(&sse[json]).unwrap();
        let patch = json!({"total": 2.5, "plans": {"free": 3}, "gone": null});
        assert_eq!(value["data"], json!({"a.b": patch}));
        assert_eq!(value["baseMessageId"], "1000-0");
        assert_eq!(value["messageId"], "2000-0");
        assert!(text.contains("\"total\":2.50"), "as it was written");
    }

    #[test]
    fn what_a_patch_cannot_say_or_not_shorter_is_sent_whole() {
        let long = "x".repeat(100);
        let of_objects = |old: &str, new: &str| {
            let object = |more: &str| format!(r#"{{"long":"{long}",{more}}}"#);
            of(&after(&message(1000, &object(old)), 2000, &object(new))).is_some()
        };
        assert!(of_objects(r#""a":1"#, r#""a":2"#));
        assert!(of_objects(r#""a":null"#, r#""a":2"#));
        assert!(of_objects(r#""a":1,"b":null"#, r#""a":2,"b":null"#));
        assert!(of_objects(r#""a":[1]"#, r#""a":[null]"#));
        assert!(!of_objects(r#""a":1"#, r#""a":null"#));
        assert!(!of_objects(r#""a":1"#, r#""a":{"b":{"c":null}}"#));
        let whole = |old: &Message, ms, new: &str| of(&after(old, ms, new)).is_none();
        assert!(whole(&message(1000, "1"), 2000, &format!("\"{long}\"")));
        let object = format!(r#"{{"a":"{long}","b":1}}"#);
        assert!(
            whole(&message(1000, &object), 61_000, &object),
            "once a minute"
        );
        assert!(
            whole(&message(1000, r#"{"a":1}"#), 2000, r#"{"a":2}"#),
            "no shorter"
        );
        assert!(of(&message(1000, &object)).is_none(), "the first");
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            Just(json!(1.5)),
            Just(json!("x")),
            Just(json!([null, 1]))
        ];
        leaf.prop_recursive(3, 20, 4, |inner| {
            let keys = prop::sample::select(vec!["a", "b", "c", "\"", "é"]);
            prop::collection::btree_map(keys, inner, 0..4).prop_map(|map| {
                map.into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect()
            })
        })
    }

    proptest! {
        #[test]
        fn a_patch_on_the_old_is_the_new(old in values(), new in values()) {
            if let Some(patch) = diff(&old.to_string(), &new.to_string()) {
                let patch: Value = serde_json::from_str(&patch).unwrap();
                prop_assert_eq!(apply(old, &patch), new);
            }
        }
    }
}
