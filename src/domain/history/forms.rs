//! What the log has of a metric, for who sees it in another form.

use std::sync::Arc;

use super::{History, RestoredRing};
use crate::domain::message::{Message, MessageId, PerPriority, Priority, Topic};
use crate::domain::pattern::MetricName;

/// How much of the past is made anew in another form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The newest value of each metric: nobody was here before.
    Newest,
    /// All that is kept.
    Kept,
}

impl History {
    /// The topics that `wants` picks, as `form` has their messages, which it sees in the order of their ids. With
    /// `sees_all` none is left out, so that those that had to go are known to count.
    pub fn in_form(
        &self,
        wants: impl Fn(&Topic) -> bool,
        depth: Depth,
        sees_all: bool,
        mut form: impl FnMut(&Arc<Message>) -> Option<Arc<Message>>,
    ) -> Vec<RestoredRing> {
        let mut made = Vec::new();
        for (topic, log) in self.topics.iter().filter(|(topic, _)| wants(topic)) {
            let rings = || log.rings.iter().map(|(_, ring)| ring);
            let kept = rings().flat_map(|ring| &ring.kept);
            let mut all: Vec<&Arc<Message>> = kept.chain(&log.latest).collect();
            all.sort_unstable_by_key(|message| message.id);
            all.dedup_by_key(|message| message.id);
            if depth == Depth::Newest {
                all.drain(..all.len().saturating_sub(1));
            }
            let mut formed: PerPriority<Vec<Arc<Message>>> = PerPriority::default();
            for message in &all {
                formed[message.priority].extend(form(message));
            }
            // What is not here nobody can be told of.
            let unseen = match (depth, sees_all) {
                (Depth::Newest, _) => all.last().map_or(MessageId::ZERO, |newest| newest.id),
                (Depth::Kept, true) => MessageId::ZERO,
                (Depth::Kept, false) => {
                    let gone = rings().map(|ring| ring.last_gone());
                    gone.max().unwrap_or_default()
                }
            };
            for priority in Priority::ALL {
                let ring = &log.rings[priority];
                let counts = depth == Depth::Kept && sees_all;
                made.push(RestoredRing {
                    topic: topic.clone(),
                    priority,
                    gone: ring.gone.iter().filter(|_| counts).copied().collect(),
                    cut: ring.cut.max(unseen),
                    kept: std::mem::take(&mut formed[priority]),
                });
            }
        }
        made
    }

    /// Has these rings too. Of one that has no messages it is known what it lacks.
    pub fn take_in(&mut self, rings: Vec<RestoredRing>) {
        for ring in rings {
            if !ring.kept.is_empty() {
                self.restore(ring);
                continue;
            }
            let newest = ring.gone.last().copied().unwrap_or_default().max(ring.cut);
            if newest == MessageId::ZERO {
                continue;
            }
            let log = self.topics.entry(ring.topic.clone()).or_default();
            let empty = &mut log.rings[ring.priority];
            (empty.cut, empty.gone) = (ring.cut, ring.gone.into());
            self.counted += empty.gone.len();
            if newest > log.newest {
                self.recency.remove(&log.newest);
                self.recency.insert(newest, ring.topic);
                log.newest = newest;
            }
        }
        self.metrics = self
            .topics
            .keys()
            .filter(|it| matches!(it, Topic::Metric(_)))
            .count();
        self.make_all_fit();
    }

    /// Forgets the other topics, as if there had been none.
    pub fn retain(&mut self, keeps: impl Fn(&Topic) -> bool) {
        let goes: Vec<Topic> = self
            .topics
            .keys()
            .filter(|topic| !keeps(topic))
            .cloned()
            .collect();
        for topic in goes {
            if let Some(log) = self.topics.get(&topic) {
                self.recency.remove(&log.newest);
            }
            self.forget(&topic);
        }
    }

    /// The metrics that are everybody's, and the newest id of each.
    pub fn metric_ages(&self) -> impl Iterator<Item = (&MetricName, MessageId)> {
        self.topics.iter().filter_map(|(topic, log)| match topic {
            Topic::Metric(name) => Some((name, log.latest.as_ref()?.id)),
            _ => None,
        })
    }

    /// Has the message, which is not here yet, know the one before it of its topic.
    pub fn tell_before(&self, message: &Message) {
        let log = self.topics.get(&message.topic);
        if let Some(before) = log.and_then(|log| log.latest.as_ref()) {
            // Only whoever is about to deliver it says so.
            let _ = message.before.set((before.id, before.value()));
        }
    }

    /// Positions before this one belong to a log that is gone.
    pub fn origin(&self) -> MessageId {
        self.origin
    }
}
