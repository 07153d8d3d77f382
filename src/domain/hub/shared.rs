//! A hub among others: its log is shared, and its sessions may go on at any of them.

use std::sync::Arc;

use uuid::Uuid;

use super::{Effects, HubState};
use crate::domain::message::{Message, MessageId};
use crate::domain::notice::{Established, Goodbye, Notice};
use crate::domain::session::{Session, State};

impl HubState {
    /// From here on the log is another one, of which the past is told first, if it has one:
    /// [`HubState::remember`]. When that is done, clients are told with [`HubState::tell_anew`].
    pub fn begin_anew(&mut self, origin: MessageId) {
        self.history.begin_anew(origin);
        for session in self.sessions.values_mut() {
            session.forget_carried();
        }
    }

    /// The newest value of a metric, of before what the log has.
    pub fn keep_value(&mut self, value: Arc<Message>) {
        self.history.keep_value(value);
    }

    /// Takes a message into the history, and sends it to nobody. Ids must come in order.
    pub fn remember(&mut self, message: Arc<Message>) {
        self.push(message);
        // More than may be were admitted by others.
        self.history.limit_topics();
    }

    /// As [`HubState::remember`], and sends it on its way.
    pub fn passed_on(&mut self, message: Arc<Message>, effects: &mut impl Effects) {
        self.pass_on(&message, effects);
        self.remember(message);
    }

    /// Up to here the log has nothing more to tell.
    pub fn pass(&mut self, id: MessageId) {
        self.history.pass(id);
    }

    /// Every stream goes on with a snapshot: nobody can tell what its client missed.
    pub fn tell_anew(&mut self, effects: &mut impl Effects) {
        self.history.settle();
        self.fill_views();
        let through = self.history.last();
        for token in self.live_tokens() {
            let Some(session) = self.sessions.get_mut(&token) else {
                continue;
            };
            session.began = through;
            session.transport_since = through;
            session.state = State::Live;
            session.losses = None;
            session.forget_carried();
            self.lagging.remove(&token);
            let Some(session) = self.session(&token) else {
                continue;
            };
            let established = Notice::Established(Box::new(Established {
                connection_id: session.connection_id,
                reconnect_token: token,
                user: session.user().clone(),
                metrics: session.subscription.selectors(),
                resumed: false,
                replayed: 0,
                receipt: Default::default(),
                previous_connection_id: None,
                stale: Vec::new(),
            }));
            let values = self.newest(&session.reader());
            let snapshot = Notice::InitialMetrics {
                position: through,
                values,
                stale: self.stale_for(&session.reader()),
            };
            let pieces = vec![established.into(), snapshot.into()];
            effects.catch_up(session.connection.key, session.transport, pieces, through);
            self.note(token);
        }
    }

    /// A session that was at another hub, away; in the place of whatever was known of it here.
    pub fn adopt(&mut self, session: Session) {
        if self
            .session(&session.token)
            .is_some_and(|known| !known.is_connected())
        {
            self.forget(session.token);
        }
        if self.session(&session.token).is_none() {
            self.take_in(session);
        }
    }

    /// The session is said to be another hub's. Where its client is here all the same, Redis has lost something:
    /// it comes back, and then all know where it is.
    pub fn lost(&mut self, token: Uuid, effects: &mut impl Effects) {
        self.give_up(token, Goodbye::Trouble, effects);
    }

    /// The session goes on at another hub, and is nothing of this one any more.
    pub fn taken(&mut self, token: Uuid, effects: &mut impl Effects) {
        self.give_up(token, Goodbye::Replaced, effects);
    }

    fn give_up(&mut self, token: Uuid, goodbye: Goodbye, effects: &mut impl Effects) {
        self.close(token, goodbye, effects);
        self.forget(token);
        debug_assert!(self.is_consistent());
    }
}
