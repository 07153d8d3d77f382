//! The loop of the counter's thread.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::{Instant, sleep};

use super::counter::Counter;
use super::counts::Shared;
use super::queue::{Item, Queue};
use super::rules::Rules;
use super::{Followed, Keep, Out, Right, Surroundings, now_ms};
use crate::domain::message::Message;

/// Taken at once, before it is looked what is due.
const AT_ONCE_MAX: usize = 64;
/// Bounds of the wait for what is due next: leases change hands, and clocks jump.
const WAIT_MIN: Duration = Duration::from_millis(10);
const WAIT_MAX: Duration = Duration::from_millis(500);
/// How often what nobody needs any more is looked for.
const TIDIES_EVERY: Duration = Duration::from_secs(600);

/// What the loop begins with.
pub struct Parts {
    pub rules: Arc<Rules>,
    pub queue: Queue,
    pub items: mpsc::UnboundedReceiver<Item>,
    pub followed: Followed,
    pub shared: Arc<Shared>,
    pub surroundings: Arc<dyn Surroundings>,
    pub out: mpsc::Sender<Out>,
}

/// Counts until it is told to stop.
pub async fn run(parts: Parts) {
    let Parts {
        rules,
        queue,
        mut items,
        followed,
        shared,
        surroundings,
        out,
    } = parts;
    let has_log = surroundings.has_log();
    let mut messages = Messages {
        followed,
        seen_missed: 0,
    };
    let mut counter = Counter::new(surroundings, queue);
    follow(&mut counter, rules).await;
    let mut tidied = Instant::now();
    tidy(&counter, &out).await;
    let (mut taken, mut passed) = (Vec::new(), Vec::new());
    loop {
        let wait = Duration::from_millis(counter.next_ms().saturating_sub(now_ms()));
        tokio::select! {
            count = items.recv_many(&mut taken, AT_ONCE_MAX) => if count == 0 {
                return;
            },
            () = messages.take(&mut passed) => {}
            () = sleep(wait.clamp(WAIT_MIN, WAIT_MAX)) => {}
        }
        // Before those that came after what is missing.
        let missed = messages.missed();
        if missed > 0 && has_log {
            for metric in counter.metrics() {
                counter.catch_up(&metric).await;
            }
        } else if missed > 0 {
            shared.skipped(missed);
        }
        passed
            .drain(..)
            .for_each(|message: Arc<Message>| counter.take(&message));
        for item in taken.drain(..) {
            match item {
                Item::Events(observed, permit) => {
                    counter.count_events(observed, now_ms());
                    drop(permit);
                }
                Item::Rules(rules) => follow(&mut counter, rules).await,
                Item::NotWritten(metric, origin) => counter.not_written(&metric, &origin),
                Item::Stop(done) => {
                    let last = counter.last_words(now_ms());
                    last.into_iter().for_each(|one| send(&out, one));
                    let heard = Box::new(move |_| {
                        // Whoever waited may have gone.
                        let _ = done.send(());
                    });
                    return send(&out, keep(Vec::new(), heard));
                }
            }
        }
        for one in counter.tick(now_ms()) {
            send(&out, one);
        }
        if tidied.elapsed() > TIDIES_EVERY {
            tidied = Instant::now();
            tidy(&counter, &out).await;
        }
    }
}

/// What goes through the log, and how much of it did not come.
struct Messages {
    followed: Followed,
    seen_missed: u64,
}

impl Messages {
    /// Never ready where the log has ended.
    async fn take(&mut self, into: &mut Vec<Arc<Message>>) {
        if self.followed.messages.recv_many(into, AT_ONCE_MAX).await == 0 {
            std::future::pending().await
        }
    }

    /// How many were left out since it was asked last.
    fn missed(&mut self) -> u64 {
        let missed = self.followed.missed.load(Ordering::Relaxed);
        missed - std::mem::replace(&mut self.seen_missed, missed)
    }
}

async fn follow(counter: &mut Counter, rules: Arc<Rules>) {
    let new = counter.follow(rules, now_ms());
    counter.recover(&new).await;
}

async fn tidy(counter: &Counter, out: &mpsc::Sender<Out>) {
    let past = counter.tidy(now_ms()).await;
    if !past.is_empty() {
        // What is not forgotten now is so the next time.
        send(out, keep(past, Box::new(|_| {})));
    }
}

fn keep(documents: Vec<super::Document>, heard: Box<dyn FnOnce(bool) + Send>) -> Out {
    Out::Keep(Keep {
        documents,
        right: Right(None),
        heard,
    })
}

/// Whoever takes it may be behind: then it is as if it had not been taken.
fn send(out: &mpsc::Sender<Out>, one: Out) {
    let Err(TrySendError::Full(one) | TrySendError::Closed(one)) = out.try_send(one) else {
        return;
    };
    match one {
        Out::Result(told) => told.done(Err("too many results wait to be published".to_owned())),
        Out::Keep(keep) => (keep.heard)(false),
    }
}
