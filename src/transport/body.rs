//! A response body that sends what waits for a connection, or hands the connection over.
//!
//! As a body it works everywhere and is driven by actix. Where the socket can be taken over it does
//! nothing but see the head of the answer out, and then ends in an error, upon which actix lets the
//! socket go without shutting it down.

use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;

use super::detached::{self, Actor};
use super::incoming::{Drained, Incoming};
use super::reactor;
use super::socket::Handle;
use crate::hub::Connection;

/// How often the dispatcher is asked for what it has read already. A client that keeps it busy
/// right after the request stays with it.
const DRAINS_MAX: u8 = 8;

/// Drives a connection actor and its queue, as long as the client reads. The actor is dropped, and
/// so unregisters, when the body is.
pub struct StreamBody {
    actor: Option<Actor>,
    connection: Rc<Connection>,
    detaching: Option<Detaching>,
    /// What to do once the last piece has been handed over.
    at_end: Option<Box<dyn FnOnce()>>,
}

/// A socket that is to be taken over.
pub struct Detach {
    pub socket: Handle,
    /// What the client sends, where that counts.
    pub incoming: Option<Incoming>,
}

struct Detaching {
    detach: Detach,
    head_is_out: bool,
    drains: u8,
}

/// The socket was taken over; for actix it is the end of the connection.
#[derive(Debug, thiserror::Error)]
#[error("the socket was taken over")]
pub struct TakenOver;

impl StreamBody {
    /// With `detach`, a body only until the head of the answer is out.
    pub fn new(actor: Actor, connection: Rc<Connection>, detach: Option<Detach>) -> Self {
        let detaching = |detach| Detaching {
            detach,
            head_is_out: false,
            drains: 0,
        };
        Self {
            actor: Some(actor),
            connection,
            detaching: detach.map(detaching),
            at_end: None,
        }
    }

    pub fn at_end(mut self, act: impl FnOnce() + 'static) -> Self {
        self.at_end = Some(Box::new(act));
        self
    }

    /// Lets the actor handle what has come for it. What it writes itself comes first.
    fn poll_actor(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        while let Some(actor) = &mut self.actor {
            match actor.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(bytes))) => return Poll::Ready(bytes),
                Poll::Ready(Some(Err(_)) | None) => {
                    self.actor = None;
                    self.connection.finish([], None);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Pending
    }

    /// Pending while the socket may still be taken over; ready with whether it was.
    fn poll_detach(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let Some(mut detaching) = self.detaching.take() else {
            return Poll::Ready(false);
        };
        match detaching.poll_ready(cx) {
            Poll::Pending => {
                self.detaching = Some(detaching);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            Poll::Ready(false) => Poll::Ready(false),
            Poll::Ready(true) => Poll::Ready(self.hand_over(detaching.detach)),
        }
    }

    fn hand_over(&mut self, detach: Detach) -> bool {
        let Some(actor) = self.actor.take() else {
            return false;
        };
        let Detach { socket, incoming } = detach;
        match socket.take_over() {
            Ok(watch) => {
                if let Some(incoming) = incoming {
                    incoming.switch(socket.clone());
                }
                detached::start(actor, self.connection.clone(), socket, watch);
            }
            // There is no way back, so the connection ends and its client comes again.
            Err(error) => log::warn!("a connection is lost: {error}"),
        }
        true
    }
}

impl Detaching {
    /// Ready with whether the socket can be taken over now.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        if !self.head_is_out {
            // The dispatcher has at most `server::WRITE_BUFFER_BYTES` to write, head included, and
            // writes that right after this. A socket that is free takes so much at once.
            self.head_is_out = true;
            return match reactor::start().is_ok() && self.detach.socket.is_free() {
                true => Poll::Pending,
                false => Poll::Ready(false),
            };
        }
        let Some(incoming) = &self.detach.incoming else {
            return Poll::Ready(true);
        };
        self.drains += 1;
        match incoming.drain(cx) {
            Drained::Empty => Poll::Ready(true),
            Drained::Some if self.drains < DRAINS_MAX => Poll::Pending,
            Drained::Some | Drained::Ended => Poll::Ready(false),
        }
    }
}

impl MessageBody for StreamBody {
    type Error = TakenOver;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, TakenOver>>> {
        match self.poll_detach(cx) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(true) => return Poll::Ready(Some(Err(TakenOver))),
            Poll::Ready(false) => {}
        }
        if let Poll::Ready(bytes) = self.poll_actor(cx) {
            return Poll::Ready(Some(Ok(bytes)));
        }
        let taken = self.connection.poll_take(cx);
        if let Poll::Ready(None) = taken
            && let Some(act) = self.at_end.take()
        {
            act();
        }
        taken.map(|bytes| bytes.map(Ok))
    }
}
