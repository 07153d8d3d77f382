//! From a topic to the connections it goes to, without matching patterns per message.
//!
//! Each worker keeps its own table for its own connections. A distinct pattern is matched once
//! against each metric, when either of them is new; after that a message finds its connections by
//! look-up, and connecting ten thousand clients that ask for the same costs no matching at all.

use std::collections::HashMap;

use indexmap::IndexSet;

use super::message::{Topic, Transport, UserId};
use super::pattern::{MetricName, Pattern, Subscription};

/// A connection's place in its worker's table.
pub type Slot = u32;

/// Metrics whose patterns are remembered before the table starts anew.
const RESOLVED_MAX: usize = 65_536;

#[derive(Debug, Default)]
pub struct Routes {
    unnamed: IndexSet<Slot>,
    exact: HashMap<MetricName, IndexSet<Slot>>,
    wild: HashMap<Pattern, IndexSet<Slot>>,
    /// Every connection, by its user.
    users: HashMap<UserId, IndexSet<Slot>>,
    /// The wildcard patterns that match a metric, for metrics that have been asked for.
    resolved: HashMap<MetricName, Vec<Pattern>>,
}

impl Routes {
    pub fn add(&mut self, slot: Slot, user: &UserId, subscription: &Subscription) {
        self.users.entry(user.clone()).or_default().insert(slot);
        self.subscribe(slot, subscription);
    }

    /// `subscription` must be the one that was added.
    pub fn remove(&mut self, slot: Slot, user: &UserId, subscription: &Subscription) {
        self.unsubscribe(slot, subscription);
        take_out(&mut self.users, user, slot);
    }

    pub fn change(&mut self, slot: Slot, old: &Subscription, new: &Subscription) {
        self.unsubscribe(slot, old);
        self.subscribe(slot, new);
    }

    fn subscribe(&mut self, slot: Slot, subscription: &Subscription) {
        if subscription.is_everything() {
            self.unnamed.insert(slot);
            return;
        }
        for pattern in subscription.patterns() {
            if let Some(name) = pattern.as_exact() {
                self.exact.entry(name).or_default().insert(slot);
                continue;
            }
            if !self.wild.contains_key(&pattern) {
                self.resolve_again(&pattern);
            }
            self.wild.entry(pattern).or_default().insert(slot);
        }
    }

    fn unsubscribe(&mut self, slot: Slot, subscription: &Subscription) {
        self.unnamed.swap_remove(&slot);
        for pattern in subscription.patterns() {
            match pattern.as_exact() {
                Some(name) => take_out(&mut self.exact, &name, slot),
                None => take_out(&mut self.wild, &pattern, slot),
            }
        }
    }

    /// A pattern that nobody had: each metric known learns whether it matches. Where the pattern
    /// was there before, a metric may list it already.
    fn resolve_again(&mut self, pattern: &Pattern) {
        for (name, patterns) in &mut self.resolved {
            if pattern.matches(name) && !patterns.contains(pattern) {
                patterns.push(pattern.clone());
            }
        }
    }

    /// Calls `visit` with the slot of every connection that a message on `topic` may go to. A slot
    /// can come more than once, for a connection whose patterns overlap: the outbox knows what it
    /// has taken. For a user's own topics the caller must still ask the subscription.
    pub fn visit(&mut self, topic: &Topic, mut visit: impl FnMut(Slot)) {
        match topic {
            Topic::Alerts => self.users.values().flatten().copied().for_each(visit),
            Topic::UserMetric(_, user) | Topic::Test(user, _) => {
                self.users
                    .get(user)
                    .into_iter()
                    .flatten()
                    .copied()
                    .for_each(visit);
            }
            Topic::Metric(name) => {
                self.unnamed.iter().copied().for_each(&mut visit);
                self.exact
                    .get(name)
                    .into_iter()
                    .flatten()
                    .copied()
                    .for_each(&mut visit);
                if self.wild.is_empty() {
                    return;
                }
                if !self.resolved.contains_key(name) {
                    self.resolve(name);
                }
                let patterns = self.resolved.get(name).into_iter().flatten();
                patterns
                    .filter_map(|pattern| self.wild.get(pattern))
                    .flatten()
                    .copied()
                    .for_each(visit);
            }
        }
    }

    fn resolve(&mut self, name: &MetricName) {
        if self.resolved.len() >= RESOLVED_MAX {
            self.resolved.clear();
        }
        let matching = self
            .wild
            .keys()
            .filter(|pattern| pattern.matches(name))
            .cloned()
            .collect();
        self.resolved.insert(name.clone(), matching);
    }
}

/// Whether a message on one of a user's own topics goes to a connection of that user.
pub fn admits_own(topic: &Topic, transport: Transport, subscription: &Subscription) -> bool {
    match topic {
        Topic::UserMetric(name, _) => subscription.admits(name).is_some(),
        Topic::Test(_, wanted) => *wanted == transport,
        Topic::Metric(_) | Topic::Alerts => true,
    }
}

fn take_out<K: std::hash::Hash + Eq>(sets: &mut HashMap<K, IndexSet<Slot>>, key: &K, slot: Slot) {
    if let Some(slots) = sets.get_mut(key) {
        slots.swap_remove(&slot);
        if slots.is_empty() {
            sets.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::MessageId;
    use proptest::prelude::*;

    fn subscription(patterns: &[&str]) -> Subscription {
        let patterns: Vec<_> = patterns
            .iter()
            .map(|text| Pattern::parse(text).unwrap())
            .collect();
        Subscription::new(&patterns, MessageId::ZERO).unwrap()
    }

    fn metric(text: &str) -> Topic {
        Topic::Metric(MetricName::parse(text).unwrap())
    }

    fn slots(routes: &mut Routes, topic: &Topic) -> Vec<Slot> {
        let mut slots = Vec::new();
        routes.visit(topic, |slot| slots.push(slot));
        slots.sort_unstable();
        slots.dedup();
        slots
    }

    #[test]
    fn alerts_go_to_everyone_and_own_topics_to_the_user() {
        let (a, b) = (UserId::parse("a").unwrap(), UserId::parse("b").unwrap());
        let mut routes = Routes::default();
        routes.add(1, &a, &subscription(&["x"]));
        routes.add(2, &b, &subscription(&[]));
        assert_eq!(slots(&mut routes, &Topic::Alerts), [1, 2]);
        assert_eq!(
            slots(&mut routes, &Topic::Test(b.clone(), Transport::Sse)),
            [2]
        );
        routes.remove(2, &b, &subscription(&[]));
        assert_eq!(slots(&mut routes, &Topic::Alerts), [1]);
        assert_eq!(
            slots(&mut routes, &Topic::Test(b, Transport::Sse)),
            [] as [Slot; 0]
        );
    }

    proptest! {
        #[test]
        fn routes_agree_with_the_subscriptions_after_any_changes(
            steps in prop::collection::vec(
                (0..6u32, prop::collection::vec(prop::sample::select(vec!["a", "b", "a.b", "a.*", "*", "**", "a.**"]), 0..4),
                 prop::sample::select(vec!["a", "b", "a.b", "a.c", "c"])),
                1..60,
            )
        ) {
            let user = UserId::parse("u").unwrap();
            let mut routes = Routes::default();
            let mut model: HashMap<Slot, Subscription> = HashMap::new();
            for (slot, patterns, asked) in steps {
                let new = subscription(&patterns);
                match model.remove(&slot) {
                    None => { routes.add(slot, &user, &new); model.insert(slot, new); }
                    Some(old) if patterns.len() == 1 => routes.remove(slot, &user, &old),
                    Some(old) => { routes.change(slot, &old, &new); model.insert(slot, new); }
                }
                let name = MetricName::parse(asked).unwrap();
                let mut expected: Vec<Slot> = model.iter().filter(|(_, s)| s.admits(&name).is_some()).map(|(slot, _)| *slot).collect();
                expected.sort_unstable();
                prop_assert_eq!(slots(&mut routes, &metric(asked)), expected);
            }
        }
    }
}
