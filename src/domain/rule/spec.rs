//! A rule as it is written, in `config.toml` or by the interface, and how it becomes one that works.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::anomaly::Anomaly;
use super::template::Template;
use super::{MESSAGE_VARIABLES, Rule, RuleName};
use crate::domain::alert::Severity;
use crate::domain::expression::{Expression, ExpressionError};
use crate::domain::pattern::Pattern;

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const DAY: u64 = 24 * 60 * MINUTE;

/// A rule in words; times as in `90s`, `5m`, `1h 30m`, `1d`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Spec {
    #[serde(default)]
    pub name: String,
    /// A metric's name, or a pattern.
    pub on: String,
    pub severity: Severity,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolve: Option<String>,
    #[serde(rename = "for", skip_serializing_if = "Option::is_none")]
    pub hold: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep_firing_for: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub absent_for: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anomaly: Option<AnomalySpec>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_every: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What counts as unlike the past.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AnomalySpec {
    /// A JSON Pointer to the number, such as `/errorRate`; empty: the value is the number.
    #[serde(default)]
    pub field: String,
    /// How many scaled deviations from what is usual are too many.
    pub deviation: f64,
    /// After which time things are alike again.
    pub season: String,
    /// How many seasons are looked back.
    #[serde(default = "seasons")]
    pub seasons: usize,
    /// The smallest scale, in the number's unit.
    #[serde(default, alias = "scale_min")]
    pub scale_min: f64,
}

/// How many seasons are looked back unless said otherwise.
fn seasons() -> usize {
    AnomalySpec::SEASONS
}

impl AnomalySpec {
    pub const SEASONS: usize = 7;
    pub const SEASONS_MAX: usize = 30;
}

/// What is wrong with a rule, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{reason}", match .place { Some((line, column)) => format!("line {line}, column {column}: "), None => String::new() })]
pub struct RuleFault {
    /// The key as it is written in `config.toml`.
    pub key: &'static str,
    /// Line and column in the key's text, both from 1.
    pub place: Option<(usize, usize)>,
    pub reason: String,
}

impl RuleFault {
    pub(super) fn new(key: &'static str, reason: impl Into<String>) -> Self {
        Self {
            key,
            place: None,
            reason: reason.into(),
        }
    }

    fn in_expression(key: &'static str, error: ExpressionError) -> Self {
        Self {
            key,
            place: Some((error.line, error.column)),
            reason: error.reason,
        }
    }
}

impl Rule {
    /// # Errors
    /// The first thing that is wrong, with its key and, in an expression, its place.
    pub fn parse(spec: Spec) -> Result<Self, RuleFault> {
        let name = RuleName::parse(&spec.name);
        let name =
            name.ok_or_else(|| RuleFault::new("name", "a name has 1 to 64 of A-Z a-z 0-9 _ . -"))?;
        let on =
            Pattern::parse(&spec.on).map_err(|error| RuleFault::new("on", error.to_string()))?;
        if spec.when.is_none() && spec.absent_for.is_none() && spec.anomaly.is_none() {
            let reason = "at least one of when, absent_for and anomaly is wanted";
            return Err(RuleFault::new("when", reason));
        }
        if spec.resolve.is_some() && spec.when.is_none() {
            return Err(RuleFault::new("resolve", "it only makes sense beside when"));
        }
        let expression = |key, text: &Option<String>| {
            let parse = |text: &String| {
                Expression::parse(text, &Expression::VARIABLES)
                    .map_err(|error| RuleFault::in_expression(key, error))
            };
            text.as_ref().map(parse).transpose()
        };
        let span = |key, text: &Option<String>, min| {
            let parse = |text: &String| span_ms(key, text, min, 30 * DAY);
            text.as_ref().map(parse).transpose()
        };
        let message = match &spec.message {
            Some(text) => Template::parse(text, &MESSAGE_VARIABLES)?,
            None => Template::plain(&format!("{name} on "), "metric")?,
        };
        Ok(Self {
            when: expression("when", &spec.when)?,
            resolve: expression("resolve", &spec.resolve)?,
            hold_ms: span("for", &spec.hold, 0)?.unwrap_or(0),
            keep_ms: span("keep_firing_for", &spec.keep_firing_for, 0)?.unwrap_or(0),
            absent_ms: span("absent_for", &spec.absent_for, SECOND)?,
            repeat_ms: span("repeat_every", &spec.repeat_every, SECOND)?,
            anomaly: spec.anomaly.as_ref().map(Anomaly::parse).transpose()?,
            message,
            severity: spec.severity,
            name,
            on,
            spec,
        })
    }
}

/// A time in words, in milliseconds.
pub(super) fn span_ms(key: &'static str, text: &str, min: u64, max: u64) -> Result<u64, RuleFault> {
    let parsed = humantime::parse_duration(text).ok();
    let ms = parsed.and_then(|it| u64::try_from(it.as_millis()).ok());
    let allowed = || {
        let shown = |ms| humantime::format_duration(Duration::from_millis(ms)).to_string();
        format!(
            "a time from {} to {} with its unit is wanted, such as 90s, 5m or 1h 30m",
            shown(min),
            shown(max)
        )
    };
    ms.filter(|ms| (min..=max).contains(ms))
        .ok_or_else(|| RuleFault::new(key, allowed()))
}

/// The longest season, and the shortest.
pub(super) const SEASON_MS: (u64, u64) = (MINUTE, 31 * DAY);
