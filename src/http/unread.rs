//! What becomes of a request body that nobody reads to its end.
//!
//! actix-http closes a connection whose request body was left unread when the answer is sent, after
//! reading off for a second what is under way, so that the client sees the answer. For a chunked
//! body it does so only while someone still holds the payload; one that was dropped it goes on
//! draining for as long as the client likes to send, or to be silent, with no time limit. So a
//! chunked payload is held here until the answer is out.
//!
//! That second is the server's `client_disconnect_timeout`. It must not be set below the 500 ms by
//! which actix-http's clock may be late: a timer that has run out when it is set never wakes the
//! connection, which then stays.

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::HttpMessage;
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::http::header::TRANSFER_ENCODING;
use bytes::Bytes;
use futures::Stream;

/// One payload with two owners: whoever reads it, and the answer.
#[derive(Clone)]
pub(super) struct Shared(Rc<RefCell<Payload>>);

impl Shared {
    /// Takes a share in the payload of `req` where it is chunked. Only there: it costs an
    /// allocation, and streams have no body at all.
    pub(super) fn of(req: &mut ServiceRequest) -> Option<Self> {
        req.headers().get(TRANSFER_ENCODING)?;
        let shared = Self(Rc::new(RefCell::new(req.take_payload())));
        let payload = Box::pin(shared.clone());
        req.set_payload(Payload::Stream { payload });
        Some(shared)
    }
}

impl Stream for Shared {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut *self.0.borrow_mut()).poll_next(cx)
    }
}
