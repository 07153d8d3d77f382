//! The socket under a live connection: its options, and a handle that can end it from outside.
//!
//! The handle is needed because an actix connection is polled only while its client reads: a stop
//! message to the connection of a client that has stopped reading never arrives. Shutting its
//! socket down does.

use std::hint::black_box;
use std::io::{self, IoSlice, Read};
use std::mem::MaybeUninit;
use std::net::{IpAddr, Shutdown};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use actix_web::rt::net::TcpStream;
use bytes::Bytes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::{SockRef, Socket, TcpKeepalive};
use tokio::task::coop::poll_proceed;

use super::reactor::Watch;
use crate::config::Outgoing;
use crate::hub::Line;

/// Time between keep-alive probes that go unanswered.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// Unanswered probes before the connection is given up. On Linux the user time-out, where it is
/// set, decides in their place.
const KEEPALIVE_PROBES: u32 = 3;
/// What is read at once: what clients send is small.
const READ_BYTES_MAX: usize = 4096;

/// A second hold on a connection's socket; clones share it.
///
/// It is a duplicated descriptor, so that the socket stays open until the last clone is dropped,
/// also when actix has let go of its own: drop it soon after the connection has ended.
#[derive(Debug, Clone)]
pub struct Handle(Arc<Held>);

#[derive(Debug)]
pub(super) struct Held {
    /// Until it is taken over.
    spare: Mutex<Option<Socket>>,
    /// From then on.
    own: OnceLock<mio::net::TcpStream>,
    requests: Mutex<Requests>,
    peer: Option<IpAddr>,
    is_hung_up: AtomicBool,
    taken: Arc<Taken>,
}

/// What all the sockets of the server take together.
#[derive(Debug, Default)]
pub(super) struct Taken {
    pub sockets: AtomicUsize,
    pub descriptors: AtomicUsize,
}

/// What a connection is used for.
#[derive(Debug)]
struct Requests {
    under_way: usize,
    /// Where there are none: since when.
    idle_since: Instant,
}

/// A request under way, until its answer has been written; a stream is one too.
#[derive(Debug)]
pub struct InUse(Handle);

fn set_options(socket: &Socket, settings: &Outgoing) -> io::Result<()> {
    // Messages are small and written whole: waiting to fill a segment would only delay them.
    socket.set_tcp_nodelay(true)?;
    // actix never learns of an idle peer that vanished without a word; the kernel does.
    let keepalive = TcpKeepalive::new()
        .with_time(settings.tcp_keepalive)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    socket.set_tcp_keepalive(&keepalive)?;
    set_linux_options(socket, settings)
}

#[cfg(target_os = "linux")]
fn set_linux_options(socket: &Socket, settings: &Outgoing) -> io::Result<()> {
    socket.set_tcp_user_timeout(Some(settings.tcp_user_timeout))?;
    // Left to itself the kernel takes megabytes for a client that reads nothing, and the hub
    // would think them delivered.
    socket.set_tcp_notsent_lowat(settings.notsent_lowat_bytes)
}

#[cfg(not(target_os = "linux"))]
fn set_linux_options(_: &Socket, _: &Outgoing) -> io::Result<()> {
    Ok(())
}

impl Handle {
    /// Sets the options that every connection has, and takes hold of it.
    /// `taken` counts it until it is closed.
    pub(super) fn adopt(
        stream: &TcpStream,
        settings: &Outgoing,
        taken: &Arc<Taken>,
    ) -> io::Result<Self> {
        let socket = SockRef::from(stream);
        set_options(&socket, settings)?;
        let requests = Requests {
            under_way: 0,
            idle_since: Instant::now(),
        };
        let spare = socket.try_clone()?;
        taken.sockets.fetch_add(1, Ordering::Relaxed);
        // The server's own, and this one.
        taken.descriptors.fetch_add(2, Ordering::Relaxed);
        Ok(Self(Arc::new(Held {
            spare: Mutex::new(Some(spare)),
            own: OnceLock::new(),
            requests: Mutex::new(requests),
            peer: stream.peer_addr().ok().map(|peer| peer.ip()),
            is_hung_up: AtomicBool::new(false),
            taken: taken.clone(),
        })))
    }

    pub(super) fn downgrade(&self) -> Weak<Held> {
        Arc::downgrade(&self.0)
    }

    pub(super) fn upgrade(held: &Weak<Held>) -> Option<Self> {
        held.upgrade().map(Self)
    }

    /// A request has come in; keep what is returned until it is answered.
    pub fn in_use(&self) -> InUse {
        self.requests().under_way += 1;
        InUse(self.clone())
    }

    /// For how long there has been no request under way; `None`: there is one.
    pub(super) fn idle_for(&self, now: Instant) -> Option<Duration> {
        let requests = self.requests();
        (requests.under_way == 0).then(|| now.saturating_duration_since(requests.idle_since))
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        let requests = self.0.requests.lock();
        requests.unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the connection in both directions at once. A task that waits to write to it, or to
    /// read from it, wakes. Doing it again does nothing.
    pub fn hang_up(&self) {
        self.0.shut_down(Shutdown::Both);
    }

    pub(super) fn is_hung_up(&self) -> bool {
        self.0.is_hung_up.load(Ordering::Relaxed)
    }

    /// Whose socket is at the other end.
    pub(super) fn peer(&self) -> Option<IpAddr> {
        self.0.peer
    }

    /// What the fan-out writes to.
    pub fn line(&self) -> Arc<dyn Line> {
        self.0.clone()
    }

    /// Says that nothing more will be written; what has been is still delivered. A peer that waits
    /// for the hub to end a WebSocket goes then, and nobody has to wait for a time limit.
    pub fn finish_writing(&self) {
        self.0.shut_down(Shutdown::Write);
    }

    /// Whether the peer has ended its side or the connection is broken. Costs one system call and
    /// never blocks. A peer that sent something nobody has read yet counts as there, because its
    /// end is hidden behind that.
    pub fn peer_is_gone(&self) -> bool {
        let mut byte = [MaybeUninit::uninit()];
        match self.0.with(|socket| socket.peek(&mut byte)) {
            Some(Ok(count)) => count == 0,
            Some(Err(error)) => !matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
            ),
            None => true,
        }
    }

    /// Whether it takes bytes at the moment: as many as a small answer has.
    pub fn is_free(&self) -> bool {
        let is_free = |socket: &Socket| {
            let mut polled = [PollFd::new(socket, PollFlags::OUT)];
            let ready = poll(&mut polled, Some(&Timespec::default()));
            ready.is_ok_and(|ready| ready > 0) && polled[0].revents().contains(PollFlags::OUT)
        };
        self.0.with(is_free).unwrap_or(false)
    }

    /// Makes it a socket of its own, and waits for it. Nobody else may read from it or write to it any
    /// more.
    ///
    /// # Errors
    /// It cannot be waited for, or was taken over before; it is closed then.
    pub(super) fn take_over(&self) -> io::Result<Watch> {
        let spare = self.0.spare().take().ok_or(io::ErrorKind::NotConnected)?;
        let mut own = mio::net::TcpStream::from_std(spare.into());
        let watch = Watch::new(&mut own)?;
        let set = self.0.own.set(own);
        set.map_err(|_| io::ErrorKind::AlreadyExists)?;
        // The server closes its own.
        self.0.taken.descriptors.fetch_sub(1, Ordering::Relaxed);
        Ok(watch)
    }

    /// One that was taken over: what has come from the peer, `None` at its end. Pending where nothing
    /// has; then it is the [`Watch`] that wakes, and `cx` only where others are to have their turn.
    pub(super) fn poll_read(&self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Bytes>>> {
        let mut own = self.0.own()?;
        // A client that sends faster than it is read must not keep the thread for itself.
        let budget = ready!(poll_proceed(cx));
        let mut buffer = [0; READ_BYTES_MAX];
        loop {
            match own.read(&mut buffer) {
                Ok(0) => return Poll::Ready(Ok(None)),
                Ok(count) => {
                    budget.made_progress();
                    return Poll::Ready(Ok(Some(Bytes::copy_from_slice(&buffer[..count]))));
                }
                Err(error) => match error.kind() {
                    io::ErrorKind::WouldBlock => return Poll::Pending,
                    io::ErrorKind::Interrupted => {}
                    _ => return Poll::Ready(Err(error)),
                },
            }
        }
    }
}

impl Held {
    fn own(&self) -> io::Result<&mio::net::TcpStream> {
        let own = self.own.get();
        own.ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    fn spare(&self) -> MutexGuard<'_, Option<Socket>> {
        let spare = self.spare.lock();
        spare.unwrap_or_else(PoisonError::into_inner)
    }

    fn with<R>(&self, act: impl FnOnce(&Socket) -> R) -> Option<R> {
        match self.own.get() {
            Some(own) => Some(act(&SockRef::from(own))),
            None => self.spare().as_ref().map(act),
        }
    }

    fn shut_down(&self, how: Shutdown) {
        if how == Shutdown::Both {
            self.is_hung_up.store(true, Ordering::Relaxed);
        }
        if let Some(Err(error)) = self.with(|socket| socket.shutdown(how)) {
            // As a rule: the peer was faster.
            log::trace!("socket already down: {error}");
        }
    }
}

impl Line for Held {
    fn hang_up(&self) {
        self.shut_down(Shutdown::Both);
    }

    fn touch(&self) {
        black_box(self.own.get().map(AsRawFd::as_raw_fd));
    }

    fn write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let own = self.own()?;
        let socket = SockRef::from(own);
        match pieces {
            // `send` costs the kernel less than `sendmsg`.
            [piece] => socket.send(piece),
            pieces => socket.send_vectored(pieces),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let descriptors = if self.own.get().is_some() { 1 } else { 2 };
        self.taken.sockets.fetch_sub(1, Ordering::Relaxed);
        self.taken
            .descriptors
            .fetch_sub(descriptors, Ordering::Relaxed);
    }
}

impl Drop for InUse {
    fn drop(&mut self) {
        let mut requests = self.0.requests();
        requests.under_way -= 1;
        requests.idle_since = Instant::now();
    }
}

#[cfg(test)]
pub(super) mod tests;
