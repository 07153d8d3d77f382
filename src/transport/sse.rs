//! Server-sent events: one actor a stream (WHATWG HTML, section 9.2).

use std::future::pending;

use actix::fut::wrap_future;
use actix::{Actor, AsyncContext};
use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, VARY};
use actix_web::http::{ConnectionType, Version};
use actix_web_actors::HttpContext;

use super::body::{Detach, StreamBody};
use super::socket::Handle;
use crate::hub::{Registration, Stream};

/// The life of one SSE stream: the Hub counts it from before this starts until it is dropped.
struct SseConnection {
    registration: Registration,
}

impl Actor for SseConnection {
    type Context = HttpContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // An actor that waits for nothing, and whose address nobody has, would end at once.
        ctx.spawn(wrap_future(pending()));
        log::debug!("{:?} streams", self.registration);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        log::debug!("{:?} has ended", self.registration);
    }
}

/// The reason phrase of a stream over HTTP/1.1, and one header more: actix leaves `Connection` out
/// where it goes without saying (RFC 9112, section 9.3) and takes none from a handler, while proxies
/// and clients of the original service look for it.
const OK_KEEP_ALIVE: &str = "OK\r\nconnection: keep-alive";

/// The response that is the stream, for a request in `version` of HTTP. `detach` is the socket where
/// that may be taken over.
pub fn respond(stream: Stream, version: Version, detach: Option<Handle>) -> HttpResponse {
    let token = stream.token.to_string();
    let actor = HttpContext::create(SseConnection {
        registration: stream.registration,
    });
    let detach = detach.filter(|_| version == Version::HTTP_11);
    let detach = detach.map(|socket| Detach {
        socket,
        incoming: None,
    });
    let mut answer = HttpResponse::Ok();
    if version == Version::HTTP_11 {
        answer.reason(OK_KEEP_ALIVE);
    }
    if stream.connection.gzips() {
        answer.insert_header((CONTENT_ENCODING, "gzip"));
    }
    let mut response = answer
        .insert_header((VARY, "Accept-Encoding"))
        .insert_header((CONTENT_TYPE, HeaderValue::from_static("text/event-stream")))
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-cache")))
        // Tells nginx and its kin not to gather what should go out at once.
        .insert_header(("X-Accel-Buffering", "no"))
        .insert_header(("X-Reconnect-Token", token))
        .body(StreamBody::new(Box::pin(actor), stream.connection, detach));
    if version < Version::HTTP_11 {
        // It knows no chunks (RFC 9112, section 6.1): the body ends with the connection.
        response.head_mut().no_chunking(true);
        response
            .head_mut()
            .set_connection_type(ConnectionType::Close);
    }
    response
}
