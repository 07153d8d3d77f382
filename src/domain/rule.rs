//! Alert rules: what is to be told when a metric's value crosses a line, stays away, or is unlike its past.
//!
//! `spec` is a rule as it is written, this file what it means, checked. `life` is what becomes of one rule on one
//! metric: pending, firing, acknowledged, resolved. The `engine` has all lives; it is told of messages, time and
//! what the log says, and says what is to be done (`deed`), which is the difference between what should be and
//! what the log has. So whoever carries it out may fail or be another one at any moment: what was done is in the
//! log and is not done again, what was not is still to be done.

mod anomaly;
mod deed;
mod engine;
mod intake;
mod life;
mod record;
mod shown;
mod silence;
mod spec;
mod template;
#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use serde_json::Value;

use super::alert::Severity;
use super::expression::{Expression, Subject};
use super::pattern::{MetricName, Pattern};

pub use anomaly::{Baseline, Score};
pub use deed::{Act, Deed, Event};
pub use engine::{Counts, Engine, Limits};
pub use record::{Cause, Raised, Record, Stage, Step};
pub use shown::{LifeShown, RuleShown};
pub use silence::Silence;
pub use spec::{AnomalySpec, RuleFault, Spec};

use anomaly::Anomaly;
use template::Template;

/// Longest text of an alert, in characters.
pub const MESSAGE_CHARS_MAX: usize = 1000;
/// Largest value that goes along with an alert, in bytes of JSON.
const VALUE_BYTES_MAX: usize = 4096;
/// What messages may name besides the value and the metric.
const MESSAGE_VARIABLES: [&str; 4] = ["data", "metric", "expected", "deviation"];

/// 1 to 64 of `A-Z a-z 0-9 _ . -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleName(Arc<str>);

impl RuleName {
    pub const CHARS_MAX: usize = 64;

    /// `None` for what is none.
    pub fn parse(text: &str) -> Option<Self> {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        let good = (1..=Self::CHARS_MAX).contains(&text.len()) && text.bytes().all(fits);
        // In a path these are no names, and never arrive.
        let good = good && !matches!(text, "." | "..");
        good.then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RuleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A rule, compiled. Times in milliseconds. Two of the same spec are equal.
#[derive(Debug, Clone)]
pub struct Rule {
    spec: Spec,
    pub name: RuleName,
    pub on: Pattern,
    pub severity: Severity,
    when: Option<Expression>,
    resolve: Option<Expression>,
    /// How long it must hold before it fires.
    hold_ms: u64,
    /// How long it must be over before it is resolved.
    keep_ms: u64,
    absent_ms: Option<u64>,
    repeat_ms: Option<u64>,
    anomaly: Option<Anomaly>,
    message: Template,
}

impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec
    }
}

/// What a value says about a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Verdict {
    /// It is as the rule says that it should not be.
    is_bad: bool,
    /// It is over, where it was bad; between the two is hysteresis.
    is_over: bool,
    cause: Cause,
}

/// What an alert tells, made of the value at hand.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    pub message: String,
    /// What each `{expression}` of the message came to.
    pub values: serde_json::Map<String, Value>,
    /// The value itself, where it is not too large.
    pub value: Option<Value>,
}

impl Rule {
    /// As it was written.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Whether it concerns `metric`.
    pub fn concerns(&self, metric: &MetricName) -> bool {
        self.on.matches(metric)
    }

    /// Whether a value is looked at, besides that there is one.
    fn judges(&self) -> bool {
        self.when.is_some() || self.anomaly.is_some()
    }

    /// # Errors
    /// An expression has no answer for this value; why, in words.
    fn judge(&self, subject: &Subject, score: Option<Score>) -> Result<Verdict, String> {
        let holds = |expression: &Option<Expression>| match expression {
            Some(expression) => expression.holds(subject).map(Some),
            None => Ok(None),
        };
        let when = holds(&self.when).map_err(|error| format!("when: {error}"))?;
        let resolve = holds(&self.resolve).map_err(|error| format!("resolve: {error}"))?;
        let limit = self.anomaly.as_ref().map(|anomaly| anomaly.deviation);
        let is_odd = score
            .zip(limit)
            .is_some_and(|(score, limit)| score.deviation.abs() >= limit);
        let is_bad = when == Some(true) || is_odd;
        Ok(Verdict {
            is_bad,
            is_over: !is_odd && resolve.unwrap_or(!is_bad),
            cause: match when {
                Some(true) => Cause::Condition,
                _ => Cause::Anomaly,
            },
        })
    }

    /// What to tell of `data`, the JSON of the newest value; `None`: there never was one.
    pub fn tell(&self, metric: &MetricName, data: Option<&str>, score: Option<Score>) -> Told {
        let number = |pick: fn(Score) -> f64| score.map_or(Value::Null, |it| pick(it).into());
        let subject = Subject::new(metric.as_str(), data.unwrap_or("null"))
            .with("expected", number(|it| it.expected))
            .with("deviation", number(|it| it.deviation));
        let (message, mut values) = self.message.render(&subject);
        if let Some(score) = score {
            values.insert("expected".into(), score.expected.into());
            values.insert("deviation".into(), score.deviation.into());
        }
        let value = data.filter(|data| data.len() <= VALUE_BYTES_MAX);
        Told {
            message,
            values,
            value: value.and_then(|data| serde_json::from_str(data).ok()),
        }
    }

    /// What each part of it says of one value, for whoever tries it out: nothing is kept.
    pub fn try_out(&self, metric: &MetricName, data: &str) -> TriedOut {
        let subject = Subject::new(metric.as_str(), data);
        let says = |expression: &Option<Expression>| {
            let expression = expression.as_ref()?;
            Some(expression.holds(&subject).map_err(|it| it.to_string()))
        };
        let verdict = self.judge(&subject, None);
        TriedOut {
            when: says(&self.when),
            resolve: says(&self.resolve),
            is_bad: verdict.map(|verdict| verdict.is_bad),
            told: self.tell(metric, Some(data), None),
        }
    }
}

/// What came of trying a rule out.
#[derive(Debug, Clone, PartialEq)]
pub struct TriedOut {
    /// `None`: the rule has none.
    pub when: Option<Result<bool, String>>,
    pub resolve: Option<Result<bool, String>>,
    /// Whether the value alone, without a past, is what the rule is there to tell.
    pub is_bad: Result<bool, String>,
    pub told: Told,
}
