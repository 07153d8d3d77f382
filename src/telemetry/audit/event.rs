//! One event of the audit trail, and the line it becomes.

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::domain::message::UserId;
use crate::telemetry::mask::{mask_json, one_json_line};

/// Longest string in a line, in bytes; the rest is cut off.
const STRING_BYTES_MAX: usize = 1024;

/// What was done, or tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Connect,
    Resume,
    Disconnect,
    Subscribe,
    Unsubscribe,
    Publish,
    Alert,
    TestConnection,
    Ticket,
    Refresh,
    OperatorDisconnect,
    ReadConnections,
    ReadStats,
    ReadMetrics,
    ReadHistory,
    Export,
    ReadAlerts,
    ReadAudit,
    ReadRules,
    TestRule,
    ReadSilences,
    ReadNotifications,
    Explain,
    AcknowledgeAlert,
    ResolveAlert,
    SetRule,
    DeleteRule,
    AddSilence,
    DeleteSilence,
    RetryNotification,
    DropNotification,
    /// A request turned away before it was known what it wanted.
    Denied,
    /// Written by the trail itself: so many more were turned away since it last said so.
    DeniedMore,
    Start,
    Reload,
    Stop,
    /// Written by the trail itself: so many events before this one are missing.
    EventsLost,
}

impl Action {
    /// What changes something for others or for the hub itself: each time is worth a line.
    pub(super) fn is_deed(self) -> bool {
        match self {
            Self::OperatorDisconnect
            | Self::AcknowledgeAlert
            | Self::ResolveAlert
            | Self::SetRule
            | Self::DeleteRule
            | Self::AddSilence
            | Self::DeleteSilence
            | Self::RetryNotification
            | Self::DropNotification
            | Self::Start
            | Self::Reload
            | Self::Stop
            | Self::DeniedMore
            | Self::EventsLost => true,
            Self::Connect
            | Self::Resume
            | Self::Disconnect
            | Self::Subscribe
            | Self::Unsubscribe
            | Self::Publish
            | Self::Alert
            | Self::TestConnection
            | Self::Ticket
            | Self::Refresh
            | Self::ReadConnections
            | Self::ReadStats
            | Self::ReadMetrics
            | Self::ReadHistory
            | Self::Export
            | Self::ReadAlerts
            | Self::ReadAudit
            | Self::ReadRules
            | Self::TestRule
            | Self::ReadSilences
            | Self::ReadNotifications
            | Self::Explain
            | Self::Denied => false,
        }
    }
}

/// How it ended. Written as `ok`, or as the code of the refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    Ok,
    /// The code the client was given, such as `connection_limit`.
    Refused(&'static str),
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(match self {
            Self::Ok => "ok",
            Self::Refused(code) => code,
        })
    }
}

/// One line of the trail. Never put a credential in it; what looks like one is masked.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Event {
    /// Written in UTC with milliseconds.
    #[serde(serialize_with = "millis")]
    pub time: Timestamp,
    /// The user of a token that was found good; `None` where there was none.
    pub actor: Option<UserId>,
    pub role: Option<String>,
    pub action: Action,
    /// What it was done to: a metric, a user, a connection's id.
    pub target: Option<String>,
    /// The client's address.
    pub remote: Option<String>,
    pub outcome: Outcome,
    pub request_id: Option<String>,
    /// More, where there is more to say. Keep it small: it waits in the queue as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub details: Option<Value>,
}

impl Event {
    /// An event by nobody, that went well; fill in the rest with `..Event::new(action, time)`.
    pub fn new(action: Action, time: Timestamp) -> Self {
        Self {
            time,
            actor: None,
            role: None,
            action,
            target: None,
            remote: None,
            outcome: Outcome::Ok,
            request_id: None,
            details: None,
        }
    }

    /// Says that `events` before it are missing from the trail.
    pub(super) fn lost(events: u64, time: Timestamp) -> Self {
        Self {
            details: Some(json!({ "lost": events })),
            ..Self::new(Action::EventsLost, time)
        }
    }

    /// The event for whoever keeps it elsewhere than in a file of lines.
    pub(super) fn record(&self, line: &str) -> Record {
        Record {
            at_ms: self.time.as_millisecond(),
            text: line.trim_end_matches('\n').to_owned(),
        }
    }

    /// The event as one line of JSON, line break included.
    pub(super) fn line(&self) -> String {
        // Cannot fail, made of strings and JSON as it is; and one bad event must not hold up the rest.
        let mut value = serde_json::to_value(self).unwrap_or_else(|error| error.to_string().into());
        mask_json(&mut value, STRING_BYTES_MAX);
        let mut line = one_json_line(&value.to_string()).into_owned();
        line.push('\n');
        line
    }
}

/// An event as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The event's time, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// Its line, without the line break.
    pub text: String,
}

/// As times are written in a line.
pub(super) fn written(time: Timestamp) -> String {
    format!("{time:.3}")
}

fn millis<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&written(*time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(action: Action) -> Event {
        Event::new(
            action,
            Timestamp::from_millisecond(1_700_000_000_000).unwrap(),
        )
    }

    #[test]
    fn a_line_has_every_field_in_order_and_null_for_what_is_not_known() {
        let full = Event {
            actor: UserId::parse("alice"),
            role: Some("platform_admin".into()),
            target: Some("conn-1".into()),
            remote: Some("::1".into()),
            outcome: Outcome::Refused("connection_limit"),
            request_id: Some("r1".into()),
            details: Some(json!({"b": 1, "a": 2})),
            ..event(Action::OperatorDisconnect)
        };
        assert_eq!(
            full.line(),
            concat!(
                r#"{"time":"2023-11-14T22:13:20.000Z","actor":"alice","role":"platform_admin","#,
                r#""action":"operator_disconnect","target":"conn-1","remote":"::1","#,
                r#""outcome":"connection_limit","requestId":"r1","details":{"b":1,"a":2}}"#,
                "\n"
            )
        );
        assert_eq!(
            event(Action::Denied).line(),
            concat!(
                r#"{"time":"2023-11-14T22:13:20.000Z","actor":null,"role":null,"#,
                r#""action":"denied","target":null,"remote":null,"#,
                r#""outcome":"ok","requestId":null}"#,
                "\n"
            )
        );
    }

    #[test]
    fn the_time_of_a_record_is_that_of_its_text() {
        for nanos in [0, 999_999, 1_000_000, 999_999_999] {
            let time = Timestamp::new(1_700_000_000, nanos).unwrap();
            let event = Event::new(Action::Publish, time);
            let record = event.record(&event.line());
            let text: Value = serde_json::from_str(&record.text).unwrap();
            let time: Timestamp = text["time"].as_str().unwrap().parse().unwrap();
            assert_eq!(record.at_ms, time.as_millisecond(), "{}", record.text);
        }
    }

    /// Attack: log injection.
    #[test]
    fn no_text_makes_a_second_line() {
        for text in [
            "a\nb",
            "\",\"actor\":\"root\"}\n{",
            "\u{1b}[0m\u{202e}\u{2028}",
        ] {
            let line = Event {
                target: Some(text.into()),
                details: Some(json!({ text: text })),
                ..event(Action::Publish)
            };
            let line = line.line();
            let inner = line.strip_suffix('\n').unwrap();
            assert!(!inner.contains(|c: char| c.is_control()), "{inner:?}");
            let read: Value = serde_json::from_str(inner).unwrap();
            assert_eq!(read["target"], text, "the reader gets what was meant");
            assert!(read["actor"].is_null());
        }
    }

    #[test]
    fn a_canary_never_comes_out() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJDQU5BUlkifQ.CANARY";
        for text in [jwt, "/x?ticket=CANARY", "Bearer CANARY", "a token=CANARY"] {
            let line = Event {
                role: Some(text.into()),
                target: Some(text.into()),
                remote: Some(text.into()),
                request_id: Some(text.into()),
                details: Some(json!({"ticket": "CANARY", "list": [{"deep": text}]})),
                ..event(Action::Ticket)
            };
            let line = line.line();
            assert!(!line.contains("CANARY") && !line.contains("eyJ"), "{line}");
            assert!(serde_json::from_str::<Value>(&line).is_ok());
        }
    }

    #[test]
    fn a_long_text_is_cut() {
        let line = Event {
            target: Some("x".repeat(1 << 20)),
            ..event(Action::Publish)
        };
        assert!(line.line().len() < 2 * STRING_BYTES_MAX);
    }
}
