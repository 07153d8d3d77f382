//! One pane: a partial for each group.

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::partial::{self, Partial};
use super::{Observation, Plan};

/// What is kept of the observations of one pane, or of all panes of a window.
#[derive(Clone, Default)]
pub struct Pane {
    groups: HashMap<Box<str>, Partial>,
    /// What came for groups that there was no more room for.
    other: Option<Partial>,
    /// What came while this pane was the present one, for panes that were closed.
    pub late: u64,
}

impl Pane {
    /// Takes one observation in; false where it went to all the others, as there are too many groups.
    pub fn add(&mut self, observation: &Observation, plan: &Plan) -> bool {
        if let Some(partial) = self.groups.get_mut(&observation.group) {
            partial.add(observation);
            return true;
        }
        let has_room = self.groups.len() < plan.groups_max;
        let partial = match has_room {
            true => self
                .groups
                .entry(observation.group.clone())
                .or_insert_with(|| Partial::new(plan)),
            false => self.other.get_or_insert_with(|| Partial::new(plan)),
        };
        partial.add(observation);
        has_room
    }

    /// Groups may become more than allowed: [`Pane::bounded`] says which stay.
    pub fn merge(&mut self, other: &Self) {
        for (group, partial) in &other.groups {
            match self.groups.get_mut(group) {
                Some(known) => known.merge(partial),
                None => _ = self.groups.insert(group.clone(), partial.clone()),
            }
        }
        merge_into(&mut self.other, other.other.as_ref());
        self.late += other.late;
    }

    /// The groups in their order, at most so many as allowed: those with most observations. The rest is put
    /// together.
    pub fn bounded(self, plan: &Plan) -> (Vec<(Box<str>, Partial)>, Option<Partial>) {
        let mut groups: Vec<_> = self.groups.into_iter().collect();
        let mut other = self.other;
        if groups.len() > plan.groups_max {
            groups.sort_by(|(a, of_a), (b, of_b)| of_b.count.cmp(&of_a.count).then(a.cmp(b)));
            for (_, partial) in groups.split_off(plan.groups_max) {
                merge_into(&mut other, Some(&partial));
            }
        }
        groups.sort_by(|(a, _), (b, _)| a.cmp(b));
        (groups, other)
    }

    pub(super) fn write(&self) -> Written {
        let groups = self.groups.iter();
        Written {
            groups: groups.map(|(key, it)| (key.clone(), it.write())).collect(),
            other: self.other.as_ref().map(Partial::write),
            late: self.late,
        }
    }

    /// What cannot be read is left out.
    pub(super) fn read(written: &Written, plan: &Plan) -> Self {
        let read = |written| Partial::read(written, plan);
        let groups = written.groups.iter();
        Self {
            groups: groups
                .filter_map(|(key, it)| Some((key.clone(), read(it)?)))
                .collect(),
            other: written.other.as_ref().and_then(read),
            late: written.late,
        }
    }
}

fn merge_into(into: &mut Option<Partial>, partial: Option<&Partial>) {
    match (into, partial) {
        (_, None) => {}
        (Some(known), Some(partial)) => known.merge(partial),
        (into, Some(partial)) => *into = Some(partial.clone()),
    }
}

/// A pane as it is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Written {
    #[serde(rename = "g", default, skip_serializing_if = "BTreeMap::is_empty")]
    groups: BTreeMap<Box<str>, partial::Written>,
    #[serde(rename = "o", default, skip_serializing_if = "Option::is_none")]
    other: Option<partial::Written>,
    #[serde(rename = "l", default, skip_serializing_if = "is_none")]
    late: u64,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}
