//! What can be resumed: a token, a user, a subscription, a position.

use core::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::backlog::{Backlog, Reader, Receipt};
use super::fanout::ConnectionKey;
use super::losses::Losses;
use super::message::{MessageId, PerPriority, Priority, Transport, UserId};
use super::outbox::Progress;
use super::subscription::Subscription;

/// What a verified token said about its holder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub user: UserId,
    /// The role that let it in, for the audit trail.
    pub role: Arc<str>,
    /// Until when the stream may live, in milliseconds since the Unix epoch.
    pub expires_at_ms: u64,
    pub issued_at_ms: Option<u64>,
    /// The JWT's `jti`.
    pub token_id: Option<String>,
}

/// SHA-256 of a ticket; the ticket itself is never kept.
pub type TicketHash = [u8; 32];

/// Where a session's client is.
#[derive(Debug, Clone)]
pub enum State {
    Live,
    /// Connected, but reading too slowly: everything up to `position` was queued for it.
    Lagging {
        position: MessageId,
    },
    /// Gone since `since`, having been sent everything up to `position`.
    Away {
        since: Duration,
        position: MessageId,
    },
}

/// One live stream of a session.
#[derive(Debug, Clone)]
pub struct Connection {
    pub key: ConnectionKey,
    /// How far it has got; written by its worker.
    pub progress: Arc<Progress>,
    pub remote: IpAddr,
    pub user_agent: Arc<str>,
    /// Where the stream began; nothing before is resent without being asked for. Zero for one that
    /// began with a snapshot: as long as that was not sent, nothing was.
    pub opened_at: MessageId,
    /// The position that its client said it had; `None` when it said nothing usable.
    pub known: Option<MessageId>,
    /// It has been told to end and no longer counts as live.
    pub closing: bool,
}

/// What the log forgot before its reader came back.
#[derive(Debug, Clone, Default)]
pub struct Carried {
    /// Counted before each of the log's cuts.
    pub receipt: Receipt,
    /// Up to where.
    pub to: MessageId,
}

#[derive(Debug, Clone)]
pub struct Session {
    pub token: Uuid,
    pub connection_id: Uuid,
    pub identity: Arc<Identity>,
    pub transport: Transport,
    pub subscription: Subscription,
    /// Alerts count for the session from here on.
    pub began: MessageId,
    /// Test messages for the transport count from here on.
    pub transport_since: MessageId,
    pub state: State,
    /// The live stream; after it has gone, what the last one looked like.
    pub connection: Connection,
    /// The ticket that opened it and may resume it; boxed because most come by token.
    pub ticket: Option<Box<TicketHash>>,
    /// Wall clock of the last change between connected and away.
    pub since_ms: u64,
    /// What the log forgot of what went after the position; boxed because it is rare.
    pub carried: Option<Box<Carried>>,
    /// Reported as dropped over the session's life.
    pub dropped: PerPriority<u64>,
    /// Where what was not sent is; boxed because most lose nothing. Not kept over a restart.
    pub losses: Option<Box<Losses>>,
    /// Messages sent by connections before the present one.
    pub sent_before: u64,
}

impl Session {
    pub fn user(&self) -> &UserId {
        &self.identity.user
    }

    /// The view of the history that is this session's.
    pub fn reader(&self) -> Reader<'_> {
        Reader {
            user: self.user(),
            transport: self.transport,
            subscription: &self.subscription,
            view: None,
            since: self.began,
            transport_since: self.transport_since,
        }
    }

    pub fn is_connected(&self) -> bool {
        !matches!(self.state, State::Away { .. })
    }

    /// Connected, and not told to end.
    pub fn is_live(&self) -> bool {
        self.is_connected() && !self.connection.closing
    }

    /// Up to where its client has been sent everything.
    pub fn position(&self) -> MessageId {
        match self.state {
            State::Away { position, .. } => position,
            State::Live | State::Lagging { .. } => self
                .connection
                .progress
                .sent_through()
                .max(self.connection.opened_at),
        }
    }

    /// The position from which its backlog is to be computed, for one that has a backlog.
    pub fn backlog_position(&self) -> Option<MessageId> {
        match self.state {
            State::Live => None,
            State::Lagging { position } | State::Away { position, .. } => Some(position),
        }
    }

    /// Up to where what the log forgot has been counted.
    pub fn carried_to(&self) -> MessageId {
        let carried = self.carried.as_ref();
        carried.map_or(MessageId::ZERO, |carried| carried.to)
    }

    /// Its client's position is elsewhere than its backlog was counted from.
    pub fn forget_carried(&mut self) {
        self.carried = None;
    }

    /// Of what came after `after` and up to `through`, it is sent `backlog`, and told of the rest.
    pub fn note_losses(&mut self, after: MessageId, through: MessageId, backlog: &Backlog) {
        if backlog.receipt.dropped.total() + backlog.receipt.conflated > 0 {
            let losses = self.losses.get_or_insert_default();
            losses.note(after, through, backlog);
            self.dropped.add(&backlog.receipt.dropped);
        }
    }

    /// Whether a message of up to its position that it had a right to was sent to it, which a later value may have
    /// replaced since; `None`: nobody knows any more.
    pub fn was_sent(&self, id: MessageId, priority: Priority, is_replaced: bool) -> Option<bool> {
        match &self.losses {
            Some(losses) if self.dropped[priority] > 0 || is_replaced => {
                losses.was_sent(id, priority, is_replaced)
            }
            _ => Some(true),
        }
    }

    /// Messages sent over the session's life.
    pub fn sent(&self) -> u64 {
        let present = if self.is_connected() {
            self.connection.progress.sent()
        } else {
            0
        };
        self.sent_before.saturating_add(present)
    }
}
