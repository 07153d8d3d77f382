//! What the domain says, carried out: encoded once and sent to the worker it is for.

use std::collections::HashMap;
use std::sync::Arc;

use actix::Addr;

use super::fanout::{Fanout, ToWorker};
use super::follow::Follower;
use super::meter::Meter;
use crate::domain::fanout::ConnectionKey;
use crate::domain::hub::Effects;
use crate::domain::message::{Message, MessageId, Topic, Transport};
use crate::domain::notice::{Goodbye, Piece, Stale};
use crate::domain::session::Session;
use crate::domain::subscription::Subscription;
use crate::domain::view::View;
use crate::trace::{self, spans};
use crate::wire::notice;

/// A worker as the Hub sees it.
pub struct WorkerLink {
    pub fanout: Addr<Fanout>,
    pub meter: Arc<Meter>,
}

/// Reaches the workers, for the length of one input.
pub struct Outlets<'a> {
    pub workers: &'a HashMap<u16, WorkerLink>,
    pub followers: &'a [Follower],
    /// What `retry:` tells an EventSource.
    pub retry: std::time::Duration,
    /// The wall clock, for the time stamps of notices.
    pub wall_ms: u64,
    /// Of what is being delivered.
    pub trace: trace::Context,
}

impl Outlets<'_> {
    fn tell(&self, connection: ConnectionKey, what: ToWorker) {
        if let Some(worker) = self.workers.get(&connection.worker()) {
            worker.fanout.do_send(what);
        }
    }
}

impl Effects for Outlets<'_> {
    fn deliver(&mut self, message: &Arc<Message>) {
        self.followers.iter().for_each(|it| it.pass_on(message));
        if matches!(message.topic, Topic::State(_)) {
            return;
        }
        let span = spans::deliver(&self.trace, message, self.workers.len());
        for worker in self.workers.values() {
            worker.meter.handed_over(message.cost());
            let deliver = ToWorker::Deliver(message.clone(), span.clone());
            worker.fanout.do_send(deliver);
        }
    }

    fn deliver_as(&mut self, view: &View, message: &Arc<Message>) {
        for worker in self.workers.values() {
            worker.meter.handed_over(message.cost());
            let deliver = ToWorker::DeliverAs(view.clone(), message.clone());
            worker.fanout.do_send(deliver);
        }
    }

    fn announce_stale(&mut self, stale: &Stale) {
        let stale = Arc::new(stale.clone());
        for worker in self.workers.values() {
            worker
                .fanout
                .do_send(ToWorker::Stale(stale.clone(), self.wall_ms));
        }
    }

    fn attach(&mut self, session: &Session, opening: Vec<Piece>, through: MessageId) {
        let key = session.connection.key;
        let transport = session.transport;
        let mut opening = notice::opening(&opening, transport, through, self.retry, self.wall_ms);
        if let Some(first) = opening.first_mut() {
            first.id = session.connection.known;
        }
        let attach = ToWorker::Attach {
            key,
            user: session.user().clone(),
            subscription: session.subscription.clone(),
            opening,
            through,
        };
        self.tell(key, attach);
    }

    fn send(&mut self, to: ConnectionKey, transport: Transport, pieces: Vec<Piece>) {
        let pieces = notice::pieces(&pieces, transport, self.wall_ms);
        self.tell(to, ToWorker::Send(to, pieces));
    }

    fn catch_up(
        &mut self,
        to: ConnectionKey,
        transport: Transport,
        pieces: Vec<Piece>,
        through: MessageId,
    ) {
        let pieces = notice::catch_up(&pieces, transport, through, self.wall_ms);
        let catch_up = ToWorker::CatchUp {
            to,
            pieces,
            through,
        };
        self.tell(to, catch_up);
    }

    fn resubscribe(&mut self, connection: ConnectionKey, subscription: Subscription) {
        self.tell(connection, ToWorker::Resubscribe(connection, subscription));
    }

    fn close(&mut self, connection: ConnectionKey, transport: Transport, goodbye: Goodbye) {
        let close = ToWorker::Close {
            connection,
            last_words: notice::goodbye(goodbye, transport, self.wall_ms),
            goodbye,
        };
        self.tell(connection, close);
    }
}
