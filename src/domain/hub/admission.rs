//! Who may connect, and what a new stream begins with.

use core::net::IpAddr;
use std::sync::Arc;

use uuid::Uuid;

use super::{Effects, HubState};
use crate::domain::backlog::Backlog;
use crate::domain::fanout::ConnectionKey;
use crate::domain::history::Depth;
use crate::domain::message::{MessageId, PerPriority, Transport};
use crate::domain::notice::{Established, Goodbye, Notice, Piece};
use crate::domain::outbox::Progress;
use crate::domain::pattern::NameError;
use crate::domain::session::{Connection, Identity, Session, State, TicketHash};
use crate::domain::subscription::Subscription;
use crate::domain::time::Now;
use crate::domain::view::Selector;

/// Somebody wants a stream. Randomness comes in: `fresh_token` and `fresh_connection_id` are used
/// where new ones are needed.
#[derive(Debug)]
pub struct Connect {
    pub key: ConnectionKey,
    pub transport: Transport,
    pub opening: Opening,
    /// The position that the client says it has; `None` when it says nothing usable.
    pub last_event_id: Option<MessageId>,
    pub progress: Arc<Progress>,
    pub remote: IpAddr,
    pub user_agent: Arc<str>,
    pub fresh_token: Uuid,
    pub fresh_connection_id: Uuid,
}

/// By which right.
#[derive(Debug, Clone)]
pub enum Opening {
    /// A new session, possibly going on from a position.
    New {
        identity: Arc<Identity>,
        selectors: Vec<Selector>,
        ticket: Option<TicketHash>,
    },
    /// An existing one, by its reconnect token.
    Resume {
        identity: Arc<Identity>,
        token: Uuid,
        ticket: Option<TicketHash>,
    },
    /// An existing one, by the ticket that opened it.
    ByTicket {
        ticket: TicketHash,
        token: Option<Uuid>,
    },
}

/// Why there is no stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The user has as many live connections as allowed.
    ConnectionLimit,
    /// The hub has.
    HubFull,
    /// Unknown, expired or another user's reconnect token.
    UnknownToken,
    /// No session was opened with this ticket, or its token has expired.
    UnknownTicket,
    TooManyPatterns,
    /// In one subscription.
    TooManyViews,
    /// Of all subscriptions together.
    HubViews,
    Draining,
}

impl From<NameError> for Refusal {
    fn from(error: NameError) -> Self {
        match error {
            NameError::Views => Self::TooManyViews,
            NameError::HubViews => Self::HubViews,
            _ => Self::TooManyPatterns,
        }
    }
}

/// From where a new stream goes on.
struct Start {
    /// `None`: from a snapshot.
    resumed: Option<Backlog>,
    previous_connection_id: Option<Uuid>,
}

impl HubState {
    /// Opens or resumes a stream; the opening goes out through [`Effects::attach`].
    ///
    /// # Errors
    /// The refusal; nothing has changed then but the count of attempted resumes.
    pub fn connect(
        &mut self,
        connect: Connect,
        now: Now,
        effects: &mut impl Effects,
    ) -> Result<Uuid, Refusal> {
        if self.draining {
            return Err(Refusal::Draining);
        }
        let resumes =
            !matches!(connect.opening, Opening::New { .. }) || connect.last_event_id.is_some();
        self.tally.resumes_attempted += u64::from(resumes);
        let token = match &connect.opening {
            Opening::New { .. } => self.open(connect, now, effects)?,
            Opening::Resume {
                identity, token, ..
            } => {
                let known = self
                    .sessions
                    .get(token)
                    .is_some_and(|session| session.user() == &identity.user);
                let token = known.then_some(*token).ok_or(Refusal::UnknownToken)?;
                self.resume(token, connect, now, effects)?
            }
            Opening::ByTicket {
                ticket,
                token: wanted,
            } => {
                let token = *self.by_ticket.get(ticket).ok_or(Refusal::UnknownTicket)?;
                let expires = self
                    .sessions
                    .get(&token)
                    .map_or(0, |session| session.identity.expires_at_ms);
                if expires <= now.wall_ms || wanted.is_some_and(|wanted| wanted != token) {
                    return Err(Refusal::UnknownTicket);
                }
                self.resume(token, connect, now, effects)?
            }
        };
        debug_assert!(self.is_consistent());
        Ok(token)
    }

    fn open(
        &mut self,
        connect: Connect,
        now: Now,
        effects: &mut impl Effects,
    ) -> Result<Uuid, Refusal> {
        let Opening::New {
            identity,
            selectors,
            ticket,
        } = connect.opening
        else {
            return Err(Refusal::UnknownToken);
        };
        let last = self.history.last();
        let from = connect
            .last_event_id
            .filter(|position| self.history.covers(*position));
        let began = from.unwrap_or(last);
        let subscription = Subscription::new(&selectors, began)?;
        self.check_limits(&identity, None)?;
        self.watch(&subscription, Depth::Newest)?;

        let session = Session {
            token: connect.fresh_token,
            connection_id: connect.fresh_connection_id,
            identity,
            transport: connect.transport,
            subscription,
            began,
            transport_since: began,
            state: State::Live,
            connection: Connection {
                key: connect.key,
                progress: connect.progress,
                remote: connect.remote,
                user_agent: connect.user_agent,
                opened_at: MessageId::ZERO,
                known: connect.last_event_id,
                closing: false,
            },
            ticket: ticket.map(Box::new),
            since_ms: now.wall_ms,
            carried: None,
            dropped: PerPriority::default(),
            losses: None,
            sent_before: 0,
        };
        let resumed = from
            .and_then(|position| self.read_backlog(&session.reader(), position, MessageId::ZERO));
        let token = session.token;
        self.by_user
            .entry(session.user().clone())
            .or_default()
            .insert(token);
        self.sessions.insert(token, Box::new(session));
        self.begin_stream(
            token,
            Start {
                resumed,
                previous_connection_id: None,
            },
            effects,
        );
        Ok(token)
    }

    fn resume(
        &mut self,
        token: Uuid,
        connect: Connect,
        now: Now,
        effects: &mut impl Effects,
    ) -> Result<Uuid, Refusal> {
        let (identity, ticket) = match connect.opening {
            Opening::Resume {
                identity, ticket, ..
            } => (Some(identity), ticket),
            Opening::New { .. } | Opening::ByTicket { .. } => (None, None),
        };
        let old = self.sessions.get(&token).ok_or(Refusal::UnknownToken)?;
        self.check_limits(
            &identity.clone().unwrap_or_else(|| old.identity.clone()),
            Some(old),
        )?;
        let resumed = self.missed(old, connect.last_event_id);
        let previous_connection_id = Some(old.connection_id);
        self.part(token, effects);

        let last = self.history.last();
        let Some(session) = self.sessions.get_mut(&token) else {
            return Err(Refusal::UnknownToken);
        };
        if session.transport != connect.transport {
            session.transport = connect.transport;
            session.transport_since = last;
        }
        session.identity = identity.unwrap_or_else(|| session.identity.clone());
        session.connection_id = connect.fresh_connection_id;
        session.since_ms = now.wall_ms;
        session.state = State::Live;
        session.forget_carried();
        let opened_at = if resumed.is_some() {
            session.connection.opened_at
        } else {
            MessageId::ZERO
        };
        session.connection = Connection {
            key: connect.key,
            progress: connect.progress,
            remote: connect.remote,
            user_agent: connect.user_agent,
            opened_at,
            known: connect.last_event_id,
            closing: false,
        };
        if let Some(hash) = ticket {
            session
                .ticket
                .replace(Box::new(hash))
                .map(|old| self.by_ticket.remove(&*old));
        }
        self.begin_stream(
            token,
            Start {
                resumed,
                previous_connection_id,
            },
            effects,
        );
        Ok(token)
    }

    /// What a session missed: after the position that the client names, else after what was sent.
    fn missed(&self, session: &Session, last_event_id: Option<MessageId>) -> Option<Backlog> {
        let position = last_event_id.unwrap_or_else(|| session.position());
        // What came before the session began the log cannot tell by its subscription, and a
        // snapshot that was never sent is still due.
        if position < session.began {
            return None;
        }
        // What the session carries along was counted from its own position; from any other one the
        // log itself must still reach back.
        if Some(position) == session.backlog_position() {
            return self.backlog(session, position);
        }
        self.read_backlog(&session.reader(), position, MessageId::ZERO)
    }

    /// `resuming`: the session that is to be resumed, whose own live connection makes room.
    fn check_limits(&self, identity: &Identity, resuming: Option<&Session>) -> Result<(), Refusal> {
        let own = usize::from(resuming.is_some_and(Session::is_live));
        if self.live_of(&identity.user) - own >= self.limits.connections_per_user_max {
            return Err(Refusal::ConnectionLimit);
        }
        if self.live - own >= self.limits.connections_max {
            return Err(Refusal::HubFull);
        }
        Ok(())
    }

    /// Takes the session from its present connection, or out of the away list.
    fn part(&mut self, token: Uuid, effects: &mut impl Effects) {
        let Some(session) = self.sessions.get_mut(&token) else {
            return;
        };
        session.connection.opened_at = session.position();
        match session.state {
            State::Away { since, .. } => {
                self.away.remove(&(since, token));
            }
            State::Live | State::Lagging { .. } => {
                session.sent_before = session.sent();
                self.live -= usize::from(!session.connection.closing);
                let key = session.connection.key;
                if !session.connection.closing {
                    effects.close(key, session.transport, Goodbye::Replaced);
                }
                self.lagging.remove(&token);
                self.by_connection.remove(&key);
                self.expiries
                    .remove(&(session.identity.expires_at_ms, token));
            }
        }
    }

    fn begin_stream(&mut self, token: Uuid, start: Start, effects: &mut impl Effects) {
        let through = self.history.last();
        let Some(session) = self.sessions.get_mut(&token) else {
            return;
        };
        if let (Some(known), Some(_)) = (session.connection.known, &start.resumed) {
            session.connection.opened_at = known;
        }
        self.live += 1;
        self.by_connection.insert(session.connection.key, token);
        self.expiries
            .insert((session.identity.expires_at_ms, token));
        session
            .ticket
            .as_deref()
            .map(|hash| self.by_ticket.insert(*hash, token));

        let backlog = start.resumed.clone().unwrap_or_default();
        session.note_losses(session.connection.opened_at, through, &backlog);
        self.tally.dropped.add(&backlog.receipt.dropped);
        self.tally.conflated += backlog.receipt.conflated;
        self.tally.resumes_succeeded += u64::from(start.resumed.is_some());

        let Some(session) = self.session(&token) else {
            return;
        };
        let stale = self.stale_for(&session.reader());
        let is_resumed = start.resumed.is_some();
        let established = Notice::Established(Box::new(Established {
            connection_id: session.connection_id,
            reconnect_token: token,
            user: session.user().clone(),
            metrics: session.subscription.selectors(),
            resumed: start.resumed.is_some(),
            replayed: backlog.messages.len(),
            receipt: backlog.receipt,
            previous_connection_id: start.previous_connection_id,
            stale: stale.iter().filter(|_| is_resumed).cloned().collect(),
        }));
        let mut opening = vec![Piece::Notice(established)];
        if start.resumed.is_some() {
            opening.extend(backlog.messages.into_iter().map(Piece::Message));
        } else {
            let values = self.newest(&session.reader());
            opening.push(
                Notice::InitialMetrics {
                    position: through,
                    values,
                    stale,
                }
                .into(),
            );
        }
        effects.attach(session, opening, through);
        self.note(token);
    }
}
