//! The hub's decisions. One value, fed with inputs and the time, answering with effects.
//!
//! Invariants, each held by a property test and checked by the simulation at every step:
//!
//! 1. Ids strictly increase, over restarts and backward clock jumps.
//! 2. A client sees ids strictly increasing within a stream, and no id twice over a session's life
//!    when it says honestly what arrived.
//! 3. What was sent plus what was reported as dropped is everything published to the session.
//! 4. Nothing is dropped from a backlog while something of a lower priority stays; among equals the
//!    newest stay.
//! 5. A session only ever gets what its subscription admits, its own user's messages, and alerts.
//! 6. The snapshot and the first live message leave no gap and no overlap.
//! 7. History, sessions and queues are bounded.
//! 8. A user never has more live connections than allowed; a freed slot is free at once.
//! 9. A slow or dead client never delays another one.
//! 10. A token works only for its own user, until its session is forgotten.

mod admission;
pub mod again;
mod ended;
mod explaining;
mod keeping;
mod lifecycle;
mod publishing;
mod shared;
mod stale;
mod statistics;
mod subscribing;
mod views;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use indexmap::IndexSet;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use admission::{Connect, Opening, Refusal};
pub use explaining::{Explanation, Outcome, SessionOutcome};
pub use lifecycle::{Ended, RefreshError};
pub use statistics::{Delivery, SessionFilter, SessionView, Statistics, TransportStatistics};
pub use subscribing::Change;
pub use views::VIEWS_MAX;

use self::ended::EndedSessions;
use self::views::Views;
use super::backlog::Backlog;
use super::fanout::ConnectionKey;
use super::history::{self, History};
use super::message::{Message, MessageId, PerPriority, Transport, UserId};
use super::notice::{Goodbye, Piece, Stale};
use super::pattern::{MetricName, Pattern};
use super::session::{Session, State, TicketHash};
use super::subscription::Subscription;
use super::view::View;

/// Bounds of the hub.
#[derive(Debug, Clone)]
pub struct Limits {
    pub history: history::Limits,
    pub connections_per_user_max: usize,
    pub connections_max: usize,
    pub away_max: usize,
    /// How long a session that is away can be resumed.
    pub session_timeout: Duration,
    /// Metrics without an update for this long are forgotten.
    pub metric_idle_timeout: Duration,
    /// Which metrics' values are stale without an update for how long; of several patterns the first counts.
    pub ttls: Vec<(Pattern, Duration)>,
}

/// How the hub reaches the world. Everything for one connection must arrive at its worker in the
/// order it was said here, deliveries included.
pub trait Effects {
    /// To every worker.
    fn deliver(&mut self, message: &Arc<Message>);
    /// The same for those who see it by `view`. Before the message itself is delivered, if it is.
    fn deliver_as(&mut self, view: &View, message: &Arc<Message>);
    /// To everybody who gets the metric, in whatever form.
    fn announce_stale(&mut self, stale: &Stale);
    /// A new connection: its opening, and live messages after `through`.
    fn attach(&mut self, session: &Session, opening: Vec<Piece>, through: MessageId);
    /// To a connection, besides the live messages.
    fn send(&mut self, to: ConnectionKey, transport: Transport, pieces: Vec<Piece>);
    /// To a lagging connection: what it missed, and it is live again after `through`.
    fn catch_up(
        &mut self,
        to: ConnectionKey,
        transport: Transport,
        pieces: Vec<Piece>,
        through: MessageId,
    );
    fn resubscribe(&mut self, connection: ConnectionKey, subscription: Subscription);
    /// The last words, then the end of the stream.
    fn close(&mut self, connection: ConnectionKey, transport: Transport, goodbye: Goodbye);
}

#[derive(Debug)]
pub struct HubState {
    limits: Limits,
    history: History,
    views: Views,
    /// Boxed: a table is up to twice as large as what is in it.
    sessions: HashMap<Uuid, Box<Session>>,
    by_connection: HashMap<ConnectionKey, Uuid>,
    by_user: HashMap<UserId, IndexSet<Uuid>>,
    by_ticket: HashMap<TicketHash, Uuid>,
    /// Connected sessions by the expiry of their token.
    expiries: BTreeSet<(u64, Uuid)>,
    /// Away sessions, the one away longest first.
    away: BTreeSet<(Duration, Uuid)>,
    /// Lagging sessions.
    lagging: HashSet<Uuid>,
    live: usize,
    tally: Tally,
    draining: bool,
    /// Those that were here not long ago.
    ended: EndedSessions,
    /// Metrics whose values are overdue, and since when.
    stale: BTreeMap<MetricName, Stale>,
    /// Somebody is sent what changes only.
    keeps_before: bool,
    /// Sessions to be written down, where anybody does that.
    changed: Option<BTreeSet<Uuid>>,
}

/// What is counted since the start.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Tally {
    pub published: PerPriority<u64>,
    pub dropped: PerPriority<u64>,
    pub conflated: u64,
    pub resumes_attempted: u64,
    pub resumes_succeeded: u64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.published.add(&other.published);
        self.dropped.add(&other.dropped);
        self.conflated += other.conflated;
        self.resumes_attempted += other.resumes_attempted;
        self.resumes_succeeded += other.resumes_succeeded;
    }
}

impl HubState {
    /// A hub that knows nothing before `origin`.
    pub fn new(limits: Limits, origin: MessageId) -> Self {
        Self {
            history: History::new(limits.history.clone(), origin),
            limits,
            views: Views::default(),
            sessions: HashMap::new(),
            by_connection: HashMap::new(),
            by_user: HashMap::new(),
            by_ticket: HashMap::new(),
            expiries: BTreeSet::new(),
            away: BTreeSet::new(),
            lagging: HashSet::new(),
            live: 0,
            tally: Tally::default(),
            draining: false,
            ended: EndedSessions::default(),
            stale: BTreeMap::new(),
            keeps_before: false,
            changed: None,
        }
    }

    /// New bounds, from the next decision on. Nobody is disconnected because of them.
    pub fn set_limits(&mut self, limits: Limits) {
        self.history.set_limits(limits.history.clone());
        self.limits = limits;
    }

    /// Whether messages are to know what was before them: somebody is sent what changes only.
    pub fn keep_before(&mut self, keeps: bool) {
        self.keeps_before = keeps;
    }

    pub fn history(&self) -> &History {
        &self.history
    }

    /// Different views that somebody sees, and the bytes kept for their replays.
    pub fn views(&self) -> (usize, usize) {
        (self.views.len(), self.views.bytes())
    }

    /// Live connections.
    pub fn live(&self) -> usize {
        self.live
    }

    /// The session of a reconnect token.
    pub fn session(&self, token: &Uuid) -> Option<&Session> {
        self.sessions.get(token).map(Box::as_ref)
    }

    /// The session of a live connection.
    pub fn session_of(&self, connection: ConnectionKey) -> Option<&Session> {
        self.session(self.by_connection.get(&connection)?)
    }

    fn every_session(&self) -> impl Iterator<Item = &Session> {
        self.sessions.values().map(Box::as_ref)
    }

    /// Of every session with a live stream; sorted, so that the same inputs give the same effects in the same
    /// order.
    fn live_tokens(&self) -> Vec<Uuid> {
        let live = self.every_session().filter(|session| session.is_live());
        let mut tokens: Vec<_> = live.map(|session| session.token).collect();
        tokens.sort_unstable();
        tokens
    }

    fn sessions_of(&self, user: &UserId) -> impl Iterator<Item = &Session> {
        self.by_user
            .get(user)
            .into_iter()
            .flatten()
            .filter_map(|token| self.session(token))
    }

    /// What waits for a session at its own position, and a receipt of the rest; `None` where the log
    /// no longer knows.
    fn backlog(&self, session: &Session, position: MessageId) -> Option<Backlog> {
        let mut backlog = self.read_backlog(&session.reader(), position, session.carried_to())?;
        if let Some(carried) = &session.carried {
            backlog.receipt.add(&carried.receipt);
        }
        Some(backlog)
    }

    fn live_of(&self, user: &UserId) -> usize {
        self.sessions_of(user)
            .filter(|session| session.is_live())
            .count()
    }

    /// Whether the indexes agree with the sessions: for tests and debug assertions.
    pub fn is_consistent(&self) -> bool {
        let live = self
            .every_session()
            .filter(|session| session.is_live())
            .count();
        let connected = self
            .every_session()
            .filter(|session| session.is_connected())
            .count();
        let users: usize = self.by_user.values().map(IndexSet::len).sum();
        live == self.live
            && connected == self.by_connection.len()
            && connected == self.expiries.len()
            && self.away.len() + connected == self.sessions.len()
            && users == self.sessions.len()
            && self.lagging.iter().all(|token| {
                self.sessions
                    .get(token)
                    .is_some_and(|session| matches!(session.state, State::Lagging { .. }))
            })
    }
}

#[cfg(test)]
mod tests;
