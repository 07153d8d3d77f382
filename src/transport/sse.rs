//! Server-sent events: one actor a stream (WHATWG HTML, section 9.2).

use actix::{Actor, Addr};
use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderValue};
use actix_web_actors::HttpContext;

use super::body::StreamBody;
use crate::hub::{Registration, Stream};

/// The life of one SSE stream: the Hub counts it from before this starts until it is dropped.
struct SseConnection {
    registration: Registration,
    /// An actor whose address nobody has would end at once.
    address: Option<Addr<Self>>,
}

impl Actor for SseConnection {
    type Context = HttpContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.address = Some(actix::AsyncContext::address(ctx));
        log::debug!("{:?} streams", self.registration);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        log::debug!("{:?} has ended", self.registration);
    }
}

/// The response that is the stream.
pub fn respond(stream: Stream) -> HttpResponse {
    let token = stream.admitted.token.to_string();
    let actor = HttpContext::create(SseConnection {
        registration: stream.registration,
        address: None,
    });
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, HeaderValue::from_static("text/event-stream")))
        .insert_header((CACHE_CONTROL, HeaderValue::from_static("no-cache")))
        .insert_header((CONNECTION, HeaderValue::from_static("keep-alive")))
        // Tells nginx and its kin not to gather what should go out at once.
        .insert_header(("X-Accel-Buffering", "no"))
        .insert_header(("X-Reconnect-Token", token))
        .body(StreamBody::new(actor, stream.connection))
}
