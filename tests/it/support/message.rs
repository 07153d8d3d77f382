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
