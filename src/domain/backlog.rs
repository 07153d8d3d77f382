//! What a client missed: which messages it still gets, and an exact receipt of the others.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::message::{Message, MessageId, PerPriority, Priority, Topic, Transport, UserId};
use super::pattern::MetricName;
use super::subscription::Subscription;
use super::view::View;

/// Most metric names in one receipt.
pub const DROPPED_METRICS_MAX: usize = 100;

/// For whom a history is read: what decides which messages are for a session.
#[derive(Debug, Clone, Copy)]
pub struct Reader<'a> {
    pub user: &'a UserId,
    pub transport: Transport,
    pub subscription: &'a Subscription,
    /// Of which view the history is; `None`: what was published. There every metric that comes in that form is.
    pub view: Option<&'a View>,
    /// Alerts count from here.
    pub since: MessageId,
    /// Test messages for the transport count from here.
    pub transport_since: MessageId,
}

impl<'a> Reader<'a> {
    /// From which position on messages of `topic` are for this reader; `None`: none is.
    pub fn admits(&self, topic: &Topic) -> Option<MessageId> {
        let metric = |name| self.subscription.admits_as(self.view, name);
        match topic {
            Topic::Metric(name) => metric(name),
            Topic::UserMetric(name, user) if user == self.user => metric(name),
            Topic::Alerts => Some(self.since),
            Topic::Test(user, transport) if user == self.user && *transport == self.transport => {
                Some(self.transport_since)
            }
            Topic::UserMetric(..) | Topic::Test(..) | Topic::State(_) => None,
        }
    }

    /// The same reader of the history of `view`.
    pub fn of(&self, view: &'a View) -> Self {
        Self {
            view: Some(view),
            ..*self
        }
    }

    /// Every topic there can be for this reader, where its subscription names exact metrics only.
    pub fn topics(&self) -> Option<Vec<Topic>> {
        let names = self.subscription.exact_names(self.view)?;
        let own = |name: &MetricName| Topic::UserMetric(name.clone(), self.user.clone());
        let metrics = names.iter().cloned().map(Topic::Metric);
        let rest = [
            Topic::Alerts,
            Topic::Test(self.user.clone(), self.transport),
        ];
        Some(metrics.chain(names.iter().map(own)).chain(rest).collect())
    }
}

/// What was not sent and will not be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receipt {
    pub dropped: PerPriority<u64>,
    /// Metrics of what was dropped, at most [`DROPPED_METRICS_MAX`].
    pub metrics: BTreeSet<MetricName>,
    /// Gauge updates that a later one replaced.
    pub conflated: u64,
}

impl Receipt {
    pub fn count(&mut self, topic: &Topic, priority: Priority, dropped: u64, conflated: u64) {
        self.conflated += conflated;
        self.dropped[priority] += dropped;
        if let Some(name) = topic.metric().filter(|_| dropped > 0) {
            self.name(name);
        }
    }

    pub fn add(&mut self, other: &Self) {
        self.dropped.add(&other.dropped);
        self.conflated += other.conflated;
        other.metrics.iter().for_each(|name| self.name(name));
    }

    fn name(&mut self, name: &MetricName) {
        if self.metrics.len() < DROPPED_METRICS_MAX && !self.metrics.contains(name) {
            self.metrics.insert(name.clone());
        }
    }
}

/// The messages to send, in id order, and the receipt of those that are not.
#[derive(Debug, Clone, Default)]
pub struct Backlog {
    pub messages: Vec<Arc<Message>>,
    pub receipt: Receipt,
}

impl Backlog {
    /// Keeps the best `max` messages, higher priority before newer, and puts them in id order.
    pub fn fit(&mut self, max: usize) {
        if self.messages.len() > max {
            let worth = |message: &Arc<Message>| std::cmp::Reverse((message.priority, message.id));
            self.messages.select_nth_unstable_by_key(max, worth);
            for message in self.messages.drain(max..) {
                self.receipt.count(&message.topic, message.priority, 1, 0);
            }
        }
        self.messages.sort_unstable_by_key(|message| message.id);
    }

    /// How many messages of each priority it holds.
    pub fn by_priority(&self) -> PerPriority<u64> {
        let mut counts = PerPriority::default();
        self.messages
            .iter()
            .for_each(|message| counts[message.priority] += 1);
        counts
    }
}
