//! One simulated worker: the real fan-out and outboxes, and sockets that are plain queues.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use statshub::domain::fanout::{ConnectionKey, Entry, Fanout, Outlet};
use statshub::domain::message::{Message, MessageId, Priority, Transport};
use statshub::domain::notice::{Notice, Piece};
use statshub::domain::outbox::{Limits, Outbox, Outgoing, Progress, Pushed};

use crate::oracle::Oracle;
use crate::rng::Rng;
use crate::weather::Weather;
use crate::world::{Effect, Report, Seen};

pub struct SimOutlet {
    key: ConnectionKey,
    transport: Transport,
    outbox: Rc<RefCell<Outbox>>,
}

impl Outlet for SimOutlet {
    fn key(&self) -> ConnectionKey {
        self.key
    }

    fn transport(&self) -> Transport {
        self.transport
    }

    fn with<R>(&self, act: impl FnOnce(&mut Outbox) -> R) -> R {
        act(&mut self.outbox.borrow_mut())
    }

    fn takes_patches(&self) -> bool {
        false
    }

    fn encode(&self, message: &Message, _: bool) -> Outgoing {
        numbered(Seen::Live(message.id), message.id, Some(message.priority))
    }
}

fn numbered(seen: Seen, position: MessageId, priority: Option<Priority>) -> Outgoing {
    Outgoing {
        priority,
        ..Outgoing::at(position, seen.to_bytes())
    }
}

fn outgoing(piece: &Piece) -> Outgoing {
    match piece {
        Piece::Message(message) => numbered(
            Seen::Replayed(message.id),
            message.id,
            Some(message.priority),
        ),
        Piece::Notice(Notice::InitialMetrics { position, .. }) => {
            numbered(Seen::Snapshot(*position), *position, None)
        }
        Piece::Notice(Notice::Established(_)) => Outgoing::notice(Seen::Established.to_bytes()),
        Piece::Notice(_) => Outgoing::notice(Seen::Notice.to_bytes()),
    }
}

/// How a client reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    Fast,
    Slow,
    Stalled,
}

/// A socket, and the server's end of it.
pub struct Socket {
    pub client: usize,
    outbox: Rc<RefCell<Outbox>>,
    pub progress: Arc<Progress>,
    /// Taken from the outbox and not yet arrived, with the step it was taken at.
    pub wire: VecDeque<(u64, Bytes)>,
    pub pace: Pace,
    /// Reads everything at once since this step.
    pub fast_since: u64,
    /// The client is gone, whether or not the worker has noticed.
    pub is_broken: bool,
    pub is_noticed: bool,
    attached: bool,
    /// The worker has let it go and said so.
    pub ended: bool,
    notices: usize,
}

impl Socket {
    pub fn new(client: usize, limits: Limits, pace: Pace, step: u64) -> Self {
        let progress = Arc::new(Progress::default());
        Self {
            client,
            outbox: Rc::new(RefCell::new(Outbox::new(limits, progress.clone()))),
            progress,
            wire: VecDeque::new(),
            pace,
            fast_since: step,
            is_broken: false,
            is_noticed: false,
            attached: false,
            ended: false,
            notices: 0,
        }
    }

    pub fn is_settled(&self) -> bool {
        let outbox = self.outbox.borrow();
        self.attached && outbox.is_empty() && !outbox.is_lagging() && self.wire.is_empty()
    }

    /// Keeps up, so that a bound on its delays can be asked for.
    pub fn is_prompt_since(&self, step: u64) -> bool {
        let finished = self.outbox.borrow().is_finished();
        self.attached
            && !self.ended
            && !self.is_broken
            && !finished
            && self.pace == Pace::Fast
            && self.fast_since <= step
    }
}

#[derive(Default)]
pub struct Worker {
    fanout: Fanout<SimOutlet>,
    pub sockets: BTreeMap<ConnectionKey, Socket>,
}

impl Worker {
    /// Carries out what the hub said.
    pub fn apply(
        &mut self,
        effect: &Effect,
        oracle: &mut Oracle,
        reports: &mut Vec<Report>,
        weather: &Weather,
    ) {
        match effect {
            Effect::Deliver(message) => {
                let mut lagging = Vec::new();
                self.fanout.deliver(message, |key, became| {
                    if let Pushed::Overflow(position) = became {
                        lagging.push((key, position));
                    }
                });
                lagging.sort();
                reports.extend(
                    lagging
                        .into_iter()
                        .map(|(key, position)| Report::Lagging(key, position)),
                );
            }
            Effect::Attach(attach) => {
                let Some(socket) = self.sockets.get_mut(&attach.key) else {
                    return;
                };
                if socket.is_noticed {
                    self.end(attach.key, weather, reports);
                    return;
                }
                socket.attached = true;
                let entry = Entry {
                    outlet: SimOutlet {
                        key: attach.key,
                        transport: attach.transport,
                        outbox: socket.outbox.clone(),
                    },
                    user: attach.user.clone(),
                    subscription: attach.subscription.clone(),
                };
                let opening: Vec<Outgoing> = attach.opening.iter().map(outgoing).collect();
                oracle.queued(attach.key, numbers(&opening), attach.through);
                self.fanout.attach(entry, opening, attach.through);
            }
            Effect::Send(key, pieces) => {
                if let (Some(entry), Some(socket)) =
                    (self.fanout.get(*key), self.sockets.get_mut(key))
                {
                    socket.notices += pieces.len();
                    pieces
                        .iter()
                        .for_each(|piece| entry.outlet.with(|outbox| outbox.push(outgoing(piece))));
                }
            }
            Effect::CatchUp(key, pieces, through) => {
                if let Some(entry) = self.fanout.get(*key) {
                    let pieces: Vec<Outgoing> = pieces.iter().map(outgoing).collect();
                    let finished = entry.outlet.with(|outbox| outbox.is_finished());
                    if !finished {
                        oracle.queued(*key, numbers(&pieces), *through);
                    }
                    entry
                        .outlet
                        .with(|outbox| outbox.catch_up(pieces, *through));
                }
            }
            Effect::Resubscribe(key, subscription) => {
                self.fanout.resubscribe(*key, subscription.clone());
            }
            Effect::Close(key, _) => {
                if let Some(entry) = self.fanout.get(*key) {
                    entry.outlet.with(|outbox| {
                        outbox.push(Outgoing::notice(Seen::Goodbye.to_bytes()));
                        outbox.finish();
                    });
                }
            }
        }
    }

    /// Lets every socket take what it can.
    pub fn drive(
        &mut self,
        step: u64,
        oracle: &mut Oracle,
        reports: &mut Vec<Report>,
        rng: &mut Rng,
        weather: &Weather,
    ) {
        let keys: Vec<ConnectionKey> = self
            .sockets
            .iter()
            .filter(|(_, s)| s.attached && !s.ended)
            .map(|(key, _)| *key)
            .collect();
        for key in keys {
            let socket = self.sockets.get_mut(&key).expect("listed");
            if socket.is_noticed {
                self.end(key, weather, reports);
                continue;
            }
            let take = match socket.pace {
                Pace::Fast => usize::MAX,
                Pace::Slow => usize::from(rng.per_mille(150)),
                Pace::Stalled => 0,
            };
            let mut outbox = socket.outbox.borrow_mut();
            for _ in 0..take {
                let Some(piece) = outbox.take() else {
                    break;
                };
                let seen = Seen::from_bytes(&piece.bytes);
                socket.notices = socket
                    .notices
                    .saturating_sub(usize::from(seen == Seen::Notice));
                oracle.taken(key, seen);
                socket.wire.push_back((step, piece.bytes.clone()));
            }
            if outbox.wants_backlog() {
                reports.push(Report::Drained(key));
            }
            let waiting = weather.queue.messages_max + weather.limits.history.backlog_messages_max;
            assert!(
                outbox.len() <= waiting + socket.notices + 4,
                "the queue is bounded"
            );
            let over = outbox.is_finished() && outbox.is_empty();
            drop(outbox);
            if over {
                self.end(key, weather, reports);
            }
        }
    }

    fn end(&mut self, key: ConnectionKey, weather: &Weather, reports: &mut Vec<Report>) {
        let socket = self.sockets.get_mut(&key).expect("listed");
        socket.ended = true;
        let mut outbox = socket.outbox.borrow_mut();
        if weather.abandons_first {
            outbox.abandon();
        }
        let position = outbox.sent_through(self.fanout.through());
        outbox.abandon();
        drop(outbox);
        self.fanout.detach(key);
        reports.push(Report::Disconnected(key, position));
    }

    /// Moves the positions of clients that have everything.
    pub fn move_cursors(&mut self) {
        let through = self.fanout.through();
        for entry in self.fanout.entries() {
            let cursor = || numbered(Seen::Cursor(through), through, None);
            entry.outlet.with(|outbox| {
                if outbox.is_empty() {
                    outbox.move_cursor(through, cursor);
                }
            });
        }
    }

    pub fn has_somebody_stuck(&self) -> bool {
        let mut attached = self.sockets.values().filter(|s| s.attached && !s.ended);
        attached.any(|socket| socket.outbox.borrow().is_lagging())
    }

    pub fn is_consistent(&self) -> bool {
        self.fanout.len()
            == self
                .sockets
                .values()
                .filter(|s| s.attached && !s.ended)
                .count()
    }
}

fn numbers(pieces: &[Outgoing]) -> usize {
    pieces
        .iter()
        .filter(|piece| piece.position.is_some())
        .count()
}
