//! Which topics of the log are summed up.

use std::collections::HashSet;
use std::sync::Arc;

use arc_swap::ArcSwap;

use super::documents::Document;
use super::rules::Rules;
use crate::config;
use crate::domain::message::Topic;

/// The metrics that aggregates are made from, and what other hubs write down. Clones are the same.
#[derive(Clone, Default)]
pub struct Watched(Arc<ArcSwap<HashSet<String>>>);

impl Watched {
    pub fn of(settings: &[config::Aggregate]) -> Self {
        let watched = Self::default();
        watched.set(settings.iter().map(|one| one.from.to_string()));
        watched
    }

    pub(super) fn follow(&self, rules: &Rules) {
        self.set(rules.all().map(|rule| rule.settings.from.to_string()));
    }

    fn set(&self, names: impl Iterator<Item = String>) {
        self.0.store(Arc::new(names.collect()));
    }

    /// Whether it is one of them. What is for one user only is not.
    pub fn wants(&self, topic: &Topic) -> bool {
        match topic {
            Topic::Metric(metric) => {
                let names = self.0.load();
                !names.is_empty() && names.contains(metric.as_str())
            }
            Topic::State(name) => Document::is_one(name) && !self.0.load().is_empty(),
            _ => false,
        }
    }
}
