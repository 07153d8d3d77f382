//! A stream whose socket was taken over from the HTTP dispatcher.
//!
//! actix keeps some 13 KB for every connection that it serves, and takes a detour of two copies and
//! a task switch for every message. Once the head of the answer is out neither is needed: the
//! fan-out writes to the socket itself, and what is left of a connection is its driver, one of many in
//! the task of the thread, which sleeps unless the client says something or reads too slowly.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_rt::spawn;
use actix_rt::time::timeout;
use actix_web::Result;
use bytes::Bytes;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, Stream, StreamExt};
use tokio::sync::Notify;
use tokio::task::coop::poll_proceed;

use super::reactor::Watch;
use super::socket::{Handle, InUse};
use crate::domain::message::Transport;
use crate::domain::outbox::Outgoing;
use crate::hub::Connection;
use crate::wire::chunk;

/// How long the client may take to end its side after the last bytes. A socket that is closed while
/// something unread lies in it sends a reset, which may overtake those bytes.
const LINGER: Duration = Duration::from_secs(1);
/// What an SSE client, which has nothing to say any more, may send all the same.
const UNASKED_BYTES_MAX: usize = 64 * 1024;

/// A connection actor: what it yields it wants to be sent.
pub type Actor = Pin<Box<dyn Stream<Item = Result<Bytes>>>>;

/// Looks after one detached connection.
struct Driver {
    /// The connection is registered for as long as the actor lives.
    actor: Option<Actor>,
    connection: Rc<Connection>,
    socket: Handle,
    watch: Option<Watch>,
    unasked: usize,
    /// The request goes on, although its answer is no more actix's.
    _in_use: InUse,
}

/// How a detached stream ended.
enum End {
    /// All was said and written.
    Clean,
    /// The client has gone, or must go.
    Broken,
}

/// Takes the stream over. From now on nobody else may write to the socket.
pub fn start(actor: Actor, connection: Rc<Connection>, socket: Handle, watch: Watch) {
    connection.write_directly();
    let in_use = socket.in_use();
    Crew::of_this_thread().add(Driver {
        actor: Some(actor),
        connection,
        socket,
        watch: Some(watch),
        unasked: 0,
        _in_use: in_use,
    });
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // However many have something to do at once, the rest of the thread gets its turn.
        ready!(poll_proceed(cx)).made_progress();
        if let Some(watch) = &self.watch {
            watch.wake(cx.waker());
        }
        let end = ready!(self.poll_end(cx));
        self.end(end);
        Poll::Ready(())
    }
}

impl Driver {
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        self.poll_actor(cx);
        if self.connection.transport == Transport::Sse && self.poll_read(cx).is_ready() {
            return Poll::Ready(End::Broken);
        }
        match ready!(self.poll_write(cx)) {
            Ok(()) => Poll::Ready(End::Clean),
            Err(error) => {
                log::debug!("{:?} broke: {error}", self.connection);
                Poll::Ready(End::Broken)
            }
        }
    }

    fn poll_actor(&mut self, cx: &mut Context<'_>) {
        while let Some(actor) = &mut self.actor
            && let Poll::Ready(said) = actor.as_mut().poll_next(cx)
        {
            match said {
                Some(Ok(bytes)) if bytes.is_empty() => {}
                Some(Ok(bytes)) => self.connection.push(Outgoing::notice(bytes)),
                Some(Err(_)) | None => {
                    self.actor = None;
                    self.connection.finish([], None);
                }
            }
        }
    }

    /// Ready when an SSE client has gone, or talks on and on.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.unasked <= UNASKED_BYTES_MAX {
            match ready!(self.socket.poll_read(cx)) {
                Ok(Some(bytes)) => self.unasked += bytes.len(),
                Ok(None) | Err(_) => break,
            }
        }
        Poll::Ready(())
    }

    /// Ready when the stream has ended and all is written.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.connection.wake_driver(cx);
        while self.connection.has_waiting() {
            if !self.connection.write_out()? {
                return Poll::Pending;
            }
        }
        match self.connection.is_finished() {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    fn end(&mut self, end: End) {
        match end {
            End::Broken => {
                self.socket.hang_up();
                self.actor = None;
            }
            End::Clean => {
                let lingering = self.connection.linger();
                let goodbye = say_goodbye(self.socket.clone(), self.watch.take(), self.last());
                // Its place is free at once, however long the client takes to go.
                self.actor = None;
                spawn(async move {
                    let said = timeout(LINGER, goodbye).await;
                    log::trace!("the end of a stream: {said:?}");
                    drop(lingering);
                });
            }
        }
    }
}

impl Driver {
    /// What goes out when all that was said is out.
    fn last(&self) -> Vec<u8> {
        match self.connection.transport {
            Transport::Sse => {
                let end = self.connection.end_of_encoding().unwrap_or_default();
                [&chunk::of(&end), chunk::LAST].concat()
            }
            Transport::Websocket => Vec::new(),
        }
    }
}

/// Writes `last`, ends the hub's side and waits for the client to end its own.
async fn say_goodbye(socket: Handle, watch: Option<Watch>, last: Vec<u8>) -> io::Result<()> {
    let wake = |cx: &Context<'_>| watch.iter().for_each(|watch| watch.wake(cx.waker()));
    let mut last = &*last;
    poll_fn(|cx| {
        wake(cx);
        while !last.is_empty() {
            match socket.line().write(&[IoSlice::new(last)]) {
                Ok(written) => last = &last[written..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    })
    .await?;
    socket.finish_writing();
    poll_fn(|cx| {
        wake(cx);
        while ready!(socket.poll_read(cx))?.is_some() {}
        Poll::Ready(Ok(()))
    })
    .await
}

thread_local! {
    /// Lives as long as the task that polls it, which ends with the thread's runtime.
    static CREW: RefCell<Weak<Crew>> = const { RefCell::new(Weak::new()) };
}

/// The drivers of a thread, in one task: a task of the runtime for each would take twice the memory.
#[derive(Default)]
struct Crew {
    new: RefCell<Vec<Driver>>,
    came: Notify,
}

impl Crew {
    fn of_this_thread() -> Rc<Self> {
        CREW.with_borrow_mut(|known| {
            known.upgrade().unwrap_or_else(|| {
                let crew = Rc::<Self>::default();
                spawn(crew.clone().work());
                *known = Rc::downgrade(&crew);
                crew
            })
        })
    }

    fn add(&self, driver: Driver) {
        self.new.borrow_mut().push(driver);
        self.came.notify_one();
    }

    async fn work(self: Rc<Self>) {
        let mut drivers = FuturesUnordered::new();
        loop {
            // One that panics is lost with its connection, and no other is.
            let new = self.new.take().into_iter();
            drivers.extend(new.map(|driver| AssertUnwindSafe(driver).catch_unwind()));
            tokio::select! {
                () = self.came.notified() => {}
                Some(_) = drivers.next() => {}
            }
        }
    }
}
