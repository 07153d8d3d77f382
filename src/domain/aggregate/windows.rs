//! The windows of one aggregate, over the panes of all origins.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::stretch::{STRETCHES, Stretch, stretch_of};
use super::{Observation, Pane, Partial, Plan};

/// Results that are told together at most, where several are due at once: after a stop, or a clock that
/// jumped. Older ones are left out.
pub const RESULTS_AT_ONCE_MAX: u64 = 10;
/// A clock that has gone back by less is waited for.
const CLOCK_BACK_MAX_MS: u64 = 60_000;

/// By whom something was counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// Messages of the log, which every hub counts alike.
    Log,
    /// Events that this hub was sent.
    Here,
    /// Events that another hub was sent, or this one before it began anew.
    Hub(Arc<str>),
}

/// What has become of an observation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Counted,
    /// Counted, among those of groups that there is no room for.
    CountedAsOther,
    /// Its pane is closed.
    Late,
    /// It is from the future, by more than clocks differ.
    Ahead,
}

/// The windows of one aggregate.
pub struct Windows {
    plan: Plan,
    panes: BTreeMap<Origin, BTreeMap<u64, Pane>>,
    /// Stretches of this hub's own events, and of the log, that were not written down since they changed.
    changed: BTreeMap<Origin, BTreeSet<u64>>,
    /// Panes that end here or before are closed.
    closed_to: u64,
    /// Windows that end here or before have been told.
    told_to: u64,
}

/// What came of one window.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowResult {
    /// In milliseconds since the Unix epoch; the window ends before `to_ms`.
    pub from_ms: u64,
    pub to_ms: u64,
    /// Observations in it, over all groups.
    pub count: u64,
    /// What came too late while it lasted, and is in no window.
    pub late: u64,
    pub groups: Vec<GroupResult>,
    /// Observations of groups that there was no room for; their result is that of the group `other`.
    pub ungrouped: u64,
    pub other: Option<f64>,
}

/// Of one group; without groups there is one of no name.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupResult {
    pub group: Box<str>,
    pub value: Option<f64>,
    pub count: u64,
}

impl Windows {
    /// Nothing is known before `now_ms`; the first window that is told is the next that ends.
    pub fn new(plan: Plan, now_ms: u64) -> Self {
        let closed = plan.pane_of(now_ms.saturating_sub(plan.grace_ms));
        Self {
            plan,
            panes: BTreeMap::new(),
            changed: BTreeMap::new(),
            closed_to: closed,
            told_to: closed,
        }
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The end of the last window that was told.
    pub fn told_to(&self) -> u64 {
        self.told_to
    }

    /// Counts an event that this hub was sent.
    pub fn add(&mut self, observation: &Observation, now_ms: u64) -> Verdict {
        let at_ms = observation.at.millis();
        if at_ms > now_ms + self.plan.grace_ms + self.plan.every_ms {
            return Verdict::Ahead;
        }
        let start = self.plan.pane_of(at_ms);
        if start < self.closed_to {
            let present = self.plan.pane_of(now_ms).max(self.closed_to);
            self.pane(Origin::Here, present).late += 1;
            return Verdict::Late;
        }
        self.put(Origin::Here, start, observation)
    }

    /// Counts a message of the log, which comes in the log's order, however late: all hubs count it. `Late` where
    /// no window needs it any more.
    pub fn add_logged(&mut self, observation: &Observation) -> Verdict {
        let start = self.plan.pane_of(observation.at.millis());
        if start < self.needed_from() {
            return Verdict::Late;
        }
        self.put(Origin::Log, start, observation)
    }

    fn put(&mut self, origin: Origin, start: u64, observation: &Observation) -> Verdict {
        let plan = self.plan.clone();
        match self.pane(origin, start).add(observation, &plan) {
            true => Verdict::Counted,
            false => Verdict::CountedAsOther,
        }
    }

    /// To be changed.
    fn pane(&mut self, origin: Origin, start: u64) -> &mut Pane {
        let stretch = stretch_of(start, &self.plan);
        self.changed
            .entry(origin.clone())
            .or_default()
            .insert(stretch);
        let panes = self.panes.entry(origin).or_default();
        panes.entry(start).or_default()
    }

    /// Takes over what an origin has written: in the place of what was known of those panes.
    pub fn take_over(&mut self, origin: &Origin, stretch: &Stretch) {
        let from = self.needed_from();
        let panes = stretch.panes(&self.plan);
        let known = self.panes.entry(origin.clone()).or_default();
        known.extend(panes.filter(|(start, _)| *start >= from));
    }

    /// Windows that end at `told_to` or before have been told, by whomever; those of later ones are still to be,
    /// though not more than [`RESULTS_AT_ONCE_MAX`].
    pub fn resume(&mut self, told_to: u64) {
        let every = self.plan.every_ms;
        let oldest = self.closed_to.saturating_sub(RESULTS_AT_ONCE_MAX * every);
        self.told_to = self.plan.pane_of(told_to).clamp(oldest, self.closed_to);
    }

    /// As [`Windows::resume`], from what another hub says while both run: it never goes back.
    pub fn told_elsewhere(&mut self, told_to: u64) {
        let told_to = self.plan.pane_of(told_to).min(self.closed_to);
        self.told_to = self.told_to.max(told_to);
        self.forget();
    }

    /// Closes the panes whose grace is over at `now_ms`; whether there were any.
    pub fn close(&mut self, now_ms: u64) -> bool {
        let closed = self.plan.pane_of(now_ms.saturating_sub(self.plan.grace_ms));
        if self.closed_to > now_ms + CLOCK_BACK_MAX_MS {
            // The clock was far ahead of what it is now: all would be late until it is there again.
            (self.closed_to, self.told_to) = (closed, closed);
        }
        let has_closed = closed > self.closed_to;
        self.closed_to = self.closed_to.max(closed);
        has_closed
    }

    /// The ends of the windows that are final, from the first that was not told, where all origins have had
    /// `settle_ms` to tell what they counted. Not more than [`RESULTS_AT_ONCE_MAX`].
    pub fn due(&self, now_ms: u64, settle_ms: u64) -> Vec<u64> {
        let every = self.plan.every_ms;
        let final_at = now_ms.saturating_sub(self.plan.grace_ms + settle_ms);
        let last = self.plan.pane_of(final_at).min(self.closed_to);
        let first = last.saturating_sub((RESULTS_AT_ONCE_MAX - 1) * every);
        let first = first.max(self.told_to + every);
        (first..=last).step_by(every as usize).collect()
    }

    /// What came of the window that ends at `to_ms`.
    pub fn result(&self, to_ms: u64) -> WindowResult {
        let plan = &self.plan;
        let from_ms = to_ms.saturating_sub(plan.window_ms);
        let mut all = Pane::default();
        for panes in self.panes.values() {
            let of_window = panes.range(from_ms..to_ms);
            of_window.for_each(|(_, pane)| all.merge(pane));
        }
        let late = all.late;
        let (mut groups, other) = all.bounded(plan);
        if !plan.is_grouped && groups.is_empty() {
            groups.push((Box::default(), Partial::new(plan)));
        }
        let ungrouped = other.as_ref().map_or(0, |other| other.count);
        let counted: u64 = groups.iter().map(|(_, partial)| partial.count).sum();
        let result = |(group, partial): (Box<str>, Partial)| GroupResult {
            group,
            value: partial.value(plan),
            count: partial.count,
        };
        WindowResult {
            from_ms,
            to_ms,
            count: counted + ungrouped,
            late,
            groups: groups.into_iter().map(result).collect(),
            ungrouped,
            other: other.and_then(|other| other.value(plan)),
        }
    }

    /// The window that ends at `to_ms` has been told, and all before it. What no later one needs is forgotten.
    pub fn told(&mut self, to_ms: u64) {
        self.told_to = self.told_to.max(to_ms);
        self.forget();
    }

    fn forget(&mut self) {
        let from = self.needed_from();
        let plan = &self.plan;
        for panes in self.panes.values_mut() {
            if panes
                .first_key_value()
                .is_some_and(|(start, _)| *start < from)
            {
                *panes = panes.split_off(&from);
            }
        }
        self.panes.retain(|_, panes| !panes.is_empty());
        let first = stretch_of(from, plan);
        for stretches in self.changed.values_mut() {
            stretches.retain(|stretch| *stretch >= first);
        }
    }

    /// Panes that end here or before are closed.
    pub fn closed_to(&self) -> u64 {
        self.closed_to
    }

    /// When the next pane is closed, or the next window due.
    pub fn next_ms(&self, settle_ms: u64) -> u64 {
        let first = self.closed_to.min(self.told_to + settle_ms);
        first + self.plan.every_ms + self.plan.grace_ms
    }

    /// The first pane of the next window that is to be told.
    pub fn needed_from(&self) -> u64 {
        let next = self.told_to + self.plan.every_ms;
        next.saturating_sub(self.plan.window_ms)
    }

    /// Whether something of an origin was not written down since it changed.
    pub fn has_changed(&self, origin: &Origin) -> bool {
        self.changed.get(origin).is_some_and(|it| !it.is_empty())
    }

    /// What of an origin changed since this was asked last, each with the place that it is kept in.
    pub fn take_changed(&mut self, origin: &Origin) -> Vec<(u64, Stretch)> {
        let changed = self.changed.remove(origin).unwrap_or_default();
        let plan = &self.plan;
        let empty = BTreeMap::new();
        let panes = self.panes.get(origin).unwrap_or(&empty);
        let of = |stretch: u64| {
            let panes = panes.iter().map(|(start, pane)| (*start, pane));
            Stretch::new(panes.filter(|(start, _)| stretch_of(*start, plan) == stretch))
        };
        let changed = changed.into_iter();
        changed.map(|it| (it % STRETCHES, of(it))).collect()
    }

    /// What was taken with [`Windows::take_changed`] has not been written after all.
    pub fn not_written(&mut self, origin: &Origin) {
        let plan = &self.plan;
        let panes = self.panes.get(origin).into_iter().flatten();
        let all: BTreeSet<_> = panes.map(|(start, _)| stretch_of(*start, plan)).collect();
        self.changed.entry(origin.clone()).or_default().extend(all);
    }

    /// Panes that are kept, over all origins.
    pub fn panes(&self) -> usize {
        self.panes.values().map(BTreeMap::len).sum()
    }
}
