//! What a client may ask of the history.

use serde_json::json;

use super::parameters::{
    Asked, Cursor, PAGE_MAX, bounds, field, limit, order, patterns, step, time,
};
use crate::domain::pattern::PATTERNS_MAX;

/// Whatever text is given for a parameter: what is taken is within limits, and means what it says.
pub fn parameters(name: &str, text: &str) {
    if let Ok(ms) = time(name, text) {
        let bounds = bounds(Some(ms), None);
        assert!(bounds.from <= bounds.to && ms >= bounds.from.millis());
        assert_eq!(time(name, &ms.to_string()).ok(), Some(ms));
    }
    if let Ok(ms) = step(text) {
        assert_eq!(step(&format!("{ms}ms")).ok(), Some(ms));
    }
    if let Ok(limit) = limit(Some(text)) {
        assert!((1..=PAGE_MAX).contains(&limit));
    }
    if let Ok(patterns) = patterns(name, Some(text)) {
        assert!((1..=PATTERNS_MAX).contains(&patterns.len()));
    }
    if let Ok(pointer) = field(text)
        && !text.starts_with('/')
    {
        assert_eq!(json!({ text: 1 }).pointer(&pointer), Some(&json!(1)));
    }
    let asked = Asked::of(&[Some(name)]);
    if let Ok(cursor) = Cursor::read(text, asked) {
        assert_eq!(cursor.write(asked), text);
    }
    let _ = order(Some(text));
}
