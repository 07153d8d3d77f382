//! The id of a published message, as a client reads it.

use std::fmt;

use serde_json::Value;

/// Milliseconds and sequence, which order ids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u64, u64);

impl Id {
    /// `None`: no id of the hub's, as notices have none.
    pub fn read(value: &Value) -> Option<Self> {
        Self::parse(value.as_str()?)
    }

    /// As [`Self::read`], of a text.
    pub fn parse(text: &str) -> Option<Self> {
        let (millis, sequence) = text.split_once('-')?;
        Some(Self(millis.parse().ok()?, sequence.parse().ok()?))
    }

    /// Milliseconds since the Unix epoch, and sequence.
    pub fn parts(self) -> (u64, u64) {
        (self.0, self.1)
    }

    /// # Panics
    /// It is none.
    pub fn of(value: &Value) -> Self {
        Self::read(value).unwrap_or_else(|| panic!("no id: {value}"))
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0, self.1)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[test]
fn ids_are_told_from_the_random_ones_of_notices() {
    use serde_json::json;
    assert_eq!(Id::of(&json!("12-3")).to_string(), "12-3");
    assert!(Id::of(&json!("9-10")) < Id::of(&json!("10-9")));
    for none in [
        json!(uuid::Uuid::new_v4()),
        json!(12),
        json!(null),
        json!("12-"),
        json!("-1"),
        json!(""),
    ] {
        assert_eq!(Id::read(&none), None, "{none}");
    }
}
