//! What is known of the log from what anybody saw or was answered.

use std::collections::{BTreeMap, BTreeSet};

use super::lives::Life;
use super::{Found, Rule};
use crate::record::{Event, Piece, Publish, Record};
use crate::support::id::Id;

pub struct Facts<'a> {
    pub lives: Vec<Life<'a>>,
    pub publishes: BTreeMap<Piece, &'a Publish>,
    /// Everything that certainly was in a log.
    pub messages: BTreeMap<Id, &'a Publish>,
    pub ids: BTreeMap<Piece, BTreeSet<Id>>,
    /// What may be in the log although nobody knows.
    pub uncertain: Vec<&'a Publish>,
}

impl<'a> Facts<'a> {
    /// Also finds what contradicts itself: then there is no such fact.
    pub fn of(record: &'a Record, found: &mut Found) -> Self {
        let publishes: BTreeMap<_, _> = record.publishes.iter().map(|it| (it.piece, it)).collect();
        let mut facts = Self {
            lives: record.clients.iter().map(Life::of).collect(),
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

    /// Whether somebody went from the one to the other without beginning anew.
    pub fn are_of_one_history(&self, from: Id, upto: Id) -> bool {
        self.lives.iter().any(|life| life.spans(from, upto))
    }
}
