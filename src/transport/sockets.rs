//! Every socket that the server has, so that none is held by a client that uses it for nothing.
//!
//! actix-http gives the head of a connection's first request a time limit, and a connection at rest
//! another. But the first byte of a second head ends the rest and begins no limit: whoever sends
//! that byte and no more would hold the socket for ever.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use actix_web::rt::net::TcpStream;

use super::socket::{Handle, Held, Taken};
use crate::config::Outgoing;

/// Where room is needed, one in so many goes, those that are idle for longest.
const ROOM_SHARE: usize = 10;
/// A client that has just come, or has just been answered, is about to ask.
const ROOM_IDLE_MIN: Duration = Duration::from_secs(1);
/// Looking for room means looking at everybody; a flood of newcomers must not make that all there is.
const ROOM_EVERY: Duration = Duration::from_millis(100);

/// Clones share one list. A socket is on it until somebody looks after it has been closed.
#[derive(Debug, Clone)]
pub struct Sockets {
    limits: Limits,
    list: Arc<Mutex<List>>,
    taken: Arc<Taken>,
}

/// What sockets may take.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub sockets_max: usize,
    pub descriptors_max: usize,
}

#[derive(Debug, Default)]
struct List {
    held: Vec<Weak<Held>>,
    /// When room was last looked for.
    looked_at: Option<Instant>,
}

/// What counts as one address: a customer of an IPv6 provider has 2^64 of them to choose from.
pub fn network(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    }
}

/// Whether the process can open nothing more, whoever has taken it all.
pub fn no_descriptor_is_left() -> bool {
    let one_more = io::stderr().as_fd().try_clone_to_owned();
    one_more.is_err_and(|error| {
        let error = rustix::io::Errno::from_io_error(&error);
        matches!(
            error,
            Some(rustix::io::Errno::MFILE | rustix::io::Errno::NFILE)
        )
    })
}

impl Sockets {
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            list: Arc::default(),
            taken: Arc::default(),
        }
    }

    /// Sets the options that every connection has and takes a handle. For `HttpServer::on_connect`.
    ///
    /// # Errors
    /// The kernel knows an option not, or there are no descriptors left.
    pub fn adopt(&self, stream: &TcpStream, settings: &Outgoing) -> io::Result<Handle> {
        let handle = Handle::adopt(stream, settings, &self.taken)?;
        self.list().held.push(handle.downgrade());
        Ok(handle)
    }

    fn list(&self) -> MutexGuard<'_, List> {
        self.list.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there are more than allowed, whoever drives them.
    pub fn are_too_many(&self) -> bool {
        self.taken.sockets.load(Ordering::Relaxed) > self.limits.sockets_max
            || self.taken.descriptors.load(Ordering::Relaxed) > self.limits.descriptors_max
    }

    /// Hangs up on those that at `now` have carried no request for `idle_max`.
    pub fn hang_up_on_idle(&self, now: Instant, idle_max: Duration) {
        self.list().hang_up_on_idle(now, idle_max);
    }

    /// Hangs up on some of those that at `now` have carried no request for longest, so that nobody
    /// keeps others out by connecting and doing nothing. Where one address has half of them, it is that
    /// one's, and then also some that have been in use just now. False: none are idle, or it was not long
    /// ago that somebody looked.
    pub fn make_room(&self, now: Instant) -> bool {
        let mut list = self.list();
        let looked_at = list.looked_at;
        if looked_at.is_some_and(|at| now.saturating_duration_since(at) < ROOM_EVERY) {
            return false;
        }
        list.looked_at = Some(now);
        let mut going = list.idle(now);
        let some_are_at_rest = going.iter().any(|idle| idle.time >= ROOM_IDLE_MIN);
        if some_are_at_rest {
            going.retain(|idle| idle.time >= ROOM_IDLE_MIN);
        }
        match crowd(&going) {
            Some(crowd) => going.retain(|idle| idle.handle.peer().map(network) == Some(crowd)),
            None if some_are_at_rest => {}
            None => return false,
        }
        going.sort_unstable_by_key(|idle| std::cmp::Reverse(idle.time));
        let share = list.held.len().div_ceil(ROOM_SHARE);
        going.truncate(share);
        going.iter().for_each(|idle| idle.handle.hang_up());
        list.held.retain(|held| {
            let handle = Handle::upgrade(held);
            handle.is_some_and(|handle| !handle.is_hung_up())
        });
        !going.is_empty()
    }
}

/// A socket that carries no request.
struct Idle {
    handle: Handle,
    time: Duration,
}

/// The address that has half of them or more, and more than one.
fn crowd(idle: &[Idle]) -> Option<IpAddr> {
    let mut addresses: HashMap<IpAddr, usize> = HashMap::new();
    for peer in idle.iter().filter_map(|one| one.handle.peer()) {
        *addresses.entry(network(peer)).or_default() += 1;
    }
    let (address, count) = addresses.into_iter().max_by_key(|(_, count)| *count)?;
    (count > 1 && 2 * count >= idle.len()).then_some(address)
}

impl List {
    /// One that was hung up on and is not closed yet makes no more room.
    fn idle(&self, now: Instant) -> Vec<Idle> {
        let handles = self.held.iter().filter_map(Handle::upgrade);
        let idle = handles.filter(|handle| !handle.is_hung_up());
        let idle = idle.filter_map(|handle| {
            let time = handle.idle_for(now)?;
            Some(Idle { handle, time })
        });
        idle.collect()
    }

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
    use super::super::socket::tests::{connect, connect_from, settings};
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn sockets() -> Sockets {
        Sockets::new(Limits {
            sockets_max: 12,
            descriptors_max: 24,
        })
    }

    /// Whether `stream` is still open a minute from now, where idle ones may stay for a minute.
    fn stays(sockets: &Sockets, handle: &Handle) -> bool {
        sockets.hang_up_on_idle(Instant::now() + MINUTE, MINUTE);
        !handle.peer_is_gone()
    }

    /// Attack: idle connections that keep all the sockets there are.
    #[actix::test]
    async fn who_carries_no_request_is_hung_up_on_in_time_and_nobody_else() {
        let sockets = sockets();
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
        let sockets = sockets();
        let begun = Instant::now();
        let later = |seconds| begun + Duration::from_secs(seconds);
        let mut connections = Vec::new();
        for nth in 1..=12 {
            let (stream, client) = connect_from([127, 0, 0, nth].into()).await;
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

    /// Attack: as many connections as there can be, each of them busy with something small.
    #[actix::test]
    async fn an_address_that_has_half_of_them_makes_room_first() {
        let sockets = sockets();
        let mut connections = Vec::new();
        for nth in [1, 2, 2, 3, 2, 2] {
            let (stream, client) = connect_from([127, 0, 0, nth].into()).await;
            let handle = sockets.adopt(&stream, &settings()).unwrap();
            connections.push((stream, client, handle));
        }
        let gone = |nth: usize| connections[nth].2.peer_is_gone();
        let begun = Instant::now();
        for (round, who) in [1, 2, 4].into_iter().enumerate() {
            assert!(sockets.make_room(begun + round as u32 * ROOM_EVERY));
            assert!(gone(who), "the one of the crowd that is idle for longest");
        }
        assert!(!sockets.make_room(begun + 3 * ROOM_EVERY), "each has one");
        assert_eq!([0, 3, 5].map(gone), [false; 3]);
    }

    #[actix::test]
    async fn what_is_taken_is_counted_until_it_is_closed() {
        let sockets = Sockets::new(Limits {
            sockets_max: 3,
            descriptors_max: 4,
        });
        let (one, _one) = connect().await;
        let (two, _two) = connect().await;
        let (three, _three) = connect().await;
        let adopt = |stream| sockets.adopt(stream, &settings()).unwrap();
        let (one, _two) = (adopt(&one), adopt(&two));
        assert!(!sockets.are_too_many());
        let third = adopt(&three);
        assert!(sockets.are_too_many(), "six descriptors");
        drop(third);
        assert!(!sockets.are_too_many());
        let _watch = one.take_over().unwrap();
        let _third = adopt(&three);
        assert!(sockets.are_too_many(), "five");
        assert!(!no_descriptor_is_left());
    }

    #[actix::test]
    async fn what_is_closed_is_forgotten() {
        let sockets = sockets();
        let (stream, _client) = connect().await;
        let handle = sockets.adopt(&stream, &settings()).unwrap();
        sockets.hang_up_on_idle(Instant::now(), MINUTE);
        assert_eq!(sockets.list().held.len(), 1);
        drop(handle);
        sockets.hang_up_on_idle(Instant::now(), MINUTE);
        assert_eq!(sockets.list().held.len(), 0);
    }
}
