//! Times in which alerts are not told.

use serde::{Deserialize, Serialize};

use super::RuleName;
use crate::domain::message::UserId;
use crate::domain::pattern::{MetricName, Pattern};

/// Holds back what would begin to fire, and repeats. What still holds at its end is told then; what fires
/// already is told when it is over.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Silence {
    /// Of one rule; `None`: of all.
    pub alert: Option<String>,
    /// Of these metrics; `None`: of all.
    pub metric: Option<Pattern>,
    /// In milliseconds since the Unix epoch.
    pub from_ms: u64,
    pub until_ms: u64,
    pub by: UserId,
    pub why: String,
}

impl Silence {
    pub fn covers(&self, rule: &RuleName, metric: &MetricName, now_ms: u64) -> bool {
        (self.from_ms..self.until_ms).contains(&now_ms)
            && self.alert.as_ref().is_none_or(|it| it == rule.as_str())
            && self.metric.as_ref().is_none_or(|it| it.matches(metric))
    }
}
