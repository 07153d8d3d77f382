//! Values that are overdue.

use std::time::Duration;

use super::{Effects, HubState};
use crate::domain::backlog::Reader;
use crate::domain::message::{MessageId, Topic};
use crate::domain::notice::Stale;
use crate::domain::pattern::MetricName;
use crate::domain::time::Now;

impl HubState {
    /// Looks for metrics that are overdue by now: each is announced once. All of them are looked at, so not too often.
    pub fn look_for_stale(&mut self, now: Now, effects: &mut impl Effects) {
        let ttls = &self.limits.ttls;
        if ttls.is_empty() {
            self.stale.clear();
            return;
        }
        let ttl_of = |name: &MetricName| {
            let ttl = ttls.iter().find(|(pattern, _)| pattern.matches(name));
            ttl.map(|(_, ttl)| *ttl)
        };
        let is_over = |newest: MessageId, ttl: Duration| {
            let ttl_ms = u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX);
            now.wall_ms > newest.millis().saturating_add(ttl_ms)
        };
        let overdue = |(name, newest): (&MetricName, MessageId)| {
            let ttl = ttl_of(name).filter(|ttl| is_over(newest, *ttl))?;
            let stale = Stale {
                metric: name.clone(),
                newest,
                ttl,
            };
            Some((name.clone(), stale))
        };
        let before = std::mem::take(&mut self.stale);
        self.stale = self.history.metric_ages().filter_map(overdue).collect();
        let new = self
            .stale
            .iter()
            .filter(|(name, _)| !before.contains_key(*name));
        new.for_each(|(_, stale)| effects.announce_stale(stale));
    }

    /// A metric was updated.
    pub(super) fn is_fresh(&mut self, topic: &Topic) {
        if let (Topic::Metric(name), false) = (topic, self.stale.is_empty()) {
            self.stale.remove(name);
        }
    }

    /// Of the metrics that `reader` gets, those that are overdue.
    pub(super) fn stale_for(&self, reader: &Reader<'_>) -> Vec<MetricName> {
        let forms = || {
            let views = reader.subscription.views().into_iter();
            views.map(Some).chain([None])
        };
        let gets = |name: &&MetricName| {
            forms().any(|view| reader.subscription.admits_as(view, name).is_some())
        };
        self.stale.keys().filter(gets).cloned().collect()
    }

    /// Whether the value of a metric is overdue.
    pub fn is_stale(&self, name: &MetricName) -> bool {
        self.stale.contains_key(name)
    }
}
