//! WebSocket: one actor a connection (RFC 6455).

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use actix::fut::wrap_future;
use actix::{Actor, ActorContext, Addr, AsyncContext, StreamHandler};
use actix_http::ws::Codec;
use actix_web::web::Payload;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, rt};
use actix_web_actors::ws::{
    HandshakeError, Message, ProtocolError, WebsocketContext, handshake_with_protocols,
};

use super::assembly::{Assembled, Assembly, close_answer, close_code_for};
use super::body::StreamBody;
use super::frame_guard::{self, FrameGuard};
use super::pace::{self, Pace};
use super::socket::Handle;
use crate::auth::{Access, Authenticator};
use crate::config;
use crate::domain::hub::{Change, RefreshError};
use crate::domain::notice::{Fault, Goodbye, Notice};
use crate::domain::outbox::Outgoing;
use crate::domain::pattern::{NameError, Pattern};
use crate::hub::{Connection, Error, HubHandle, Registration, Renewed, Stream};
use crate::wire::command::{self, Command};
use crate::wire::websocket::{Closing, pong_frame};

/// The subprotocol of the hub.
pub const PROTOCOL: &str = "statshub";
/// By then the last bytes have been handed to the kernel, unless the client is too slow for them.
const LAST_BYTES_WITHIN: Duration = Duration::from_millis(50);

/// What a connection needs besides its stream.
#[derive(Clone)]
pub struct Services {
    pub hub: HubHandle,
    pub authenticator: Authenticator,
    /// The identity in the domain's terms, for one that has access.
    pub admit: fn(&Authenticator, crate::auth::Identity) -> Option<crate::domain::session::Identity>,
    pub now_ms: fn() -> u64,
}
