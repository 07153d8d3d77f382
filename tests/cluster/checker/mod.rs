//! Decides from the records alone whether everybody got what was owed.
//!
//! The rules know nothing of Redis, epochs or hubs. Where the log was lost in part, or was two for a while,
//! ids alone do not say what belongs together: that is what clients saw without being told to begin anew.

mod delivery;
mod facts;
mod limits;
mod lives;
mod order;
mod publishing;
mod snapshots;
mod tests;

use std::fmt;

use crate::record::{Millis, Record};
use facts::Facts;

/// What a scenario promises besides what always holds.
#[derive(Debug, Clone, Copy)]
pub struct Promise {
    /// Live connections of one user over all hubs.
    pub connections_max: usize,
    /// How long after a failure that may not hold.
    pub lease: Millis,
    /// Nothing that is shared is lost, so nobody has to begin anew.
    pub nobody_begins_anew: bool,
    /// What was acknowledged is in the log at the end.
    pub keeps_acknowledged: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// Ids only grow, for a client and from one publish to the next.
    Order,
    /// One id is one message everywhere, and somebody has published it.
    Content,
    /// Who is subscribed gets it, or is told.
    Missing,
    /// As many are told of as are missing.
    Counted,
    /// Nothing comes twice to who says what has arrived.
    Twice,
    /// Nothing reaches who it is not for.
    Recipient,
    /// A publish is in the log once, however often it is tried.
    Once,
    /// Nothing is wrong with what is published, so nobody says so.
    Refused,
    /// A snapshot is the newest there was.
    Snapshot,
    /// A user has no more connections than allowed.
    Limit,
    /// What was acknowledged is in the log at the end, where that is promised.
    Kept,
    /// Nobody begins anew where nothing was lost.
    Anew,
    /// Everything works again once everything is mended.
    Mended,
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    pub rule: Rule,
    pub text: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.text)
    }
}

/// Where violations are collected.
#[derive(Default)]
pub struct Found(Vec<Violation>);

impl Found {
    fn add(&mut self, rule: Rule, text: String) {
        self.0.push(Violation { rule, text });
    }

    fn add_if(&mut self, is_wrong: bool, rule: Rule, text: impl FnOnce() -> String) {
        if is_wrong {
            self.add(rule, text());
        }
    }
}

/// Everything that is wrong with `record`.
pub fn check(record: &Record, promise: Promise) -> Vec<Violation> {
    let mut found = Found::default();
    let facts = Facts::of(record, &mut found);
    for life in &facts.lives {
        order::check(life, &mut found);
        delivery::check(&facts, life, &mut found);
        snapshots::check(&facts, life, &mut found);
        if promise.nobody_begins_anew {
            order::check_that_nobody_begins_anew(life, &mut found);
        }
    }
    publishing::check(&facts, &mut found);
    if promise.keeps_acknowledged {
        publishing::check_that_all_is_kept(record, &mut found);
    }
    limits::check(record, promise, &mut found);
    found.0
}
