//! Events that are not told one by one: how many, and what they have in common.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::event::{Event, written};
use crate::domain::message::MessageId;

/// Users, targets and addresses that a sum names, of each.
const NAMED_MAX: usize = 10;

/// What goes for all of them, and for none alone.
#[derive(Debug)]
pub(super) struct Sum {
    events: u64,
    from: Timestamp,
    to: Timestamp,
    actors: Few,
    roles: Few,
    targets: Few,
    remotes: Few,
    /// What was published, where it was said.
    messages: Option<u64>,
    first: Option<MessageId>,
    last: Option<MessageId>,
}

/// The first of many different texts.
#[derive(Debug, Default)]
struct Few(Vec<String>);

impl Few {
    fn add(&mut self, text: Option<String>) {
        let text = text.filter(|text| self.0.len() < NAMED_MAX && !self.0.contains(text));
        self.0.extend(text);
    }

    /// The text, where there was only one.
    fn only(&self) -> Option<String> {
        match &self.0[..] {
            [text] => Some(text.clone()),
            _ => None,
        }
    }

    fn several(self) -> Option<Vec<String>> {
        (self.0.len() > 1).then_some(self.0)
    }
}

impl Sum {
    pub fn of(event: Event) -> Self {
        let mut sum = Self {
            events: 0,
            from: event.time,
            to: event.time,
            actors: Few::default(),
            roles: Few::default(),
            targets: Few::default(),
            remotes: Few::default(),
            messages: None,
            first: None,
            last: None,
        };
        sum.add(event);
        sum
    }

    pub fn add(&mut self, event: Event) {
        self.events += 1;
        // Threads read their clocks before they get here.
        self.from = self.from.min(event.time);
        self.to = self.to.max(event.time);
        self.actors.add(event.actor.map(|it| it.to_string()));
        self.roles.add(event.role);
        self.targets.add(event.target);
        self.remotes.add(event.remote);
        let Some(details) = event.details else {
            return;
        };
        if let Some(count) = details.get("count").and_then(Value::as_u64) {
            *self.messages.get_or_insert(0) += count;
        }
        let id = |field| {
            let text = details.get(field)?.as_str()?;
            MessageId::parse(text)
        };
        for id in ["first", "last", "messageId"].into_iter().filter_map(id) {
            self.first = Some(self.first.map_or(id, |first| first.min(id)));
            self.last = Some(self.last.map_or(id, |last| last.max(id)));
        }
    }

    pub fn events(&self) -> u64 {
        self.events
    }

    /// `event`, filled in with what is known of all of them; the field `counted` says how many they are.
    pub fn fill(self, event: Event, counted: &str) -> Event {
        let named_anyway = usize::from(event.actor.is_some());
        let actors = Some(self.actors.0).filter(|actors| actors.len() > named_anyway);
        let (role, target, remote) = (self.roles.only(), self.targets.only(), self.remotes.only());
        let mut details = Map::new();
        details.insert(counted.to_owned(), json!(self.events));
        details.insert("from".to_owned(), json!(written(self.from)));
        details.insert("to".to_owned(), json!(written(self.to)));
        for (field, value) in [
            ("count", self.messages.map(Value::from)),
            ("first", self.first.map(|id| id.to_string().into())),
            ("last", self.last.map(|id| id.to_string().into())),
            ("actors", actors.map(Value::from)),
            ("targets", self.targets.several().map(Value::from)),
            ("remotes", self.remotes.several().map(Value::from)),
        ] {
            details.extend(value.map(|value| (field.to_owned(), value)));
        }
        Event {
            role,
            target,
            remote,
            details: Some(details.into()),
            ..event
        }
    }
}
