//! Aggregates: metrics that the hub sums up over windows of time, from other metrics and from raw events.
//!
//! [`Rules`] say what is to be made of which event; whoever has a value in its hands, the handler of a request
//! or the counter itself, makes an observation of it. The `Counter` has the windows, on a
//! thread of its own, and sends results and what is to be kept out through a channel. What goes through the log
//! it follows: the Hub never waits for it, and what was left out as too much waited is read from the log later.
//!
//! May use `domain`, `wire` and `config`. Knows neither the Hub nor the log nor other hubs: [`Surroundings`] are
//! handed in by the composition root.

mod counter;
mod counts;
mod documents;
mod queue;
mod result;
mod rules;
mod run;
mod running;
#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
mod watched;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use actix_rt::Arbiter;
use arc_swap::ArcSwap;
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::{mpsc, oneshot};

use crate::config;
use crate::domain::message::{Draft, Message, MessageId};
use crate::domain::pattern::MetricName;

pub use counts::{AggregateState, Counts, Totals};
pub use documents::Document;
pub use queue::Full;
pub use rules::{Observed, Rule, Rules};
pub use watched::Watched;

use counts::Shared;
use queue::{Item, Queue};

/// What else there is: the log, other hubs, and a place for what is to outlive this one.
pub trait Surroundings: Send + Sync {
    /// As whom this hub counts events; the next process in its place does as the same where it stands alone.
    fn origin(&self) -> String;
    /// Whether other hubs count too, and have to be waited for.
    fn has_others(&self) -> bool;
    /// Whether there is a log that goes further back than this process.
    fn has_log(&self) -> bool;
    /// Results of these are to be told by one of the hubs.
    fn wanted(&self, metrics: &[MetricName]);
    /// The right to tell the results of a metric; `None`: another hub has it.
    fn turn(&self, metric: &MetricName) -> Option<Right>;
    /// What the log has of a metric after `after`, in its order, as much as is found in one go.
    fn logged<'a>(&'a self, metric: &'a MetricName, after: MessageId) -> BoxFuture<'a, Logged>;
    /// What was kept of all aggregates, by whomever.
    fn kept(&self) -> BoxFuture<'_, Vec<Document>>;
}

/// By which right results are told; with a number where hubs share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Right(pub Option<u64>);

/// What the log has of a metric.
#[derive(Debug, Default)]
pub struct Logged {
    pub values: Vec<(MessageId, String)>,
    /// Where to go on from; `None`: that was all.
    pub next: Option<MessageId>,
}

/// What leaves.
pub enum Out {
    /// To be published.
    Result(Told),
    Keep(Keep),
}

/// Documents to be kept, all or nothing.
pub struct Keep {
    pub documents: Vec<Document>,
    /// What is counted from the log is written by whoever tells the results.
    pub right: Right,
    /// Hears whether they were.
    pub heard: Box<dyn FnOnce(bool) + Send>,
}

/// What goes through the log.
pub struct Followed {
    pub messages: mpsc::Receiver<Arc<Message>>,
    /// How many were left out, as too many waited.
    pub missed: Arc<AtomicU64>,
}

/// A result on its way.
#[derive(Debug)]
pub struct Told {
    pub draft: Draft,
    pub right: Right,
    /// When it was due, in milliseconds since the Unix epoch.
    pub due_ms: u64,
    pub rule: Arc<Rule>,
}

impl Told {
    /// What has become of it.
    pub fn done(&self, outcome: Result<(), String>) {
        self.rule.counts.told(outcome, self.due_ms, now_ms());
    }
}

/// All aggregates of this hub, running.
pub struct Aggregates {
    arbiter: Arbiter,
    queue: Queue,
    rules: Arc<ArcSwap<Rules>>,
    shared: Arc<Shared>,
    watched: Watched,
}

impl Aggregates {
    /// Starts counting on a thread of its own. What was kept, and what the log has of the windows that are open, is
    /// counted first. `followed` is what is `watched` of the log; what comes of it goes to `out`.
    ///
    /// # Panics
    /// Outside an actix system.
    pub fn start(
        settings: &[config::Aggregate],
        events: &config::Events,
        (watched, followed): (Watched, Followed),
        surroundings: Arc<dyn Surroundings>,
        out: mpsc::Sender<Out>,
    ) -> Self {
        let rules = Arc::new(Rules::of(settings, None));
        let (queue, items) = Queue::new(events.queue_events_max);
        let shared = Arc::<Shared>::default();
        let arbiter = Arbiter::new();
        arbiter.spawn(run::run(run::Parts {
            rules: rules.clone(),
            queue: queue.clone(),
            items,
            followed,
            shared: shared.clone(),
            surroundings,
            out,
        }));
        Self {
            arbiter,
            queue,
            rules: Arc::new(ArcSwap::new(rules)),
            shared,
            watched,
        }
    }

    /// What is to be made of events.
    pub fn rules(&self) -> Arc<Rules> {
        self.rules.load_full()
    }

    /// Takes a batch whole, or not at all.
    ///
    /// # Errors
    /// Too many events wait to be counted.
    pub fn take(&self, observed: Observed) -> Result<(), Full> {
        let events = observed.events;
        let unused = observed.unused;
        let taken = self.queue.events(observed);
        self.shared.taken(events, unused, taken.is_ok());
        taken
    }

    /// Most events that can ever be taken at once.
    pub fn events_max(&self) -> usize {
        self.queue.events_max()
    }

    /// Goes on with those of `settings`; what counts as before keeps what was counted.
    pub fn reload(&self, settings: &[config::Aggregate]) {
        let rules = Arc::new(Rules::of(settings, Some(&self.rules.load())));
        self.rules.store(rules.clone());
        self.watched.follow(&rules);
        self.queue.tell(Item::Rules(rules));
    }

    /// How each is doing, in the order of the settings.
    pub fn states(&self) -> Vec<AggregateState> {
        let now = Timestamp::now();
        let rules = self.rules.load();
        rules
            .all()
            .map(|rule| rule.counts.state(rule, now))
            .collect()
    }

    /// What all have in common.
    pub fn totals(&self) -> Totals {
        self.shared.totals(self.queue.waiting())
    }

    /// Counts what has been taken, has it written down, and ends. Ready when that is done.
    pub async fn stop(&self) {
        let (done, is_done) = oneshot::channel();
        self.queue.tell(Item::Stop(done));
        // Without an answer it has ended before.
        let _ = is_done.await;
    }
}

impl Drop for Aggregates {
    fn drop(&mut self) {
        self.arbiter.stop();
    }
}

/// The wall clock, in milliseconds since the Unix epoch.
fn now_ms() -> u64 {
    u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0)
}
