//! Every socket that the server has, so that none is held by a client that uses it for nothing.
//!
//! actix-http gives the head of a connection's first request a time limit, and a connection at rest
//! another. But the first byte of a second head ends the rest and begins no limit: whoever sends
//! that byte and no more would hold the socket for ever.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use actix_web::rt::net::TcpStream;

use super::socket::{Handle, Held};
use crate::config::Outgoing;

/// Where room is needed, one in so many goes, those that are idle for longest.
const ROOM_SHARE: usize = 10;
/// A client that has just come, or has just been answered, is about to ask.
const ROOM_IDLE_MIN: Duration = Duration::from_secs(1);
/// Looking for room means looking at everybody; a flood of newcomers must not make that all there is.
const ROOM_EVERY: Duration = Duration::from_millis(100);

/// Clones share one list. A socket is on it until somebody looks after it has been closed.
#[derive(Debug, Clone, Default)]
pub struct Sockets {
    list: Arc<Mutex<List>>,
    open: Arc<AtomicUsize>,
}

#[derive(Debug, Default)]
struct List {
    held: Vec<Weak<Held>>,
    /// When room was last looked for.
    looked_at: Option<Instant>,
}

impl Sockets {
    /// Sets the options that every connection has and takes a handle. For `HttpServer::on_connect`.
    ///
    /// # Errors
    /// The kernel knows an option not, or there are no descriptors left.
    pub fn adopt(&self, stream: &TcpStream, settings: &Outgoing) -> io::Result<Handle> {
        let handle = Handle::adopt(stream, settings, &self.open)?;
        self.list().held.push(handle.downgrade());
        Ok(handle)
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many are open, whoever drives them.
    pub fn open(&self) -> usize {
        self.open.load(Ordering::Relaxed)
    }

    /// Hangs up on those that at `now` have carried no request for `idle_max`.
    pub fn hang_up_on_idle(&self, now: Instant, idle_max: Duration) {
        self.list().hang_up_on_idle(now, idle_max);
    }

    /// Hangs up on some of those that at `now` have carried no request for longest, so that nobody
    /// keeps others out by connecting and doing nothing. False: none are idle, or it was not long ago
    /// that somebody looked.
    pub fn make_room(&self, now: Instant) -> bool {
        let mut list = self.list();
        let looked_at = list.looked_at;
        if looked_at.is_some_and(|at| now.saturating_duration_since(at) < ROOM_EVERY) {
            return false;
        }
        list.looked_at = Some(now);
        let idle = list.held.iter();
        let idle = idle.filter_map(|held| Handle::upgrade(held)?.idle_for(now));
        let mut idle: Vec<Duration> = idle.filter(|idle| *idle >= ROOM_IDLE_MIN).collect();
        idle.sort_unstable_by(|one, other| other.cmp(one));
        let count = list.held.len().div_ceil(ROOM_SHARE).min(idle.len());
        let last = count.checked_sub(1).map(|nth| idle[nth]);
        last.inspect(|last| list.hang_up_on_idle(now, *last))
            .is_some()
    }
}

impl List {
    fn hang_up_on_idle(&mut self, now: Instant, idle_max: Duration) {
        self.held.retain(|held| {
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

    /// Attack: idle connections that keep all the sockets there are.
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

    /// Attack: connections by the thousand that ask for nothing, to keep others out.
    #[actix::test]
    async fn where_room_is_needed_those_idle_for_longest_go_and_nobody_who_is_in_use() {
        let sockets = Sockets::default();
        let begun = Instant::now();
        let later = |seconds| begun + Duration::from_secs(seconds);
        let mut connections = Vec::new();
        for _ in 0..12 {
            let (stream, client) = connect().await;
            let handle = sockets.adopt(&stream, &settings()).unwrap();
            connections.push((stream, client, handle));
        }
        let (_in_use, idle) = connections.split_first().unwrap();
        let _request = _in_use.2.in_use();
        let gone = || {
            let all = connections.iter();
            all.filter(|(_, _, handle)| handle.peer_is_gone()).count()
        };
        assert!(!sockets.make_room(begun), "nobody is idle for long");
        assert!(!sockets.make_room(begun + ROOM_EVERY / 2), "it is too soon");
        assert!(sockets.make_room(later(5)));
        assert_eq!(gone(), 2, "one in ten");
        assert!(idle[0].2.peer_is_gone() && idle[1].2.peer_is_gone());
        for nth in 0..9 {
            assert!(sockets.make_room(later(6 + nth)));
        }
        assert!(!sockets.make_room(later(20)), "who is in use stays");
        assert_eq!(gone(), 11);
    }

    #[actix::test]
    async fn what_is_closed_is_forgotten() {
        let sockets = Sockets::default();
        let (stream, _client) = connect().await;
        let handle = sockets.adopt(&stream, &settings()).unwrap();
        sockets.hang_up_on_idle(Instant::now(), MINUTE);
        assert_eq!(sockets.list().held.len(), 1);
        drop(handle);
        sockets.hang_up_on_idle(Instant::now(), MINUTE);
        assert_eq!(sockets.list().held.len(), 0);
    }
}
