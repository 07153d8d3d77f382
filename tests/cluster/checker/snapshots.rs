//! A snapshot has what its position says: the newest of every metric by then, and of nobody else's.

use std::collections::BTreeMap;

use serde_json::Value;

use super::facts::Facts;
use super::lives::{Life, Stretch};
use super::{Found, Rule};
use crate::record::{Piece, Publish};
use crate::support::id::Id;

pub fn check(facts: &Facts, life: &Life, found: &mut Found) {
    for stretch in &life.stretches {
        if let Some(values) = stretch.snapshot {
            check_one(facts, life, stretch, values, found);
        }
    }
}

fn check_one(
    facts: &Facts,
    life: &Life,
    stretch: &Stretch,
    values: &BTreeMap<String, Value>,
    found: &mut Found,
) {
    let (name, position) = (&life.log.name, stretch.from);
    let mut wrong = |rule, metric: &str, text: String| {
        found.add(
            rule,
            format!("{name}, snapshot of {position}, {metric}: {text}"),
        );
    };
    for (metric, value) in values {
        let publish = Piece::read(value).and_then(|piece| facts.publishes.get(&piece));
        let Some(publish) = publish.filter(|it| it.metric.as_ref() == Some(metric)) else {
            wrong(
                Rule::Content,
                metric,
                format!("{value} was never published"),
            );
            continue;
        };
        if !admits(life, publish) {
            wrong(
                Rule::Recipient,
                metric,
                format!("{value} is for {:?}", publish.user),
            );
        }
        let ids = facts.ids.get(&publish.piece).into_iter().flatten();
        if let Some(id) = ids.min().filter(|id| **id > position) {
            wrong(
                Rule::Snapshot,
                metric,
                format!("{value} is {id}, which is later"),
            );
        }
    }
    for (metric, (id, publish)) in newest(facts, life, stretch) {
        let given = values.get(metric).and_then(Piece::read);
        // One that is in nobody's records may be the newest.
        let is_unknown = given.is_some_and(|it| !facts.ids.contains_key(&it));
        let given_id = given.and_then(|it| facts.ids.get(&it)?.range(..=position).max());
        if !is_unknown && given_id.is_none_or(|given| *given < id) {
            let text = format!("has {given:?}, and {:?} is {id}", publish.piece);
            wrong(Rule::Snapshot, metric, text);
        }
    }
}

/// Of each metric the newest message up to the snapshot's position that is for this client and certainly
/// in its history.
fn newest<'a>(
    facts: &'a Facts,
    life: &Life,
    stretch: &Stretch,
) -> BTreeMap<&'a str, (Id, &'a Publish)> {
    let mut newest = BTreeMap::new();
    for (id, publish) in facts.messages.range(..=stretch.from).rev() {
        let Some(metric) = publish.metric.as_deref().filter(|_| admits(life, publish)) else {
            continue;
        };
        if !newest.contains_key(metric) && facts.is_in(*id, stretch.run) {
            newest.insert(metric, (*id, *publish));
        }
    }
    newest
}

fn admits(life: &Life, publish: &Publish) -> bool {
    life.log
        .admits(publish.metric.as_deref(), publish.user.as_deref())
}
