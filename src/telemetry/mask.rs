//! The last safety net under everything that is written: credentials become `***`, one event stays
//! one line.
//!
//! A net, not a licence: whoever writes an event leaves credentials out in the first place. It errs
//! towards hiding a harmless word.

use std::borrow::Cow;
use std::fmt::Write;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

const MASKED: &str = "***";

/// Names whose value is a credential, as the end of a longer name too (`access_token`,
/// `X-Reconnect-Token`, `JWT_SECRET`).
const NAME: &str = "(?i-u:token|ticket|secret|password|passwd|jwt)";
/// One bare value, as it stands in a query string, a cookie or a log line.
const BARE: &str = r#"[^ \t\r\n&;,"'\\<>()\[\]{}|]+"#;

/// What is looked for, in this order, and what takes its place.
static RULES: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        // Whole headers, whatever their scheme.
        (
            r#"((?i-u:authorization|cookie)["'\\]*: ?["'\\]*)[^"'\\\r\n]+"#.to_owned(),
            "${1}***",
        ),
        // `Bearer x`, and the WebSocket subprotocol `bearer.x`.
        (
            format!(r"((?i-u:\bbearer)(?:(?: |%20|\+)+|\.)){BARE}"),
            "${1}***",
        ),
        // token=x, also percent-encoded or quoted.
        (
            format!(r#"({NAME}["'\\]* ?(?:=|%3[Dd]) ?["'\\]*){BARE}"#),
            "${1}***",
        ),
        // "token": "x" as in JSON, Some("x") and Ticket("x") as in Rust's debug output.
        (
            format!(r#"({NAME}["'\\]* ?[:(] ?(?:Some\()?["'\\]+)[^"'\\]+"#),
            "${1}***",
        ),
        // token: x only where x is long, because "bad token: expired" is no credential.
        (format!("({NAME}: ?)[A-Za-z0-9._~+/=%-]{{16,}}"), "${1}***"),
        // A JWT begins with the Base64 of `{"`.
        (
            r"eyJ[A-Za-z0-9_-]+(?:(?:\.|%2[Ee])[A-Za-z0-9_-]*)*".to_owned(),
            MASKED,
        ),
        // A JWT whose header was written with white space.
        (
            r"[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}".to_owned(),
            MASKED,
        ),
        // postgres://user:password@host
        (r#"(://)[^ \t\r\n/?#"'<>]+@"#.to_owned(), "${1}***@"),
    ]
    .into_iter()
    .map(|(pattern, instead)| (Regex::new(&pattern).expect("a constant pattern"), instead))
    .collect()
});

static WHOLE_NAME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(&format!("{NAME}$")).expect("a constant pattern"));

/// `text` with everything that looks like a credential replaced by `***`.
pub fn mask(text: &str) -> Cow<'_, str> {
    let mut masked = Cow::Borrowed(text);
    for (pattern, instead) in RULES.iter() {
        if let Cow::Owned(changed) = pattern.replace_all(&masked, *instead) {
            masked = Cow::Owned(changed);
        }
    }
    masked
}

/// Masks every string within `value`, and whatever stands under the name of a credential.
/// Strings longer than `string_bytes_max` are cut.
pub fn mask_json(value: &mut Value, string_bytes_max: usize) {
    match value {
        Value::String(text) => *text = cut(&mask(text), string_bytes_max).into_owned(),
        Value::Array(values) => values
            .iter_mut()
            .for_each(|value| mask_json(value, string_bytes_max)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match WHOLE_NAME.is_match(name) && !value.is_null() {
                    true => *value = MASKED.into(),
                    false => mask_json(value, string_bytes_max),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// At most `bytes_max` bytes of `text`, ending in `…` where something was cut off.
pub fn cut(text: &str, bytes_max: usize) -> Cow<'_, str> {
    if text.len() <= bytes_max {
        return text.into();
    }
    format!("{}…", &text[..text.floor_char_boundary(bytes_max)]).into()
}

/// `text` with every character that could break a line, drive a terminal or change the reading
/// order written as an escape, such as `\n` or `\u{202e}`.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escape(text, |line, c| {
        line.extend(c.escape_default());
    })
}

/// As [`one_line`], with the escapes of JSON, for text that is JSON already.
pub fn one_json_line(json: &str) -> Cow<'_, str> {
    escape(json, |line, c| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            let _ = write!(line, "\\u{unit:04x}");
        }
    })
}

fn escape(text: &str, write: impl Fn(&mut String, char)) -> Cow<'_, str> {
    if !text.contains(is_unsafe) {
        return text.into();
    }
    let mut line = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match is_unsafe(c) {
            true => write(&mut line, c),
            false => line.push(c),
        }
    }
    line.into()
}

/// Control characters (line breaks and ESC among them), line separators, and the invisible ones
/// that reorder or hide text.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' |
            '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn credentials_are_masked_and_the_rest_stays() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJDQU5BUlkifQ.CANARY-_x";
        let check = |text: &str, expected: &str| {
            let text = text.replace("JWT", jwt);
            assert_eq!(mask(&text), expected, "{text}");
        };
        for (text, expected) in [
            ("JWT", "***"),
            ("got JWT.", "got ***"),
            ("got (JWT)", "got (***)"),
            ("eyJCANARY", "***"),
            (
                "eyJhbGciOiJub25lIn0%2EeyJzdWIiOiJDQU5BUlkifQ%2ECANARY",
                "***",
            ),
            (
                "ewogImFsZyI6ICJIUzI1NiJ9.ewogInN1YiI6ICJDQU5BUlkifQ.CANARYCANARYCANARY",
                "***",
            ),
            ("Bearer CANARY", "Bearer ***"),
            ("bearer  CANARY, next", "bearer  ***, next"),
            ("Bearer%20CANARY", "Bearer%20***"),
            ("statshub, bearer.JWT", "statshub, bearer.***"),
            ("Authorization: Basic Q0FOQVJZ", "Authorization: ***"),
            (
                r#""authorization": "Bearer CANARY", "host": "h""#,
                r#""authorization": "***", "host": "h""#,
            ),
            ("Cookie: a=1; access_token=CANARY", "Cookie: ***"),
            (
                "a=1; access_token=CANARY; b=2",
                "a=1; access_token=***; b=2",
            ),
            (
                "/stream?metrics=a&access_token=CANARY&x=1",
                "/stream?metrics=a&access_token=***&x=1",
            ),
            ("/reconnect?token=CANARY", "/reconnect?token=***"),
            ("?ticket=CANARY HTTP/1.1", "?ticket=*** HTTP/1.1"),
            ("?reconnectToken=CANARY", "?reconnectToken=***"),
            ("TOKEN=CANARY", "TOKEN=***"),
            ("url=%3Ftoken%3DCANARY", "url=%3Ftoken%3D***"),
            (r#"{"token":"CANARY","a":1}"#, r#"{"token":"***","a":1}"#),
            (r#""{\"token\": \"CANARY\"}""#, r#""{\"token\": \"***\"}""#),
            (
                r#"Query { ticket: Some("CANARY") }"#,
                r#"Query { ticket: Some("***") }"#,
            ),
            (r#"Ticket("CANARY")"#, r#"Ticket("***")"#),
            ("token='CANARY'", "token='***'"),
            (
                "X-Reconnect-Token: 0188d0c4-CANARY-8000",
                "X-Reconnect-Token: ***",
            ),
            ("HUB_SECRET=CANARY", "HUB_SECRET=***"),
            ("password=CANARY", "password=***"),
            (
                "postgres://hub:CANARY@db:5432/x",
                "postgres://***@db:5432/x",
            ),
            ("redis://:CANARY@127.0.0.1", "redis://***@127.0.0.1"),
        ] {
            check(text, expected);
        }
    }

    #[test]
    fn ordinary_lines_are_left_alone() {
        for text in [
            "",
            "listening on http://127.0.0.1:3001/api?x=a@b",
            "token refused: expired",
            "bad token: expired",
            "a ticket was used twice",
            "tokenId 17, 3 tickets",
            "metric credits.total published as 1700000000000-5",
            "statshub::telemetry::log",
        ] {
            assert!(
                matches!(mask(text), Cow::Borrowed(same) if same == text),
                "{text}"
            );
        }
    }

    #[test]
    fn json_is_masked_by_value_and_by_name() {
        let mut value = json!({
            "token": "CANARY", "accessToken": ["CANARY"], "ticket": null, "tokenId": "17",
            "path": "/x?ticket=CANARY", "list": [{"jwt": "CANARY"}], "n": 3, "long": "éééé",
        });
        mask_json(&mut value, 64);
        mask_json(&mut value["long"], 3);
        let expected = json!({
            "token": "***", "accessToken": "***", "ticket": null, "tokenId": "17",
            "path": "/x?ticket=***", "list": [{"jwt": "***"}], "n": 3, "long": "é…",
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn what_could_forge_a_line_is_escaped() {
        for (text, expected) in [
            ("plain é 🦀 \\ text", "plain é 🦀 \\ text"),
            ("a\nb\r\nc", "a\\nb\\r\\nc"),
            ("\u{1b}[31mred", "\\u{1b}[31mred"),
            (
                "a\u{202e}b\u{2066}c\u{feff}",
                "a\\u{202e}b\\u{2066}c\\u{feff}",
            ),
            ("\0\u{85}\u{2028}\u{9b}", "\\u{0}\\u{85}\\u{2028}\\u{9b}"),
        ] {
            assert_eq!(one_line(text), expected);
        }
        assert_eq!(
            one_json_line("\"\u{202e}\u{e0001}\""),
            r#""\u202e\udb40\udc01""#
        );
    }

    proptest! {
        #[test]
        fn a_token_in_a_query_never_survives(before in "[ -~]{0,20}", name in "(access_token|token|ticket)", value in "[A-Za-z0-9._~-]{6,40}") {
            let masked = mask(&format!("{before} GET /x?{name}={value}&a=1")).into_owned();
            prop_assert!(masked.ends_with(&format!("{name}=***&a=1")), "{masked}");
        }

        #[test]
        fn masking_twice_changes_nothing_more(text in "[ -~]{0,60}") {
            let once = mask(&text).into_owned();
            prop_assert_eq!(mask(&once), once.as_str());
        }

        #[test]
        fn any_text_becomes_one_printable_line(text in any::<String>()) {
            prop_assert!(!one_line(&text).contains(is_unsafe));
            let json = serde_json::to_string(&text).unwrap();
            let line = one_json_line(&json);
            prop_assert!(!line.contains(is_unsafe));
            prop_assert_eq!(serde_json::from_str::<String>(&line).unwrap(), text);
        }
    }
}
