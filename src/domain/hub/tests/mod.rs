//! The hub's rules one by one. That they hold together is the simulation's business, `tests/sim`.

mod admission;
mod backlogs;
mod explaining;
mod keeping;
mod lifecycle;
mod shared;
mod stale;
mod statistics;
mod subscribing;
mod views;

use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::domain::history::TooManyMetrics;
use crate::domain::message::{Priority, Topic};
use crate::domain::notice::{Established, Notice, Stale};
use crate::domain::outbox::{self, Outbox, Outgoing, Progress};
use crate::domain::pattern::NameError;
use crate::domain::session::Identity;
use crate::domain::testing::{id, message, metric, own_metric, patterns, user};
use crate::domain::time::Now;
use crate::domain::view::Selector;

const EXPIRES: u64 = 1_000_000;

/// What the hub did, briefly.
#[derive(Debug, Clone, PartialEq)]
enum Did {
    Deliver(u64),
    /// Metric, newest id.
    Stale(String, u64),
    /// View, id, value.
    DeliverAs(String, u64, String),
    Attach(u64, Vec<Said>, u64),
    Send(u64, Vec<Said>),
    CatchUp(u64, Vec<Said>, u64),
    Resubscribe(u64, Vec<String>),
    Close(u64, Goodbye),
}

#[derive(Debug, Clone, PartialEq)]
enum Said {
    /// Resumed, replayed, dropped.
    Established(bool, usize, u64),
    Snapshot(Vec<(String, u64)>),
    Message(u64),
    Subscribed(Vec<String>),
    Unsubscribed(Vec<String>),
    Dropped(u64),
    Refreshed(u64),
}

impl From<&Piece> for Said {
    fn from(piece: &Piece) -> Self {
        match piece {
            Piece::Message(message) => Self::Message(message.id.millis()),
            Piece::Notice(Notice::Established(e)) => {
                Self::Established(e.resumed, e.replayed, e.receipt.dropped.total())
            }
            Piece::Notice(Notice::InitialMetrics { values, .. }) => Self::Snapshot(
                values
                    .iter()
                    .map(|(name, message)| (name.to_string(), message.id.millis()))
                    .collect(),
            ),
            Piece::Notice(Notice::Subscribed { metrics }) => Self::Subscribed(texts(metrics)),
            Piece::Notice(Notice::Unsubscribed { metrics }) => Self::Unsubscribed(texts(metrics)),
            Piece::Notice(Notice::Dropped(receipt)) => Self::Dropped(receipt.dropped.total()),
            Piece::Notice(Notice::Refreshed { expires_at_ms }) => Self::Refreshed(*expires_at_ms),
            Piece::Notice(other) => panic!("{other:?}"),
        }
    }
}

fn texts(selectors: &[Selector]) -> Vec<String> {
    selectors.iter().map(|it| it.pattern.to_string()).collect()
}

fn said(pieces: &[Piece]) -> Vec<Said> {
    pieces.iter().map(Said::from).collect()
}

#[derive(Default)]
struct Recorder {
    did: Vec<Did>,
    opening: Option<Established>,
}

impl Effects for Recorder {
    fn deliver(&mut self, message: &Arc<Message>) {
        self.did.push(Did::Deliver(message.id.millis()));
    }
    fn deliver_as(&mut self, view: &View, message: &Arc<Message>) {
        let value = String::from_utf8_lossy(&message.value()).into_owned();
        let view = view.as_str().to_owned();
        self.did
            .push(Did::DeliverAs(view, message.id.millis(), value));
    }
    fn announce_stale(&mut self, stale: &Stale) {
        let newest = stale.newest.millis();
        self.did.push(Did::Stale(stale.metric.to_string(), newest));
    }
    fn attach(&mut self, session: &Session, opening: Vec<Piece>, through: MessageId) {
        if let Some(Piece::Notice(Notice::Established(established))) = opening.first() {
            self.opening = Some((**established).clone());
        }
        let key = session.connection.key.number();
        self.did
            .push(Did::Attach(key, said(&opening), through.millis()));
    }
    fn send(&mut self, to: ConnectionKey, _: Transport, pieces: Vec<Piece>) {
        self.did.push(Did::Send(to.number(), said(&pieces)));
    }
    fn catch_up(
        &mut self,
        to: ConnectionKey,
        _: Transport,
        pieces: Vec<Piece>,
        through: MessageId,
    ) {
        self.did
            .push(Did::CatchUp(to.number(), said(&pieces), through.millis()));
    }
    fn resubscribe(&mut self, connection: ConnectionKey, subscription: Subscription) {
        self.did.push(Did::Resubscribe(
            connection.number(),
            texts(&subscription.selectors()),
        ));
    }
    fn close(&mut self, connection: ConnectionKey, _: Transport, goodbye: Goodbye) {
        self.did.push(Did::Close(connection.number(), goodbye));
    }
}

/// A hub with a clock, and one connection key after the other.
struct Scene {
    hub: HubState,
    now: Now,
    recorder: Recorder,
    progress: HashMap<u64, Arc<Progress>>,
    last: u64,
}

fn limits() -> Limits {
    Limits {
        history: history::Limits {
            backlog_messages_max: 3,
            bytes_max: usize::MAX,
            user_bytes_max: usize::MAX,
            user_messages_max: usize::MAX,
            metrics_max: 10,
            counted_ids_max: 1000,
        },
        connections_per_user_max: 2,
        connections_max: 3,
        away_max: 5,
        session_timeout: Duration::from_secs(100),
        metric_idle_timeout: Duration::from_secs(100),
        ttls: Vec::new(),
    }
}

fn identity(name: &str) -> Identity {
    Identity {
        user: user(name),
        role: "platform_admin".into(),
        expires_at_ms: EXPIRES,
        issued_at_ms: None,
        token_id: Some(format!("jti-{name}")),
    }
}

fn key(number: u64) -> ConnectionKey {
    ConnectionKey::new(0, number)
}

fn token(number: u64) -> Uuid {
    Uuid::from_u128(number.into())
}

fn ticket(number: u8) -> TicketHash {
    [number; 32]
}

impl Scene {
    fn new() -> Self {
        Self::with(limits())
    }

    /// The log begins at 10, the wall clock at 1000.
    fn with(limits: Limits) -> Self {
        Self {
            hub: HubState::new(limits, id(10)),
            now: Now {
                wall_ms: 1000,
                mono: Duration::from_secs(1),
            },
            recorder: Recorder::default(),
            progress: HashMap::new(),
            last: 10,
        }
    }

    fn did(&mut self) -> Vec<Did> {
        std::mem::take(&mut self.recorder.did)
    }

    fn ask(
        &mut self,
        number: u64,
        opening: Opening,
        last_event_id: Option<u64>,
    ) -> Result<Uuid, Refusal> {
        self.ask_over(Transport::Sse, number, opening, last_event_id)
    }

    fn ask_over(
        &mut self,
        transport: Transport,
        number: u64,
        opening: Opening,
        last_event_id: Option<u64>,
    ) -> Result<Uuid, Refusal> {
        let progress = self.progress.entry(number).or_default().clone();
        let connect = Connect {
            key: key(number),
            transport,
            opening,
            last_event_id: last_event_id.map(id),
            progress,
            remote: [203, 0, 113, 7].into(),
            user_agent: "test".into(),
            fresh_token: token(number),
            fresh_connection_id: token(number + 1000),
        };
        let result = self.hub.connect(connect, self.now, &mut self.recorder);
        assert!(self.hub.is_consistent());
        result
    }

    fn open(&mut self, number: u64, name: &str, metrics: &[&str]) -> Uuid {
        self.ask(number, new(name, metrics), None).unwrap()
    }

    fn publish(&mut self, topic: Topic, priority: Priority) -> u64 {
        self.last += 1;
        self.hub
            .published(message(self.last, topic, priority), &mut self.recorder);
        self.last
    }

    fn publish_many(&mut self, count: u64, name: &str) {
        (0..count).for_each(|_| {
            self.publish(metric(name), Priority::Normal);
        });
    }

    /// The connection's driver has handed everything up to `position` to the socket.
    fn sent(&mut self, number: u64, position: u64) {
        let limits = outbox::Limits {
            messages_max: 1,
            bytes_max: 1,
        };
        let mut outbox = Outbox::new(limits, self.progress[&number].clone());
        outbox.push(Outgoing {
            priority: Some(Priority::Normal),
            ..Outgoing::at(id(position), Bytes::new())
        });
        outbox.take();
    }

    fn gone(&mut self, number: u64, position: u64) {
        self.now.mono += Duration::from_secs(1);
        self.hub.disconnected(key(number), id(position), self.now);
        assert!(self.hub.is_consistent());
    }
}

fn new(name: &str, metrics: &[&str]) -> Opening {
    Opening::New {
        identity: identity(name).into(),
        selectors: patterns(metrics),
        ticket: None,
    }
}

fn resume(name: &str, number: u64) -> Opening {
    Opening::Resume {
        identity: identity(name).into(),
        token: token(number),
        ticket: None,
    }
}
