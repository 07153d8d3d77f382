//! One live stream as the fan-out and its driver see it: they share this record, on one thread.
//!
//! It holds no timer and makes no decision. The fan-out puts in and looks after it, the driver takes
//! out and writes; nothing of a message passes an actor's mailbox. Where the driver leaves the
//! writing to the fan-out ([`Connection::write_directly`]), it only waits for a socket that was full.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::hint::black_box;
use std::io;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use actix::WeakAddr;
use bytes::Bytes;

use super::fanout::Settle;
use super::gather;
use super::line::Line;
use super::meter::Pass;
use super::worker::{Lingering, WorkerState};
use crate::domain::fanout::{ConnectionKey, Outlet};
use crate::domain::message::{Message, MessageId, Transport};
use crate::domain::notice::{Goodbye, Notice};
use crate::domain::outbox::{Limits, Outbox, Outgoing};
use crate::domain::time::Now;
use crate::wire::{chunk, notice};

mod care;
mod gzip;

use gzip::Gzip;

/// What a client can do with.
#[derive(Debug, Clone, Copy, Default)]
pub struct Takes {
    /// Over WebSocket that means nothing.
    pub gzip: bool,
    /// Patches on values.
    pub patches: bool,
}

/// One live stream.
pub struct Connection {
    pub key: ConnectionKey,
    pub transport: Transport,
    outbox: RefCell<Outbox>,
    /// The driver, while it waits for something to do.
    driver: RefCell<Option<Waker>>,
    line: Arc<dyn Line>,
    /// Where its client gets gzip.
    gzip: Option<Box<RefCell<Gzip>>>,
    /// Its client is sent what changes, where that can be said.
    patches: bool,
    /// The fan-out writes to the line itself.
    is_direct: Cell<bool>,
    /// How much of the first piece that waits the line has taken, where the fan-out writes.
    written: Cell<usize>,
    worker: Rc<WorkerState>,
    me: Weak<Self>,
    /// It stands in its worker's list of those that have something to write.
    is_due: Cell<bool>,
    wrote_at: Cell<Duration>,
    /// Since when what waits could have been taken and none of it was.
    stuck_since: Cell<Option<Duration>>,
    heard_at: Cell<Duration>,
    ending: Cell<Option<Ending>>,
}

/// It was told to end.
#[derive(Debug, Clone, Copy)]
struct Ending {
    told_at: Duration,
    /// `None`: its client said goodbye.
    goodbye: Option<Goodbye>,
}

impl Connection {
    pub(super) fn new(
        key: ConnectionKey,
        transport: Transport,
        takes: Takes,
        limits: Limits,
        line: Arc<dyn Line>,
        worker: Rc<WorkerState>,
    ) -> Rc<Self> {
        let now = worker.clock.mono();
        Rc::new_cyclic(|me| Self {
            key,
            transport,
            outbox: RefCell::new(Outbox::new(limits, Default::default())),
            driver: RefCell::default(),
            line,
            gzip: takes.gzip.then(Box::default),
            patches: takes.patches,
            is_direct: Cell::default(),
            written: Cell::default(),
            worker,
            me: me.clone(),
            is_due: Cell::default(),
            wrote_at: Cell::new(now),
            stuck_since: Cell::default(),
            heard_at: Cell::new(now),
            ending: Cell::default(),
        })
    }

    /// The next bytes to write, for a driver that writes itself. Ready with `None` when the stream
    /// has ended and all is written.
    pub fn poll_take(&self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        match self.take() {
            Some(bytes) => Poll::Ready(Some(bytes)),
            None if self.is_finished() => Poll::Ready(self.end_of_encoding()),
            None => {
                self.wake_driver(cx);
                Poll::Pending
            }
        }
    }

    fn take(&self) -> Option<Bytes> {
        let mut outbox = self.outbox.borrow_mut();
        let (pieces, bytes) = match self.batch(&outbox) {
            Some(batch) => (batch.pieces, batch.bytes),
            None => (1, outbox.waiting().next()?.bytes.clone()),
        };
        self.batch_is_out();
        let mut pass = self.worker.pass();
        for piece in std::iter::from_fn(|| outbox.take()).take(pieces) {
            pass.handed_over(&piece, self.transport);
        }
        self.wrote(&outbox, pass.now);
        drop(outbox);
        self.ask_for_backlog();
        self.waits(pass.now);
        Some(bytes)
    }

    /// From now on the fan-out writes to the line, and the driver is needed only where the line
    /// takes no more.
    pub fn write_directly(&self) {
        self.is_direct.set(true);
    }

    /// Hands what waits to the line, several pieces in one write where they have gathered. True
    /// when nothing is left, false when the line takes no more at the moment.
    ///
    /// # Errors
    /// The line is broken.
    pub fn write_out(&self) -> io::Result<bool> {
        self.write_out_in(&mut self.worker.pass())
    }

    /// Whether its client is sent what changes.
    pub(super) fn patches(&self) -> bool {
        self.patches
    }

    pub fn has_waiting(&self) -> bool {
        !self.outbox.borrow().is_empty()
    }

    /// Wakes the task of `cx` when there is something for it to do: to write, where it does that, or to
    /// see a stream out that has ended or broken.
    pub fn wake_driver(&self, cx: &Context<'_>) {
        self.driver.replace(Some(cx.waker().clone()));
    }

    /// Counts as a stream until the guard is dropped, for an end that takes some time.
    pub fn linger(&self) -> Lingering {
        Lingering::new(self.worker.clone())
    }

    /// Reads what [`Connection::flush`] is going to need, so that it is there.
    pub(super) fn touch(&self) {
        let outbox = self.outbox.borrow();
        let next = outbox.waiting().next().map(|piece| piece.bytes.len());
        black_box((next, outbox.progress().sent(), self.stuck_since.get()));
        self.line.touch();
    }

    /// What the fan-out does once it has put everything in.
    pub(super) fn flush(&self, pass: &mut Pass<'_>) {
        self.is_due.set(false);
        let needs_driver = if self.is_direct.get() {
            !matches!(self.write_out_in(pass), Ok(true)) || self.is_finished()
        } else {
            self.waits(pass.now);
            true
        };
        if needs_driver && let Some(driver) = self.driver.take() {
            driver.wake();
        }
    }

    fn write_out_in(&self, pass: &mut Pass<'_>) -> io::Result<bool> {
        if self.gzips() {
            return self.write_out_in_gzip(pass);
        }
        let mut outbox = self.outbox.borrow_mut();
        while !outbox.is_empty() {
            let pieces = outbox.len().min(gather::PIECES_MAX);
            let sent_before = outbox.announce(pieces);
            let framed = outbox.waiting().map(|piece| self.framed(piece));
            let done = gather::write(framed, self.written.get(), |slices| self.line.write(slices));
            let (complete, of_next) = *done.as_ref().unwrap_or(&(0, self.written.get()));
            if complete < pieces {
                outbox.withdraw(sent_before);
            }
            self.written.set(of_next);
            match done {
                Ok(_) => self.wrote(&outbox, pass.now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    drop(outbox);
                    self.waits(pass.now);
                    return Ok(false);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            for piece in std::iter::from_fn(|| outbox.take()).take(complete) {
                pass.handed_over(&piece, self.transport);
            }
        }
        drop(outbox);
        self.ask_for_backlog();
        Ok(true)
    }

    /// A piece as it goes over the line: over SSE each is a chunk of the response's body.
    fn framed<'a>(&self, piece: &'a Outgoing) -> &'a [u8] {
        match self.transport {
            Transport::Sse => piece.chunk.get_or_init(|| chunk::of(&piece.bytes)),
            Transport::Websocket => &piece.bytes,
        }
    }

    /// Asks for the backlog where that is due.
    pub(super) fn ask_for_backlog(&self) {
        if self.outbox.borrow_mut().wants_backlog() {
            self.worker.drained(self.key);
        }
    }

    /// It is up to the line now to take what is there.
    fn waits(&self, now: Now) {
        if self.has_waiting() && self.stuck_since.get().is_none() {
            self.stuck_since.set(Some(now.mono));
        }
    }

    /// The line has taken something.
    fn wrote(&self, outbox: &Outbox, now: Now) {
        outbox.progress().wrote_at(now.wall_ms);
        self.wrote_at.set(now.mono);
        self.stuck_since.set(None);
    }

    /// Its client has sent something.
    pub fn heard(&self) {
        self.heard_at.set(self.worker.clock.mono());
    }

    /// A piece of the driver's own, such as a pong.
    pub fn push(&self, piece: impl Into<Rc<Outgoing>>) {
        self.with(|outbox| outbox.push(piece));
    }

    /// Tells its client something about the connection itself.
    pub fn say(&self, notice: Notice) {
        let wall_ms = self.worker.clock.now().wall_ms;
        let pieces = notice::pieces(&[notice.into()], self.transport, wall_ms);
        pieces.into_iter().for_each(|piece| self.push(piece));
    }

    /// Waits until what the Hub has said to this worker so far is in the queues of its connections.
    /// What is said from here goes into the queue at once, and would overtake the Hub's answer to
    /// what came before, or even the opening.
    pub async fn settled(&self) {
        let actor = self.worker.fanout_actor.get();
        if let Some(actor) = actor.and_then(WeakAddr::upgrade) {
            // It fails when the thread is about to end, and then nobody is left to be overtaken.
            let _ = actor.send(Settle).await;
        }
    }

    /// What waits is still sent, then the last words that go with `goodbye`, then the stream ends.
    pub fn finish_with(&self, goodbye: Goodbye) {
        let wall_ms = self.worker.clock.now().wall_ms;
        let last_words = notice::goodbye(goodbye, self.transport, wall_ms);
        self.finish(last_words, Some(goodbye));
    }

    /// What waits is still sent, then `last_words`, then the stream ends. `goodbye` is why, unless
    /// its client wanted it.
    pub fn finish(&self, last_words: impl IntoIterator<Item = Outgoing>, goodbye: Option<Goodbye>) {
        if self.ending.get().is_none() {
            let told_at = self.worker.clock.mono();
            self.ending.set(Some(Ending { told_at, goodbye }));
        }
        self.with(|outbox| {
            last_words.into_iter().for_each(|piece| outbox.push(piece));
            outbox.finish();
        });
    }

    pub fn is_finished(&self) -> bool {
        self.outbox.borrow().is_finished()
    }

    /// Why it was told to end; `None` where its client went by itself.
    pub fn goodbye(&self) -> Option<Goodbye> {
        self.ending.get()?.goodbye
    }

    /// Nothing more can be written. Returns up to where everything was.
    pub(super) fn abandon(&self, fanned_out: MessageId) -> MessageId {
        let mut outbox = self.outbox.borrow_mut();
        let position = outbox.sent_through(fanned_out);
        outbox.abandon();
        position
    }
}

impl Outlet for Rc<Connection> {
    fn key(&self) -> ConnectionKey {
        self.key
    }

    fn transport(&self) -> Transport {
        self.transport
    }

    fn with<R>(&self, act: impl FnOnce(&mut Outbox) -> R) -> R {
        Connection::with(self, act)
    }

    fn takes_patches(&self) -> bool {
        self.patches
    }

    fn encode(&self, message: &Message, as_patch: bool) -> Outgoing {
        notice::live(message, self.transport, as_patch)
    }
}

impl Connection {
    fn with<R>(&self, act: impl FnOnce(&mut Outbox) -> R) -> R {
        let mut outbox = self.outbox.borrow_mut();
        let result = act(&mut outbox);
        let is_due = !outbox.is_empty() || outbox.is_finished();
        drop(outbox);
        if is_due
            && !self.is_due.replace(true)
            && let Some(me) = self.me.upgrade()
        {
            self.worker.due.push(me);
        }
        result
    }

    pub(super) fn progress(&self) -> std::sync::Arc<crate::domain::outbox::Progress> {
        self.outbox.borrow().progress().clone()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("key", &self.key)
            .field("transport", &self.transport)
            .finish_non_exhaustive()
    }
}
