//! What is kept of an aggregate: its panes, and how far they go.
//!
//! It lies in documents, each the latest of its name, `aggregate/<metric>/<origin>/<place>`: a stretch of panes in each
//! of the places, and in one more the [`Head`].

use serde::{Deserialize, Serialize};

use crate::domain::aggregate::Stretch;
use crate::domain::message::{Json, Message, MessageId, StateName, Topic};

/// What their names begin with.
pub const PREFIX: &str = "aggregate/";
/// The origin of what every hub counts from the log.
pub const LOG: &str = "log";
const HEAD: &str = "head";
/// What is kept of a document that nobody needs any more.
const NOTHING: &str = "null";

/// Something to be kept under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    pub name: StateName,
    pub json: Json,
}

/// How far the panes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Head {
    /// The end of the last window that was told, in milliseconds since the Unix epoch.
    pub told_to: u64,
    /// The last message of the log that is in the panes.
    pub through: MessageId,
}

/// What a document holds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Held<T> {
    /// The rule that it was counted by.
    rule: String,
    held: T,
}

/// A document's parts, read.
pub enum Part {
    Head(Head),
    Stretch(Stretch),
}

impl Document {
    /// Whether a document has this name.
    pub fn is_one(name: &StateName) -> bool {
        name.as_str().starts_with(PREFIX)
    }

    /// What the log has as a document.
    pub fn of(message: &Message) -> Option<Self> {
        let Topic::State(name) = &message.topic else {
            return None;
        };
        let json = Json::kept(String::from_utf8(message.value().into()).ok()?)?;
        Self::is_one(name).then(|| Self {
            name: name.clone(),
            json,
        })
    }

    pub fn head(metric: &str, origin: &str, rule: &str, head: Head) -> Option<Self> {
        Self::holding(metric, origin, HEAD, rule, head)
    }

    pub fn stretch(
        metric: &str,
        origin: &str,
        place: u64,
        rule: &str,
        stretch: Stretch,
    ) -> Option<Self> {
        Self::holding(metric, origin, &place.to_string(), rule, stretch)
    }

    /// In the place of one that nobody needs any more.
    pub fn forgotten(name: &StateName) -> Self {
        Self {
            name: name.clone(),
            json: Json::trusted(NOTHING.to_owned()),
        }
    }

    /// `None` cannot be: names of metrics and hubs are short, and all of it is strings and numbers.
    fn holding(
        metric: &str,
        origin: &str,
        place: &str,
        rule: &str,
        held: impl Serialize,
    ) -> Option<Self> {
        let held = Held {
            rule: rule.to_owned(),
            held,
        };
        Some(Self {
            name: StateName::parse(&format!("{PREFIX}{metric}/{origin}/{place}"))?,
            json: Json::trusted(serde_json::to_string(&held).ok()?),
        })
    }

    fn parts(&self) -> Option<(&str, &str, &str)> {
        let (metric, rest) = self.name.as_str().strip_prefix(PREFIX)?.split_once('/')?;
        let (origin, place) = rest.split_once('/')?;
        Some((metric, origin, place))
    }

    pub fn metric(&self) -> Option<&str> {
        self.parts().map(|(metric, ..)| metric)
    }

    pub fn origin(&self) -> Option<&str> {
        self.parts().map(|(_, origin, _)| origin)
    }

    /// What it holds, where it was counted by `rule`.
    pub fn read(&self, rule: &str) -> Option<Part> {
        let (by, part) = self.held()?;
        (by == rule).then_some(part)
    }

    /// Whether it holds nothing of `from_ms` or later.
    pub fn is_past(&self, from_ms: u64) -> bool {
        match self.held() {
            Some((_, Part::Head(head))) => head.told_to < from_ms,
            Some((_, Part::Stretch(stretch))) => stretch.is_past(from_ms),
            // Of another version, or nothing.
            None => false,
        }
    }

    fn held(&self) -> Option<(String, Part)> {
        let (_, _, place) = self.parts()?;
        let json = self.json.as_str();
        match place {
            HEAD => {
                let Held { rule, held } = serde_json::from_str(json).ok()?;
                Some((rule, Part::Head(held)))
            }
            _ => {
                let Held { rule, held } = serde_json::from_str(json).ok()?;
                Some((rule, Part::Stretch(held)))
            }
        }
    }
}
