//! JSON and query strings to typed values, and what to tell a client whose input is neither.
//!
//! The texts name the place and what was expected there, never what was found: it may be a
//! credential put into the wrong field, and texts end up in logs and tickets. Texts that our own
//! `Deserialize` implementations make with `Error::custom` are passed on word for word.

use actix_web::web::Query;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::de::Read;
use serde_json::{Deserializer, Value, json};

use super::reply::Problem;

/// Arrays and objects within each other: what serde_json reads. It does not look into values that
/// are kept as text, so it is checked before.
const DEPTH_MAX: usize = 127;
/// Longest place named in an error, in characters; keys in it are the client's.
const PATH_CHARS_MAX: usize = 200;

/// A body, which is always an object, as a value.
///
/// # Errors
/// 400 when it is empty, no object, no UTF-8, malformed, nested too deep, has a field twice, or is
/// not what `T` wants.
pub fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    if body.trim_ascii().is_empty() {
        return Err(Problem::invalid("The body is empty, JSON is expected"));
    }
    // serde would also take an array for a struct, field by field.
    if !body.trim_ascii_start().starts_with(b"{") {
        return Err(Problem::invalid("The body is not a JSON object"));
    }
    text(body)?;
    if depth(body) > DEPTH_MAX {
        let text = format!("The body is nested deeper than {DEPTH_MAX} levels");
        return Err(Problem::invalid(text));
    }
    told(Deserializer::from_slice(body))
}

/// A body that is text.
///
/// # Errors
/// 400 when it is empty, or no UTF-8.
pub fn text(body: &[u8]) -> Result<&str, Problem> {
    if body.trim_ascii().is_empty() {
        return Err(Problem::invalid("The body is empty, JSON is expected"));
    }
    str::from_utf8(body).map_err(|error| {
        let text = format!("The body is not UTF-8 at byte {}", error.valid_up_to());
        Problem::invalid(text)
    })
}

/// Text as a value that borrows from it: fast where all is well, for what comes in large numbers. How deep
/// something is nested that is kept as text is not looked at.
///
/// # Errors
/// 400 when it is malformed, has a field twice, or is not what `T` wants.
pub fn borrowed<'de, T: Deserialize<'de>>(text: &'de str) -> Result<T, Problem> {
    match serde_json::from_str(text) {
        Ok(value) => Ok(value),
        // Once more, to tell where.
        Err(_) => told(Deserializer::from_str(text)),
    }
}

/// What is wrong in one line of several.
pub fn at_line(problem: Problem, line: usize) -> Problem {
    let text = format!("Line {line}: {}", problem.text());
    Problem::invalid(text).details(json!({"line": line}))
}

/// Tells where something is wrong.
fn told<'de, T: Deserialize<'de>, R: Read<'de>>(
    mut deserializer: Deserializer<R>,
) -> Result<T, Problem> {
    let value = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let path: String = error
            .path()
            .to_string()
            .chars()
            .take(PATH_CHARS_MAX)
            .collect();
        explain(error.inner(), &path)
    })?;
    deserializer.end().map_err(|error| explain(&error, "."))?;
    Ok(value)
}

/// A query string, without its `?`, as a value.
///
/// # Errors
/// 400 when a parameter is missing, there twice, or not what `T` wants.
pub fn from_query<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    let decoded = Query::<T>::from_query(query).map_err(|error| match error {
        actix_web::error::QueryPayloadError::Deserialize(cause) => cause.to_string(),
        _ => "malformed".to_owned(),
    });
    match decoded {
        Ok(value) => Ok(value.into_inner()),
        Err(text) => Err(Problem::invalid(format!(
            "Query string: {}",
            without_values(&text)
        ))),
    }
}

/// How deep arrays and objects are nested. Right for valid JSON; for anything else the parser has
/// the word.
fn depth(json: &[u8]) -> usize {
    let (mut now, mut deepest) = (0usize, 0);
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => now += 1,
            b']' | b'}' => now = now.saturating_sub(1),
            b'"' => skip_string(&mut bytes),
            _ => {}
        }
        deepest = deepest.max(now);
    }
    deepest
}

fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => _ = bytes.next(),
            _ => {}
        }
    }
}

fn explain(error: &serde_json::Error, path: &str) -> Problem {
    let (line, column) = (error.line(), error.column());
    let message = error.to_string();
    let place = format!(" at line {line} column {column}");
    let message = message.strip_suffix(&place).unwrap_or(&message);
    if !error.is_data() {
        let text = format!("Malformed JSON at line {line}, column {column}: {message}");
        return Problem::invalid(text).details(json!({"line": line, "column": column}));
    }
    let at_top = path == ".";
    let text = match (is_ours(message), at_top) {
        (true, _) => message.to_owned(),
        (false, true) => format!("Invalid body: {}", without_values(message)),
        (false, false) => format!("Invalid body at {path}: {}", without_values(message)),
    };
    let path = if at_top { Value::Null } else { path.into() };
    Problem::invalid(text).details(json!({"path": path, "line": line, "column": column}))
}

/// How serde's own messages begin. All others come from `Error::custom`.
const SERDE_MESSAGES: [&str; 7] = [
    "invalid type: ",
    "invalid value: ",
    "invalid length ",
    "unknown variant ",
    "unknown field ",
    "missing field ",
    "duplicate field ",
];

fn is_ours(message: &str) -> bool {
    !SERDE_MESSAGES
        .iter()
        .any(|start| message.starts_with(start))
}

/// serde writes `invalid type: string "hunter2", expected a map`: what counts comes last.
fn without_values(message: &str) -> String {
    let kind = SERDE_MESSAGES[..5]
        .iter()
        .find(|start| message.starts_with(**start));
    let Some(kind) = kind else {
        return message.to_owned();
    };
    let kind = kind.trim_end_matches([':', ' ']);
    match message.rsplit_once(", expected ") {
        Some((_, expected)) => format!("{kind}, expected {expected}"),
        None => kind.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::ResponseError;
    use actix_web::body::MessageBody;
    use serde::Deserialize;
    use serde_json::value::RawValue;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Order {
        name: String,
        #[serde(default)]
        count: u32,
        #[serde(default)]
        kind: Kind,
        #[serde(default)]
        items: Vec<Item>,
        #[serde(default, deserialize_with = "always_refused")]
        picky: (),
        raw: Option<Box<RawValue>>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Kind {
        #[default]
        Plain,
        Fancy,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Item {
        id: u32,
    }

    fn always_refused<'de, D: serde::Deserializer<'de>>(_: D) -> Result<(), D::Error> {
        Err(serde::de::Error::custom("Metrics must be an array"))
    }

    fn body(problem: &Problem) -> Value {
        let response = problem.error_response();
        assert_eq!(response.status(), 400);
        let bytes = response.into_body().try_into_bytes().unwrap();
        serde_json::from_slice(&bytes).unwrap()
    }

    fn refusal(json: &[u8]) -> Value {
        body(&from_json::<Order>(json).unwrap_err())
    }

    #[test]
    fn a_refusal_says_where_and_what_was_expected() {
        let check = |json: &str, expected: &str| {
            assert_eq!(refusal(json.as_bytes())["error"], expected, "{json}");
        };
        check("", "The body is empty, JSON is expected");
        check(" \r\n", "The body is empty, JSON is expected");
        check("[\"a\"]", "The body is not a JSON object");
        check("3", "The body is not a JSON object");
        check("\u{feff}{}", "The body is not a JSON object");
        check("{}", "Invalid body: missing field `name`");
        check(
            r#"{"name":"a","name":"b"}"#,
            "Invalid body: duplicate field `name`",
        );
        check(
            r#"{"name":"a","count":-1}"#,
            "Invalid body at count: invalid value, expected u32",
        );
        check(
            r#"{"name":"a","items":[{"id":1},{"id":"x"}]}"#,
            "Invalid body at items[1].id: invalid type, expected u32",
        );
        check(
            r#"{"name":"a","kind":"secret"}"#,
            "Invalid body at kind: unknown variant, expected `plain` or `fancy`",
        );
        check(r#"{"name":"a","picky":1}"#, "Metrics must be an array");
        check(
            r#"{"name":"a""#,
            "Malformed JSON at line 1, column 11: EOF while parsing an object",
        );
        check(
            r#"{"name":"a"} {"#,
            "Malformed JSON at line 1, column 14: trailing characters",
        );
        check(
            "{\"name\":\n'a'}",
            "Malformed JSON at line 2, column 1: expected value",
        );
    }

    #[test]
    fn a_refusal_never_repeats_a_value() {
        for json in [
            r#"{"name":"a","count":"CANARY"}"#,
            r#"{"name":"a","kind":"CANARY"}"#,
            r#"{"name":"a","items":"CANARY, expected nothing"}"#,
            r#"{"name":"a","items":[{"id":"CANARY"}]}"#,
            r#""CANARY""#,
            r#"{"name":"CANARY"#,
            r#"{"name":"CANARY"} CANARY"#,
            r#"{"name":"CANARY\x"}"#,
        ] {
            let answer = refusal(json.as_bytes()).to_string();
            assert!(!answer.contains("CANARY"), "{json}: {answer}");
        }
    }

    #[test]
    fn details_give_the_place_to_programs() {
        let answer = refusal(br#"{"name":"a","items":[{"id":"x"}]}"#);
        assert_eq!(
            answer["details"],
            json!({"path": "items[0].id", "line": 1, "column": 30})
        );
        let long = format!(r#"{{"name":"a","{}":1}}"#, "k".repeat(5000));
        assert!(refusal(long.as_bytes()).to_string().len() < 1000);
    }

    #[test]
    fn bytes_that_are_no_utf_8_are_refused_even_where_nobody_reads_them() {
        let answer = refusal(b"{\"name\":\"a\",\"raw\":\"\xff\"}");
        assert_eq!(answer["error"], "The body is not UTF-8 at byte 19");
    }

    #[test]
    fn nesting_has_a_limit_also_in_values_kept_as_text() {
        let nested = |levels: usize| {
            let (open, close) = ("[".repeat(levels), "]".repeat(levels));
            format!(r#"{{"name":"a\"[[[","raw":{open}{close}}}"#)
        };
        assert!(from_json::<Order>(nested(126).as_bytes()).is_ok());
        for levels in [127, 128, 100_000] {
            let answer = refusal(nested(levels).as_bytes());
            assert_eq!(answer["error"], "The body is nested deeper than 127 levels");
        }
        let plain = |levels: usize| r#"{"a":"#.repeat(levels) + "1" + &"}".repeat(levels);
        assert!(from_json::<Value>(plain(127).as_bytes()).is_ok());
        assert!(from_json::<Value>(plain(128).as_bytes()).is_err());
    }

    #[test]
    fn a_raw_value_is_kept_as_it_was_written() {
        let order: Order = from_json(br#"{"name":"a","raw":{"b":1.50, "a":[ ]}}"#).unwrap();
        assert_eq!(order.raw.unwrap().get(), r#"{"b":1.50, "a":[ ]}"#);
    }

    #[test]
    fn a_query_is_refused_without_its_values() {
        #[derive(Debug, Deserialize)]
        #[allow(dead_code)]
        struct Page {
            limit: Option<u32>,
            kind: Option<Kind>,
        }
        let check = |query: &str, expected: &str| {
            let problem = from_query::<Page>(query).unwrap_err();
            assert_eq!(body(&problem)["error"], expected, "{query}");
        };
        check(
            "limit=CANARY",
            "Query string: invalid digit found in string",
        );
        check(
            "kind=CANARY",
            "Query string: unknown variant, expected `plain` or `fancy`",
        );
        check("limit=1&limit=2", "Query string: duplicate field `limit`");
        let page: Page = from_query("token=x&limit=7").unwrap();
        assert_eq!(page.limit, Some(7));
    }
}
