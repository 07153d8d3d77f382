//! An alert's text with values in it: `Error rate is {data.errorRate}`.

use serde_json::{Map, Value};

use super::MESSAGE_CHARS_MAX;
use super::spec::RuleFault;
use crate::domain::expression::{Expression, Subject};

/// Longest template, in bytes.
const BYTES_MAX: usize = 2048;
const VALUES_MAX: usize = 20;
const KEY: &str = "message";

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Value(Expression),
}

impl Template {
    /// `text` followed by what `variable` is.
    pub fn plain(text: &str, variable: &str) -> Result<Self, RuleFault> {
        Self::parse(&format!("{text}{{{variable}}}"), &[variable])
    }

    /// Each `{...}` is an expression; `{{` and `}}` stand for braces.
    ///
    /// # Errors
    /// No text, too long, an open brace, or no expression between two, with its place.
    pub fn parse(text: &str, variables: &[&str]) -> Result<Self, RuleFault> {
        if text.trim().is_empty() || text.len() > BYTES_MAX {
            let reason = format!("a text of 1 to {BYTES_MAX} bytes is wanted");
            return Err(RuleFault::new(KEY, reason));
        }
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut at = 0;
        while let Some(next) = text[at..].chars().next() {
            let rest = &text[at..];
            if rest.starts_with("{{") || rest.starts_with("}}") {
                plain.push(next);
                at += 2;
            } else if next == '{' {
                let end = end_of_value(rest).ok_or_else(|| {
                    fault(
                        text,
                        at,
                        (1, 1),
                        "this brace is never closed; {{ stands for a brace",
                    )
                })?;
                let inside = &rest[1..end];
                let value = Expression::parse(inside, variables).map_err(|error| {
                    fault(text, at + 1, (error.line, error.column), &error.reason)
                })?;
                parts.push(Part::Text(std::mem::take(&mut plain)));
                parts.push(Part::Value(value));
                at += end + 1;
            } else if next == '}' {
                let reason = "this brace was never opened; }} stands for a brace";
                return Err(fault(text, at, (1, 1), reason));
            } else {
                plain.push(next);
                at += next.len_utf8();
            }
        }
        parts.push(Part::Text(plain));
        parts.retain(|part| *part != Part::Text(String::new()));
        let is_value = |part: &&Part| matches!(part, Part::Value(_));
        if parts.iter().filter(is_value).count() > VALUES_MAX {
            let reason = format!("at most {VALUES_MAX} values may stand in it");
            return Err(RuleFault::new(KEY, reason));
        }
        Ok(Self(parts))
    }

    /// The text, and the values in it by their expressions. What has no answer is a question mark.
    pub fn render(&self, subject: &Subject) -> (String, Map<String, Value>) {
        let (mut text, mut values) = (String::new(), Map::new());
        for part in &self.0 {
            match part {
                Part::Text(plain) => text.push_str(plain),
                Part::Value(expression) => {
                    let value = expression.evaluate(subject).unwrap_or_default();
                    text.push_str(&shown(&value));
                    values.insert(expression.as_str().trim().to_owned(), value);
                }
            }
        }
        // It becomes one line of logs, too.
        let text = text.replace(char::is_control, " ");
        (text.chars().take(MESSAGE_CHARS_MAX).collect(), values)
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "?".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.as_f64().unwrap_or(f64::NAN).to_string(),
        other => other.to_string(),
    }
}

/// Where the brace at the beginning is closed: not in a text, and not by one that closes another.
fn end_of_value(text: &str) -> Option<usize> {
    let (mut depth, mut quote) = (0, None);
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match (quote, c) {
            (Some(_), '\\') => _ = chars.next(),
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '{') => depth += 1,
            (None, '}') => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(at);
        }
    }
    None
}

/// `place` is counted from `before` bytes of the text on.
fn fault(text: &str, before: usize, place: (usize, usize), reason: &str) -> RuleFault {
    let before = &text[..before];
    let last = before.chars().rev().take_while(|c| *c != '\n').count();
    let (line, column) = place;
    let column = column + if line == 1 { last } else { 0 };
    RuleFault {
        key: KEY,
        place: Some((line + before.matches('\n').count(), column)),
        reason: reason.to_owned(),
    }
}
