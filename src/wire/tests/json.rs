use proptest::prelude::*;
use serde_json::Value;

use crate::wire::json::{JsonError, compact};

/// A JSON text with whitespace wherever there may be some, and the same without.
pub fn any_json() -> impl Strategy<Value = (String, String)> {
    let same = |text: String| (text.clone(), text);
    let string = prop_oneof![
        any::<String>(),
        "[\\n\\r\\u2028\\x00\\\\\" \t]{0,8}",
        Just("\n\ndata: x\r\nid: 1-0\nretry: 0\n\n".to_owned()),
    ]
    .prop_map(move |text| same(Value::from(text).to_string()));
    let number = prop_oneof![
        any::<f64>().prop_map(|number| Value::from(number).to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
    ]
    .prop_map(same);
    let leaf = prop_oneof![
        string.clone(),
        number,
        prop::sample::select(AS_WRITTEN).prop_map(move |text| same(text.to_owned())),
    ];
    leaf.prop_recursive(5, 32, 5, move |inner| {
        let space = "[ \\t\\r\\n]{0,2}";
        let items = prop::collection::vec((string.clone(), inner), 0..5);
        (items, space, any::<bool>()).prop_map(|(items, space, is_object)| {
            let written = |space: &str, items: Vec<(String, String)>| {
                let items: Vec<_> = items
                    .into_iter()
                    .map(|(key, item)| match is_object {
                        true => format!("{space}{key}{space}:{space}{item}{space}"),
                        false => format!("{space}{item}{space}"),
                    })
                    .collect();
                let (open, close) = if is_object { ('{', '}') } else { ('[', ']') };
                format!("{space}{open}{space}{}{close}{space}", items.join(","))
            };
            let (spaced, tight) = items
                .into_iter()
                .map(|(key, item)| ((key.0, item.0), (key.1, item.1)))
                .unzip();
            (written(&space, spaced), written("", tight))
        })
    })
}

/// Values that would not survive being decoded and encoded again.
const AS_WRITTEN: &[&str] = &[
    "1e308",
    "-0",
    "-0.0",
    "1.50",
    "1E+2",
    "12345678901234567890123",
    r#""\u0041\/\ud83e\udd80""#,
    r#""\\ud800 \ud83e\udd80\ud83e\udd80""#,
    r#"{"a":1,"a":2}"#,
    r#""\\\" [{""#,
    "\"\u{2028}\u{2029}\u{7f}\u{85}\u{feff}\"",
    "null",
    "true",
    "false",
    "[]",
    "{}",
];

proptest! {
    #[test]
    fn only_the_whitespace_between_tokens_goes((spaced, tight) in any_json()) {
        let json = compact(&spaced).unwrap();
        prop_assert_eq!(json.as_str(), &tight);
        prop_assert!(!json.as_str().contains(['\n', '\r']));
        prop_assert_eq!(compact(json.as_str()).unwrap(), json);
    }

    #[test]
    fn the_value_is_the_same((spaced, _) in any_json()) {
        let before: Value = serde_json::from_str(&spaced).unwrap();
        let after: Value = serde_json::from_str(compact(&spaced).unwrap().as_str()).unwrap();
        prop_assert_eq!(before, after);
    }

    #[test]
    fn any_text_is_refused_or_made_one_line(text in "[\\[\\]{}\":,\\\\ \n0-9a-fntrue.-]{0,24}|.{0,40}") {
        let accepted = compact(&text);
        if serde_json::from_str::<Value>(&text).is_ok() {
            prop_assert!(accepted.is_ok());
        }
        if let Ok(json) = accepted {
            prop_assert!(!json.as_str().contains(['\n', '\r']));
        }
    }
}

#[test]
fn what_is_no_json_is_refused() {
    for text in [
        "",
        " ",
        "1 2",
        "[1 2]",
        "1,",
        "tru e",
        "- 1",
        "01",
        "1.",
        ".5",
        "+1",
        "NaN",
        "Infinity",
        "'a'",
        "\"a",
        "\"a\nb\"",
        "\"a\tb\"",
        "\"\0\"",
        r#""\x""#,
        r#""\u00g0""#,
        "[1,]",
        "{\"a\":1,}",
        "{a:1}",
        "{1:1}",
        "[",
        "]",
        "[}",
        "// a\n1",
        "\u{feff}1",
        "\u{a0}1",
    ] {
        assert_eq!(compact(text), Err(JsonError::Malformed), "{text:?}");
    }
}

#[test]
fn nesting_has_a_limit_that_is_reached_without_a_crash() {
    let nested = |open: &str, inner: &str, close: &str, depth: usize| {
        open.repeat(depth) + inner + &close.repeat(depth)
    };
    for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[ ", "\n]")] {
        assert!(compact(&nested(open, "1", close, 128)).is_ok());
        for depth in [129, 1_000_000] {
            let text = nested(open, "1", close, depth);
            assert_eq!(compact(&text), Err(JsonError::TooDeep));
        }
    }
    let side_by_side = vec!["[[]]"; 1000].join(",");
    assert!(compact(&format!("[{side_by_side}]")).is_ok());
    let in_a_string = format!("\"{}\"", "[".repeat(1000));
    assert!(compact(&in_a_string).is_ok());
    assert_eq!(compact(&"[".repeat(1_000_000)), Err(JsonError::Malformed));
}

#[test]
fn what_a_strict_parser_refuses_is_refused() {
    for (text, error) in [
        ("1e309", JsonError::NumberTooLarge),
        ("[1, {\"a\": -1e999}]", JsonError::NumberTooLarge),
        (r#""\ud800""#, JsonError::HalfPair),
        (r#""\ud800 \udc00""#, JsonError::HalfPair),
        (r#""\udc00\ud800""#, JsonError::HalfPair),
        (r#""\ud800\ud800\udc00""#, JsonError::HalfPair),
        (r#""\ud800\n""#, JsonError::HalfPair),
        (r#"{"\uDFFF": 1}"#, JsonError::HalfPair),
    ] {
        assert_eq!(compact(text), Err(error), "{text}");
        assert!(serde_json::from_str::<Value>(text).is_err(), "{text}");
    }
}
