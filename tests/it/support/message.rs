//! A message taken apart.

use serde_json::Value;

/// The names of an object's fields, in the alphabet's order.
pub fn fields(object: &Value) -> Vec<&str> {
    let fields = object
        .as_object()
        .unwrap_or_else(|| panic!("no object: {object}"));
    let mut fields: Vec<&str> = fields.keys().map(String::as_str).collect();
    fields.sort_unstable();
    fields
}

/// A text, which must be one.
pub fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// Milliseconds and sequence of a published message's id, which order ids.
pub fn id(value: &Value) -> (u64, u64) {
    parse_id(text(value)).unwrap_or_else(|| panic!("no id: {value}"))
}

/// As [`id`]; `None` for what has not its form, such as the id of a notice.
pub fn parse_id(text: &str) -> Option<(u64, u64)> {
    let (millis, sequence) = text.split_once('-')?;
    Some((millis.parse().ok()?, sequence.parse().ok()?))
}

/// RFC 3339 in UTC with milliseconds.
pub fn assert_is_time(value: &Value) {
    let text = text(value);
    assert!(
        text.parse::<jiff::Timestamp>().is_ok() && text.ends_with('Z'),
        "{text}"
    );
    assert_eq!(
        text.len(),
        "2026-01-01T00:00:00.000Z".len(),
        "in milliseconds: {text}"
    );
}

#[test]
fn an_id_is_told_from_the_id_of_a_notice() {
    assert_eq!(parse_id("1764176569000-12"), Some((1_764_176_569_000, 12)));
    for other in ["", "1", "1-", "-1", "6b1f3c52-5d0e-4f0a-9c55-0d7f3f6c1a11"] {
        assert_eq!(parse_id(other), None, "{other}");
    }
}
