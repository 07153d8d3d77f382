//! What must live until an answer has been written.

use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::HttpResponse;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use bytes::Bytes;

/// Drops `kept` with the body of `response`: when all of it has been handed to the socket, or the
/// connection has ended.
pub(super) fn until_written(kept: impl Unpin + 'static, response: HttpResponse) -> HttpResponse {
    response.map_body(|_, body| BoxBody::new(Keeping { body, _kept: kept }))
}

struct Keeping<T> {
    body: BoxBody,
    _kept: T,
}

impl<T: Unpin> MessageBody for Keeping<T> {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}
