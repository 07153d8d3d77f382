//! The fan-out of one worker thread, as an actor: everything the Hub says to its connections comes
//! through its mailbox, in the order the Hub said it.

use std::rc::Rc;
use std::sync::Arc;

use actix::fut::wrap_future;
use actix::{Actor, AsyncContext, Context, Handler};
use tokio::task::yield_now;

use super::abort::AbortOnPanic;
use super::worker::WorkerState;
use crate::config::Settings;
use crate::domain::fanout::{ConnectionKey, Entry, Outlet};
use crate::domain::message::{Message, MessageId, Transport, UserId};
use crate::domain::notice::{Goodbye, Notice, Stale};
use crate::domain::outbox::{Outgoing, Pushed};
use crate::domain::subscription::Subscription;
use crate::domain::view::View;
use crate::trace::FanOut;
use crate::wire::{notice, websocket};

/// Messages fanned out before the connections get to write.
const BATCH: usize = 32;

/// What the Hub says to one worker.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub enum ToWorker {
    Deliver(Arc<Message>, FanOut),
    /// To those who see it by the view.
    DeliverAs(View, Arc<Message>),
    /// A new connection: its opening, and live messages after `through`.
    Attach {
        key: ConnectionKey,
        user: UserId,
        subscription: Subscription,
        opening: Vec<Outgoing>,
        through: MessageId,
    },
    Send(ConnectionKey, Vec<Outgoing>),
    /// What a lagging connection missed; it is live again after `through`.
    CatchUp {
        to: ConnectionKey,
        pieces: Vec<Outgoing>,
        through: MessageId,
    },
    Resubscribe(ConnectionKey, Subscription),
    /// The last words, then the end.
    Close {
        connection: ConnectionKey,
        last_words: Vec<Outgoing>,
        goodbye: Goodbye,
    },
    /// To those who get the metric: its value is overdue. Milliseconds since the Unix epoch.
    Stale(Arc<Stale>, u64),
    /// Moves quiet clients' positions and shows that the hub is alive. Milliseconds since the Unix
    /// epoch.
    Heartbeat(u64),
    /// A WebSocket ping to everybody.
    Ping,
    /// Connections that have drained and not said so do now.
    Flush,
    /// Ends what is stuck or silent.
    LookAfter(Arc<Settings>),
}

/// Answered once everything that was said to this worker before has reached its connections.
#[derive(actix::Message)]
#[rtype(result = "()")]
pub(super) struct Settle;

pub struct Fanout {
    worker: Rc<WorkerState>,
    delivered: usize,
    _guard: AbortOnPanic,
}

impl Fanout {
    pub(super) fn new(worker: Rc<WorkerState>) -> Self {
        Self {
            worker,
            delivered: 0,
            _guard: AbortOnPanic,
        }
    }

    fn deliver(&self, message: &Message, span: &FanOut) {
        let mut fanout = self.worker.fanout.borrow_mut();
        let lags = |key, became| {
            if let Pushed::Overflow(position) = became {
                self.worker.lagging(key, position);
            }
        };
        if span.is_kept() {
            let (mut reached, mut lagging) = (0, 0);
            fanout.deliver(message, |key, became| {
                match became {
                    Pushed::Queued => reached += 1,
                    Pushed::Overflow(_) | Pushed::Skipped => lagging += 1,
                }
                lags(key, became);
            });
            span.add(reached, lagging);
        } else {
            fanout.deliver(message, lags);
        }
        self.worker.meter.fanned_out(message.cost());
    }

    fn deliver_as(&self, view: &View, message: &Message) {
        let mut fanout = self.worker.fanout.borrow_mut();
        fanout.deliver_as(view, message, |key, became| {
            if let Pushed::Overflow(position) = became {
                self.worker.lagging(key, position);
            }
        });
        self.worker.meter.fanned_out(message.cost());
    }

    fn attach(
        &self,
        key: ConnectionKey,
        user: UserId,
        subscription: Subscription,
        opening: Vec<Outgoing>,
        through: MessageId,
    ) {
        // It may have gone again before its opening came; the Hub hears of that in turn.
        let Some(connection) = self.worker.opening.borrow_mut().remove(&key) else {
            return;
        };
        let entry = Entry {
            outlet: connection,
            user,
            subscription,
        };
        let mut fanout = self.worker.fanout.borrow_mut();
        fanout.attach(entry, opening, through);
    }

    fn close(&self, key: ConnectionKey, last_words: Vec<Outgoing>, goodbye: Goodbye) {
        if let Some(entry) = self.worker.fanout.borrow().get(key) {
            entry.outlet.finish(last_words, Some(goodbye));
        }
    }

    /// An actor's mailbox is read until it is empty; without a pause a steady stream of messages would keep this
    /// thread from ever writing one.
    fn pace(&mut self, ctx: &mut Context<Self>) {
        self.delivered += 1;
        if self.delivered.is_multiple_of(BATCH) {
            ctx.wait(wrap_future(yield_now()));
        }
    }

    fn heartbeat(&self, wall_ms: u64) {
        let fanout = self.worker.fanout.borrow();
        let sse = Rc::new(notice::heartbeat(Transport::Sse, wall_ms));
        let websocket = Rc::new(notice::heartbeat(Transport::Websocket, wall_ms));
        for entry in fanout.entries() {
            let frame = match entry.outlet.transport {
                Transport::Sse => &sse,
                Transport::Websocket => &websocket,
            };
            entry.outlet.heartbeat(fanout.through(), frame);
        }
    }

    fn announce_stale(&self, stale: &Stale, wall_ms: u64) {
        let said = |transport| {
            let notice = [Notice::Stale(stale.clone()).into()];
            Rc::new(notice::pieces(&notice, transport, wall_ms).remove(0))
        };
        let (sse, websocket) = (said(Transport::Sse), said(Transport::Websocket));
        let mut fanout = self.worker.fanout.borrow_mut();
        fanout.announce(&stale.metric, |transport| match transport {
            Transport::Sse => sse.clone(),
            Transport::Websocket => websocket.clone(),
        });
    }

    fn ping(&self) {
        let ping = Rc::new(Outgoing::notice(websocket::ping_frame(b"")));
        for entry in self.worker.fanout.borrow().entries() {
            if entry.outlet.transport == Transport::Websocket {
                entry.outlet.nudge(&ping);
            }
        }
    }

    fn look_after(&self, settings: &Settings) {
        let now = self.worker.clock.mono();
        for entry in self.worker.fanout.borrow().entries() {
            entry.outlet.look_after(now, settings);
        }
    }
}

impl Actor for Fanout {
    type Context = Context<Self>;
}

impl Handler<Settle> for Fanout {
    type Result = ();

    /// The mailbox is read in order.
    fn handle(&mut self, _: Settle, _: &mut Context<Self>) {}
}

impl Handler<ToWorker> for Fanout {
    type Result = ();

    fn handle(&mut self, what: ToWorker, ctx: &mut Context<Self>) {
        match what {
            ToWorker::Deliver(message, span) => {
                self.deliver(&message, &span);
                self.pace(ctx);
            }
            ToWorker::DeliverAs(view, message) => {
                self.deliver_as(&view, &message);
                self.pace(ctx);
            }
            ToWorker::Attach {
                key,
                user,
                subscription,
                opening,
                through,
            } => self.attach(key, user, subscription, opening, through),
            ToWorker::Send(to, pieces) => {
                if let Some(entry) = self.worker.fanout.borrow().get(to) {
                    let push = |piece| entry.outlet.push(piece);
                    pieces.into_iter().for_each(push);
                }
            }
            ToWorker::CatchUp {
                to,
                pieces,
                through,
            } => {
                if let Some(entry) = self.worker.fanout.borrow().get(to) {
                    let catch_up = |outbox: &mut crate::domain::outbox::Outbox| {
                        outbox.catch_up(pieces, through);
                    };
                    entry.outlet.with(catch_up);
                }
            }
            ToWorker::Resubscribe(key, subscription) => {
                self.worker
                    .fanout
                    .borrow_mut()
                    .resubscribe(key, subscription);
            }
            ToWorker::Close {
                connection,
                last_words,
                goodbye,
            } => self.close(connection, last_words, goodbye),
            ToWorker::Heartbeat(wall_ms) => self.heartbeat(wall_ms),
            ToWorker::Stale(stale, wall_ms) => self.announce_stale(&stale, wall_ms),
            ToWorker::Ping => self.ping(),
            ToWorker::Flush => {
                let fanout = self.worker.fanout.borrow();
                let connections = fanout.entries().map(|entry| &entry.outlet);
                connections.for_each(|connection| connection.ask_for_backlog());
            }
            ToWorker::LookAfter(settings) => self.look_after(&settings),
        }
    }
}
