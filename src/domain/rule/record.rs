//! What the log remembers of one rule on one metric.

use serde::{Deserialize, Serialize};

use crate::domain::alert::{AlertState, Severity};
use crate::domain::message::{MessageId, UserId};

/// How far it has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// It holds, and not long enough yet.
    Pending,
    Firing,
    /// It fires, and somebody has seen it.
    Acknowledged,
    /// Somebody has said that it is over, and it still holds: it is not told anew before it has ceased to.
    Resolved,
}

impl Stage {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Firing => "firing",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }
}

/// Why it fires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cause {
    Condition,
    Anomaly,
    Absence,
}

impl Cause {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Condition => "condition",
            Self::Anomaly => "anomaly",
            Self::Absence => "absence",
        }
    }
}

/// From the moment on at which it began to hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub stage: Stage,
    pub cause: Cause,
    /// The message with which it began: this and no other time that the rule holds on the metric.
    pub since: MessageId,
    /// When that was, in milliseconds since the Unix epoch.
    pub since_ms: u64,
    /// Since when it is over, while that is not long enough yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub over_since_ms: Option<u64>,
    /// Everybody is about to be told, or has been: whoever finds it so cannot know, and tells it with the same key.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_telling: bool,
    /// Once everybody was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raised: Option<Raised>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acknowledged: Option<Step>,
    /// Where somebody has said that it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolved: Option<Step>,
    /// The newest message that whoever wrote this had seen.
    pub as_of: MessageId,
}

/// The alert that was made of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Raised {
    pub id: MessageId,
    pub severity: Severity,
    /// What was published: the text of a JSON object.
    pub data: String,
    /// When it was told last, and how often.
    pub told_ms: u64,
    pub times: u64,
}

/// Who did something about an alert, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    pub by: UserId,
    pub at_ms: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Record {
    /// It has begun.
    pub(super) fn begun(cause: Cause, since: MessageId, since_ms: u64) -> Self {
        Self {
            stage: Stage::Pending,
            cause,
            since,
            since_ms,
            over_since_ms: None,
            is_telling: false,
            raised: None,
            acknowledged: None,
            resolved: None,
            as_of: since,
        }
    }

    /// The alert of it that nobody has called over.
    pub(super) fn open(&self) -> Option<&Raised> {
        self.raised
            .as_ref()
            .filter(|_| self.stage != Stage::Resolved)
    }

    /// As which its alert stands in the list of alerts.
    pub fn alert_state(&self) -> AlertState {
        match self.stage {
            Stage::Pending | Stage::Firing => AlertState::Open,
            Stage::Acknowledged => AlertState::Acknowledged,
            Stage::Resolved => AlertState::Resolved,
        }
    }

    /// Whether the two say the same, whoever had seen how much.
    pub(super) fn says(&self, other: &Self) -> bool {
        let as_of = self.as_of;
        *self
            == Self {
                as_of,
                ..other.clone()
            }
    }
}
