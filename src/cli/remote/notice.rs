//! What the hub says about the connection itself, for a person to read.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::printable;

/// One message of the stream.
#[derive(Debug, Deserialize)]
pub struct Message<'a> {
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(borrow)]
    pub data: &'a RawValue,
    pub timestamp: String,
}

/// What a message about the connection means to whoever follows the stream.
#[derive(Debug, PartialEq)]
pub enum Notice {
    /// Nothing to say.
    Quiet,
    /// Worth a line.
    Told(String),
    /// The stream is open; the token resumes its session.
    Opened { token: Option<String>, text: String },
    /// The credentials are used up; the session can be resumed with fresh ones.
    TokenExpired,
    /// Someone else follows this session now.
    Replaced,
    /// An operator has ended the session, or the role is gone; the text says what.
    Disconnected(String),
}

/// The fields of all notices that are read here.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Fields {
    reconnect_token: Option<String>,
    resumed: bool,
    replayed_messages_count: u64,
    buffered_messages_count: u64,
    dropped_messages_count: u64,
    reconnect_in_ms: u64,
    message: String,
    code: String,
}

impl Notice {
    /// `None` where `message` is a published one.
    pub fn of(message: &Message<'_>) -> Option<Self> {
        // Fields that are not as expected say nothing; a notice is never a reason to stop.
        let fields = || serde_json::from_str(message.data.get()).unwrap_or_default();
        Some(match message.kind.as_str() {
            "heartbeat" | "pong" => Self::Quiet,
            "connection_established" | "reconnection_successful" => opened(&message.kind, fields()),
            "messages_dropped" => Self::Told(format!(
                "reading too slowly, {} dropped",
                messages(fields().dropped_messages_count)
            )),
            "server_shutdown" => Self::Told(format!(
                "the hub is stopping and asks to come back in {} ms",
                fields().reconnect_in_ms
            )),
            "connection_replaced" => Self::Replaced,
            "error" => trouble(&fields()),
            "subscribed" | "unsubscribed" | "refreshed" => Self::Told(printable(&fields().message)),
            _ => return None,
        })
    }
}

fn opened(kind: &str, fields: Fields) -> Notice {
    let resumed = fields.resumed || kind == "reconnection_successful";
    let replayed = fields
        .replayed_messages_count
        .max(fields.buffered_messages_count);
    let dropped = fields.dropped_messages_count;
    let text = match resumed {
        true => format!(
            "resumed, {} replayed, {dropped} dropped",
            messages(replayed)
        ),
        false => "live".to_owned(),
    };
    let token = fields.reconnect_token;
    Notice::Opened { token, text }
}

fn trouble(fields: &Fields) -> Notice {
    match fields.code.as_str() {
        "token_expired" => Notice::TokenExpired,
        "disconnected" => Notice::Disconnected(printable(&fields.message)),
        code => Notice::Told(printable(&format!(
            "the hub says: {} ({code})",
            fields.message
        ))),
    }
}

fn messages(count: u64) -> String {
    match count {
        1 => "1 message".into(),
        _ => format!("{count} messages"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(kind: &str, data: &str) -> Option<Notice> {
        let text = format!(r#"{{"type":"{kind}","data":{data},"timestamp":"t"}}"#);
        Notice::of(&serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn what_was_published_is_no_notice_whatever_its_type() {
        for kind in [
            "metrics_update",
            "initial_metrics",
            "system_alert",
            "test_message",
            "new",
        ] {
            assert_eq!(notice(kind, "{}"), None, "{kind}");
        }
    }

    #[test]
    fn each_notice_says_what_happened() {
        let told = |text: &str| Some(Notice::Told(text.into()));
        let opened = |token: Option<&str>, text: &str| {
            let token = token.map(str::to_owned);
            let text = text.into();
            Some(Notice::Opened { token, text })
        };
        for (kind, data, expected) in [
            ("heartbeat", "{}", Some(Notice::Quiet)),
            (
                "connection_established",
                r#"{"reconnectToken":"t","resumed":false}"#,
                opened(Some("t"), "live"),
            ),
            (
                "connection_established",
                r#"{"resumed":true,"replayedMessagesCount":1,"droppedMessagesCount":2}"#,
                opened(None, "resumed, 1 message replayed, 2 dropped"),
            ),
            (
                "reconnection_successful",
                r#"{"reconnectToken":"t","bufferedMessagesCount":7}"#,
                opened(Some("t"), "resumed, 7 messages replayed, 0 dropped"),
            ),
            (
                "messages_dropped",
                r#"{"droppedMessagesCount":3}"#,
                told("reading too slowly, 3 messages dropped"),
            ),
            (
                "error",
                r#"{"code":"token_expired","message":"m"}"#,
                Some(Notice::TokenExpired),
            ),
            (
                "error",
                r#"{"code":"disconnected","message":"by an operator"}"#,
                Some(Notice::Disconnected("by an operator".into())),
            ),
            (
                "error",
                r#"{"code":"x","message":"m\u001b"}"#,
                told("the hub says: m\\u{1b} (x)"),
            ),
            ("connection_replaced", "{}", Some(Notice::Replaced)),
            ("subscribed", r#"{"message":5}"#, told("")),
        ] {
            assert_eq!(notice(kind, data), expected, "{kind} {data}");
        }
    }
}
