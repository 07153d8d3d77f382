//! Which metric's value is said again, as a state of the log has it.

use serde::{Deserialize, Serialize};

use crate::domain::message::{Json, Message, StateName, Topic, UserId};
use crate::domain::pattern::MetricName;

#[derive(Serialize, Deserialize)]
struct Again<'a> {
    metric: std::borrow::Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    user: Option<UserId>,
}

/// Under which name.
const NAME: &str = "again";

/// The state that says of which metric, or which user's, the newest value counts once more.
pub fn state(topic: &Topic) -> Option<(StateName, Json)> {
    Some((StateName::parse(NAME)?, write(topic)))
}

fn write(topic: &Topic) -> Json {
    let metric = topic.metric().map_or("", MetricName::as_str).into();
    let user = match topic {
        Topic::UserMetric(_, user) => Some(user.clone()),
        _ => None,
    };
    // Cannot fail: two texts.
    Json::trusted(serde_json::to_string(&Again { metric, user }).unwrap_or_default())
}

/// Of which it is said; `None` for any other message, and for what this program never writes.
pub(super) fn read(message: &Message) -> Option<Topic> {
    let Topic::State(name) = &message.topic else {
        return None;
    };
    if name.as_str() != NAME {
        return None;
    }
    let value = message.value();
    let Again { metric, user } = serde_json::from_slice(&value).ok()?;
    let metric = MetricName::parse(&metric).ok()?;
    Some(match user {
        Some(user) => Topic::UserMetric(metric, user),
        None => Topic::Metric(metric),
    })
}
