//! What happens when a message is published.

use std::sync::Arc;
use std::time::Duration;

use super::{Effects, HubState, again};
use crate::domain::backlog::Reader;
use crate::domain::history::{History, TooManyMetrics};
use crate::domain::message::{Message, MessageId, Priority, Topic};
use crate::domain::session::Session;
use crate::domain::time::Now;

impl HubState {
    /// Whether a batch on these topics can be taken. Makes room by forgetting metrics that have
    /// been idle for longer than any session can be away, where that helps.
    ///
    /// # Errors
    /// Too many distinct metrics, all in use.
    pub fn admit<'a>(
        &mut self,
        topics: impl Iterator<Item = &'a Topic> + Clone,
        now: Now,
    ) -> Result<(), TooManyMetrics> {
        let admitted = self.history.admit(topics.clone());
        if admitted.is_ok() {
            return admitted;
        }
        let idle = self.limits.session_timeout.max(Duration::from_secs(60));
        let before = now.wall_ms.saturating_sub(idle.as_millis() as u64);
        if let Some(id) = MessageId::new(before, 0) {
            self.history.forget_idle(id);
        }
        self.history.admit(topics)
    }

    /// Takes a message into the history and sends it on its way. Ids must come in order.
    pub fn published(&mut self, message: Arc<Message>, effects: &mut impl Effects) {
        if !matches!(message.topic, Topic::State(_)) {
            self.count_published(&[message.priority]);
        }
        self.pass_on(&message, effects);
        self.push(message);
    }

    /// To everybody. Who sees it by a view first: once the message itself is delivered, a worker holds all of that
    /// id for done.
    pub(super) fn pass_on(&mut self, message: &Arc<Message>, effects: &mut impl Effects) {
        if !self.views.is_empty() {
            match again::read(message) {
                Some(topic) => self.say_again(&topic, message, effects),
                None => self.show(message, effects),
            }
        }
        if self.keeps_before {
            self.history.tell_before(message);
        }
        self.is_fresh(&message.topic);
        effects.deliver(message);
    }

    /// Messages of these priorities were published by way of this hub.
    pub fn count_published(&mut self, priorities: &[Priority]) {
        for priority in priorities {
            self.tally.published[*priority] += 1;
        }
    }

    pub(super) fn push(&mut self, message: Arc<Message>) {
        self.history.push(message);
        let overgrown = self
            .views
            .histories()
            .filter_map(|history| history.overgrown());
        if let Some(to) = self.history.overgrown().into_iter().chain(overgrown).max() {
            self.carry(to);
            self.history.cut(to);
            self.views.histories().for_each(|history| history.cut(to));
        }
    }

    /// Before the log forgets the ids up to `to`: sessions that still need them counted remember
    /// the counts themselves. One for which an earlier cut came too early stays as it is, and the
    /// log will refuse to tell it anything.
    fn carry(&mut self, to: MessageId) {
        for session in self.sessions.values_mut() {
            let Some(position) = session.backlog_position().filter(|at| *at < to) else {
                continue;
            };
            let (reader, carried_to) = (session.reader(), session.carried_to());
            let of_log = |history: &History, reader: &Reader<'_>| {
                history.count_gone(reader, position, carried_to, to)
            };
            let mut gone = of_log(&self.history, &reader);
            for view in reader.subscription.views() {
                let seen = self
                    .views
                    .history(view)
                    .and_then(|it| of_log(it, &reader.of(view)));
                gone = gone.zip(seen).map(|(mut gone, seen)| {
                    gone.add(&seen);
                    gone
                });
            }
            if let Some(gone) = gone {
                let carried = session.carried.get_or_insert_default();
                carried.receipt.add(&gone);
                carried.to = carried.to.max(to);
            }
        }
    }

    /// Live connections that a message on `topic` goes to.
    pub fn audience(&self, topic: &Topic) -> usize {
        let for_it =
            |session: &&Session| session.is_live() && session.reader().admits(topic).is_some();
        match topic {
            Topic::UserMetric(_, user) | Topic::Test(user, _) => {
                self.sessions_of(user).filter(for_it).count()
            }
            Topic::Metric(_) | Topic::Alerts => self.every_session().filter(for_it).count(),
            Topic::State(_) => 0,
        }
    }
}
