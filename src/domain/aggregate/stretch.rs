//! Panes as they are kept and exchanged: several that follow each other together, so that what changes is not
//! written with all that does not.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::pane;
use super::{Pane, Plan};

/// What is kept of one origin lies in so many places, each with a stretch of panes. A place is taken again when
/// the stretch in it is long past.
pub const STRETCHES: u64 = 10;
/// All panes that are kept at once lie in at most so many and one more.
const STRETCHES_KEPT: u64 = 8;

/// Panes that follow each other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stretch(BTreeMap<u64, pane::Written>);

impl Stretch {
    pub fn new<'a>(panes: impl Iterator<Item = (u64, &'a Pane)>) -> Self {
        Self(panes.map(|(start, pane)| (start, pane.write())).collect())
    }

    /// Whether all of its panes begin before `from_ms`.
    pub fn is_past(&self, from_ms: u64) -> bool {
        self.0
            .last_key_value()
            .is_none_or(|(start, _)| *start < from_ms)
    }

    pub fn panes(&self, plan: &Plan) -> impl Iterator<Item = (u64, Pane)> {
        let of_plan = |start: &u64| start.is_multiple_of(plan.every_ms);
        let panes = self.0.iter().filter(move |(start, _)| of_plan(start));
        panes.map(|(start, written)| (*start, Pane::read(written, plan)))
    }
}

/// Which stretch a pane is in, counted from the Unix epoch.
pub fn stretch_of(start_ms: u64, plan: &Plan) -> u64 {
    let panes_each = plan.panes_kept().div_ceil(STRETCHES_KEPT);
    start_ms / plan.every_ms / panes_each
}
