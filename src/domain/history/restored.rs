//! A history as a log has it that outlived the process.

use std::sync::Arc;

use super::ring::Ring;
use super::share::Turn;
use super::{History, Limits};
use crate::domain::message::{Message, MessageId, Priority, Retain, Topic};

/// One topic's messages of one priority, as a durable log has them.
#[derive(Debug)]
pub struct RestoredRing {
    pub topic: Topic,
    pub priority: Priority,
    /// Ids of messages before those of `kept`, oldest first.
    pub gone: Vec<MessageId>,
    /// Ids up to this one may be missing from `gone`.
    pub cut: MessageId,
    /// The newest messages, oldest first.
    pub kept: Vec<Arc<Message>>,
}

impl History {
    /// A log that was kept elsewhere, with positions from `origin` up to `last`.
    pub fn restored(
        limits: Limits,
        origin: MessageId,
        last: MessageId,
        rings: impl IntoIterator<Item = RestoredRing>,
    ) -> Self {
        let mut history = Self::new(limits, origin);
        history.last = last.max(origin);
        rings.into_iter().for_each(|ring| history.restore(ring));
        history.limit_topics();
        history.make_all_fit();
        history
    }

    /// Forgets the topics longest without a message until the rest is as many as allowed: a log
    /// elsewhere still has those that were forgotten here.
    pub(crate) fn limit_topics(&mut self) {
        let max = self.limits.metrics_max;
        while self.metrics > max || self.topics.len() - self.metrics > max.saturating_mul(10) {
            let Some((newest, topic)) = self.recency.pop_first() else {
                return;
            };
            self.forget(&topic);
            self.origin = self.origin.max(newest);
        }
    }

    /// The same log, which lacks what may have been between these: it was set back. In order, and apart.
    pub fn with_holes(mut self, holes: Vec<(MessageId, MessageId)>) -> Self {
        self.holes = holes;
        self
    }

    pub(super) fn restore(&mut self, restored: RestoredRing) {
        let RestoredRing {
            topic,
            priority,
            gone,
            cut,
            kept,
        } = restored;
        let Some(newest) = kept.last().cloned() else {
            // Whatever it had is cut, so nobody from before that can be told what was missed.
            self.origin = self.origin.max(cut);
            return;
        };
        if matches!(topic, Topic::State(_)) {
            return self.keep_state(newest);
        }
        let mut ring = Ring {
            kept: kept.into(),
            gone: gone.into(),
            cut,
            replaced_before: MessageId::ZERO,
        };
        // The newest gauge update has replaced whatever came before it.
        let gauge = ring
            .kept
            .iter()
            .rev()
            .find(|it| it.retain == Retain::Latest);
        ring.replaced_before = gauge.map_or(MessageId::ZERO, |gauge| gauge.id);
        let over = |ring: &Ring| {
            ring.kept.len() > self.limits.backlog_messages_max
                || ring
                    .front()
                    .is_some_and(|front| front < ring.replaced_before)
        };
        while over(&ring) {
            ring.let_go();
        }
        self.counted += ring.gone.len();
        let turn = Turn {
            front: ring.front(),
            messages_came: ring.kept.len(),
            bytes_came: ring.bytes(),
            ..Turn::default()
        };
        self.shares.turn(&topic, priority, &turn);
        if !self.topics.contains_key(&topic) {
            self.metrics += usize::from(matches!(topic, Topic::Metric(_)));
        }
        let log = self.topics.entry(topic.clone()).or_default();
        log.rings[priority] = ring;
        if newest.id > log.newest {
            self.recency.remove(&log.newest);
            self.recency.insert(newest.id, topic.clone());
            log.newest = newest.id;
        }
        let is_newer = log
            .latest
            .as_ref()
            .is_none_or(|latest| latest.id < newest.id);
        if topic.metric().is_some() && is_newer {
            log.latest = Some(newest);
        }
    }
}
