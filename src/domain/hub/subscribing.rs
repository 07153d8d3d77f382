//! Changing what sessions receive.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Effects, HubState};
use crate::domain::fanout::ConnectionKey;
use crate::domain::history::Depth;
use crate::domain::message::{MessageId, UserId};
use crate::domain::notice::Notice;
use crate::domain::pattern::NameError;
use crate::domain::view::Selector;

/// What to do with a subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    Subscribe,
    Unsubscribe,
}

impl HubState {
    /// For one live connection.
    ///
    /// # Errors
    /// Too many patterns or views; nothing has changed then.
    pub fn change_connection(
        &mut self,
        connection: ConnectionKey,
        change: Change,
        selectors: &[Selector],
        effects: &mut impl Effects,
    ) -> Result<(), NameError> {
        match self.by_connection.get(&connection) {
            Some(&token) => {
                let from = self.history.last();
                self.change(&[token], change, selectors, from, effects)
            }
            None => Ok(()),
        }
    }

    /// For all of a user's sessions, away ones too, or for `only` that one of them. Returns how many
    /// live connections that concerns.
    ///
    /// # Errors
    /// Too many patterns or views for one of them; nothing has changed then.
    pub fn change_user(
        &mut self,
        user: &UserId,
        only: Option<Uuid>,
        change: Change,
        selectors: &[Selector],
        effects: &mut impl Effects,
    ) -> Result<usize, NameError> {
        let tokens: Vec<Uuid> = self
            .by_user
            .get(user)
            .into_iter()
            .flatten()
            .copied()
            .filter(|token| only.is_none_or(|only| only == *token))
            .collect();
        let from = self.history.last();
        self.change(&tokens, change, selectors, from, effects)?;
        let live = tokens.iter().filter_map(|token| self.sessions.get(token));
        Ok(live.filter(|session| session.is_live()).count())
    }

    /// For one session, away or not; it was asked for when `from` was the newest message.
    ///
    /// # Errors
    /// Too many patterns or views; nothing has changed then.
    pub fn change_session(
        &mut self,
        token: Uuid,
        change: Change,
        selectors: &[Selector],
        from: MessageId,
        effects: &mut impl Effects,
    ) -> Result<(), NameError> {
        self.change(&[token], change, selectors, from, effects)
    }

    fn change(
        &mut self,
        tokens: &[Uuid],
        change: Change,
        selectors: &[Selector],
        from: MessageId,
        effects: &mut impl Effects,
    ) -> Result<(), NameError> {
        let mut changed = Vec::with_capacity(tokens.len());
        for token in tokens {
            let Some(session) = self.sessions.get(token) else {
                continue;
            };
            let mut subscription = session.subscription.clone();
            match change {
                Change::Subscribe => subscription.subscribe(selectors, from)?,
                Change::Unsubscribe => subscription.unsubscribe(selectors),
            }
            changed.push((*token, subscription));
        }
        // What comes before what goes, so that a view that stays keeps its log.
        for (nth, (_, subscription)) in changed.iter().enumerate() {
            if let Err(error) = self.watch(subscription, Depth::Newest) {
                changed[..nth]
                    .iter()
                    .for_each(|(_, taken)| self.unwatch(taken));
                return Err(error);
            }
        }
        for (token, subscription) in changed {
            let Some(session) = self.sessions.get_mut(&token) else {
                continue;
            };
            let before = std::mem::replace(&mut session.subscription, subscription.clone());
            if session.is_live() {
                let metrics = subscription.selectors();
                let notice = match change {
                    Change::Subscribe => Notice::Subscribed { metrics },
                    Change::Unsubscribe => Notice::Unsubscribed { metrics },
                };
                effects.resubscribe(session.connection.key, subscription);
                effects.send(
                    session.connection.key,
                    session.transport,
                    vec![notice.into()],
                );
            }
            self.unwatch(&before);
            self.note(token);
        }
        Ok(())
    }
}
