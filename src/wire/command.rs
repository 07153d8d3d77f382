//! What a WebSocket client may say.

use std::collections::HashMap;
use std::fmt;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::notice::Fault;
use crate::domain::pattern::{PATTERNS_MAX, Pattern};
use crate::domain::view::{Selector, SelectorError};

/// A client's message, checked.
#[derive(Clone, PartialEq, Eq)]
pub enum Command {
    Subscribe(Vec<Selector>),
    Unsubscribe(Vec<Selector>),
    Ping,
    /// Go on with this JWT, which nobody has verified yet.
    Refresh {
        token: String,
    },
}

impl fmt::Debug for Command {
    /// Without the token, which must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subscribe(patterns) => f.debug_tuple("Subscribe").field(patterns).finish(),
            Self::Unsubscribe(patterns) => f.debug_tuple("Unsubscribe").field(patterns).finish(),
            Self::Ping => f.write_str("Ping"),
            Self::Refresh { .. } => f.write_str("Refresh"),
        }
    }
}

/// Reads `{"type": ..., "data": ...}`. Fields that are not known are ignored; of a key given twice
/// the last counts, as in JavaScript.
///
/// # Errors
/// The [`Fault`] that the client is told of; nothing has been done then.
pub fn parse(text: &str) -> Result<Command, Fault> {
    let message = object(text).ok_or(Fault::InvalidMessage)?;
    let kind = string(&message, Field::Type).ok_or(Fault::InvalidMessage)?;
    let data = message
        .get(&Field::Data)
        .and_then(|data| object(data.get()))
        .unwrap_or_default();
    match kind.as_str() {
        "subscribe" => selectors(&data).map(Command::Subscribe),
        "unsubscribe" => selectors(&data).map(Command::Unsubscribe),
        "ping" => Ok(Command::Ping),
        "refresh" => string(&data, Field::Token)
            .map(|token| Command::Refresh { token })
            .ok_or(Fault::InvalidMessage),
        _ => Err(Fault::UnknownType),
    }
}

/// The keys that mean something. All others fall together, so that an object of thousands of keys
/// takes no more room than one of five.
#[derive(Deserialize, PartialEq, Eq, Hash)]
#[serde(field_identifier, rename_all = "lowercase")]
enum Field {
    Type,
    Data,
    Metrics,
    Token,
    #[serde(other)]
    Other,
}

/// Values stay unread text until it is known what they should be: reading them blindly would
/// recurse as deep as the client likes.
type Object<'a> = HashMap<Field, &'a RawValue>;

fn object(text: &str) -> Option<Object<'_>> {
    serde_json::from_str(text).ok()
}

fn string(object: &Object<'_>, field: Field) -> Option<String> {
    serde_json::from_str(object.get(&field)?.get()).ok()
}

fn selectors(data: &Object<'_>) -> Result<Vec<Selector>, Fault> {
    let metrics = data.get(&Field::Metrics).ok_or(Fault::MetricsNoArray)?;
    // Counted before anything is kept: a list of ignored values takes no memory.
    let count = serde_json::from_str::<Vec<IgnoredAny>>(metrics.get())
        .map_err(|_| Fault::MetricsNoArray)?
        .len();
    if count > PATTERNS_MAX {
        return Err(Fault::TooManyPatterns);
    }
    let metrics: Vec<&RawValue> =
        serde_json::from_str(metrics.get()).map_err(|_| Fault::InvalidMetric)?;
    metrics.into_iter().map(selector).collect()
}

fn selector(text: &RawValue) -> Result<Selector, Fault> {
    if !text.get().starts_with('{') {
        let text: String = serde_json::from_str(text.get()).map_err(|_| Fault::InvalidMetric)?;
        let pattern = Pattern::parse(&text).map_err(|_| Fault::InvalidMetric)?;
        return Ok(pattern.into());
    }
    let invalid = |error: String| Fault::InvalidSelector(error.into());
    // Too deep for a value is too deep for a selector.
    let value: Value =
        serde_json::from_str(text.get()).map_err(|_| invalid(SelectorError::Form.to_string()))?;
    Selector::try_from(value).map_err(|error| invalid(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(texts: &[&str]) -> Vec<Selector> {
        texts
            .iter()
            .map(|text| Pattern::parse(text).unwrap().into())
            .collect()
    }

    #[test]
    fn a_command_is_read() {
        let check = |text: &str, expected: Command| {
            assert!(parse(text) == Ok(expected), "{text}: {:?}", parse(text));
        };
        let subscribe = |texts| Command::Subscribe(named(texts));
        check(
            r#"{"type":"subscribe","data":{"metrics":["a.b","c.*"]}}"#,
            subscribe(&["a.b", "c.*"]),
        );
        check(
            r#" { "data" : { "metrics" : [ "**" ] , "x" : [[1]] } , "type" : "subscribe" } "#,
            subscribe(&["**"]),
        );
        check(
            r#"{"type":"subscribe","data":{"metrics":[]}}"#,
            subscribe(&[]),
        );
        check(
            r#"{"type":"subscri\u0062e","data":{"metrics":["\u0061"]}}"#,
            subscribe(&["a"]),
        );
        check(
            r#"{"type":"ping","type":"subscribe","data":1,"data":{"metrics":["a"]}}"#,
            subscribe(&["a"]),
        );
        check(
            r#"{"type":"unsubscribe","data":{"metrics":["a"]}}"#,
            Command::Unsubscribe(named(&["a"])),
        );
        check(r#"{"type":"ping"}"#, Command::Ping);
        check(r#"{"type":"ping","data":[],"id":7}"#, Command::Ping);
        let token = "e.y.J".to_owned();
        check(
            r#"{"type":"refresh","data":{"token":"e.y.J"}}"#,
            Command::Refresh { token },
        );
    }

    #[test]
    fn what_is_no_command_is_answered_by_its_fault() {
        let check = |text: &str, fault: Fault| assert_eq!(parse(text), Err(fault), "{text:.60}");
        for text in [
            "",
            "ping",
            "null",
            "1",
            "\"ping\"",
            "[]",
            r#"["ping"]"#,
            r#"["subscribe",{"metrics":["a"]}]"#,
            "{",
            "{}",
            r#"{"type":"ping"}}"#,
            r#"{"type":"ping"}{"type":"ping"}"#,
            r#"{"type":"ping",}"#,
            r#"{"Type":"ping"}"#,
            r#"{"type":null}"#,
            r#"{"type":7}"#,
            r#"{"type":["ping"]}"#,
            r#"{"type":{"ping":null}}"#,
            "{\"type\":\"pi\nng\"}",
            r#"{"type":"refresh"}"#,
            r#"{"type":"refresh","data":"e.y.J"}"#,
            r#"{"type":"refresh","data":["e.y.J"]}"#,
            r#"{"type":"refresh","data":{}}"#,
            r#"{"type":"refresh","data":{"token":null}}"#,
            r#"{"type":"refresh","data":{"token":7}}"#,
        ] {
            check(text, Fault::InvalidMessage);
        }
        for text in [
            r#"{"type":""}"#,
            r#"{"type":"Ping"}"#,
            r#"{"type":"publish","data":{}}"#,
        ] {
            check(text, Fault::UnknownType);
        }
        for kind in ["subscribe", "unsubscribe"] {
            let with = |rest: &str| format!(r#"{{"type":"{kind}"{rest}}}"#);
            let metrics = |metrics: &str| with(&format!(r#","data":{{"metrics":{metrics}}}"#));
            check(&with(""), Fault::MetricsNoArray);
            check(&with(r#","metrics":["a"]"#), Fault::MetricsNoArray);
            for data in ["null", "7", "[]", r#"["a"]"#, r#"[["a"]]"#, "{}"] {
                check(&with(&format!(r#","data":{data}"#)), Fault::MetricsNoArray);
            }
            for list in ["null", "true", "7", "\"a\"", "{}", r#"{"0":"a"}"#] {
                check(&metrics(list), Fault::MetricsNoArray);
            }
            for element in ["null", "7", "[]", "[\"a\"]", "\"\"", "\"a..b\""] {
                check(&metrics(&format!("[{element}]")), Fault::InvalidMetric);
                check(
                    &metrics(&format!("[\"a\",{element}]")),
                    Fault::InvalidMetric,
                );
            }
            for bad in ["\"**.a\"", "\"a b\"", "\"é\"", "\"\\ud800\"", "\"\\n\""] {
                check(&metrics(&format!("[{bad}]")), Fault::InvalidMetric);
            }
        }
    }

    #[test]
    fn at_most_as_many_patterns_as_a_subscription_holds() {
        for kind in ["subscribe", "unsubscribe"] {
            let of = |count: usize| {
                let list = vec!["\"a\""; count].join(",");
                parse(&format!(
                    r#"{{"type":"{kind}","data":{{"metrics":[{list}]}}}}"#
                ))
            };
            assert!(of(100).is_ok());
            assert_eq!(of(101), Err(Fault::TooManyPatterns));
            assert_eq!(of(1_000_000), Err(Fault::TooManyPatterns));
        }
    }

    #[test]
    fn no_depth_of_nesting_overflows_the_stack() {
        let deep = |open: &str, close: &str| open.repeat(500_000) + "1" + &close.repeat(500_000);
        let arrays = deep("[", "]");
        let objects = deep(r#"{"data":"#, "}");
        for (text, expected) in [
            (arrays.clone(), Err(Fault::InvalidMessage)),
            (objects, Err(Fault::InvalidMessage)),
            (
                format!(r#"{{"type":{arrays}}}"#),
                Err(Fault::InvalidMessage),
            ),
            (
                format!(r#"{{"type":"ping","data":{arrays}}}"#),
                Ok(Command::Ping),
            ),
            (
                format!(r#"{{"type":"subscribe","data":{{"metrics":{arrays}}}}}"#),
                Err(Fault::InvalidMetric),
            ),
        ] {
            assert_eq!(parse(&text), expected, "{text:.60}");
        }
    }

    #[test]
    fn a_token_is_not_printed() {
        let command = parse(r#"{"type":"refresh","data":{"token":"e.y.J"}}"#).unwrap();
        assert!(!format!("{command:?}").contains("e.y.J"));
    }
}
