//! What lets a hub outlive its process: which sessions changed, and how it begins with those there were.

use uuid::Uuid;

use super::{HubState, Limits};
use crate::domain::history::{Depth, History};
use crate::domain::message::MessageId;
use crate::domain::session::{Session, State};

impl HubState {
    /// A hub that goes on with what an earlier one had. `sessions` are away; of more than may be,
    /// those away longest are forgotten, as if they had all gone one after the other.
    pub fn restored(
        limits: Limits,
        history: History,
        sessions: impl IntoIterator<Item = Session>,
    ) -> Self {
        let mut hub = Self::new(limits, MessageId::ZERO);
        hub.history = history;
        hub.changed = Some(Default::default());
        sessions
            .into_iter()
            .for_each(|session| hub.take_in(session));
        let users: Vec<_> = hub.by_user.keys().cloned().collect();
        users.iter().for_each(|user| hub.limit_away_of(user));
        hub.limit_away();
        debug_assert!(hub.is_consistent());
        hub
    }

    pub(super) fn take_in(&mut self, session: Session) {
        let token = session.token;
        let State::Away { since, .. } = session.state else {
            return;
        };
        if self.watch(&session.subscription, Depth::Kept).is_err() {
            // More than this hub may have: its client begins anew, and is told so.
            return;
        }
        self.away.insert((since, token));
        let of_user = self.by_user.entry(session.user().clone()).or_default();
        of_user.insert(token);
        if let Some(ticket) = session.ticket.as_deref() {
            self.by_ticket.insert(*ticket, token);
        }
        self.sessions.insert(token, Box::new(session));
    }

    /// Something was said of the session that is to be remembered.
    pub fn note(&mut self, token: Uuid) {
        if let Some(changed) = &mut self.changed {
            changed.insert(token);
        }
    }

    /// Whether [`HubState::take_changed`] has anything to give.
    pub fn has_changed(&self) -> bool {
        self.changed
            .as_ref()
            .is_some_and(|tokens| !tokens.is_empty())
    }

    /// Sessions that began, changed or went away since the last call, and those that are no more.
    pub fn take_changed(&mut self) -> Vec<(Uuid, Option<&Session>)> {
        let changed = self.changed.as_mut().map(std::mem::take);
        let changed = changed.unwrap_or_default().into_iter();
        changed.map(|token| (token, self.session(&token))).collect()
    }

    /// As if all sessions had changed.
    pub fn note_all(&mut self) {
        if let Some(changed) = &mut self.changed {
            changed.extend(self.sessions.keys());
        }
    }

    /// How far the clients are that are there.
    pub fn positions(&self) -> impl Iterator<Item = (Uuid, MessageId)> {
        let connected = self
            .every_session()
            .filter(|session| session.is_connected());
        connected.map(|session| (session.token, session.position()))
    }
}
