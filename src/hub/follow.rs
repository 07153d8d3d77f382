//! Parts of the program that follow the log as it passes the Hub.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::domain::message::{Message, Topic};

/// Which topics somebody follows.
pub type Wants = Box<dyn Fn(&Topic) -> bool + Send>;

/// What the log had when the following began, and what comes after it.
#[derive(Debug)]
pub struct Following {
    /// In the order of their ids: of each metric what a backlog may still need, of each state the newest.
    pub kept: Vec<Arc<Message>>,
    /// Nothing falls between the two. Of a log that several hubs share, messages may come again: they have the ids
    /// that they had.
    pub messages: mpsc::Receiver<Arc<Message>>,
    /// How many were left out because too many waited.
    pub missed: Arc<AtomicU64>,
}

/// Where the Hub passes on what somebody follows. It never waits: who reads too slowly misses something, and is
/// told how much.
pub(super) struct Follower {
    wants: Wants,
    sink: mpsc::Sender<Arc<Message>>,
    missed: Arc<AtomicU64>,
}

impl Follower {
    pub fn new(wants: Wants, waiting_max: usize, kept: Vec<Arc<Message>>) -> (Self, Following) {
        let (sink, messages) = mpsc::channel(waiting_max);
        let missed = Arc::new(AtomicU64::new(0));
        let follower = Self {
            wants,
            sink,
            missed: missed.clone(),
        };
        let following = Following {
            kept,
            messages,
            missed,
        };
        (follower, following)
    }

    /// Somebody still reads.
    pub fn is_there(&self) -> bool {
        !self.sink.is_closed()
    }

    pub fn pass_on(&self, message: &Arc<Message>) {
        if (self.wants)(&message.topic)
            && let Err(TrySendError::Full(_)) = self.sink.try_send(message.clone())
        {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }
}
