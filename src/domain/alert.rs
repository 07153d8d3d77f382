//! Alerts: how bad one is, and what has become of it.

use serde::{Deserialize, Serialize};

/// How bad it is. Orders from low to critical.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Low,
    Medium,
    High,
    Critical,
}

impl Severity {
    /// Lowest first.
    pub const ALL: [Self; 4] = [Self::Low, Self::Medium, Self::High, Self::Critical];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }

    /// Back from [`Severity::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

/// Whether somebody has seen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AlertState {
    Open,
    Acknowledged,
    Resolved,
}

/// What is to become of an alert that is in some state already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// It goes on to the wanted state.
    Change,
    /// It is there already: nothing changes, and that is no mistake.
    Nothing,
    /// It does not go back.
    Refused,
}

impl AlertState {
    /// In the order in which an alert goes through them.
    pub const ALL: [Self; 3] = [Self::Open, Self::Acknowledged, Self::Resolved];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }

    /// Back from [`AlertState::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }

    /// An alert only ever goes on; it may be resolved without having been acknowledged.
    pub fn towards(self, wanted: Self) -> Transition {
        match (self as u8).cmp(&(wanted as u8)) {
            std::cmp::Ordering::Less => Transition::Change,
            std::cmp::Ordering::Equal => Transition::Nothing,
            std::cmp::Ordering::Greater => Transition::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alert_goes_on_and_never_back() {
        use AlertState::{Acknowledged, Open, Resolved};
        use Transition::{Change, Nothing, Refused};
        for (from, to, expected) in [
            (Open, Acknowledged, Change),
            (Open, Resolved, Change),
            (Acknowledged, Resolved, Change),
            (Acknowledged, Acknowledged, Nothing),
            (Resolved, Resolved, Nothing),
            (Resolved, Acknowledged, Refused),
        ] {
            assert_eq!(from.towards(to), expected, "{from:?} {to:?}");
        }
    }

    #[test]
    fn names_read_back_and_nothing_else_does() {
        for severity in Severity::ALL {
            assert_eq!(Severity::parse(severity.as_str()), Some(severity));
        }
        for state in AlertState::ALL {
            assert_eq!(AlertState::parse(state.as_str()), Some(state));
        }
        assert_eq!(Severity::parse("High"), None);
        assert_eq!(AlertState::parse(""), None);
    }
}
