//! What waits to be sent on one connection: a bounded queue of shared bytes.
//!
//! The fan-out puts in, the connection's driver takes out. When the queue is full the connection is
//! *lagging*: it takes no more live messages, the hub is told once, and when the queue has run
//! empty it asks the hub for what it missed. Metrics are state, so a lagging dashboard wants the
//! newest, and the hub's backlog gives it just that.

use std::cell::{Cell, OnceCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::message::{MessageId, Priority};

/// Capacity a queue gives back once it has run empty.
const SPARE_CAPACITY: usize = 16;

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub messages_max: usize,
    pub bytes_max: usize,
}

/// With what a piece of a stream may be compressed. What shares a block tells by its size how alike it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mixing {
    /// Not at all: it may hold a credential.
    Never,
    /// By itself: it is one user's.
    Alone,
    /// With others that were published for everybody.
    Together,
}

/// Content in a block of deflate that is right anywhere in any stream.
#[derive(Debug, Clone)]
pub struct Deflated {
    pub block: Bytes,
    /// The same as one chunk of an HTTP body.
    pub chunk: Bytes,
    /// CRC-32 of the content, and its bytes.
    pub crc: u32,
    pub length: u64,
}

/// One piece of a stream.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub bytes: Bytes,
    /// The same as one chunk of an HTTP body, made when the first connection wants it.
    pub chunk: OnceCell<Bytes>,
    /// The same compressed, made when the first connection wants it.
    pub deflated: OnceCell<Box<Deflated>>,
    pub mixing: Mixing,
    /// How often it was compressed together with others.
    pub mixed: Cell<u8>,
    /// Up to where the client has everything once it has this; `None` for notices.
    pub position: Option<MessageId>,
    /// By which id the client itself knows how far it is once it has this: the one in it, or at the
    /// beginning of a stream the one it came with. Of a resume's last piece the position may be
    /// further on.
    pub id: Option<MessageId>,
    /// That of a published message; `None` for a snapshot, a cursor or a notice.
    pub priority: Option<Priority>,
    /// When it was published, for messages sent live: what delivery latency is measured from.
    pub published_at: Option<Duration>,
}

impl Outgoing {
    /// A piece that moves no position, and is not compressed.
    pub fn notice(bytes: Bytes) -> Self {
        Self {
            bytes,
            chunk: OnceCell::new(),
            deflated: OnceCell::new(),
            mixing: Mixing::Never,
            mixed: Cell::new(0),
            position: None,
            id: None,
            priority: None,
            published_at: None,
        }
    }

    /// A piece after which the client has everything up to `id`, and knows it.
    pub fn at(id: MessageId, bytes: Bytes) -> Self {
        Self {
            position: Some(id),
            id: Some(id),
            ..Self::notice(bytes)
        }
    }
}

/// How far a connection has got, readable from any thread.
#[derive(Debug, Default)]
pub struct Progress {
    sent_through: AtomicU64,
    sent: AtomicU64,
    last_write_ms: AtomicU64,
}

impl Progress {
    /// The position of the newest piece handed to the socket.
    pub fn sent_through(&self) -> MessageId {
        MessageId::from_bits(self.sent_through.load(Ordering::Relaxed))
    }

    /// The position moves on to here, and never back.
    fn advance(&self, position: MessageId) {
        if position > self.sent_through() {
            self.set_sent_through(position);
        }
    }

    fn set_sent_through(&self, position: MessageId) {
        self.sent_through
            .store(position.to_bits(), Ordering::Relaxed);
    }

    /// Only the connection itself counts, so it need not be one step.
    fn count(&self, piece: &Outgoing) {
        let sent = self.sent() + u64::from(piece.priority.is_some());
        self.sent.store(sent, Ordering::Relaxed);
    }

    /// Messages handed to the socket.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Wall clock of the last write in milliseconds since the Unix epoch; 0 before the first.
    pub fn last_write_ms(&self) -> u64 {
        self.last_write_ms.load(Ordering::Relaxed)
    }

    pub fn wrote_at(&self, wall_ms: u64) {
        self.last_write_ms.store(wall_ms, Ordering::Relaxed);
    }
}

/// What became of a live message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pushed {
    /// It waits to be sent.
    Queued,
    /// The queue is full: the connection is lagging from this position on. Said once.
    Overflow(MessageId),
    /// Lagging, finished, or it has the message already.
    Skipped,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Live,
    Lagging { asked: bool },
}

#[derive(Debug)]
pub struct Outbox {
    /// Shared with the other connections of the thread that get the same: a message costs each of
    /// them one pointer and no atomic count.
    queue: VecDeque<Rc<Outgoing>>,
    queued_bytes: usize,
    limits: Limits,
    standing: Standing,
    pushed_through: MessageId,
    /// What came live after here has been pushed; before, there may have been something else.
    live_from: MessageId,
    /// The newest id that the client knows once it has all that waits.
    shown_through: MessageId,
    finished: bool,
    progress: Arc<Progress>,
}

impl Outbox {
    /// An empty outbox. Live messages are skipped until [`Outbox::catch_up`] says from where on.
    pub fn new(limits: Limits, progress: Arc<Progress>) -> Self {
        Self {
            queue: VecDeque::new(),
            queued_bytes: 0,
            limits,
            standing: Standing::Lagging { asked: true },
            pushed_through: MessageId::ZERO,
            live_from: MessageId::ZERO,
            shown_through: MessageId::ZERO,
            finished: false,
            progress,
        }
    }

    /// A live message. `piece` is only called when it is wanted.
    pub fn push_live(&mut self, id: MessageId, piece: impl FnOnce() -> Rc<Outgoing>) -> Pushed {
        if self.finished || self.standing != Standing::Live || id <= self.pushed_through {
            return Pushed::Skipped;
        }
        if self.queue.len() >= self.limits.messages_max
            || self.queued_bytes >= self.limits.bytes_max
        {
            self.standing = Standing::Lagging { asked: false };
            return Pushed::Overflow(self.pushed_through);
        }
        self.pushed_through = id;
        self.enqueue(piece());
        Pushed::Queued
    }

    /// A piece that is not a live message: it is never refused, whoever sends it answers for its
    /// number.
    pub fn push(&mut self, piece: impl Into<Rc<Outgoing>>) {
        if !self.finished {
            self.enqueue(piece.into());
        }
    }

    fn enqueue(&mut self, piece: Rc<Outgoing>) {
        self.queued_bytes += piece.bytes.len();
        self.shown_through = piece.id.unwrap_or(self.shown_through);
        self.queue.push_back(piece);
    }

    /// Everything up to `through`; live messages after it follow.
    pub fn catch_up(&mut self, pieces: impl IntoIterator<Item = Outgoing>, through: MessageId) {
        pieces.into_iter().for_each(|piece| self.push(piece));
        self.pushed_through = through;
        self.live_from = through;
        self.standing = Standing::Live;
    }

    /// Whether the client has, or will have had, a live message of this id that was for it.
    pub fn has_had(&self, id: MessageId) -> bool {
        id > self.live_from && id <= self.pushed_through
    }

    /// From here on nothing is put on what the client had before `through`.
    pub fn begin_whole(&mut self, through: MessageId) {
        self.live_from = self.live_from.max(through);
    }

    /// The client learns that it is at `through`, although what came last up to there was not for
    /// it. After a resume or a backlog that may have passed before the client was live again.
    pub fn move_cursor(&mut self, through: MessageId, piece: impl FnOnce() -> Outgoing) {
        let is_ahead = through >= self.pushed_through && through > self.shown_through;
        if self.standing == Standing::Live && is_ahead {
            self.pushed_through = through;
            self.push(piece());
        }
    }

    /// Everything up to `through` that was for the client has been handed to its socket, where that is
    /// so: the position, which a client of this transport is not told, moves along with the log.
    pub fn pass(&mut self, through: MessageId) {
        self.progress.advance(self.sent_through(through));
    }

    /// The next piece to write.
    pub fn take(&mut self) -> Option<Rc<Outgoing>> {
        let piece = self.queue.pop_front()?;
        self.queued_bytes -= piece.bytes.len();
        if let Some(position) = piece.position {
            self.progress.advance(position);
        }
        self.progress.count(&piece);
        if self.queue.is_empty() && self.queue.capacity() > SPARE_CAPACITY {
            self.queue.shrink_to(SPARE_CAPACITY);
        }
        Some(piece)
    }

    /// The first `pieces` are about to be handed to the socket. That is told before it is done: a
    /// client may have read them, gone and come back before it could be told afterwards. Returns
    /// what to give [`Outbox::withdraw`] when it was not done.
    pub fn announce(&self, pieces: usize) -> MessageId {
        let before = self.progress.sent_through();
        let handed = self.queue.iter().take(pieces);
        let newest = handed.rev().find_map(|piece| piece.position);
        if let Some(position) = newest {
            self.progress.advance(position);
        }
        before
    }

    /// Not all of what was announced has been handed over.
    pub fn withdraw(&self, sent_through: MessageId) {
        self.progress.set_sent_through(sent_through);
    }

    /// What waits, the next piece first.
    pub fn waiting(&self) -> impl Iterator<Item = &Outgoing> + Clone {
        self.queue.iter().map(Rc::as_ref)
    }

    /// Whether it has run empty while lagging, so that the hub should be asked for the backlog.
    /// True once per lag.
    pub fn wants_backlog(&mut self) -> bool {
        let wants = self.standing == Standing::Lagging { asked: false }
            && self.queue.is_empty()
            && !self.finished;
        if wants {
            self.standing = Standing::Lagging { asked: true };
        }
        wants
    }

    /// Nothing more will be taken in; what waits is still sent.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// Like [`Outbox::finish`], and what waits is thrown away: the connection is gone.
    pub fn abandon(&mut self) {
        self.finish();
        self.queue.clear();
        self.queued_bytes = 0;
    }

    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// Pieces that wait.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub fn is_lagging(&self) -> bool {
        self.standing != Standing::Live
    }

    pub fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Up to where everything for this connection has been handed to its socket, when the worker
    /// has fanned out everything up to `fanned_out`.
    pub fn sent_through(&self, fanned_out: MessageId) -> MessageId {
        let sent = self.progress.sent_through();
        // One that is finished let messages pass that it would have taken.
        let takes_all = self.standing == Standing::Live && !self.finished;
        if takes_all && self.queue.iter().all(|piece| piece.position.is_none()) {
            sent.max(fanned_out)
        } else {
            sent
        }
    }
}

#[cfg(test)]
mod tests;
