//! How many handshakes came to no good end. The HTTP server tells nobody of one that failed.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::task;

/// Those that wait to be counted; a flood of more goes without being counted.
const UNDER_WAY_MAX: usize = 65_536;

/// Every connection is a task of its own from its handshake on, by which it is known here. A handshake that has
/// begun, and of which nothing more was heard within the time that it may take, has failed.
#[derive(Debug)]
pub(super) struct Handshakes {
    longest: Duration,
    counted: Mutex<Counted>,
}

#[derive(Debug, Default)]
struct Counted {
    under_way: HashMap<task::Id, Instant>,
    failed: u64,
}

impl Handshakes {
    /// None takes longer than `longest`, after which the HTTP server gives it up.
    pub fn within(longest: Duration) -> Self {
        Self {
            longest,
            counted: Mutex::default(),
        }
    }

    /// The client has said hello, on the task that this is called on.
    pub fn begun(&self, now: Instant) {
        let Some(id) = task::try_id() else {
            return;
        };
        let mut counted = self.counted();
        if counted.under_way.len() >= UNDER_WAY_MAX {
            counted.give_up(now, self.longest);
        }
        if counted.under_way.len() < UNDER_WAY_MAX {
            counted.under_way.insert(id, now);
        }
    }

    /// Client and hub agree, on the same task.
    pub fn ended_well(&self) {
        if let Some(id) = task::try_id() {
            self.counted().under_way.remove(&id);
        }
    }

    pub fn failed(&self, now: Instant) -> u64 {
        let mut counted = self.counted();
        counted.give_up(now, self.longest);
        counted.failed
    }

    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    fn give_up(&mut self, now: Instant, longest: Duration) {
        let before = self.under_way.len();
        self.under_way
            .retain(|_, began| now.saturating_duration_since(*began) <= longest);
        self.failed += (before - self.under_way.len()) as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[actix_rt::test]
    async fn what_began_and_was_not_heard_of_in_time_has_failed() {
        const LONGEST: Duration = Duration::from_secs(5);
        let handshakes = Arc::new(Handshakes::within(LONGEST));
        let start = Instant::now();
        for ends_well in [true, false, false] {
            let handshakes = handshakes.clone();
            let connection = actix_rt::spawn(async move {
                handshakes.begun(start);
                // The hello is looked at twice where the client has to say it anew.
                handshakes.begun(start);
                if ends_well {
                    handshakes.ended_well();
                }
            });
            connection.await.unwrap();
        }
        assert_eq!(handshakes.failed(start + LONGEST), 0);
        let later = start + LONGEST + Duration::from_millis(1);
        assert_eq!(handshakes.failed(later), 2);
        assert_eq!(handshakes.failed(later + LONGEST), 2);
    }
}
