//! What is known of the log from what anybody saw or was answered.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::lives::Life;
use super::{Found, Rule};
use crate::record::{Event, Piece, Publish, Record};
use crate::support::id::Id;

pub struct Facts<'a> {
    pub lives: Vec<Life<'a>>,
    runs: Vec<Run>,
    pub publishes: BTreeMap<Piece, &'a Publish>,
    /// Everything that certainly was in a log.
    pub messages: BTreeMap<Id, &'a Publish>,
    pub ids: BTreeMap<Piece, BTreeSet<Id>>,
    /// What may be in the log although nobody knows.
    pub uncertain: Vec<&'a Publish>,
}

/// What one client got without beginning anew in between: all of one history, as every entry of a log
/// follows from the one before.
struct Run {
    got: BTreeSet<Id>,
}

impl Run {
    /// Both saw the same after `id`, so what was before that is the same for both.
    fn meets(&self, other: &Self, id: Id) -> bool {
        let mut later = self.got.range((Bound::Excluded(id), Bound::Unbounded));
        later.any(|id| other.got.contains(id))
    }
}

impl<'a> Facts<'a> {
    /// Also finds what contradicts itself: then there is no such fact.
    pub fn of(record: &'a Record, found: &mut Found) -> Self {
        let publishes: BTreeMap<_, _> = record.publishes.iter().map(|it| (it.piece, it)).collect();
        let mut runs = Vec::new();
        let lives = record.clients.iter().map(|log| {
            let life = Life::of(log, runs.len());
            for stretch in &life.stretches {
                runs.resize_with(stretch.run + 1, || Run {
                    got: BTreeSet::new(),
                });
                runs[stretch.run]
                    .got
                    .extend(stretch.got.iter().map(|(id, _, _)| *id));
            }
            life
        });
        let lives = lives.collect();
        let mut facts = Self {
            lives,
            runs,
            publishes,
            messages: BTreeMap::new(),
            ids: BTreeMap::new(),
            uncertain: Vec::new(),
        };
        for publish in &record.publishes {
            for (_, id) in &publish.acknowledged {
                facts.add(*id, publish, "a publisher", found);
            }
        }
        for client in &record.clients {
            for (_, event) in &client.events {
                let Event::Message { id, metric, piece } = event else {
                    continue;
                };
                match facts.publishes.get(piece).copied() {
                    Some(publish) if publish.metric == *metric => {
                        facts.add(*id, publish, &client.name, found);
                    }
                    known => found.add(
                        Rule::Content,
                        format!(
                            "{} got {id} {metric:?} {piece:?}, published as {known:?}",
                            client.name
                        ),
                    ),
                }
            }
        }
        let unseen = |it: &&Publish| it.is_uncertain() && !facts.ids.contains_key(&it.piece);
        facts.uncertain = record.publishes.iter().filter(unseen).collect();
        facts
    }

    fn add(&mut self, id: Id, publish: &'a Publish, who: &str, found: &mut Found) {
        let known = *self.messages.entry(id).or_insert(publish);
        if known.piece != publish.piece {
            let (one, other) = (known.piece, publish.piece);
            found.add(
                Rule::Content,
                format!("{who} has {other:?} as {id}, others have {one:?}"),
            );
        }
        self.ids.entry(publish.piece).or_default().insert(id);
    }

    /// Whether `id` certainly is in the history that a run saw: it came there, or to somebody who later
    /// saw the same. What nobody got, or only who begins anew after it, may be of another.
    pub fn is_in(&self, id: Id, run: usize) -> bool {
        let run = &self.runs[run];
        let by = |other: &Run| other.got.contains(&id) && other.meets(run, id);
        run.got.contains(&id) || self.runs.iter().any(by)
    }

    /// Whether both certainly are in one history.
    pub fn are_of_one_history(&self, one: Id, other: Id) -> bool {
        (0..self.runs.len()).any(|run| self.is_in(one, run) && self.is_in(other, run))
    }
}
