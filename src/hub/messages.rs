//! What the Hub actor is asked and told, as actix messages.

use std::sync::Arc;

use actix::{Addr, Message};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::fanout::Fanout;
use super::follow::{Following, Wants};
use super::meter::Meter;
use crate::broker::redis::Held;
use crate::config::Settings;
use crate::domain::fanout::ConnectionKey;
use crate::domain::history::Missing;
use crate::domain::hub::{
    self, Change, Ended, Explanation, RefreshError, Refusal, SessionFilter, SessionView, Statistics,
};
use crate::domain::message::{self, Draft, Json, MessageId, StateName, Transport, UserId};
use crate::domain::pattern::{MetricName, NameError};
use crate::domain::session::{Identity, Session};
use crate::domain::view::Selector;
use crate::store::{AlertWrite, Answer, Keyed};
use crate::telemetry::delivered::Delivered;
use crate::telemetry::latency::Summary;

/// Answered by whoever is not stuck.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Pulse;

/// Somebody wants a stream.
#[derive(Message)]
#[rtype(result = "Result<Admitted, Refusal>")]
pub struct Connect(pub hub::Connect);

/// A stream was opened.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// The session's reconnect token.
    pub token: Uuid,
    pub connection_id: Uuid,
    /// Whose session it is, as its token says or, for one resumed by ticket, said.
    pub identity: Arc<Identity>,
}

/// A connection has ended; everything up to `position` was handed to its socket.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Disconnected {
    pub key: ConnectionKey,
    pub position: MessageId,
}

/// A connection's queue is full; everything up to `position` is in it.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Lagging {
    pub key: ConnectionKey,
    pub position: MessageId,
}

/// A lagging connection's queue has run empty.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drained(pub ConnectionKey);

/// The role of a connection's token was taken from it: the stream is to end.
#[derive(Message)]
#[rtype(result = "()")]
pub struct End(pub ConnectionKey);

/// A batch, taken whole or refused whole.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Publish {
    pub drafts: Vec<Draft>,
    /// One a draft, or nothing at all.
    pub keys: Vec<Option<Keyed>>,
    /// By which right it was read from a source, where hubs share those.
    pub held: Option<Held>,
    pub answer: Answer,
}

/// What a part of the hub remembers, on its way into the log.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Remember {
    pub states: Vec<(StateName, Json)>,
    /// By which right, where hubs share the work.
    pub held: Option<Held>,
    pub answer: Answer,
}

/// Somebody follows the log.
#[derive(Message)]
#[rtype(result = "Following")]
pub struct Follow {
    pub wants: Wants,
    /// Messages that may wait for whoever follows.
    pub waiting_max: usize,
}

/// An alert for everybody, or what has become of one; its data is an object.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Alert {
    pub data: Json,
    pub write: AlertWrite,
    /// One, or none.
    pub keys: Vec<Option<Keyed>>,
    pub answer: Answer,
}

/// A test message to a user's live connections of one transport. Answers how many there are.
#[derive(Message)]
#[rtype(result = "usize")]
pub struct Test {
    pub user: UserId,
    pub transport: Transport,
    /// How many connections there are over all hubs; `None`: this one counts its own.
    pub connections: Option<usize>,
}

/// Changes what one connection receives.
#[derive(Message)]
#[rtype(result = "Result<(), NameError>")]
pub struct ChangeConnection {
    pub key: ConnectionKey,
    pub change: Change,
    pub selectors: Vec<Selector>,
}

/// Changes what all of a user's sessions receive, or `only` that one of them. Answers how many live
/// connections that concerns.
#[derive(Message)]
#[rtype(result = "Result<usize, NameError>")]
pub struct ChangeUser {
    pub user: UserId,
    pub only: Option<Uuid>,
    pub change: Change,
    pub selectors: Vec<Selector>,
}

/// Which session a fresh token is for.
#[derive(Debug, Clone, Copy)]
pub enum Renewed {
    Session(Uuid),
    Connection(ConnectionKey),
}

/// A fresh token for a session. Answers its expiry in milliseconds since the Unix epoch.
#[derive(Message)]
#[rtype(result = "Result<u64, RefreshError>")]
pub struct Refresh {
    pub of: Renewed,
    pub identity: Arc<Identity>,
}

/// Whose streams an operator wants to end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Chosen {
    User(UserId),
    Connection(Uuid),
    /// The JWT's `jti`.
    TokenId(String),
    /// Tokens whose `iat` is before this, in milliseconds since the Unix epoch, or missing.
    IssuedBefore(u64),
}

impl Chosen {
    pub fn picks(&self, session: &Session) -> bool {
        let identity = &session.identity;
        match self {
            Self::User(user) => &identity.user == user,
            Self::Connection(id) => session.connection_id == *id,
            Self::TokenId(id) => identity.token_id.as_ref() == Some(id),
            Self::IssuedBefore(ms) => identity.issued_at_ms.is_none_or(|issued| issued < *ms),
        }
    }
}

#[derive(Message)]
#[rtype(result = "Vec<Ended>")]
pub struct Disconnect(pub Chosen);

#[derive(Message)]
#[rtype(result = "Statistics")]
pub struct GetStatistics;

/// One or all hubs at one moment, as operators see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Overview {
    pub statistics: Statistics,
    /// Messages handed to sockets.
    pub delivered: Delivered,
    pub latency: Summary,
    /// Requests that wait for the Hub actor.
    pub waiting: usize,
    pub uptime: std::time::Duration,
}

impl Overview {
    /// The numbers of another hub. How long the longest one has been up says how long there was one.
    pub fn add(&mut self, other: &Self) {
        self.statistics.add(&other.statistics);
        self.delivered.add(&other.delivered);
        self.latency.add(&other.latency);
        self.waiting += other.waiting;
        self.uptime = self.uptime.max(other.uptime);
    }
}

#[derive(Message)]
#[rtype(result = "Result<Explanation, Missing>")]
pub struct Explain {
    pub id: MessageId,
    pub user: UserId,
}

#[derive(Message)]
#[rtype(result = "(Vec<SessionView>, usize)")]
pub struct GetSessions {
    pub filter: SessionFilter,
    pub offset: usize,
    pub limit: usize,
}

#[derive(Message)]
#[rtype(result = "Vec<Newest>")]
pub struct GetLatest(pub UserId);

/// A metric's value.
#[derive(Debug, Clone)]
pub struct Newest {
    pub metric: MetricName,
    pub message: Arc<message::Message>,
    /// It is overdue.
    pub is_stale: bool,
}

/// A worker thread has begun, with its share of the fan-out.
#[derive(Message)]
#[rtype(result = "()")]
pub struct WorkerStarted {
    pub number: u16,
    pub fanout: Addr<Fanout>,
    pub meter: Arc<Meter>,
}

/// Settings that can change while running.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Reload(pub Arc<Settings>);

/// Every stream is told goodbye; no new one is opened.
#[derive(Message)]
#[rtype(result = "()")]
pub struct Drain;
