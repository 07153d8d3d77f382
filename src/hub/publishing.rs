//! How a batch gets into the log, where there is one, and from there on its way.

use std::sync::Arc;

use actix::Context;

use super::actor::Hub;
use super::shared::ForAll;
use crate::broker::redis::Held;
use crate::domain::hub::again;
use crate::domain::message::{Draft, Json, Priority, Retain, StateName, Topic};
use crate::domain::time::Now;
use crate::store::{AlertWrite, Answer, Batch, Keyed, Settled, Writer};
use crate::wire::message::Publication;

impl Hub {
    /// Takes a batch whole or refuses it whole, and answers: at once, or when it is in the log.
    pub(super) fn publish(
        &mut self,
        publications: Vec<Publication>,
        keys: Vec<Option<Keyed>>,
        alert: Option<AlertWrite>,
        answer: Answer,
        held: Option<Held>,
        ctx: &mut Context<Self>,
    ) {
        let now = self.clock.now();
        let topics = publications.iter().map(|publication| &publication.topic);
        if let Err(error) = self.state.admit(topics.chain(&self.new_topics), now) {
            return answer.send(Err(error.into()));
        }
        if let Some(redis) = self.redis() {
            let wanted = ForAll {
                publications,
                keys,
                alert,
                held,
                answer,
            };
            return self.append_shared(&redis, wanted, ctx);
        }
        let broker = &mut self.broker;
        let append = |publication| Arc::new(broker.append(publication, now));
        let messages = publications.into_iter().map(append).collect();
        let batch = Batch {
            messages,
            keys,
            wall_ms: now.wall_ms,
            alert,
            is_copy: false,
            answer,
        };
        match self.store.clone() {
            Some(store) => self.append(&store, batch, now),
            None => self.take(batch, now),
        }
    }

    fn append(&mut self, store: &Writer, batch: Batch, now: Now) {
        let topics = batch.messages.iter().map(|message| &message.topic);
        let new = topics.filter(|topic| !self.state.history().has(topic));
        self.new_topics.extend(new.cloned());
        if let Err(refused) = store.append(batch) {
            let (batch, error) = *refused;
            self.settle(batch.settled(Err(error)), now);
        }
    }

    /// Without a store.
    fn take(&mut self, batch: Batch, now: Now) {
        let outcome = self.keys.take(&batch);
        self.deliver(batch.settled(outcome), now);
    }

    /// A batch that was on its way into the log.
    pub(super) fn settle(&mut self, batch: Settled, now: Now) {
        if self.shared.is_some() {
            // A copy of what was delivered before.
            return;
        }
        for message in &batch.messages {
            self.new_topics.remove(&message.topic);
        }
        self.deliver(batch, now);
    }

    /// Sends what is new of a batch on its way, and answers its publisher.
    fn deliver(&mut self, batch: Settled, now: Now) {
        if let Ok(ids) = &batch.outcome {
            let (state, mut outlets) = self.parts(now);
            outlets.trace = batch.answer.trace.clone();
            let new = batch.messages.into_iter().zip(ids);
            let new = new.filter(|(message, id)| message.id == **id);
            new.for_each(|(message, _)| state.published(message, &mut outlets));
        }
        batch.answer.send(batch.outcome);
    }

    /// Has the log say values again that wait because they came too soon for some view: then they have a place in
    /// its order, and an id that is after all that was sent.
    pub(super) fn say_again(&mut self, ctx: &mut Context<Self>) {
        let now_ms = self.clock.now().wall_ms;
        let topics = self.state.to_be_said_again(now_ms);
        if topics.is_empty() {
            return;
        }
        let states = topics.iter().filter_map(again::state);
        let again = states.map(remembered).collect();
        // If it does not get into the log, it is tried again.
        self.publish(again, Vec::new(), None, Answer::unheard(), None, ctx);
    }

    /// What a draft leaves open is what is declared for its metric, first match first.
    pub(super) fn complete(&self, draft: Draft) -> Publication {
        let declared = self
            .settings
            .metrics
            .iter()
            .find(|metric| metric.name.matches(&draft.metric));
        let priority = draft
            .priority
            .or(declared.and_then(|metric| metric.priority));
        let retain = draft.retain.or(declared.and_then(|metric| metric.retain));
        Publication {
            topic: match draft.user {
                Some(user) => Topic::UserMetric(draft.metric, user),
                None => Topic::Metric(draft.metric),
            },
            data: draft.data,
            priority: priority.unwrap_or(Priority::Normal),
            retain: retain.unwrap_or_default(),
        }
    }
}

/// A state, as it is published.
pub(super) fn remembered((name, data): (StateName, Json)) -> Publication {
    Publication {
        topic: Topic::State(name),
        data,
        priority: Priority::Low,
        retain: Retain::Latest,
    }
}
