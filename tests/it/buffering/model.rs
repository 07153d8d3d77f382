//! The buffer that the contract describes, one for each connection and taken literally, and the
//! counts that a client is told. The hub keeps no such thing; it has to look as if it did.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::either::set_of;
use crate::support::id::Id;

/// Lowest first.
pub const PRIORITIES: [&str; 4] = ["low", "normal", "high", "critical"];
pub const CRITICAL: usize = 3;

/// A message, as its publisher knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    pub id: Id,
    /// `None`: an alert.
    pub metric: Option<String>,
    /// Its place in [`PRIORITIES`].
    pub priority: usize,
    /// For this user only.
    pub user: Option<String>,
    pub gauge: bool,
}

impl Published {
    /// Whether `message` is what a client should have got of it.
    pub fn is(&self, message: &Value) -> bool {
        let content = match &self.metric {
            Some(metric) => message["data"].get(metric).is_some(),
            None => message["type"] == "system_alert",
        };
        content
            && message["priority"] == PRIORITIES[self.priority]
            && Id::read(&message["messageId"]) == Some(self.id)
    }
}

/// For whom a session is, and what it wants.
#[derive(Debug, Clone)]
pub struct Reader {
    pub user: String,
    /// None: everything.
    pub patterns: Vec<&'static str>,
}

impl Reader {
    pub fn of(user: &str, patterns: &[&'static str]) -> Self {
        Self {
            user: user.to_owned(),
            patterns: patterns.to_vec(),
        }
    }

    pub fn wants(&self, message: &Published) -> bool {
        let Some(metric) = &message.metric else {
            return true;
        };
        let mine = message.user.as_ref().is_none_or(|user| *user == self.user);
        let named = |pattern: &&str| matches(pattern, metric);
        mine && (self.patterns.is_empty() || self.patterns.iter().any(named))
    }

    /// Those of `messages` that are for it and came after `position`.
    pub fn missed(&self, messages: &[Published], position: Id) -> Vec<Published> {
        let missed = |message: &&Published| message.id > position && self.wants(message);
        messages.iter().filter(missed).cloned().collect()
    }

    /// As the query of a stream.
    pub fn query(&self) -> String {
        format!("?metrics={}", self.patterns.join(","))
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    let (first, rest) = pattern.split_once('.').unwrap_or((pattern, ""));
    if first == "**" {
        return true;
    }
    let (segment, others) = name.split_once('.').unwrap_or((name, ""));
    let here = !name.is_empty() && (first == "*" || first == segment);
    match (rest, others) {
        ("", "") => here,
        ("", _) => false,
        _ => here && matches(rest, others),
    }
}

/// What a client is told it was not sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// By place in [`PRIORITIES`].
    pub dropped: [u64; 4],
    pub metrics: BTreeSet<String>,
    pub conflated: u64,
}

impl Counts {
    /// As a notice says it, which is held to its form.
    pub fn told(notice: &Value) -> Self {
        let data = &notice["data"];
        let total = data["droppedMessagesCount"].as_u64();
        let total = total.unwrap_or_else(|| panic!("no count in {notice}"));
        let conflated = data.get("conflatedMessagesCount").map(|count| {
            let count = count.as_u64().filter(|count| *count > 0);
            count.unwrap_or_else(|| panic!("nothing conflated, and yet said: {notice}"))
        });
        let conflated = conflated.unwrap_or(0);
        if total == 0 {
            let more = ["droppedByPriority", "droppedMetrics"];
            assert!(more.iter().all(|it| data.get(it).is_none()), "{notice}");
            return Self {
                conflated,
                ..Self::default()
            };
        }
        let by_priority = |priority| data["droppedByPriority"][priority].as_u64().unwrap_or(0);
        let dropped = PRIORITIES.map(by_priority);
        assert_eq!(dropped.iter().sum::<u64>(), total, "{notice}");
        Self {
            dropped,
            metrics: set_of(&data["droppedMetrics"]),
            conflated,
        }
    }

    /// Messages that are not sent, for either reason.
    pub fn total(&self) -> usize {
        let total = self.dropped.iter().sum::<u64>() + self.conflated;
        usize::try_from(total).expect("a count")
    }
}

/// What one connection's buffer holds, and what it has counted.
#[derive(Debug, Default)]
pub struct Buffer {
    pub kept: Vec<Published>,
    pub counts: Counts,
}

impl Buffer {
    /// One of at most `max` messages, through which all these went.
    pub fn filled(max: usize, messages: &[Published]) -> Self {
        let mut buffer = Self::default();
        for message in messages {
            buffer.push(max, message);
        }
        buffer
    }

    fn push(&mut self, max: usize, new: &Published) {
        if new.gauge {
            let before = self.kept.len();
            let same = |old: &Published| {
                (&old.metric, &old.user, old.priority) == (&new.metric, &new.user, new.priority)
            };
            self.kept.retain(|old| !same(old));
            self.counts.conflated += (before - self.kept.len()) as u64;
        }
        if self.kept.len() < max {
            return self.kept.push(new.clone());
        }
        let lowest_then_oldest = |index: &usize| (self.kept[*index].priority, self.kept[*index].id);
        let weakest = (0..max).min_by_key(lowest_then_oldest);
        let weakest = weakest.expect("a buffer for at least one");
        if self.kept[weakest].priority > new.priority {
            return self.drop(new);
        }
        let evicted = self.kept.remove(weakest);
        self.drop(&evicted);
        self.kept.push(new.clone());
    }

    fn drop(&mut self, message: &Published) {
        self.counts.dropped[message.priority] += 1;
        self.counts.metrics.extend(message.metric.clone());
    }

    pub fn ids(&self) -> Vec<Id> {
        self.kept.iter().map(|message| message.id).collect()
    }
}

#[test]
fn the_model_knows_patterns() {
    for (pattern, name, expected) in [
        ("a", "a", true),
        ("a", "a.x", false),
        ("a.x", "a", false),
        ("*", "a", true),
        ("*", "a.x", false),
        ("a.*", "a.x", true),
        ("a.*", "a", false),
        ("a.**", "a", true),
        ("a.**", "a.x.y", true),
        ("**", "a.x", true),
        ("a.**", "b", false),
    ] {
        assert_eq!(matches(pattern, name), expected, "{pattern} {name}");
    }
}
