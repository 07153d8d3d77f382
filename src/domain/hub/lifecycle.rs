//! How streams end, and how sessions are kept, renewed and forgotten.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Effects, HubState};
use crate::domain::fanout::ConnectionKey;
use crate::domain::message::{MessageId, UserId};
use crate::domain::notice::{Goodbye, Notice, Piece};
use crate::domain::session::{Identity, Session, State};
use crate::domain::time::Now;

/// A stream that an operator ended, for the answer and the audit trail.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ended {
    pub user: UserId,
    pub connection_id: Uuid,
    pub was_live: bool,
}

/// Why a token was not renewed. The old one stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefreshError {
    /// No such session, or another user's.
    UnknownSession,
    OtherUser,
    ExpiresEarlier,
}

impl HubState {
    /// A connection has ended; its client had been sent everything up to `position`.
    pub fn disconnected(&mut self, connection: ConnectionKey, position: MessageId, now: Now) {
        let Some(token) = self.by_connection.remove(&connection) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(&token) else {
            return;
        };
        self.live -= usize::from(session.is_live());
        self.expiries
            .remove(&(session.identity.expires_at_ms, token));
        self.lagging.remove(&token);
        session.sent_before = session.sent();
        let position = position.max(session.connection.opened_at);
        if session.backlog_position() != Some(position) {
            session.forget_carried();
        }
        session.state = State::Away {
            since: now.mono,
            position,
        };
        session.since_ms = now.wall_ms;
        self.away.insert((now.mono, token));
        let user = session.user().clone();
        self.note(token);
        self.limit_away_of(&user);
        self.limit_away();
        debug_assert!(self.is_consistent());
    }

    /// A user has at most twice as many away sessions as live connections are allowed. Whoever is
    /// away longest is forgotten first.
    pub(super) fn limit_away_of(&mut self, user: &UserId) {
        let mut away: Vec<(Duration, Uuid)> = self
            .sessions_of(user)
            .filter_map(|session| match session.state {
                State::Away { since, .. } => Some((since, session.token)),
                State::Live | State::Lagging { .. } => None,
            })
            .collect();
        away.sort_unstable();
        let excess = away
            .len()
            .saturating_sub(2 * self.limits.connections_per_user_max);
        away.into_iter()
            .take(excess)
            .for_each(|(_, token)| self.end(token));
    }

    /// The hub has a limit too.
    pub(super) fn limit_away(&mut self) {
        while self.away.len() > self.limits.away_max {
            let Some(&(_, token)) = self.away.first() else {
                return;
            };
            self.end(token);
        }
    }

    /// The session is over; for a while operators are still told what it got.
    fn end(&mut self, token: Uuid) {
        if let Some(session) = self.forget(token) {
            self.ended.add(session);
        }
    }

    /// Takes a session out of every index, and hands it over.
    pub(super) fn forget(&mut self, token: Uuid) -> Option<Box<Session>> {
        let session = self.sessions.remove(&token)?;
        self.unwatch(&session.subscription);
        self.note(token);
        match session.state {
            State::Away { since, .. } => {
                self.away.remove(&(since, token));
            }
            State::Live | State::Lagging { .. } => {
                self.live -= usize::from(session.is_live());
                self.by_connection.remove(&session.connection.key);
                self.expiries
                    .remove(&(session.identity.expires_at_ms, token));
                self.lagging.remove(&token);
            }
        }
        if let Some(hash) = session.ticket.as_deref() {
            self.by_ticket.remove(hash);
        }
        if let Some(tokens) = self.by_user.get_mut(session.user()) {
            tokens.swap_remove(&token);
            if tokens.is_empty() {
                self.by_user.remove(session.user());
            }
        }
        Some(session)
    }

    /// A connection's queue is full; everything up to `position` is in it.
    pub fn lagging(&mut self, connection: ConnectionKey, position: MessageId) {
        let Some(token) = self.by_connection.get(&connection) else {
            return;
        };
        let Some(session) = self.sessions.get_mut(token) else {
            return;
        };
        // From before the log began anew, and it has been told of that since.
        if position < session.began {
            return;
        }
        session.state = State::Lagging { position };
        self.lagging.insert(*token);
    }

    /// A lagging connection's queue has run empty: it gets its backlog and is live again.
    pub fn drained(&mut self, connection: ConnectionKey, effects: &mut impl Effects) {
        let Some(&token) = self.by_connection.get(&connection) else {
            return;
        };
        let Some(session) = self.sessions.get(&token) else {
            return;
        };
        let (State::Lagging { position }, false) = (&session.state, session.connection.closing)
        else {
            return;
        };
        let Some(backlog) = self.backlog(session, *position) else {
            // The log forgot what this client still waits for: it shall come again and be told so.
            self.close(token, Goodbye::Trouble, effects);
            return;
        };
        let (key, transport, after) = (session.connection.key, session.transport, *position);
        let through = self.history.last();
        if let Some(session) = self.sessions.get_mut(&token) {
            session.state = State::Live;
            session.note_losses(after, through, &backlog);
            session.forget_carried();
        }
        let mut pieces = Vec::with_capacity(backlog.messages.len() + 1);
        if backlog.receipt.dropped.total() > 0 {
            pieces.push(Piece::Notice(Notice::Dropped(backlog.receipt.clone())));
        }
        pieces.extend(backlog.messages.into_iter().map(Piece::Message));
        effects.catch_up(key, transport, pieces, through);

        self.lagging.remove(&token);
        self.tally.dropped.add(&backlog.receipt.dropped);
        self.tally.conflated += backlog.receipt.conflated;
    }

    /// Ends a session's stream; the session stays until its connection has reported.
    pub(super) fn close(&mut self, token: Uuid, goodbye: Goodbye, effects: &mut impl Effects) {
        let Some(session) = self.sessions.get_mut(&token) else {
            return;
        };
        if session.is_live() {
            session.connection.closing = true;
            self.live -= 1;
            effects.close(session.connection.key, session.transport, goodbye);
        }
    }

    /// Ends streams whose token has expired and forgets sessions that have been away too long.
    pub fn tick(&mut self, now: Now, effects: &mut impl Effects) {
        let expired: Vec<Uuid> = self
            .expiries
            .range(..=(now.wall_ms, Uuid::max()))
            .map(|(_, token)| *token)
            .collect();
        expired
            .into_iter()
            .for_each(|token| self.close(token, Goodbye::TokenExpired, effects));
        while let Some(&(since, token)) = self.away.first() {
            if now.mono.saturating_sub(since) <= self.limits.session_timeout {
                break;
            }
            self.end(token);
        }
        debug_assert!(self.is_consistent());
    }

    /// Forgets metrics that nobody has updated for long. Returns up to which id: never past the
    /// position of a session, which must find what it missed when it comes back.
    pub fn clean_up(&mut self, now: Now) -> MessageId {
        let idle = self.limits.metric_idle_timeout.as_millis() as u64;
        let by_time = MessageId::new(now.wall_ms.saturating_sub(idle), 0).unwrap_or_default();
        let oldest = self.every_session().map(Session::position).min();
        let before = oldest.map_or(by_time, |oldest| oldest.min(by_time));
        self.history.forget_idle(before);
        self.clean_up_views(before, now.wall_ms);
        before
    }

    /// A fresh token for a live connection, or for the session of a reconnect token. Returns the
    /// new expiry.
    ///
    /// # Errors
    /// Another user's token, or one that ends before the present one; nothing has changed then.
    pub fn refresh(
        &mut self,
        token: Uuid,
        identity: Arc<Identity>,
        effects: &mut impl Effects,
    ) -> Result<u64, RefreshError> {
        let session = self
            .sessions
            .get_mut(&token)
            .ok_or(RefreshError::UnknownSession)?;
        if session.user() != &identity.user {
            return Err(RefreshError::OtherUser);
        }
        let old = session.identity.expires_at_ms;
        if identity.expires_at_ms < old {
            return Err(RefreshError::ExpiresEarlier);
        }
        let expires_at_ms = identity.expires_at_ms;
        session.identity = identity;
        if session.is_connected() {
            self.expiries.remove(&(old, token));
            self.expiries.insert((expires_at_ms, token));
        }
        if session.is_live() {
            let notice = Notice::Refreshed { expires_at_ms };
            effects.send(
                session.connection.key,
                session.transport,
                vec![notice.into()],
            );
        }
        self.note(token);
        Ok(expires_at_ms)
    }

    /// Ends the streams that `chosen` picks and forgets their sessions.
    pub fn disconnect(
        &mut self,
        chosen: impl Fn(&Session) -> bool,
        effects: &mut impl Effects,
    ) -> Vec<Ended> {
        let mut tokens: Vec<Uuid> = self
            .every_session()
            .filter(|session| chosen(session))
            .map(|s| s.token)
            .collect();
        // The same inputs give the same effects, in the same order.
        tokens.sort_unstable();
        let mut ended = Vec::with_capacity(tokens.len());
        for token in tokens {
            let Some(session) = self.sessions.get(&token) else {
                continue;
            };
            ended.push(Ended {
                user: session.user().clone(),
                connection_id: session.connection_id,
                was_live: session.is_live(),
            });
            self.close(token, Goodbye::Disconnected, effects);
            self.end(token);
        }
        debug_assert!(self.is_consistent());
        ended
    }

    /// Ends every stream, telling each client when to come back: evenly spread, so that they do not
    /// all come at once. No stream is opened after this.
    pub fn drain(&mut self, spread: (Duration, Duration), effects: &mut impl Effects) {
        self.draining = true;
        let live = self.live_tokens();
        let span = spread.1.saturating_sub(spread.0);
        let count = live.len().max(1) as u32;
        for (index, token) in live.into_iter().enumerate() {
            let reconnect_in = spread.0 + span * index as u32 / count;
            self.close(token, Goodbye::Shutdown { reconnect_in }, effects);
        }
    }
}
