//! What a subscription may ask of a metric besides its name: parts of the value, only some values, not too often.
//!
//! Clients that ask for the same have one [`View`]: what it makes of a message is computed once, whoever looks.

mod fields;
mod selector;

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::expression::{Expression, ExpressionError};
use fields::Fields;
pub use selector::{Selector, SelectorError};

/// Most pointers in the fields of a view.
pub const FIELDS_MAX: usize = 32;

/// How often a view may be updated, in updates a second and their distance in milliseconds: few, so that clients
/// share them.
const RATES: [(f64, u64); 10] = [
    (10.0, 100),
    (5.0, 200),
    (2.0, 500),
    (1.0, 1000),
    (0.5, 2000),
    (0.2, 5000),
    (0.1, 10_000),
    (0.05, 20_000),
    (0.02, 50_000),
    (0.01, 100_000),
];

/// A metric as somebody asks to see it. Cheap to clone; equal to any other that asks for the same.
#[derive(Clone)]
pub struct View(Arc<Inner>);

struct Inner {
    /// What is asked for in one form, whatever form it was asked in.
    text: String,
    fields: Option<Fields>,
    condition: Option<Expression>,
    period: Option<Duration>,
}

/// Why nothing can be seen like this.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ViewError {
    #[error("fields: 1 to {FIELDS_MAX} JSON Pointers, each empty or beginning with /")]
    Fields,
    #[error("where: {0}")]
    Where(#[from] ExpressionError),
    #[error("maxHz: a number of updates a second, 0.01 to 10")]
    Rate,
}

impl View {
    /// `fields`: the parts of a value to be seen, as JSON Pointers (RFC 6901). `condition`: an expression over
    /// `data` and `metric` that must hold. `max_hz`: at most so many updates of a metric in a second, 0.01 to 10,
    /// rounded down to one of a few. `None` where nothing is asked.
    ///
    /// # Errors
    /// What is asked cannot be, with the place of the fault in an expression.
    pub fn new(
        fields: Option<&[String]>,
        condition: Option<&str>,
        max_hz: Option<f64>,
    ) -> Result<Option<Self>, ViewError> {
        let fields = fields.map(Fields::parse).transpose()?;
        // The whole value: nothing is left out.
        let fields = fields.filter(|fields| !fields.is_whole());
        let parse = |text| Expression::parse(text, &Expression::VARIABLES);
        let condition = condition.map(parse).transpose()?;
        let rate = max_hz.map(rate).transpose()?;
        let mut text = Map::new();
        if let Some(fields) = &fields {
            text.insert("fields".into(), fields.pointers().into());
        }
        if let Some(condition) = &condition {
            text.insert("where".into(), condition.as_str().into());
        }
        if let Some((hz, _)) = rate {
            text.insert("maxHz".into(), hz.into());
        }
        let asks = !text.is_empty();
        let text = Value::from(text).to_string();
        let period = rate.map(|(_, ms)| Duration::from_millis(ms));
        Ok(asks.then(|| {
            Self(Arc::new(Inner {
                text,
                fields,
                condition,
                period,
            }))
        }))
    }

    /// What is asked for, as JSON: the keys of a selector without its `metric`.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// What must hold of a value.
    pub fn condition(&self) -> Option<&Expression> {
        self.0.condition.as_ref()
    }

    /// How far apart the updates of one metric are at least.
    pub fn period(&self) -> Option<Duration> {
        self.0.period
    }

    /// What is seen of `value`, which is JSON on one line; `None`: all of it.
    pub fn part_of(&self, value: &str) -> Option<String> {
        self.0.fields.as_ref().map(|fields| fields.of(value))
    }

    /// Whether every update is seen.
    pub fn sees_all(&self) -> bool {
        self.0.condition.is_none() && self.0.period.is_none()
    }
}

fn rate(max_hz: f64) -> Result<(f64, u64), ViewError> {
    let (most, _) = RATES[0];
    let rate = RATES.into_iter().find(|(hz, _)| *hz <= max_hz);
    rate.filter(|_| max_hz <= most).ok_or(ViewError::Rate)
}

impl PartialEq for View {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0.text == other.0.text
    }
}

impl Eq for View {}

impl Hash for View {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.text.hash(state);
    }
}

impl std::fmt::Debug for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.text)
    }
}

#[cfg(test)]
mod tests;
