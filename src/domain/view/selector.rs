//! A subscription as a client writes it: a pattern, or an object that asks for a view.

use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};

use super::{View, ViewError};
use crate::domain::pattern::{NameError, Pattern};

/// Which metrics, and how.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Selector {
    pub pattern: Pattern,
    /// `None`: as they are published.
    pub view: Option<View>,
}

/// Why a text or an object selects nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    #[error(transparent)]
    Name(#[from] NameError),
    #[error(transparent)]
    View(#[from] ViewError),
    #[error(
        "a metric is named by a text, or by an object with metric and, if wanted, fields, where and maxHz"
    )]
    Form,
    #[error("there is no {0:?} in a subscription, only metric, fields, where and maxHz")]
    Key(String),
}

impl Selector {
    /// Back from its pattern and [`View::as_str`]; `None` for what is no view.
    pub fn kept(pattern: Pattern, view: Option<&str>) -> Option<Self> {
        let Some(view) = view else {
            return Some(pattern.into());
        };
        let mut object: Map<String, Value> = serde_json::from_str(view).ok()?;
        object.insert("metric".into(), pattern.as_str().into());
        of_object(object).ok()
    }
}

impl From<Pattern> for Selector {
    fn from(pattern: Pattern) -> Self {
        Self {
            pattern,
            view: None,
        }
    }
}

impl TryFrom<Value> for Selector {
    type Error = SelectorError;

    fn try_from(value: Value) -> Result<Self, SelectorError> {
        match value {
            Value::String(text) => Ok(Pattern::parse(&text)?.into()),
            Value::Object(object) => of_object(object),
            _ => Err(SelectorError::Form),
        }
    }
}

fn of_object(mut object: Map<String, Value>) -> Result<Selector, SelectorError> {
    let Some(Value::String(metric)) = object.remove("metric") else {
        return Err(SelectorError::Form);
    };
    let fields = object.remove("fields").map(|fields| match fields {
        Value::Array(fields) => {
            let text = |field| match field {
                Value::String(text) => Ok(text),
                _ => Err(ViewError::Fields),
            };
            fields.into_iter().map(text).collect::<Result<Vec<_>, _>>()
        }
        _ => Err(ViewError::Fields),
    });
    let fields = fields.transpose()?;
    let condition = object.remove("where");
    let condition = condition.map(|it| match it {
        Value::String(text) => Ok(text),
        _ => Err(SelectorError::Form),
    });
    let condition = condition.transpose()?;
    let max_hz = object.remove("maxHz");
    let max_hz = max_hz
        .map(|it| it.as_f64().ok_or(ViewError::Rate))
        .transpose()?;
    if let Some((key, _)) = object.into_iter().next() {
        return Err(SelectorError::Key(key));
    }
    Ok(Selector {
        pattern: Pattern::parse(&metric)?,
        view: View::new(fields.as_deref(), condition.as_deref(), max_hz)?,
    })
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(view) = &self.view else {
            return self.pattern.serialize(serializer);
        };
        let mut object = Map::new();
        object.insert("metric".into(), self.pattern.as_str().into());
        let asked = serde_json::from_str::<Map<_, _>>(view.as_str()).unwrap_or_default();
        object.extend(asked);
        object.serialize(serializer)
    }
}
