//! The id of a published message, as a client reads it.

use std::fmt;

use serde_json::Value;

/// Milliseconds and sequence, which order ids.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(u64, u64);

impl Id {
    /// `None`: no id of the hub's, as notices have none.
    pub fn read(value: &Value) -> Option<Self> {
        let (millis, sequence) = value.as_str()?.split_once('-')?;
        Some(Self(millis.parse().ok()?, sequence.parse().ok()?))
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
    ] {
        assert_eq!(Id::read(&none), None, "{none}");
    }
}
