//! A snapshot has what its position says: the newest of every metric by then, and of nobody else's.

use std::collections::BTreeMap;

use serde_json::Value;

use super::facts::Facts;
use super::lives::Life;
use super::{Found, Rule};
use crate::record::{Piece, Publish};
use crate::support::id::Id;

pub fn check(facts: &Facts, life: &Life, found: &mut Found) {
    for stretch in &life.stretches {
        if let Some(values) = stretch.snapshot {
            check_one(facts, life, stretch.from, values, found);
        }
    }
}

fn check_one(
    facts: &Facts,
    life: &Life,
    position: Id,
    values: &BTreeMap<String, Value>,
    found: &mut Found,
) {
    let name = &life.log.name;
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
    for (metric, (id, publish)) in newest(facts, life, position) {
        let is_known = || facts.are_of_one_history(id, position);
        let given = values.get(metric).and_then(Piece::read);
        let given_id = given.and_then(|it| facts.ids.get(&it)?.range(..=position).max());
        match given_id {
            Some(given) if *given >= id => {}
            // One that is in nobody's records may be the newest.
            None if given.is_some_and(|it| !facts.ids.contains_key(&it)) => {}
            _ if is_known() => {
                let text = format!("has {given:?}, and {:?} is {id}", publish.piece);
                wrong(Rule::Snapshot, metric, text);
            }
            _ => {}
        }
    }
}

/// Of each metric the newest known message up to `position` that is for this client.
fn newest<'a>(facts: &'a Facts, life: &Life, position: Id) -> BTreeMap<&'a str, (Id, &'a Publish)> {
    let before = facts.messages.range(..=position);
    let for_it = before.filter(|(_, publish)| admits(life, publish));
    let named = for_it.filter_map(|(id, it)| Some((it.metric.as_deref()?, (*id, *it))));
    named.collect()
}

fn admits(life: &Life, publish: &Publish) -> bool {
    life.log
        .admits(publish.metric.as_deref(), publish.user.as_deref())
}
