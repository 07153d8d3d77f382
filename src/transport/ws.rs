//! WebSocket: one actor a connection (RFC 6455).

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::fut::{ActorFutureExt, wrap_future};
use actix::{Actor, AsyncContext, StreamHandler};
use actix_http::ws::Codec;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, rt};
use actix_web_actors::ws::{Message, ProtocolError, WebsocketContext, handshake_with_protocols};

use super::assembly::{Assembled, Assembly, close_answer, close_code_for};
use super::body::{Detach, StreamBody};
use super::commands::{self, Services};
use super::frame_guard::{FrameGuard, Verdict};
use super::incoming::Incoming;
use super::pace::{self, Pace};
use super::socket::Handle;
use crate::config;
use crate::domain::notice::{Fault, Goodbye, Notice};
use crate::domain::outbox::Outgoing;
use crate::hub::{Client, Connection, Registration, Stream};
use crate::telemetry::counters::Counter;
use crate::wire::command;
use crate::wire::websocket::{Closing, pong_frame};

/// The subprotocol of the hub.
pub const PROTOCOL: &str = "statshub";
/// By then the last bytes have been handed to the kernel, unless the client is too slow for them.
const LAST_BYTES_WITHIN: Duration = Duration::from_millis(50);

/// The life of one WebSocket connection, and what its client says.
struct WsConnection {
    /// The Hub counts it from before this starts until it is dropped.
    registration: Registration,
    connection: Rc<Connection>,
    client: Rc<Client>,
    services: Arc<Services>,
    assembly: Assembly,
    pace: Pace,
    /// Why the frame guard ended the client's stream, once it has.
    verdict: Rc<Cell<Option<Verdict>>>,
}

/// Checks that `request` asks for a WebSocket, before anything is done for it.
///
/// # Errors
/// It does not, or for a version nobody speaks any more.
pub fn handshake(request: &HttpRequest) -> actix_web::Result<HttpResponseBuilder> {
    super::handshake::check(request)?;
    Ok(handshake_with_protocols(request, &[PROTOCOL])?)
}

/// The response to a good handshake, and all that follows on it. `detach` says whether the socket may
/// be taken over.
pub fn respond(
    mut handshake: HttpResponseBuilder,
    payload: Payload,
    stream: Stream,
    socket: Handle,
    services: Arc<Services>,
    settings: &config::WebSocket,
    detach: bool,
) -> HttpResponse {
    let incoming = Incoming::new(payload);
    let detach = detach.then(|| Detach {
        socket: socket.clone(),
        incoming: Some(incoming.clone()),
    });
    let payload = FrameGuard::new(incoming, settings.message_bytes_max);
    let actor = WsConnection {
        registration: stream.registration,
        connection: stream.connection.clone(),
        client: stream.client,
        services,
        assembly: Assembly::new(settings.message_bytes_max, settings.fragments_max),
        pace: Pace::new(settings.messages_per_second, settings.message_burst),
        verdict: payload.verdict(),
    };
    let codec = Codec::new().max_size(settings.message_bytes_max);
    let context = WebsocketContext::with_codec(actor, payload, codec);
    let body = StreamBody::new(Box::pin(context), stream.connection, detach).at_end(move || {
        // actix flushes what is left, and drains what the client still sends for a while.
        rt::spawn(async move {
            rt::time::sleep(LAST_BYTES_WITHIN).await;
            socket.finish_writing();
        });
    });
    handshake.body(body)
}

impl WsConnection {
    fn close(&self, closing: Closing, ctx: &mut WebsocketContext<Self>) {
        let frame = Outgoing::notice(closing.frame());
        self.connection.finish([frame], None);
        // A broken stream repeats its error for as long as it is asked.
        ctx.cancel_future(ctx.handle());
    }

    fn handle_frame(&mut self, message: Message, ctx: &mut WebsocketContext<Self>) {
        let assembled = match message {
            Message::Text(text) => self.assembly.text(text),
            Message::Binary(_) => self.assembly.binary(),
            Message::Continuation(item) => self.assembly.fragment(item),
            Message::Ping(payload) => {
                let pong = Outgoing::notice(pong_frame(&payload));
                return self.connection.push(pong);
            }
            Message::Close(reason) => return self.close(close_answer(reason.as_ref()), ctx),
            Message::Pong(_) | Message::Nop => return,
        };
        match assembled {
            Assembled::Whole(text) => self.obey(&text, ctx),
            Assembled::Pending => {}
            Assembled::Refused(closing) => self.close(closing, ctx),
        }
    }

    fn ignore(&mut self, message: &Message, tell: bool) {
        self.services.counters.count(Counter::RateLimitedWebsocket);
        if let Message::Continuation(item) = message {
            self.assembly.ignore(item);
        }
        if tell {
            self.connection.say(Notice::Error(Fault::RateLimited));
        }
    }

    /// Carries out what the client wants. The next message waits until that is done, so that they
    /// take effect in their order.
    fn obey(&self, text: &str, ctx: &mut WebsocketContext<Self>) {
        match command::parse(text) {
            Err(fault) => self.connection.say(Notice::Error(fault)),
            Ok(command) => {
                let (client, services) = (self.client.clone(), self.services.clone());
                let connection = self.connection.clone();
                let work = async move {
                    commands::obey(command, &connection, &client, &services).await;
                };
                ctx.wait(wrap_future(work).map(|(), _: &mut Self, _| ()));
            }
        }
    }
}

impl Actor for WsConnection {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // An actor that waits for nothing, and whose address nobody has, would end at once.
        ctx.spawn(wrap_future(pending()));
        // A client may ask for something right behind its handshake; the opening comes first.
        let connection = self.connection.clone();
        let settled = async move { connection.settled().await };
        ctx.wait(wrap_future(settled).map(|(), _: &mut Self, _| ()));
        log::debug!("{:?} streams", self.registration);
    }

    fn stopped(&mut self, _: &mut Self::Context) {
        log::debug!("{:?} has ended", self.registration);
    }
}

impl StreamHandler<Result<Message, ProtocolError>> for WsConnection {
    fn handle(&mut self, item: Result<Message, ProtocolError>, ctx: &mut Self::Context) {
        if self.connection.is_finished() {
            return;
        }
        self.connection.heard();
        let message = match item {
            Ok(message) => message,
            Err(error) => {
                log::debug!("{:?}: {error}", self.registration);
                return self.close(close_code_for(&error), ctx);
            }
        };
        // Who has said too much may still say goodbye.
        if matches!(message, Message::Close(_)) {
            return self.handle_frame(message, ctx);
        }
        match self.pace.admit(Instant::now()) {
            pace::Verdict::Admit => self.handle_frame(message, ctx),
            pace::Verdict::Ignore { tell } => self.ignore(&message, tell),
            pace::Verdict::Close => {
                self.services.counters.count(Counter::RateLimitedWebsocket);
                self.connection.finish_with(Goodbye::TooManyMessages);
            }
        }
    }

    /// Nothing more will come from the client. The stream goes on until its last words are out.
    fn finished(&mut self, _: &mut Self::Context) {
        let last_words = self.verdict.get().map(Verdict::closing).map(Closing::frame);
        self.connection
            .finish(last_words.map(Outgoing::notice), None);
    }
}
