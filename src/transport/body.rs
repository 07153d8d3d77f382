//! A response body that sends what waits for a connection.

use std::convert::Infallible;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use bytes::Bytes;
use futures::Stream;

use crate::hub::Connection;

/// Drives a connection actor and its queue, as long as the client reads. The actor is dropped, and
/// so unregisters, when the body is.
pub struct StreamBody {
    actor: Pin<Box<dyn Stream<Item = actix_web::Result<Bytes>>>>,
    actor_lives: bool,
    connection: Rc<Connection>,
    /// What to do once the last piece has been handed over.
    at_end: Option<Box<dyn FnOnce()>>,
}

impl StreamBody {
    pub fn new(
        actor: impl Stream<Item = actix_web::Result<Bytes>> + 'static,
        connection: Rc<Connection>,
    ) -> Self {
        Self {
            actor: Box::pin(actor),
            actor_lives: true,
            connection,
            at_end: None,
        }
    }

    pub fn at_end(mut self, act: impl FnOnce() + 'static) -> Self {
        self.at_end = Some(Box::new(act));
        self
    }

    /// Lets the actor handle what has come for it. What it writes itself comes first.
    fn poll_actor(&mut self, cx: &mut Context<'_>) -> Poll<Bytes> {
        while self.actor_lives {
            match self.actor.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(bytes))) => return Poll::Ready(bytes),
                Poll::Ready(Some(Err(_)) | None) => {
                    self.actor_lives = false;
                    self.connection.finish([], None);
                }
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Pending
    }
}

impl MessageBody for StreamBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Infallible>>> {
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
