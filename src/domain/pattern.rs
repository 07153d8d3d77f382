//! Metric names, the patterns that name several, and subscriptions made of patterns.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::message::MessageId;

/// Longest name or pattern, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// Most dot-separated segments in a name or pattern.
pub const SEGMENTS_MAX: usize = 16;
/// Most patterns in one subscription.
pub const PATTERNS_MAX: usize = 100;

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

/// What a session receives: patterns, each with the position from which on it counts.
///
/// The position makes the answer to "what was missed" exact when a subscription changes while its
/// client is away: what was published before a pattern was added was never for the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// Shared by the session and its connection: there are as many of these as connections.
    patterns: Arc<[(Pattern, MessageId)]>,
    /// No metric was ever named: everything, until the first subscribe narrows it.
    unnamed: Option<MessageId>,
}

impl Subscription {
    /// Every metric, as of the beginning.
    pub fn everything() -> Self {
        Self {
            patterns: Arc::default(),
            unnamed: Some(MessageId::ZERO),
        }
    }

    /// What a client asks for when it connects. Nothing named means everything.
    ///
    /// # Errors
    /// More than [`PATTERNS_MAX`] distinct patterns.
    pub fn new(patterns: &[Pattern], since: MessageId) -> Result<Self, NameError> {
        let mut new = Self {
            patterns: Arc::default(),
            unnamed: Some(since),
        };
        if !patterns.is_empty() {
            new.subscribe(patterns, since)?;
        }
        Ok(new)
    }

    /// Adds `patterns` from `since` on; the first call on a subscription that named nothing narrows
    /// it to them, and then they count from where that began.
    ///
    /// # Errors
    /// More than [`PATTERNS_MAX`] distinct patterns in all; nothing has changed then.
    pub fn subscribe(&mut self, patterns: &[Pattern], since: MessageId) -> Result<(), NameError> {
        let since = self.unnamed.unwrap_or(since);
        let mut all = self.patterns.to_vec();
        for pattern in patterns {
            if !all.iter().any(|(known, _)| known == pattern) {
                if all.len() == PATTERNS_MAX {
                    return Err(NameError::Patterns);
                }
                all.push((pattern.clone(), since));
            }
        }
        if !patterns.is_empty() {
            self.unnamed = None;
        }
        self.patterns = all.into();
        Ok(())
    }

    /// Takes `patterns` out. What is left may be nothing at all.
    pub fn unsubscribe(&mut self, patterns: &[Pattern]) {
        let left = self.patterns.iter();
        let left = left.filter(|(known, _)| !patterns.contains(known));
        self.patterns = left.cloned().collect();
        if patterns.iter().any(|p| p.as_str() == "**") {
            self.unnamed = None;
        }
    }

    /// From which position on the session gets `name`; `None`: not at all.
    pub fn admits(&self, name: &MetricName) -> Option<MessageId> {
        let named = self
            .patterns
            .iter()
            .filter(|(pattern, _)| pattern.matches(name))
            .map(|(_, since)| *since);
        self.unnamed.into_iter().chain(named).min()
    }

    /// The names, where it is made of exact names only; `None` as soon as there is a wildcard.
    pub fn exact_names(&self) -> Option<Vec<MetricName>> {
        if self.unnamed.is_some() {
            return None;
        }
        self.named().map(Pattern::as_exact).collect()
    }

    fn named(&self) -> impl Iterator<Item = &Pattern> {
        self.patterns.iter().map(|(pattern, _)| pattern)
    }

    /// Whether it names nothing and so receives every metric.
    pub fn is_everything(&self) -> bool {
        self.unnamed.is_some()
    }

    /// What it is made of, for [`Subscription::from_parts`].
    pub fn parts(&self) -> (&[(Pattern, MessageId)], Option<MessageId>) {
        (&self.patterns, self.unnamed)
    }

    /// Back from [`Subscription::parts`].
    pub fn from_parts(patterns: Vec<(Pattern, MessageId)>, unnamed: Option<MessageId>) -> Self {
        Self {
            patterns: patterns.into(),
            unnamed,
        }
    }

    /// The patterns in the order they were added; `**` alone where nothing was named.
    pub fn patterns(&self) -> Vec<Pattern> {
        match self.unnamed {
            Some(_) => vec![Pattern::everything()],
            None => self.named().cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests;
