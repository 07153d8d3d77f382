//! Which of a worker's connections have something to write.
//!
//! The fan-out only puts messages into queues. Writing comes after, when all that has arrived is
//! there: so a burst of messages becomes one write a connection, and a message that comes while a
//! pass is under way goes out with the others. A pass yields after every [`SLICE`], so that requests,
//! new connections and the next messages get their turn however many connections there are.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::task::yield_now;

use super::connection::Connection;
use super::worker::WorkerState;

/// Connections written to without a pause: about two milliseconds' worth.
const SLICE: usize = 256;
/// Connections that are looked at before the first of them is written to: what the processor has to
/// fetch from memory for them it fetches at once, which it cannot across a system call. With ten
/// thousand connections hardly anything of theirs is in its caches.
const GROUP: usize = 16;
/// By how much the start of each pass moves on, so that nobody is always last. A prime, for the
/// starts to be spread over any number of connections.
const ROTATION: usize = 7919;

/// The list, each connection in it at most once.
#[derive(Debug, Default)]
pub(super) struct Due {
    list: RefCell<VecDeque<Rc<Connection>>>,
    rotation: Cell<usize>,
    came: Notify,
}

impl Due {
    pub fn push(&self, connection: Rc<Connection>) {
        let mut list = self.list.borrow_mut();
        list.push_back(connection);
        if list.len() == 1 {
            self.came.notify_one();
        }
    }

    fn rotate(&self) {
        let mut list = self.list.borrow_mut();
        let start = self.rotation.get().wrapping_add(ROTATION);
        self.rotation.set(start);
        if !list.is_empty() {
            let by = start % list.len();
            list.rotate_left(by);
        }
    }

    fn next(&self) -> Option<Rc<Connection>> {
        let mut list = self.list.borrow_mut();
        let next = list.pop_front();
        if list.is_empty() {
            // A burst to everybody makes it long, and most of the time it is short.
            list.shrink_to(SLICE);
        }
        next
    }

    fn is_empty(&self) -> bool {
        self.list.borrow().is_empty()
    }
}

/// Writes what is due, for as long as the worker lives.
pub(super) async fn write(worker: Rc<WorkerState>) {
    let mut group = Vec::<Rc<Connection>>::with_capacity(GROUP);
    loop {
        worker.due.came.notified().await;
        worker.due.rotate();
        while !worker.due.is_empty() {
            let mut pass = worker.pass();
            for _ in 0..SLICE / GROUP {
                group.extend(std::iter::from_fn(|| worker.due.next()).take(GROUP));
                group.iter().for_each(|connection| connection.touch());
                let group = group.drain(..);
                group.for_each(|connection| connection.flush(&mut pass));
            }
            drop(pass);
            yield_now().await;
        }
    }
}
