//! From a topic to the connections it goes to, without matching patterns per message.
//!
//! Each worker keeps its own table for its own connections. A distinct pattern is matched once
//! against each metric, when a message of it comes and either of them is new; after that a message
//! finds its connections by look-up, and connecting ten thousand clients that ask for the same costs
//! no matching at all. Nor does changing a subscription: who does it all the time would hold up
//! everybody on the worker, were each new pattern held against every metric there is.

use std::collections::{BTreeMap, HashMap};

use indexmap::IndexSet;

use super::message::{Topic, Transport, UserId};
use super::pattern::{MetricName, Pattern};
use super::subscription::Subscription;
use super::view::{Selector, View};

/// A connection's place in its worker's table.
pub type Slot = u32;

/// Metrics whose patterns are remembered before the table starts anew.
const RESOLVED_MAX: usize = 65_536;

/// Names a wildcard pattern for as long as somebody has it. Later ones are greater.
type Number = u64;

#[derive(Debug, Default)]
pub struct Routes {
    unnamed: IndexSet<Slot>,
    /// Who gets metrics as they are published.
    plain: Table,
    /// And who by a view, for each that somebody here has.
    views: HashMap<View, Table>,
    /// Every connection, by its user.
    users: HashMap<UserId, IndexSet<Slot>>,
}

/// Patterns, and who has them.
#[derive(Debug, Default)]
struct Table {
    exact: HashMap<MetricName, IndexSet<Slot>>,
    wild: BTreeMap<Number, Wild>,
    numbers: HashMap<Pattern, Number>,
    /// The next pattern's.
    next: Number,
    /// For metrics that there were messages of.
    resolved: HashMap<MetricName, Resolved>,
}

/// A wildcard pattern and who has it.
#[derive(Debug)]
struct Wild {
    pattern: Pattern,
    slots: IndexSet<Slot>,
}

/// What is known of a metric.
#[derive(Debug, Default)]
struct Resolved {
    /// The patterns that match it. One that nobody has any more goes at the next message.
    matching: Vec<Number>,
    /// Patterns from this number on it has not been held against.
    next: Number,
}

impl Routes {
    pub fn add(&mut self, slot: Slot, user: &UserId, subscription: &Subscription) {
        self.users.entry(user.clone()).or_default().insert(slot);
        self.subscribe(slot, subscription);
    }

    /// `subscription` must be the one that was added.
    pub fn remove(&mut self, slot: Slot, user: &UserId, subscription: &Subscription) {
        self.unnamed.swap_remove(&slot);
        for selector in subscription.selectors() {
            self.unsubscribe_from(slot, &selector);
        }
        take_out(&mut self.users, user, slot);
    }

    pub fn change(&mut self, slot: Slot, old: &Subscription, new: &Subscription) {
        let had = old.selectors();
        let has = new.selectors();
        // First what comes: a pattern that stays must not lose the number that topics know it by.
        self.subscribe(slot, new);
        if !new.is_everything() {
            self.unnamed.swap_remove(&slot);
        }
        for selector in had.into_iter().filter(|selector| !has.contains(selector)) {
            self.unsubscribe_from(slot, &selector);
        }
    }

    fn subscribe(&mut self, slot: Slot, subscription: &Subscription) {
        if subscription.is_everything() {
            self.unnamed.insert(slot);
            return;
        }
        for Selector { pattern, view } in subscription.selectors() {
            let table = match view {
                None => &mut self.plain,
                Some(view) => self.views.entry(view).or_default(),
            };
            table.subscribe(slot, pattern);
        }
    }

    fn unsubscribe_from(&mut self, slot: Slot, selector: &Selector) {
        let Some(view) = &selector.view else {
            return self.plain.unsubscribe(slot, &selector.pattern);
        };
        if let Some(table) = self.views.get_mut(view) {
            table.unsubscribe(slot, &selector.pattern);
            if table.is_empty() {
                self.views.remove(view);
            }
        }
    }

    /// Calls `visit` with the slot of every connection that a message on `topic` may go to, by `view` or as it
    /// was published. A slot can come more than once, for a connection whose patterns overlap: the outbox knows
    /// what it has taken. For a user's own topics, and for a subscription that is mixed, the caller must still ask
    /// the subscription: [`admits`].
    pub fn visit(&mut self, topic: &Topic, view: Option<&View>, mut visit: impl FnMut(Slot)) {
        match (topic, view) {
            (Topic::State(_), _) => {}
            (Topic::Alerts, _) => self.users.values().flatten().copied().for_each(visit),
            (Topic::UserMetric(_, user) | Topic::Test(user, _), _) => {
                let own = self.users.get(user).into_iter();
                own.flatten().copied().for_each(visit);
            }
            (Topic::Metric(name), None) => {
                self.unnamed.iter().copied().for_each(&mut visit);
                self.plain.visit(name, visit);
            }
            (Topic::Metric(name), Some(view)) => {
                if let Some(table) = self.views.get_mut(view) {
                    table.visit(name, visit);
                }
            }
        }
    }
}

impl Routes {
    /// Calls `visit` with the slot of every connection that gets the metric, in whatever form; some more than once.
    pub fn visit_all(&mut self, name: &MetricName, mut visit: impl FnMut(Slot)) {
        self.unnamed.iter().copied().for_each(&mut visit);
        self.plain.visit(name, &mut visit);
        let views = self.views.values_mut();
        views.for_each(|table| table.visit(name, &mut visit));
    }
}

impl Table {
    fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wild.is_empty()
    }

    fn subscribe(&mut self, slot: Slot, pattern: Pattern) {
        if let Some(name) = pattern.as_exact() {
            self.exact.entry(name).or_default().insert(slot);
            return;
        }
        let number = *self.numbers.entry(pattern.clone()).or_insert(self.next);
        self.next = self.next.max(number + 1);
        let slots = IndexSet::new();
        let new = Wild { pattern, slots };
        self.wild.entry(number).or_insert(new).slots.insert(slot);
    }

    fn unsubscribe(&mut self, slot: Slot, pattern: &Pattern) {
        if let Some(name) = pattern.as_exact() {
            return take_out(&mut self.exact, &name, slot);
        }
        let Some(&number) = self.numbers.get(pattern) else {
            return;
        };
        let Some(wild) = self.wild.get_mut(&number) else {
            return;
        };
        wild.slots.swap_remove(&slot);
        if wild.slots.is_empty() {
            self.wild.remove(&number);
            self.numbers.remove(pattern);
        }
    }

    fn visit(&mut self, name: &MetricName, mut visit: impl FnMut(Slot)) {
        let named = self.exact.get(name).into_iter();
        named.flatten().copied().for_each(&mut visit);
        if !self.wild.is_empty() {
            self.visit_wild(name, visit);
        }
    }

    fn visit_wild(&mut self, name: &MetricName, mut visit: impl FnMut(Slot)) {
        if !self.resolved.contains_key(name) {
            if self.resolved.len() >= RESOLVED_MAX {
                self.resolved.clear();
            }
            self.resolved.insert(name.clone(), Resolved::default());
        }
        let Some(resolved) = self.resolved.get_mut(name) else {
            return;
        };
        if resolved.next < self.next {
            let new = self.wild.range(resolved.next..);
            let new = new.filter(|(_, wild)| wild.pattern.matches(name));
            resolved.matching.extend(new.map(|(number, _)| *number));
            resolved.next = self.next;
        }
        resolved.matching.retain(|number| {
            let wild = self.wild.get(number);
            let slots = wild.into_iter().flat_map(|wild| &wild.slots);
            slots.copied().for_each(&mut visit);
            wild.is_some()
        });
    }
}

/// Whether a message goes to a connection that it was routed to. `user`s have their own topics, and a metric that
/// several patterns name comes in one form only.
pub fn admits(
    topic: &Topic,
    view: Option<&View>,
    transport: Transport,
    subscription: &Subscription,
) -> bool {
    match topic {
        Topic::Metric(_) if !subscription.is_mixed() => true,
        Topic::Metric(name) | Topic::UserMetric(name, _) => {
            subscription.admits_as(view, name).is_some()
        }
        Topic::Test(_, wanted) => *wanted == transport,
        Topic::Alerts => true,
        Topic::State(_) => false,
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
    use proptest::prelude::*;

    fn subscription(patterns: &[&str]) -> Subscription {
        crate::domain::testing::subscription(patterns)
    }

    fn metric(text: &str) -> Topic {
        Topic::Metric(MetricName::parse(text).unwrap())
    }

    fn slots(routes: &mut Routes, topic: &Topic) -> Vec<Slot> {
        let mut slots = Vec::new();
        routes.visit(topic, None, |slot| slots.push(slot));
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

    /// Attack: subscription explosion. A script that subscribes to ever new patterns, and leaves each
    /// again, must not leave a list behind that every later message of the metric walks.
    #[test]
    fn of_patterns_that_come_and_go_nothing_stays() {
        let user = UserId::parse("u").unwrap();
        let mut routes = Routes::default();
        let deep = metric(&vec!["a"; 16].join("."));
        routes.add(1, &user, &subscription(&["a.**"]));
        for nth in 0..10_000 {
            let star = |bit: usize| if nth >> bit & 1 == 0 { "*" } else { "a" };
            let segments: Vec<&str> = (0..15).map(star).chain(["*"]).collect();
            let pattern = subscription(&[&segments.join(".")]);
            routes.add(2, &user, &pattern);
            if nth % 2 == 0 {
                assert_eq!(slots(&mut routes, &deep), [1, 2]);
            }
            routes.remove(2, &user, &pattern);
        }
        assert_eq!(slots(&mut routes, &deep), [1]);
        let listed: usize = routes
            .plain
            .resolved
            .values()
            .map(|it| it.matching.len())
            .sum();
        assert_eq!(
            (listed, routes.plain.wild.len(), routes.plain.numbers.len()),
            (1, 1, 1)
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
