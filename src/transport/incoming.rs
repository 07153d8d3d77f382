//! What a WebSocket client sends: through the HTTP dispatcher at first, from the socket itself once
//! that was taken over.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::error::PayloadError;
use actix_web::web::Payload;
use bytes::Bytes;
use futures::Stream;

use super::socket::Handle;

/// Clones are the same stream.
#[derive(Clone)]
pub struct Incoming(Rc<RefCell<State>>);

struct State {
    /// Came through the dispatcher and goes before whatever comes from elsewhere.
    ahead: VecDeque<Bytes>,
    from: From,
}

enum From {
    Dispatcher(Payload),
    Socket(Handle),
    Ended,
}

/// What the dispatcher still had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Nothing: what comes from now on comes from the socket alone.
    Empty,
    /// Something, and it may have more that it did not give out yet.
    Some,
    /// The end.
    Ended,
}

impl Incoming {
    pub fn new(payload: Payload) -> Self {
        Self(Rc::new(RefCell::new(State {
            ahead: VecDeque::new(),
            from: From::Dispatcher(payload),
        })))
    }

    /// Takes everything that the dispatcher has read.
    pub fn drain(&self, cx: &mut Context<'_>) -> Drained {
        let mut state = self.0.borrow_mut();
        let mut drained = Drained::Empty;
        loop {
            let From::Dispatcher(payload) = &mut state.from else {
                return Drained::Ended;
            };
            match Pin::new(payload).poll_next(cx) {
                Poll::Pending => return drained,
                Poll::Ready(Some(Ok(bytes))) => {
                    state.ahead.push_back(bytes);
                    drained = Drained::Some;
                }
                Poll::Ready(Some(Err(_)) | None) => {
                    state.from = From::Ended;
                    return Drained::Ended;
                }
            }
        }
    }

    /// From now on it comes from `socket`.
    pub fn switch(&self, socket: Handle) {
        self.0.borrow_mut().from = From::Socket(socket);
    }
}

impl Stream for Incoming {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.0.borrow_mut();
        if let Some(bytes) = state.ahead.pop_front() {
            return Poll::Ready(Some(Ok(bytes)));
        }
        match &mut state.from {
            From::Dispatcher(payload) => Pin::new(payload).poll_next(cx),
            From::Socket(socket) => {
                let came = socket.poll_read(cx).map(Result::transpose);
                came.map(|came| came.map(|came| came.map_err(PayloadError::Io)))
            }
            From::Ended => Poll::Ready(None),
        }
    }
}
