//! A stream whose socket was taken over from the HTTP dispatcher.
//!
//! actix keeps some 13 KB for every connection that it serves, and takes a detour of two copies and
//! a task switch for every message. Once the head of the answer is out neither is needed: the
//! fan-out writes to the socket itself, and what is left of a connection is this task, which sleeps
//! unless the client says something or reads too slowly.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use actix_rt::spawn;
use actix_rt::time::timeout;
use actix_web::Result;
use bytes::Bytes;
use futures::Stream;

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
pub struct Driver {
    /// The connection is registered for as long as the actor lives.
    actor: Option<Actor>,
    connection: Rc<Connection>,
    socket: Handle,
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
pub fn start(actor: Actor, connection: Rc<Connection>, socket: Handle) {
    connection.write_directly();
    let in_use = socket.in_use();
    let mut driver = Driver {
        actor: Some(actor),
        connection,
        socket,
        unasked: 0,
        _in_use: in_use,
    };
    spawn(async move {
        let end = std::future::poll_fn(|cx| driver.poll(cx)).await;
        driver.end(end);
    });
}

impl Driver {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<End> {
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
            ready!(self.socket.poll_free(cx))?;
            self.connection.write_out()?;
        }
        match self.connection.is_finished() {
            true => Poll::Ready(Ok(())),
            false => Poll::Pending,
        }
    }

    fn end(self, end: End) {
        let Self {
            actor,
            connection,
            socket,
            ..
        } = self;
        match end {
            End::Broken => socket.hang_up(),
            End::Clean => {
                let lingering = connection.linger();
                let transport = connection.transport;
                // Its place is free at once, however long the client takes to go.
                drop(actor);
                spawn(async move {
                    let said = timeout(LINGER, say_goodbye(&socket, transport)).await;
                    log::trace!("the end of a stream: {said:?}");
                    drop(lingering);
                });
            }
        }
    }
}

/// Ends the hub's side and waits for the client to end its own.
async fn say_goodbye(socket: &Handle, transport: Transport) -> io::Result<()> {
    if transport == Transport::Sse {
        write_all(socket, chunk::LAST).await?;
    }
    socket.finish_writing();
    while std::future::poll_fn(|cx| socket.poll_read(cx))
        .await?
        .is_some()
    {}
    Ok(())
}

async fn write_all(socket: &Handle, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        std::future::poll_fn(|cx| socket.poll_free(cx)).await?;
        match socket.line().write(&[IoSlice::new(bytes)]) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
