//! What the parts of the simulation say to each other.

use std::sync::Arc;

use statshub::domain::fanout::ConnectionKey;
use statshub::domain::hub::{Change, Effects};
use statshub::domain::message::{Message, MessageId, Transport, UserId};
use statshub::domain::notice::{Goodbye, Piece, Stale};
use statshub::domain::session::{Session, TicketHash};
use statshub::domain::subscription::Subscription;
use statshub::domain::view::View;
use uuid::Uuid;

/// One effect of the hub, written down so that it can be checked, falsified and delayed.
pub enum Effect {
    Deliver(Arc<Message>),
    Attach(Attach),
    Send(ConnectionKey, Vec<Piece>),
    CatchUp(ConnectionKey, Vec<Piece>, MessageId),
    Resubscribe(ConnectionKey, Subscription),
    Close(ConnectionKey, Goodbye),
}

pub struct Attach {
    pub key: ConnectionKey,
    pub user: UserId,
    pub transport: Transport,
    pub subscription: Subscription,
    pub opening: Vec<Piece>,
    pub through: MessageId,
}

impl Effect {
    pub fn worker(&self) -> Option<u16> {
        match self {
            Self::Deliver(_) => None,
            Self::Attach(attach) => Some(attach.key.worker()),
            Self::Send(key, _)
            | Self::CatchUp(key, ..)
            | Self::Resubscribe(key, _)
            | Self::Close(key, _) => Some(key.worker()),
        }
    }
}

#[derive(Default)]
pub struct Recorder(pub Vec<Effect>);

impl Effects for Recorder {
    fn deliver(&mut self, message: &Arc<Message>) {
        self.0.push(Effect::Deliver(message.clone()));
    }

    fn deliver_as(&mut self, _: &View, _: &Arc<Message>) {
        unreachable!("nobody asks for a view");
    }

    fn announce_stale(&mut self, _: &Stale) {
        unreachable!("no metric has a time to live");
    }

    fn attach(&mut self, session: &Session, opening: Vec<Piece>, through: MessageId) {
        self.0.push(Effect::Attach(Attach {
            key: session.connection.key,
            user: session.user().clone(),
            transport: session.transport,
            subscription: session.subscription.clone(),
            opening,
            through,
        }));
    }

    fn send(&mut self, to: ConnectionKey, _: Transport, pieces: Vec<Piece>) {
        self.0.push(Effect::Send(to, pieces));
    }

    fn catch_up(
        &mut self,
        to: ConnectionKey,
        _: Transport,
        pieces: Vec<Piece>,
        through: MessageId,
    ) {
        self.0.push(Effect::CatchUp(to, pieces, through));
    }

    fn resubscribe(&mut self, connection: ConnectionKey, subscription: Subscription) {
        self.0.push(Effect::Resubscribe(connection, subscription));
    }

    fn close(&mut self, connection: ConnectionKey, _: Transport, goodbye: Goodbye) {
        self.0.push(Effect::Close(connection, goodbye));
    }
}

/// From a worker to the hub.
pub enum Report {
    Connect(Request),
    Lagging(ConnectionKey, MessageId),
    Drained(ConnectionKey),
    Disconnected(ConnectionKey, MessageId),
    Change(ConnectionKey, Change, Vec<usize>),
    Refresh(Uuid, usize, u64),
}

/// A client asks for a stream.
#[derive(Debug, Clone)]
pub struct Request {
    pub key: ConnectionKey,
    pub user: usize,
    pub transport: Transport,
    pub ask: Ask,
    pub last: Option<MessageId>,
    pub expires_at_ms: u64,
    pub fresh_token: Uuid,
    pub fresh_connection_id: Uuid,
}

#[derive(Debug, Clone)]
pub enum Ask {
    New {
        patterns: Vec<usize>,
        ticket: Option<TicketHash>,
    },
    Token {
        token: Uuid,
        ticket: Option<TicketHash>,
    },
    Ticket {
        ticket: TicketHash,
        token: Option<Uuid>,
    },
}

/// What a simulated client finds in the bytes of a piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    Established,
    Snapshot(MessageId),
    Replayed(MessageId),
    Live(MessageId),
    Cursor(MessageId),
    Notice,
    Goodbye,
}

impl Seen {
    pub fn to_bytes(self) -> bytes::Bytes {
        let (tag, id) = match self {
            Self::Established => (b'E', MessageId::ZERO),
            Self::Snapshot(id) => (b'S', id),
            Self::Replayed(id) => (b'R', id),
            Self::Live(id) => (b'M', id),
            Self::Cursor(id) => (b'C', id),
            Self::Notice => (b'N', MessageId::ZERO),
            Self::Goodbye => (b'G', MessageId::ZERO),
        };
        let mut bytes = vec![tag];
        bytes.extend(id.to_bits().to_be_bytes());
        bytes.into()
    }

    pub fn from_bytes(bytes: &[u8]) -> Self {
        let id = MessageId::from_bits(u64::from_be_bytes(bytes[1..9].try_into().expect("8 bytes")));
        match bytes[0] {
            b'E' => Self::Established,
            b'S' => Self::Snapshot(id),
            b'R' => Self::Replayed(id),
            b'M' => Self::Live(id),
            b'C' => Self::Cursor(id),
            b'N' => Self::Notice,
            _ => Self::Goodbye,
        }
    }
}
