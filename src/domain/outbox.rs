//! What waits to be sent on one connection: a bounded queue of shared bytes.
//!
//! The fan-out puts in, the connection's driver takes out. When the queue is full the connection is
//! *lagging*: it takes no more live messages, the hub is told once, and when the queue has run
//! empty it asks the hub for what it missed. Metrics are state, so a lagging dashboard wants the
//! newest, and the hub's backlog gives it just that.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::message::MessageId;

/// Capacity a queue gives back once it has run empty.
const SPARE_CAPACITY: usize = 16;

/// How much may wait.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub messages_max: usize,
    pub bytes_max: usize,
}

/// One piece of a stream.
#[derive(Debug, Clone)]
pub struct Outgoing {
    pub bytes: Bytes,
    /// Up to where the client has everything once it has this; `None` for notices.
    pub position: Option<MessageId>,
    /// A published message, as opposed to a snapshot, a cursor or a notice.
    pub is_message: bool,
    /// When it was published, for messages sent live: what delivery latency is measured from.
    pub published_at: Option<Duration>,
}

impl Outgoing {
    /// A piece that moves no position.
    pub fn notice(bytes: Bytes) -> Self {
        Self {
            bytes,
            position: None,
            is_message: false,
            published_at: None,
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

    fn set_sent_through(&self, position: MessageId) {
        self.sent_through
            .store(position.to_bits(), Ordering::Relaxed);
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
    queue: VecDeque<Outgoing>,
    queued_bytes: usize,
    limits: Limits,
    standing: Standing,
    pushed_through: MessageId,
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
            finished: false,
            progress,
        }
    }

    /// A live message. `piece` is only called when it is wanted.
    pub fn push_live(&mut self, id: MessageId, piece: impl FnOnce() -> Outgoing) -> Pushed {
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
    pub fn push(&mut self, piece: Outgoing) {
        if !self.finished {
            self.enqueue(piece);
        }
    }

    fn enqueue(&mut self, piece: Outgoing) {
        self.queued_bytes += piece.bytes.len();
        self.queue.push_back(piece);
    }

    /// Everything up to `through`; live messages after it follow.
    pub fn catch_up(&mut self, pieces: impl IntoIterator<Item = Outgoing>, through: MessageId) {
        pieces.into_iter().for_each(|piece| self.push(piece));
        self.pushed_through = through;
        self.standing = Standing::Live;
    }

    /// The client's position moves to `through` although nothing up to there was for it.
    pub fn move_cursor(&mut self, through: MessageId, piece: impl FnOnce() -> Outgoing) {
        if self.standing == Standing::Live && through > self.pushed_through {
            self.pushed_through = through;
            self.push(piece());
        }
    }

    /// The next piece to write.
    pub fn take(&mut self) -> Option<Outgoing> {
        let piece = self.queue.pop_front()?;
        self.queued_bytes -= piece.bytes.len();
        if let Some(position) = piece.position
            && position > self.progress.sent_through()
        {
            self.progress.set_sent_through(position);
        }
        self.progress
            .sent
            .fetch_add(u64::from(piece.is_message), Ordering::Relaxed);
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
        if let Some(position) = newest.filter(|position| *position > before) {
            self.progress.set_sent_through(position);
        }
        before
    }

    /// Not all of what was announced has been handed over.
    pub fn withdraw(&self, sent_through: MessageId) {
        self.progress.set_sent_through(sent_through);
    }

    /// What waits, the next piece first.
    pub fn waiting(&self) -> impl Iterator<Item = &Outgoing> + Clone {
        self.queue.iter()
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
mod tests {
    use super::*;

    fn id(n: u64) -> MessageId {
        MessageId::new(n, 0).unwrap()
    }

    fn piece(n: u64) -> Outgoing {
        Outgoing {
            bytes: Bytes::from_static(b"0123456789"),
            position: Some(id(n)),
            is_message: true,
            published_at: None,
        }
    }

    fn live(messages_max: usize, bytes_max: usize) -> Outbox {
        let mut outbox = Outbox::new(
            Limits {
                messages_max,
                bytes_max,
            },
            Arc::default(),
        );
        outbox.catch_up([], MessageId::ZERO);
        outbox
    }

    #[test]
    fn nothing_live_is_taken_before_the_opening() {
        let mut outbox = Outbox::new(
            Limits {
                messages_max: 8,
                bytes_max: 100,
            },
            Arc::default(),
        );
        assert_eq!(outbox.push_live(id(1), || piece(1)), Pushed::Skipped);
        outbox.catch_up([], id(1));
        assert_eq!(
            outbox.push_live(id(1), || piece(1)),
            Pushed::Skipped,
            "it is in the snapshot"
        );
        assert_eq!(outbox.push_live(id(2), || piece(2)), Pushed::Queued);
        assert_eq!(
            outbox.push_live(id(2), || piece(2)),
            Pushed::Skipped,
            "overlapping patterns"
        );
    }

    #[test]
    fn a_full_queue_says_so_once_and_asks_for_the_backlog_once_empty() {
        for mut outbox in [live(2, 1000), live(1000, 20)] {
            assert_eq!(outbox.push_live(id(1), || piece(1)), Pushed::Queued);
            assert_eq!(outbox.push_live(id(2), || piece(2)), Pushed::Queued);
            assert_eq!(
                outbox.push_live(id(3), || piece(3)),
                Pushed::Overflow(id(2))
            );
            assert_eq!(outbox.push_live(id(4), || piece(4)), Pushed::Skipped);
            outbox.take();
            assert!(!outbox.wants_backlog());
            outbox.take();
            assert!(outbox.wants_backlog());
            assert!(!outbox.wants_backlog());
            outbox.catch_up([piece(4)], id(4));
            assert_eq!(outbox.push_live(id(5), || piece(5)), Pushed::Queued);
        }
    }

    #[test]
    fn the_position_is_what_was_handed_to_the_socket() {
        let mut outbox = live(8, 1000);
        assert_eq!(
            outbox.sent_through(id(9)),
            id(9),
            "nothing waits: all that passed was not for it"
        );
        outbox.push_live(id(10), || piece(10));
        outbox.push_live(id(11), || piece(11));
        outbox.take();
        assert_eq!(outbox.sent_through(id(20)), id(10));
        outbox.take();
        assert_eq!(outbox.sent_through(id(20)), id(20));
        assert_eq!(outbox.progress().sent(), 2);
    }

    #[test]
    fn what_passes_an_outbox_that_takes_nothing_more_was_not_sent() {
        let mut outbox = live(8, 1000);
        outbox.push_live(id(1), || piece(1));
        outbox.take();
        outbox.finish();
        assert_eq!(outbox.push_live(id(2), || piece(2)), Pushed::Skipped);
        assert_eq!(outbox.sent_through(id(2)), id(1), "2 was skipped");
    }

    #[test]
    fn what_was_thrown_away_was_not_sent() {
        let mut outbox = live(8, 1000);
        outbox.push_live(id(1), || piece(1));
        outbox.push_live(id(2), || piece(2));
        outbox.take();
        outbox.abandon();
        assert_eq!(outbox.sent_through(id(2)), id(1));
    }

    #[test]
    fn a_finished_outbox_sends_what_waits_and_takes_nothing_more() {
        let mut outbox = live(8, 1000);
        outbox.push_live(id(1), || piece(1));
        outbox.finish();
        assert_eq!(outbox.push_live(id(2), || piece(2)), Pushed::Skipped);
        outbox.push(Outgoing::notice(Bytes::new()));
        assert!(outbox.take().is_some());
        assert!(outbox.take().is_none());
    }
}
