//! The second listener: whether the hub is well, and its metrics, also when clients have taken every socket of the
//! first.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use actix_web::{App, HttpServer, middleware::from_fn};

use crate::http::state::State;
use crate::http::{middleware, routes};
use crate::transport::descriptors::HEALTH_CONNECTIONS;

/// Who asks comes again for each answer, or every few seconds.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// A stop does not wait for who asks whether there is one.
const SHUTDOWN_SECONDS: u64 = 1;

/// Listens and answers on a thread of its own.
///
/// # Errors
/// The address cannot be listened on.
pub fn start(address: SocketAddr, state: &Data<State>) -> io::Result<(ServerHandle, SocketAddr)> {
    let header_timeout = state.settings.load().http.header_timeout;
    let state = state.clone();
    let server = HttpServer::new(move || {
        App::new()
            .app_data(state.clone())
            .configure(routes::configure_health)
            .wrap(from_fn(middleware::outermost))
    })
    .workers(1)
    .max_connections(HEALTH_CONNECTIONS)
    .keep_alive(KEEP_ALIVE)
    .client_request_timeout(header_timeout)
    .disable_signals()
    .shutdown_timeout(SHUTDOWN_SECONDS)
    .bind(address)?;
    let address = server.addrs().first().copied();
    let address = address.ok_or(io::ErrorKind::AddrNotAvailable)?;
    let server = server.run();
    let handle = server.handle();
    actix_rt::spawn(server);
    Ok((handle, address))
}
