//! Waits for all the sockets that were taken over on a thread.
//!
//! The runtime can do that too, for a quarter of a kilobyte a socket and a registration that every
//! read and write looks at. Here it is one epoll for the thread, of which the runtime knows as of one
//! socket, and a waker for each connection: whatever happens to a socket wakes its driver, which tries
//! again what did not work before. Events come once for every change (edge-triggered), so whoever
//! waits must have tried first.

use std::cell::RefCell;
use std::io;
use std::rc::{Rc, Weak};
use std::task::Waker;
use std::time::Duration;

use actix_rt::spawn;
use mio::net::TcpStream;
use mio::{Events, Interest, Poll as Epoll, Registry, Token};
use slab::Slab;
use tokio::io::unix::AsyncFd;
use tokio::task::yield_now;

/// Events taken in at once.
const EVENTS_MAX: usize = 256;

thread_local! {
    /// Lives as long as the task that waits, which ends with the thread's runtime.
    static REACTOR: RefCell<Weak<Reactor>> = const { RefCell::new(Weak::new()) };
}

/// Makes the thread's epoll, so that there is one when the first socket comes.
///
/// # Errors
/// The system has no more room for that.
pub fn start() -> io::Result<()> {
    Reactor::of_this_thread().map(drop)
}

/// The thread's epoll, and whom to wake.
struct Reactor {
    registry: AsyncFd<Registry>,
    wakers: RefCell<Slab<Waker>>,
}

/// A socket that is waited for, until this is dropped.
pub struct Watch {
    key: usize,
    reactor: Rc<Reactor>,
}

impl Watch {
    /// Waits for `socket`, which must not have been waited for before.
    ///
    /// # Errors
    /// The system has no more room for that.
    pub fn new(socket: &mut TcpStream) -> io::Result<Self> {
        let reactor = Reactor::of_this_thread()?;
        let key = reactor.wakers.borrow_mut().insert(Waker::noop().clone());
        let watch = Self { key, reactor };
        let both = Interest::READABLE | Interest::WRITABLE;
        watch
            .reactor
            .registry
            .get_ref()
            .register(socket, Token(watch.key), both)?;
        Ok(watch)
    }

    /// From now on whatever happens wakes `waker`, and nobody else.
    pub fn wake(&self, waker: &Waker) {
        if let Some(known) = self.reactor.wakers.borrow_mut().get_mut(self.key) {
            known.clone_from(waker);
        }
    }
}

impl Drop for Watch {
    /// The socket leaves the epoll when it is closed. Should another one have its key by then, that
    /// one is woken for nothing.
    fn drop(&mut self) {
        self.reactor.wakers.borrow_mut().try_remove(self.key);
    }
}

impl Reactor {
    fn of_this_thread() -> io::Result<Rc<Self>> {
        REACTOR.with_borrow_mut(|known| match known.upgrade() {
            Some(reactor) => Ok(reactor),
            None => {
                let reactor = Self::start()?;
                *known = Rc::downgrade(&reactor);
                Ok(reactor)
            }
        })
    }

    fn start() -> io::Result<Rc<Self>> {
        let epoll = Epoll::new()?;
        let registry = epoll.registry().try_clone()?;
        #[expect(
            deprecated,
            reason = "what took its place is unsafe; a registry keeps its descriptor"
        )]
        let registry = AsyncFd::with_interest(registry, tokio::io::Interest::READABLE)?;
        let reactor = Rc::new(Self {
            registry,
            wakers: RefCell::default(),
        });
        let waiting = reactor.clone().wait(epoll);
        spawn(async move {
            // Without it no client that reads slowly would ever be written to again.
            if let Err(error) = waiting.await {
                log::error!("cannot wait for sockets any more: {error}");
                log::logger().flush();
                std::process::abort();
            }
        });
        Ok(reactor)
    }

    /// Returns how many events there were.
    fn wake(&self, events: &Events) -> usize {
        let wakers = self.wakers.borrow();
        let woken = events.iter().map(|event| wakers.get(event.token().0));
        woken
            .inspect(|waker| waker.iter().for_each(|waker| waker.wake_by_ref()))
            .count()
    }

    async fn wait(self: Rc<Self>, mut epoll: Epoll) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_MAX);
        loop {
            let mut ready = self.registry.readable().await?;
            match epoll.poll(&mut events, Some(Duration::ZERO)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                polled => polled?,
            }
            let count = self.wake(&events);
            if count < EVENTS_MAX {
                ready.clear_ready();
            } else {
                // Those that have been woken get to work before the next ones.
                yield_now().await;
            }
        }
    }
}
