//! Metric names, and the patterns that name several.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest name or pattern, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// Most dot-separated segments in a name or pattern.
pub const SEGMENTS_MAX: usize = 16;
/// Most patterns in one subscription.
pub const PATTERNS_MAX: usize = 100;
/// Most different views in one subscription.
pub const VIEWS_PER_SUBSCRIPTION_MAX: usize = 16;

/// Why a text is no metric name or pattern. The text says what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a metric name has 1 to {NAME_BYTES_MAX} characters")]
    Length,
    #[error("a metric name has at most {SEGMENTS_MAX} segments")]
    Segments,
    #[error("a metric name is made of dot-separated segments of A-Z, a-z, 0-9, _ and -")]
    Character,
    #[error("in a pattern * stands for one whole segment and ** only at the end")]
    Wildcard,
    #[error("a subscription holds at most {PATTERNS_MAX} patterns")]
    Patterns,
    #[error("a subscription holds at most {VIEWS_PER_SUBSCRIPTION_MAX} different views")]
    Views,
    #[error(
        "the hub has as many different views as it may; ask for one that is in use, or for the plain metric"
    )]
    HubViews,
}

/// The name of one metric, such as `credits.total`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct MetricName(Arc<str>);

impl MetricName {
    /// # Errors
    /// Empty or too long, too many segments, an empty segment, or a character outside
    /// `[A-Za-z0-9_-]`.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        for segment in segments(text)? {
            check_plain(segment)?;
        }
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MetricName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A metric name in which `*` stands for one whole segment and a trailing `**` for any number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Pattern(Arc<str>);

impl TryFrom<String> for Pattern {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::parse(&text)
    }
}

impl Pattern {
    /// # Errors
    /// As [`MetricName::parse`], or a wildcard that is not a whole segment, or `**` before the end.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let mut rest = segments(text)?.peekable();
        while let Some(segment) = rest.next() {
            match segment {
                "*" => {}
                "**" if rest.peek().is_none() => {}
                _ if segment.contains('*') => return Err(NameError::Wildcard),
                _ => check_plain(segment)?,
            }
        }
        Ok(Self(text.into()))
    }

    /// The pattern that every name matches.
    pub fn everything() -> Self {
        Self("**".into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The metric's name, where it names one metric only.
    pub fn as_exact(&self) -> Option<MetricName> {
        (!self.0.contains('*')).then(|| MetricName(self.0.clone()))
    }

    /// How narrowly it names: of two patterns that name one metric, the greater is the one that means it.
    pub(super) fn narrowness(&self) -> (bool, usize) {
        let segments = self.0.split('.');
        (
            !self.0.contains('*'),
            segments.filter(|it| !it.contains('*')).count(),
        )
    }

    /// Whether `name` is one of those it stands for. Linear in the segments: with `**` only at the
    /// end there is nothing to go back to. A trailing `**` also stands for no segment at all, so
    /// `credits.**` matches `credits`.
    pub fn matches(&self, name: &MetricName) -> bool {
        let mut segments = name.0.split('.');
        for wanted in self.0.split('.') {
            match (wanted, segments.next()) {
                ("**", _) => return true,
                ("*", Some(_)) => {}
                (wanted, Some(segment)) if wanted == segment => {}
                _ => return false,
            }
        }
        segments.next().is_none()
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn segments(text: &str) -> Result<std::str::Split<'_, char>, NameError> {
    if text.is_empty() || text.len() > NAME_BYTES_MAX {
        return Err(NameError::Length);
    }
    if text.split('.').count() > SEGMENTS_MAX {
        return Err(NameError::Segments);
    }
    Ok(text.split('.'))
}

fn check_plain(segment: &str) -> Result<(), NameError> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    if segment.is_empty() || !segment.bytes().all(plain) {
        return Err(NameError::Character);
    }
    Ok(())
}

#[cfg(test)]
mod tests;
