//! A log that is shared with others, and may turn out to be another one than it was.

use std::sync::Arc;

use super::share::Shares;
use super::{History, TopicLog};
use crate::domain::message::{Message, MessageId, Topic};

impl History {
    /// From here on the log is another one: nothing that came before `origin` can be told, nor anything that
    /// was here before. Values are kept aside until it is known which of them this log does not replace:
    /// [`History::settle`].
    pub fn begin_anew(&mut self, origin: MessageId) {
        self.origin = self.origin.max(self.last).max(origin);
        self.last = origin;
        self.holes.clear();
        let topics = std::mem::take(&mut self.topics);
        let values = topics.into_values().filter_map(|log| log.latest);
        values.for_each(|value| self.keep_value(value));
        self.recency.clear();
        self.shares = Shares::default();
        (self.metrics, self.counted) = (0, 0);
    }

    /// The newest value of a metric, of before what the log has. Takes the place of one kept before.
    pub fn keep_value(&mut self, message: Arc<Message>) {
        if matches!(message.topic, Topic::State(_)) {
            self.keep_state(message);
        } else if message.topic.metric().is_some() {
            self.aside.insert(message.topic.clone(), message);
        }
    }

    /// What the log has of the past is here: of what was kept aside, the values that it does not replace are
    /// the metrics' values again.
    pub fn settle(&mut self) {
        for (topic, value) in std::mem::take(&mut self.aside) {
            if self.topics.contains_key(&topic) {
                continue;
            }
            // Ids of another log than this one may be in it too.
            let mut newest = value.id;
            while self.recency.contains_key(&newest) {
                newest = MessageId::from_bits(newest.to_bits().saturating_sub(1));
            }
            self.metrics += usize::from(matches!(topic, Topic::Metric(_)));
            self.recency.insert(newest, topic.clone());
            let log = TopicLog {
                newest,
                latest: Some(value),
                ..TopicLog::default()
            };
            self.topics.insert(topic, log);
        }
        self.last = self.last.max(self.origin);
        self.limit_topics();
    }

    /// Up to here the log has nothing more to tell.
    pub fn pass(&mut self, id: MessageId) {
        self.last = self.last.max(id);
    }
}
