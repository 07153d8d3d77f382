//! What a client is told about its own connection. Never numbered, never replayed.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::backlog::Receipt;
use super::message::{Message, MessageId, UserId};
use super::pattern::MetricName;
use super::view::Selector;

/// One piece of a stream, in the domain's terms.
#[derive(Debug, Clone)]
pub enum Piece {
    Notice(Notice),
    Message(Arc<Message>),
}

impl From<Notice> for Piece {
    fn from(notice: Notice) -> Self {
        Self::Notice(notice)
    }
}

#[derive(Debug, Clone)]
pub enum Notice {
    Established(Box<Established>),
    /// The snapshot: the newest message of each metric, as of `position`.
    InitialMetrics {
        position: MessageId,
        values: Vec<(MetricName, Arc<Message>)>,
        /// Of these metrics the value is overdue.
        stale: Vec<MetricName>,
    },
    /// A metric has become overdue.
    Stale(Stale),
    Subscribed {
        metrics: Vec<Selector>,
    },
    Unsubscribed {
        metrics: Vec<Selector>,
    },
    Pong,
    Refreshed {
        expires_at_ms: u64,
    },
    /// Before the backlog of a client that read too slowly.
    Dropped(Receipt),
    Error(Fault),
}

/// A metric that was not updated for longer than it may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stale {
    pub metric: MetricName,
    /// Its newest message.
    pub newest: MessageId,
    pub ttl: Duration,
}

/// The first words on a stream.
#[derive(Debug, Clone)]
pub struct Established {
    pub connection_id: Uuid,
    pub reconnect_token: Uuid,
    pub user: UserId,
    pub metrics: Vec<Selector>,
    /// Whether the stream goes on from where the client was; else a snapshot follows.
    pub resumed: bool,
    pub replayed: usize,
    pub receipt: Receipt,
    /// The connection that this session had before, where it was resumed by its token.
    pub previous_connection_id: Option<Uuid>,
    /// Of a stream that is resumed, and so begins without a snapshot: metrics whose value is overdue.
    pub stale: Vec<MetricName>,
}

/// Why a client's message was not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    InvalidMessage,
    UnknownType,
    MetricsNoArray,
    InvalidMetric,
    /// A subscription that asks for what there is not, in words for whoever wrote it.
    InvalidSelector(Arc<str>),
    TooManyPatterns,
    RateLimited,
    TokenInvalid,
    TokenOfOtherUser,
    TokenExpiresEarlier,
    Unavailable,
}

impl Fault {
    pub const ALL: [Self; 10] = [
        Self::InvalidMessage,
        Self::UnknownType,
        Self::MetricsNoArray,
        Self::InvalidMetric,
        Self::TooManyPatterns,
        Self::RateLimited,
        Self::TokenInvalid,
        Self::TokenOfOtherUser,
        Self::TokenExpiresEarlier,
        Self::Unavailable,
    ];
}

/// Why a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Goodbye {
    /// Its session was resumed elsewhere.
    Replaced,
    TokenExpired,
    /// Disconnected by an operator, or the token lost its role.
    Disconnected,
    /// The hub is stopping.
    Shutdown {
        reconnect_in: Duration,
    },
    TooManyMessages,
    /// The hub cannot go on with this connection.
    Trouble,
}

impl Goodbye {
    /// All but [`Goodbye::Shutdown`], which says when to come back.
    pub const FOR_ONE: [Self; 5] = [
        Self::Replaced,
        Self::TokenExpired,
        Self::Disconnected,
        Self::TooManyMessages,
        Self::Trouble,
    ];
}
