//! What a WebSocket client's text may be.

use serde_json::{Value, json};

use super::command::{self, Command};
use super::json::{JsonError, compact};
use crate::domain::notice::Fault;
use crate::domain::pattern::PATTERNS_MAX;
use crate::domain::view::Selector;

/// A text is read as a command just as it is by way of a parser that keeps everything; and as JSON it is
/// passed on on one line with nothing of its meaning changed.
pub fn command(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let read = command::parse(text);
    // What that parser keeps of raw values it writes into itself under a name of its own.
    let value = serde_json::from_str::<Value>(text).ok();
    let value = value.filter(|_| !text.contains("$serde_json"));
    if let Some(value) = &value {
        assert_eq!(read, plainly(value), "{text}");
    }
    if let Ok(command) = &read {
        assert_eq!(command::parse(&printed(command)).as_ref(), Ok(command));
    }
    passed_on(text, value.as_ref());
}

fn plainly(value: &Value) -> Result<Command, Fault> {
    let kind = value.get("type").and_then(Value::as_str);
    let data = value.get("data");
    match kind.ok_or(Fault::InvalidMessage)? {
        "ping" => Ok(Command::Ping),
        "refresh" => {
            let token = data.and_then(|data| data.get("token")?.as_str());
            let token = token.ok_or(Fault::InvalidMessage)?.to_owned();
            Ok(Command::Refresh { token })
        }
        "subscribe" => selectors(data).map(Command::Subscribe),
        "unsubscribe" => selectors(data).map(Command::Unsubscribe),
        _ => Err(Fault::UnknownType),
    }
}

fn selectors(data: Option<&Value>) -> Result<Vec<Selector>, Fault> {
    let list = data.and_then(|data| data.get("metrics")?.as_array());
    let list = list.ok_or(Fault::MetricsNoArray)?;
    if list.len() > PATTERNS_MAX {
        return Err(Fault::TooManyPatterns);
    }
    let selector = |one: &Value| {
        let selector = Selector::try_from(one.clone());
        selector.map_err(|error| match one {
            Value::Object(_) => Fault::InvalidSelector(error.to_string().into()),
            _ => Fault::InvalidMetric,
        })
    };
    list.iter().map(selector).collect()
}

fn printed(command: &Command) -> String {
    let (kind, data) = match command {
        Command::Ping => ("ping", json!(null)),
        Command::Refresh { token } => ("refresh", json!({ "token": token })),
        Command::Subscribe(selectors) => ("subscribe", json!({ "metrics": selectors })),
        Command::Unsubscribe(selectors) => ("unsubscribe", json!({ "metrics": selectors })),
    };
    json!({ "type": kind, "data": data }).to_string()
}

fn passed_on(text: &str, value: Option<&Value>) {
    match compact(text) {
        Ok(json) => {
            let json = json.as_str();
            assert!(!json.contains(['\n', '\r']) && json.len() <= text.len());
            assert_eq!(compact(json).as_ref().map(|it| it.as_str()), Ok(json));
            if let Some(value) = value {
                assert_eq!(
                    serde_json::from_str::<Value>(json).ok().as_ref(),
                    Some(value)
                );
            }
        }
        // What it refuses that parser refuses too, but for the depth, where its own limit is one lower.
        Err(JsonError::TooDeep) => {}
        Err(error) => assert!(value.is_none(), "{error}: {text}"),
    }
}
