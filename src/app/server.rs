//! The HTTP server: every setting of actix that differs from its default, and why.

use std::any::Any;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::dev::{Extensions, ServerHandle};
use actix_web::rt::net::TcpStream;
use actix_web::web::Data;
use actix_web::{App, HttpServer, middleware::from_fn};
use rustls::ServerConfig;

use crate::config::Settings;
use crate::domain::outbox;
use crate::http::state::State;
use crate::http::{limit, middleware, routes};
use crate::hub::Worker;
use crate::transport::descriptors::Descriptors;
use crate::transport::sockets::{Limits, Sockets, no_descriptor_is_left};
use crate::transport::tls::Endpoint;

/// Connections that may wait to be accepted: after a restart everybody comes at once.
const BACKLOG: u32 = 4096;
/// By how much the clock may be late that actix-http counts its time limits from. Without this a good
/// request could be too late before it began.
const CLOCK_LATE: Duration = Duration::from_millis(500);
/// What a worker takes in beyond its share, one in so many: room for newcomers to be hung up on, or to
/// take the place of who is idle. At its limit actix would not even accept them.
const NEWCOMERS_SHARE: usize = 10;
/// How often connections are looked for that nobody uses: within the time for a head, between these.
const LOOKS_EVERY_MIN: Duration = Duration::from_millis(100);
const LOOKS_EVERY_MAX: Duration = Duration::from_secs(5);
/// How often it is looked whether there is a descriptor left: as often as actix tries to accept anew.
const ROOM_EVERY: Duration = Duration::from_millis(500);
/// Answers gather so far before they are written: less than any socket takes that is free.
const WRITE_BUFFER_BYTES: usize = 4096;

/// Where to listen.
pub enum Place {
    Address(SocketAddr),
    /// Opened by somebody else, and listening already.
    Sockets(Vec<TcpListener>),
}

/// Listens and serves, over TLS where `tls` says how; returns where, of several sockets the first.
///
/// # Errors
/// The address cannot be listened on.
pub fn start(
    place: Place,
    settings: &Arc<Settings>,
    state: Data<State>,
    tls: Option<ServerConfig>,
) -> io::Result<(ServerHandle, SocketAddr)> {
    let endpoint = state.tls.clone();
    let outbox = outbox::Limits {
        messages_max: settings.outgoing.queue_messages_max,
        bytes_max: settings.outgoing.queue_bytes_max,
    };
    let gzip_min_bytes = settings
        .outgoing
        .gzip
        .then_some(settings.outgoing.gzip_min_bytes);
    let workers = settings.http.workers();
    let outgoing = settings.outgoing.clone();
    let descriptors = Descriptors::of(settings);
    let sockets_max = settings.http.sockets_max;
    let sockets = Sockets::new(Limits {
        sockets_max,
        descriptors_max: descriptors.map_or(usize::MAX, |it| it.for_sockets),
    });
    let adopted = sockets.clone();
    // actix stops accepting where it has so many itself: before there is nothing left to accept with.
    let sockets_max = descriptors.map_or(sockets_max, |it| it.driven_max().min(sockets_max));
    let newcomers = sockets_max.div_ceil(workers * NEWCOMERS_SHARE);
    let taken_in = sockets_max.div_ceil(workers) + newcomers;
    let websocket_path = settings.websocket.path.clone();
    let server = HttpServer::new(move || {
        // Called once on each worker thread.
        let worker = Worker::start(
            state.hub.clone(),
            outbox,
            gzip_min_bytes,
            state.audit.clone(),
        );
        App::new()
            .app_data(state.clone())
            .app_data(Data::new(worker))
            .configure(|config| routes::configure(config, &websocket_path))
            .wrap(from_fn(limit::per_ip))
            .wrap(middleware::cors(state.clone()))
            .wrap(from_fn(middleware::outermost))
    })
    .workers(workers)
    .backlog(BACKLOG)
    .max_connections(taken_in)
    // As many may be in their handshake, or a few hundred that say nothing would keep all others out.
    .max_connection_rate(taken_in)
    // A stream is taken over when at most so much is waiting to be written before it.
    .h1_write_buffer_size(WRITE_BUFFER_BYTES)
    .keep_alive(settings.http.keep_alive + CLOCK_LATE)
    .client_request_timeout(settings.http.header_timeout + CLOCK_LATE)
    // Nagle's algorithm would hold small messages back.
    .tcp_nodelay(true)
    // Otherwise an SSE client's end goes unnoticed until the second write after it.
    .h1_allow_half_closed(false)
    // The streams are drained first, by us.
    .disable_signals()
    // How long requests under way may take; whoever stops the server waits no longer than there is time.
    .shutdown_timeout(settings.http.drain_timeout.as_secs().max(1))
    // As a head: who connects and says nothing holds a place too.
    .tls_handshake_timeout(settings.http.header_timeout)
    .on_connect(move |connection: &dyn Any, extensions: &mut Extensions| {
        let over_tls = connection.downcast_ref::<TlsStream<TcpStream>>();
        let welcome = |endpoint: &Arc<Endpoint>| endpoint.welcome(over_tls?);
        if let Some(shown) = endpoint.as_ref().and_then(welcome) {
            extensions.insert(shown);
        }
        let plain = over_tls.map(|stream| stream.get_ref().0);
        let Some(stream) = plain.or_else(|| connection.downcast_ref::<TcpStream>()) else {
            return;
        };
        match adopted.adopt(stream, &outgoing) {
            // actix counts only what it drives itself.
            Ok(handle) if adopted.are_too_many() && !adopted.make_room(Instant::now()) => {
                handle.hang_up();
            }
            Ok(handle) => {
                extensions.insert(handle);
            }
            // The request is served; a stream would be refused.
            Err(error) => {
                log::debug!("a connection has no handle: {error}");
                adopted.make_room(Instant::now());
            }
        }
    });
    let server = match (place, tls) {
        (Place::Address(address), None) => server.bind(address)?,
        (Place::Address(address), Some(tls)) => server.bind_rustls_0_23(address, tls)?,
        (Place::Sockets(sockets), None) => {
            sockets.into_iter().try_fold(server, HttpServer::listen)?
        }
        (Place::Sockets(sockets), Some(tls)) => {
            let mut sockets = sockets.into_iter();
            sockets.try_fold(server, |server, socket| {
                server.listen_rustls_0_23(socket, tls.clone())
            })?
        }
    };
    let address = server.addrs().first().copied();
    let address = address.ok_or(io::ErrorKind::AddrNotAvailable)?;
    let server = server.run();
    let handle = server.handle();
    actix_rt::spawn(server);
    actix_rt::spawn(make_room(sockets.clone()));
    actix_rt::spawn(look_after(sockets, settings.clone()));
    Ok((handle, address))
}

/// A connection at rest is closed by actix itself; this is for those that have begun another request
/// and never come to the end of its head.
async fn look_after(sockets: Sockets, settings: Arc<Settings>) {
    let head = settings.http.header_timeout;
    let idle_max = settings.http.keep_alive + head;
    loop {
        actix_rt::time::sleep(head.clamp(LOOKS_EVERY_MIN, LOOKS_EVERY_MAX)).await;
        sockets.hang_up_on_idle(Instant::now(), idle_max);
    }
}

/// Where something else has taken the descriptors, nobody can connect and so nobody makes room for others.
async fn make_room(sockets: Sockets) {
    loop {
        actix_rt::time::sleep(ROOM_EVERY).await;
        if sockets.are_too_many() || no_descriptor_is_left() {
            sockets.make_room(Instant::now());
        }
    }
}
