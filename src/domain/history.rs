//! The log that serves every replay: for each topic and priority the newest messages, and the ids
//! of those that had to go.
//!
//! A backlog is computed from here when it is needed, so an absent client costs nothing per
//! message. A ring keeps the newest `backlog_messages_max` messages: what a per-connection buffer
//! of that size would still hold has fewer than that many newer ones of its own topic and priority,
//! so it is always here. The ids of what went are kept to count exactly what was missed; when there
//! are too many, the oldest are cut and whoever still needs them is told first (see
//! [`History::overgrown`]).

mod anew;
mod find;
mod forms;
mod read;
mod restored;
mod ring;
mod share;
mod state;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::backlog::{Backlog, Reader, Receipt};
use super::message::{Message, MessageId, PerPriority, Priority, Retain, StateName, Topic};
use super::pattern::MetricName;
pub use find::{Fate, Found, Missing};
pub use forms::Depth;
pub use read::ReadIds;
pub use restored::RestoredRing;
use ring::Ring;
use share::{Shares, Turn};

/// Bounds of the history.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Messages kept per topic and priority.
    pub backlog_messages_max: usize,
    /// Bytes kept in all; the oldest of the lowest priority goes first.
    pub bytes_max: usize,
    /// Bytes kept for one user alone, of what is addressed to that user; of these the oldest of the lowest
    /// priority goes first.
    pub user_bytes_max: usize,
    /// Messages kept for one user alone, likewise.
    pub user_messages_max: usize,
    /// Distinct metrics; ten times as many metrics of single users.
    pub metrics_max: usize,
    /// Ids kept of messages that went.
    pub counted_ids_max: usize,
}

/// One more metric than allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the hub already keeps as many metrics as it may")]
pub struct TooManyMetrics;

#[derive(Debug)]
pub struct History {
    limits: Limits,
    topics: HashMap<Topic, TopicLog>,
    /// Topics by their newest id: those that changed since a position are a range.
    recency: BTreeMap<MessageId, Topic>,
    shares: Shares,
    metrics: usize,
    counted: usize,
    /// Positions before this one belong to a log that is gone.
    origin: MessageId,
    last: MessageId,
    /// Positions after the first and before the second are of messages that this log does not have. In
    /// order, and apart.
    holes: Vec<(MessageId, MessageId)>,
    /// What parts of the hub remember.
    states: BTreeMap<StateName, Arc<Message>>,
    /// Values of metrics from before this log, while it is not known which of them it replaces.
    aside: HashMap<Topic, Arc<Message>>,
}

#[derive(Debug, Default)]
struct TopicLog {
    rings: PerPriority<Ring>,
    latest: Option<Arc<Message>>,
    newest: MessageId,
}

impl History {
    /// An empty log whose first message comes after `origin`.
    pub fn new(limits: Limits, origin: MessageId) -> Self {
        Self {
            limits,
            topics: HashMap::new(),
            recency: BTreeMap::new(),
            shares: Shares::default(),
            metrics: 0,
            counted: 0,
            origin,
            last: origin,
            holes: Vec::new(),
            states: BTreeMap::new(),
            aside: HashMap::new(),
        }
    }

    /// The newest id, or the origin when there is none.
    pub fn last(&self) -> MessageId {
        self.last
    }

    /// Bytes of the messages kept for replays.
    pub fn bytes(&self) -> usize {
        self.shares.all.bytes
    }

    /// Distinct metrics, those of single users not counted.
    pub fn metrics(&self) -> usize {
        self.metrics
    }

    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        self.make_all_fit();
    }

    /// Whether there was a message of it, not long ago.
    pub fn has(&self, topic: &Topic) -> bool {
        self.topics.contains_key(topic)
    }

    /// Whether what came after `position` can be told at all: it is of this log and not ahead of it,
    /// nor ahead of where it was set back to.
    pub fn covers(&self, position: MessageId) -> bool {
        let before = self.holes.partition_point(|(after, _)| *after < position);
        let hole = before.checked_sub(1).map(|index| self.holes[index]);
        let is_in_a_hole = hole.is_some_and(|(_, before)| position < before);
        (self.origin..=self.last).contains(&position) && !is_in_a_hole
    }

    /// Whether the topics of one batch can be taken.
    ///
    /// # Errors
    /// They would be more than allowed, all those that are there being in use.
    pub fn admit<'a>(&self, topics: impl Iterator<Item = &'a Topic>) -> Result<(), TooManyMetrics> {
        let new: std::collections::HashSet<&Topic> = topics
            .filter(|topic| !self.has(topic) && !matches!(topic, Topic::State(_)))
            .collect();
        let metrics = new
            .iter()
            .filter(|topic| matches!(topic, Topic::Metric(_)))
            .count();
        let others = new.len() - metrics;
        let full = self.metrics + metrics > self.limits.metrics_max && metrics > 0;
        let others_full =
            others > 0 && self.topics.len() - self.metrics + others > 10 * self.limits.metrics_max;
        if full || others_full {
            Err(TooManyMetrics)
        } else {
            Ok(())
        }
    }

    /// Appends a message. Its id must be above [`History::last`].
    pub fn push(&mut self, message: Arc<Message>) {
        debug_assert!(message.id > self.last, "ids strictly increase");
        self.last = message.id;
        if matches!(message.topic, Topic::State(_)) {
            return self.keep_state(message);
        }
        let topic = &message.topic;
        if !self.topics.contains_key(topic) {
            self.metrics += usize::from(matches!(topic, Topic::Metric(_)));
            self.topics.insert(topic.clone(), TopicLog::default());
        }
        let Some(log) = self.topics.get_mut(topic) else {
            return;
        };
        self.recency.remove(&log.newest);
        self.recency.insert(message.id, topic.clone());
        log.newest = message.id;
        if topic.metric().is_some() {
            log.latest = Some(message.clone());
        }

        let ring = &mut log.rings[message.priority];
        let mut turn = Turn {
            front_before: ring.front(),
            messages_came: 1,
            bytes_came: message.cost(),
            ..Turn::default()
        };
        ring.kept.push_back(message.clone());
        let keep = match message.retain {
            Retain::All => self.limits.backlog_messages_max,
            Retain::Latest => {
                ring.replaced_before = message.id;
                1
            }
        };
        while ring.kept.len() > keep {
            turn.bytes_went += ring.let_go();
            turn.messages_went += 1;
        }
        turn.front = ring.front();
        self.counted += turn.messages_went;
        self.shares.turn(topic, message.priority, &turn);
        self.make_fit(topic);
    }

    /// What `reader` missed after `position`: at most `backlog_messages_max` messages in id order,
    /// and an exact receipt of the rest. What was cut up to `carried_to` the caller has counted in
    /// time ([`History::count_gone`]) and adds itself.
    ///
    /// `None` when the log cannot tell: it does not cover `position`, or what went since has been
    /// cut uncounted.
    pub fn backlog(
        &self,
        reader: &Reader<'_>,
        position: MessageId,
        carried_to: MessageId,
    ) -> Option<Backlog> {
        if !self.covers(position) {
            return None;
        }
        let mut backlog = Backlog::default();
        self.gather(reader, position, carried_to, &mut backlog)?;
        backlog.fit(self.limits.backlog_messages_max);
        Some(backlog)
    }

    /// As [`History::backlog`] of a position that the log covers, into one that is not yet as short as it may be.
    pub fn gather(
        &self,
        reader: &Reader<'_>,
        position: MessageId,
        carried_to: MessageId,
        backlog: &mut Backlog,
    ) -> Option<()> {
        for (topic, log) in self.changed_since(reader, position) {
            let Some(since) = reader.admits(topic) else {
                continue;
            };
            for (priority, ring) in log.rings.iter() {
                let from = position.max(since);
                if from.max(carried_to) < ring.cut {
                    return None;
                }
                let (dropped, replaced) = ring.missed(from, ring.last_gone());
                backlog.receipt.count(topic, priority, dropped, replaced);
                backlog.messages.extend(ring.after(from).cloned());
            }
        }
        Some(())
    }

    /// Counts what `reader` missed after `position` and [`History::cut`] at `to` is about to forget,
    /// for whoever must remember it. A message that is still kept is not among it, however old: it
    /// is counted when it goes. `None` when an earlier cut, after `carried_to`, forgot some already.
    pub fn count_gone(
        &self,
        reader: &Reader<'_>,
        position: MessageId,
        carried_to: MessageId,
        to: MessageId,
    ) -> Option<Receipt> {
        let mut receipt = Receipt::default();
        for (topic, log) in self.changed_since(reader, position) {
            let Some(since) = reader.admits(topic) else {
                continue;
            };
            for (priority, ring) in log.rings.iter() {
                let from = position.max(since);
                if from.max(carried_to) < ring.cut {
                    return None;
                }
                let (dropped, replaced) = ring.missed(from, to);
                receipt.count(topic, priority, dropped, replaced);
            }
        }
        Some(receipt)
    }

    /// The topics with anything after `position` that may concern `reader`. A reader of a few exact
    /// names looks them up; only one with wildcards walks what has changed.
    fn changed_since<'a>(
        &'a self,
        reader: &Reader<'a>,
        position: MessageId,
    ) -> Box<dyn Iterator<Item = (&'a Topic, &'a TopicLog)> + 'a> {
        let after = (
            std::ops::Bound::Excluded(position),
            std::ops::Bound::Unbounded,
        );
        match reader.topics() {
            Some(topics) => {
                let known = self.named(topics);
                Box::new(known.filter(move |(_, log)| log.newest > position))
            }
            None => {
                let changed = self.recency.range(after);
                Box::new(changed.filter_map(|(_, topic)| self.topics.get_key_value(topic)))
            }
        }
    }

    fn named(&self, topics: Vec<Topic>) -> impl Iterator<Item = (&Topic, &TopicLog)> {
        let known = |topic| self.topics.get_key_value(&topic);
        topics.into_iter().filter_map(known)
    }

    /// The newest message of each metric that `reader` may see, by name.
    pub fn latest(&self, reader: &Reader<'_>) -> BTreeMap<MetricName, Arc<Message>> {
        let mut values: BTreeMap<MetricName, Arc<Message>> = BTreeMap::new();
        let known: Box<dyn Iterator<Item = _>> = match reader.topics() {
            Some(topics) => Box::new(self.named(topics)),
            None => Box::new(self.topics.iter()),
        };
        for (topic, log) in known {
            let (Some(name), Some(message)) = (topic.metric(), &log.latest) else {
                continue;
            };
            if reader.admits(topic).is_some()
                && values.get(name).is_none_or(|other| other.id < message.id)
            {
                values.insert(name.clone(), message.clone());
            }
        }
        values
    }

    /// When more ids are remembered than allowed: up to which they should be cut, half of them
    /// roughly. Whoever's position is before it calls [`History::count_gone`] first.
    pub fn overgrown(&self) -> Option<MessageId> {
        if self.counted <= self.limits.counted_ids_max {
            return None;
        }
        // The weighted median of the rings' medians leaves between a quarter and three quarters.
        let mut medians: Vec<(MessageId, usize)> = self
            .rings()
            .filter(|ring| !ring.gone.is_empty())
            .map(|ring| (ring.gone[ring.gone.len() / 2], ring.gone.len()))
            .collect();
        medians.sort_unstable();
        let mut seen = 0;
        medians.into_iter().find_map(|(median, ids)| {
            seen += ids;
            (2 * seen >= self.counted).then_some(median)
        })
    }

    fn rings(&self) -> impl Iterator<Item = &Ring> {
        self.topics
            .values()
            .flat_map(|log| log.rings.iter().map(|(_, ring)| ring))
    }

    /// Forgets the ids up to `to`.
    pub fn cut(&mut self, to: MessageId) {
        let mut counted = 0;
        for log in self.topics.values_mut() {
            for priority in Priority::ALL {
                let ring = &mut log.rings[priority];
                ring.cut(to);
                counted += ring.gone.len();
            }
        }
        self.counted = counted;
    }

    /// Forgets topics whose newest message is `before` or older, values included. The log no longer
    /// reaches back to where they were.
    pub fn forget_idle(&mut self, before: MessageId) {
        while let Some((&newest, _)) = self.recency.first_key_value() {
            if newest > before {
                return;
            }
            let Some((_, topic)) = self.recency.pop_first() else {
                return;
            };
            self.forget(&topic);
            self.origin = self.origin.max(newest);
        }
    }

    fn forget(&mut self, topic: &Topic) {
        let Some(log) = self.topics.remove(topic) else {
            return;
        };
        self.metrics -= usize::from(matches!(topic, Topic::Metric(_)));
        for (priority, ring) in log.rings.iter() {
            let turn = Turn {
                front_before: ring.front(),
                messages_went: ring.kept.len(),
                bytes_went: ring.bytes(),
                ..Turn::default()
            };
            self.shares.turn(topic, priority, &turn);
            self.counted -= ring.gone.len();
        }
    }
}

#[cfg(test)]
mod tests;
