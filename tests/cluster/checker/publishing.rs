//! What publishers were told is true: once, in their order, and refused means refused.

use super::facts::Facts;
use super::{Found, Rule};
use crate::record::{Failed, Publish, Record};
use crate::support::id::Id;

pub fn check(facts: &Facts, found: &mut Found) {
    for (piece, publish) in &facts.publishes {
        let ids: Vec<Id> = facts
            .ids
            .get(piece)
            .into_iter()
            .flatten()
            .copied()
            .collect();
        for pair in ids.windows(2) {
            let again = publish.keyed && !facts.are_of_one_history(pair[0], pair[1]);
            if !again {
                found.add(Rule::Once, format!("{piece:?} is in the log as {ids:?}"));
                break;
            }
        }
        let refused = |it: &&Failed| matches!(it, Failed::Refused(_));
        if let Some(refused) = publish.failed.iter().find(refused) {
            found.add(
                Rule::Refused,
                format!("{piece:?} was answered with {refused:?}"),
            );
            if !ids.is_empty() {
                found.add(
                    Rule::Content,
                    format!("{piece:?} was refused and is {ids:?}"),
                );
            }
        }
    }
    check_order(facts, found);
}

/// What was acknowledged before another was sent comes before it.
fn check_order(facts: &Facts, found: &mut Found) {
    let known = facts
        .publishes
        .values()
        .filter_map(|it| Some((*it, it.id()?)));
    let mut by_asked: Vec<(&Publish, Id)> = known.collect();
    let mut by_answered = by_asked.clone();
    by_asked.sort_by_key(|(it, _)| it.asked);
    by_answered.sort_by_key(|(it, _)| it.acknowledged[0].0);
    let mut answered = by_answered.into_iter().peekable();
    let mut highest: Option<(Id, &Publish)> = None;
    for (publish, id) in by_asked {
        while let Some((before, above)) =
            answered.next_if(|(it, _)| it.acknowledged[0].0 < publish.asked)
        {
            if highest.is_none_or(|(id, _)| id < above) {
                highest = Some((above, before));
            }
        }
        let wrong = highest.filter(|(above, _)| id < *above);
        if let Some((above, before)) =
            wrong.filter(|(above, _)| facts.are_of_one_history(id, *above))
        {
            let (one, other) = (before.piece, publish.piece);
            let text = format!("{other:?} is {id}, sent after {one:?} was acknowledged as {above}");
            found.add(Rule::Order, text);
        }
    }
}

pub fn check_that_all_is_kept(record: &Record, found: &mut Found) {
    let acknowledged = record.publishes.iter().filter(|it| it.id().is_some());
    let lost = acknowledged.filter(|it| !record.kept.contains(&it.piece));
    let lost: Vec<_> = lost.map(|it| (it.piece, it.acknowledged[0])).collect();
    if !lost.is_empty() {
        let text = format!("{} acknowledged and not in the log: {lost:?}", lost.len());
        found.add(Rule::Kept, text);
    }
}
