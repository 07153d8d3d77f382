//! Every socket that the server has, so that none is held by a client that uses it for nothing.
//!
//! actix-http gives the head of a connection's first request a time limit, and a connection at rest
//! another. But the first byte of a second head ends the rest and begins no limit: whoever sends
//! that byte and no more would hold the socket for ever.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use actix_web::rt::net::TcpStream;

use super::socket::{Handle, Held};
use crate::config::Outgoing;

/// Clones share one list. A socket is on it until somebody looks after it has been closed.
#[derive(Debug, Clone, Default)]
pub struct Sockets {
    list: Arc<Mutex<Vec<Weak<Held>>>>,
    open: Arc<AtomicUsize>,
}

impl Sockets {
    /// Sets the options that every connection has and takes a handle. For `HttpServer::on_connect`.
    ///
    /// # Errors
    /// The kernel knows an option not, or there are no descriptors left.
    pub fn adopt(&self, stream: &TcpStream, settings: &Outgoing) -> io::Result<Handle> {
        let handle = Handle::adopt(stream, settings, &self.open)?;
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.push(handle.downgrade());
        Ok(handle)
    }

    /// How many are open, whoever drives them.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Hangs up on those that at `now` have carried no request for `idle_max`.
    pub fn hang_up_on_idle(&self, now: Instant, idle_max: Duration) {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        list.retain(|held| {
            let Some(handle) = Handle::upgrade(held) else {
                return false;
            };
            let is_idle = handle.idle_for(now).is_some_and(|idle| idle >= idle_max);
            if is_idle {
                handle.hang_up();
            }
            !is_idle
        });
    }
}

#[cfg(test)]
mod tests {
    use super::super::socket::tests::{connect, settings};
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    /// Whether `stream` is still open a minute from now, where idle ones may stay for a minute.
    fn stays(sockets: &Sockets, handle: &Handle) -> bool {
        sockets.hang_up_on_idle(Instant::now() + MINUTE, MINUTE);
        !handle.peer_is_gone()
    }

    #[actix::test]
    async fn who_carries_no_request_is_hung_up_on_in_time_and_nobody_else() {
        let sockets = Sockets::default();
        let (idle_stream, _idle_client) = connect().await;
        let idle = sockets.adopt(&idle_stream, &settings()).unwrap();
        let (busy_stream, _busy_client) = connect().await;
        let busy = sockets.adopt(&busy_stream, &settings()).unwrap();
        let (first, second) = (busy.in_use(), busy.in_use());
        sockets.hang_up_on_idle(Instant::now(), MINUTE);
        assert!(!idle.peer_is_gone(), "it has not been idle for long");
        assert!(!stays(&sockets, &idle));
        assert!(stays(&sockets, &busy));
        drop(first);
        assert!(stays(&sockets, &busy), "one request is left");
        drop(second);
        assert!(!stays(&sockets, &busy));
    }

    #[actix::test]
    async fn what_is_closed_is_forgotten() {
        let sockets = Sockets::default();
        let (stream, _client) = connect().await;
        let handle = sockets.adopt(&stream, &settings()).unwrap();
        sockets.hang_up_on_idle(Instant::now(), MINUTE);
        assert_eq!(sockets.list.lock().unwrap().len(), 1);
        drop(handle);
        sockets.hang_up_on_idle(Instant::now(), MINUTE);
        assert_eq!(sockets.list.lock().unwrap().len(), 0);
    }
}
