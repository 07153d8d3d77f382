//! A result as the value of a metric.

use serde_json::{Map, Value, json};

use crate::domain::aggregate::{Plan, WindowResult};
use crate::domain::message::Json;
use crate::wire::message::timestamp;

/// The group that stands for those that there was no room for.
const OTHER: &str = "other";
/// Up to here every whole number is a double.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// `{"value", "count", "late", "windowStart", "windowEnd"}`; with groups `groups` in the place of `value`, each
/// with its `value` and `count`, and `ungrouped`.
pub fn value_of(result: &WindowResult, plan: &Plan) -> Json {
    let mut value = Map::new();
    if plan.is_grouped {
        value.insert("groups".to_owned(), groups(result));
    } else {
        let only = result.groups.first().and_then(|group| group.value);
        value.insert("value".to_owned(), number(only));
    }
    value.insert("count".to_owned(), result.count.into());
    value.insert("late".to_owned(), result.late.into());
    if plan.is_grouped {
        value.insert("ungrouped".to_owned(), result.ungrouped.into());
    }
    let times = [("windowStart", result.from_ms), ("windowEnd", result.to_ms)];
    value.extend(times.map(|(name, ms)| (name.to_owned(), timestamp(ms).into())));
    Json::trusted(Value::Object(value).to_string())
}

fn groups(result: &WindowResult) -> Value {
    let mut groups = Map::new();
    for group in &result.groups {
        let one = json!({"value": number(group.value), "count": group.count});
        groups.insert(group.group.to_string(), one);
    }
    if result.ungrouped > 0 {
        // One that is really called so is counted apart, and told under another name.
        if let Some(named) = groups.remove(OTHER) {
            groups.insert(format!("{OTHER} (named)"), named);
        }
        let all = json!({"value": number(result.other), "count": result.ungrouped});
        groups.insert(OTHER.to_owned(), all);
    }
    Value::Object(groups)
}

/// Whole where it is whole.
fn number(value: Option<f64>) -> Value {
    match value {
        Some(value) if value.fract() == 0.0 && value.abs() <= WHOLE_MAX => {
            Value::from(value as i64)
        }
        value => Value::from(value),
    }
}
