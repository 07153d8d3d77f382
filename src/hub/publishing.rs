//! How a batch gets into the log, where there is one, and from there on its way.

use std::sync::Arc;

use super::actor::Hub;
use crate::domain::message::{Draft, Message, Priority, Topic};
use crate::domain::time::Now;
use crate::store::{AlertWrite, Answer, Batch, Keyed, Writer};
use crate::wire::message::Publication;

impl Hub {
    /// Takes a batch whole or refuses it whole, and answers: at once, or when it is in the log.
    pub(super) fn publish(
        &mut self,
        publications: Vec<Publication>,
        keys: Vec<Option<Keyed>>,
        alert: Option<AlertWrite>,
        answer: Answer,
    ) {
        let now = self.clock.now();
        let topics = publications.iter().map(|publication| &publication.topic);
        if let Err(error) = self.state.admit(topics.chain(&self.new_topics), now) {
            // Here and below: it fails when the publisher has gone.
            let _ = answer.send(Err(error.into()));
            return;
        }
        let broker = &mut self.broker;
        let append = |publication| Arc::new(broker.append(publication, now));
        let messages = publications.into_iter().map(append).collect();
        let batch = Batch {
            messages,
            keys,
            wall_ms: now.wall_ms,
            alert,
            answer,
        };
        match self.store.clone() {
            Some(store) => self.append(&store, batch),
            None => self.take(batch, now),
        }
    }

    fn append(&mut self, store: &Writer, batch: Batch) {
        let topics = batch.messages.iter().map(|message| &message.topic);
        let new = topics.filter(|topic| !self.state.history().has(topic));
        self.new_topics.extend(new.cloned());
        if let Err((batch, error)) = store.append(batch) {
            let topics = batch.messages.iter().map(|message| &message.topic);
            topics.for_each(|topic| {
                self.new_topics.remove(topic);
            });
            let _ = batch.answer.send(Err(error));
        }
    }

    /// Without a store.
    fn take(&mut self, batch: Batch, now: Now) {
        let ids = self.keys.take(&batch);
        if let Ok(ids) = &ids {
            let new = batch.messages.into_iter().zip(ids);
            let new = new.filter(|(message, id)| message.id == **id);
            new.for_each(|(message, _)| self.deliver(message, now));
        }
        let _ = batch.answer.send(ids);
    }

    pub(super) fn deliver(&mut self, message: Arc<Message>, now: Now) {
        let (state, mut outlets) = self.parts(now);
        state.published(message, &mut outlets);
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
