//! A message without content that goes the way of all messages, to see that it comes back.
//!
//! It stands in the Hub's mailbox behind whatever else is there, and then in that of each worker's fan-out
//! behind every message that the Hub has sent. What a process says of itself otherwise, that it listens and
//! answers, is true too of one whose clients get nothing any more.
//!
//! Another goes the way of what is to be kept: behind all that waits to be written, through the thread that
//! writes, onto the disk. A disk that hangs refuses nothing, so that nobody would hear of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_rt::time::sleep;

use super::Clock;

/// How long one that has come back from the connections is taken for the truth.
pub(super) const TO_CONNECTIONS_EVERY: Duration = Duration::from_secs(1);
/// The same of the disk, which each is a write for.
pub(super) const TO_STORE_EVERY: Duration = Duration::from_secs(10);
/// None is on its way.
const NONE: u64 = 0;

/// When the present one was sent, and how long the last one took.
#[derive(Debug, Default)]
pub struct Canary {
    /// Microseconds since the hub's clock began.
    sent_at: AtomicU64,
    took_us: AtomicU64,
}

impl Canary {
    /// How long messages are on their way at the moment: as long as the last one was, or as the present one
    /// already is.
    pub fn lag(&self, now: Duration) -> Duration {
        let took = Duration::from_micros(self.took_us.load(Ordering::Relaxed));
        match self.sent_at.load(Ordering::Relaxed) {
            NONE => took,
            sent => took.max(now.saturating_sub(Duration::from_micros(sent))),
        }
    }

    fn sent(&self, now: Duration) {
        self.sent_at.store(micros(now).max(1), Ordering::Relaxed);
    }

    fn is_back(&self, took: Duration) {
        self.took_us.store(micros(took), Ordering::Relaxed);
        self.sent_at.store(NONE, Ordering::Relaxed);
    }
}

/// Sends one after the other along `way`, which says whether it still leads anywhere.
pub(super) async fn send_on(
    canary: Arc<Canary>,
    clock: Clock,
    every: Duration,
    way: impl AsyncFn() -> bool,
) {
    loop {
        let sent = clock.mono();
        canary.sent(sent);
        if !way().await {
            return;
        }
        canary.is_back(clock.mono().saturating_sub(sent));
        sleep(every).await;
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use actix::Actor;
    use actix_rt::Arbiter;

    use super::super::{Hub, HubHandle, Worker};
    use super::*;
    use crate::config::{AuthKeys, Settings};
    use crate::domain::outbox::Limits;
    use crate::telemetry::audit::Audit;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn one_that_is_late_counts_while_it_is_on_its_way() {
        let canary = Canary::default();
        assert_eq!(canary.lag(SECOND), Duration::ZERO);
        canary.sent(SECOND);
        assert_eq!(canary.lag(3 * SECOND), 2 * SECOND);
        canary.is_back(4 * SECOND);
        assert_eq!(canary.lag(9 * SECOND), 4 * SECOND);
        canary.sent(10 * SECOND);
        assert_eq!(canary.lag(11 * SECOND), 4 * SECOND);
        assert_eq!(canary.lag(15 * SECOND), 5 * SECOND);
    }

    /// The Hub answers all the while; what does not go on is the thread that would write to clients.
    #[actix_rt::test]
    async fn a_worker_that_hangs_is_seen() {
        let settings = Settings::with_keys(AuthKeys::Secret(String::new()));
        let (settings, clock) = (Arc::new(settings), Clock::system());
        let hub = Hub::new(settings.clone(), clock).start();
        let hub = HubHandle::new(hub, &settings, clock, None, None);
        let (let_go, held) = mpsc::channel::<()>();
        let worker_thread = Arbiter::new();
        let (given, hangs) = (hub.clone(), mpsc::channel::<()>());
        worker_thread.spawn_fn(move || {
            let limits = Limits {
                messages_max: 1,
                bytes_max: 1,
            };
            let _worker = Worker::start(given, limits, None, Audit::disabled());
            actix_rt::spawn(async move {
                let _ = hangs.0.send(());
                let _ = held.recv();
            });
        });
        while hangs.1.try_recv().is_err() {
            sleep(Duration::from_millis(1)).await;
        }
        hub.measure_lag();
        while hub.lag() < Duration::from_millis(50) {
            sleep(Duration::from_millis(5)).await;
        }
        assert!(hub.overview().await.is_ok());
        let_go.send(()).unwrap();
        while hub.canary().sent_at.load(Ordering::Relaxed) != NONE {
            sleep(Duration::from_millis(5)).await;
        }
        worker_thread.stop();
    }
}
