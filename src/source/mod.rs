//! Where metrics come from: the sources that the hub reads itself, each on its own schedule.
//!
//! A source is one way to get one JSON value (`Source`); a poller is the actor that asks one
//! source again and again and keeps its record. Those that are told instead (`notify`, `outbox`) are tasks.
//! They share nothing but a bounded channel, so a slow, failing or panicking source is its own problem only.
//!
//! May use `domain`, `wire` and `config`. Gives no ids and knows no connection: drafts leave through the channel
//! and the function that the composition root hands in. Of all only an outbox waits for the hub, as its rows
//! are there until they are published.

mod build;
mod error;
mod fetch;
mod host;
mod http;
mod hub;
mod notify;
mod outbox;
mod poller;
pub mod prometheus;
mod redis;
mod sql;
mod state;
mod told;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::prelude::*;
use futures::future::{AbortHandle, Abortable, BoxFuture};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::config;
use crate::domain::message::Draft;
use crate::domain::pattern::MetricName;
use crate::trace::{Context, Span};

pub use error::SourceError;
pub use state::SourceState;

use poller::{Poller, Stop};
use state::SharedRecord;
use told::Told;

/// One way to get one JSON value.
pub trait Source: Send + Sync {
    /// Reads the value now; `span` is that of [`Source::span`]. Dropping the future gives the read up; nothing
    /// may be left locked.
    ///
    /// # Errors
    /// Whatever kept the value from being read, in words for an operator, without credentials.
    fn read<'a>(&'a self, span: &'a mut Span) -> BoxFuture<'a, Result<Value, SourceError>>;

    /// What reading it now is in a trace; nothing where nobody else is asked.
    fn span(&self, _metric: &MetricName) -> Span {
        Span::default()
    }
}

/// What was read.
#[derive(Debug)]
pub struct Reading {
    pub draft: Draft,
    /// By which right, where several hubs share the sources.
    pub fence: Option<u64>,
    /// Of the read.
    pub trace: Context,
}

/// Whether this hub is to read a source now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// It is; the number goes with what was read.
    Now(u64),
    /// It is, but it was read not long ago, by another hub.
    Later,
    /// Another hub does.
    Others,
}

/// Where several hubs share the sources: which of them reads which.
pub trait Turns: Send + Sync {
    /// These are to be read by somebody.
    fn wanted(&self, metrics: &[MetricName]);

    /// How often to ask for a turn at least.
    fn looks_every(&self) -> Duration;

    /// Whether this hub is to read the source of a metric, which is read once an interval.
    fn turn(&self, metric: &MetricName, interval: Duration) -> Turn;
}

/// A row of an outbox.
#[derive(Debug, Clone)]
pub struct OutboxRow {
    pub draft: Draft,
    /// The same for the same row whenever it is read, and for no other.
    pub key: String,
}

/// Rows to be published whole or not at all, each once however often it is tried.
#[derive(Debug, Clone)]
pub struct OutboxRows {
    pub outbox: MetricName,
    pub rows: Vec<OutboxRow>,
    /// By which right, where several hubs share the sources.
    pub fence: Option<u64>,
}

/// Why rows were not published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotTaken {
    /// One of them never will be as it is.
    Refused(String),
    /// Another time they may.
    Later(String),
}

/// Publishes rows; ready when they are as durable as promised.
pub type PublishRows =
    Arc<dyn Fn(OutboxRows) -> BoxFuture<'static, Result<(), NotTaken>> + Send + Sync + 'static>;

/// What the sources need of the rest of the hub.
#[derive(Clone)]
pub struct Surroundings {
    /// What is read goes there.
    pub sink: mpsc::Sender<Reading>,
    pub hub_stats: HubStats,
    /// Which sources are this hub's to read, where several share them.
    pub turns: Option<Arc<dyn Turns>>,
    pub publish_rows: PublishRows,
    /// Largest data of one row, in bytes.
    pub data_bytes_max: usize,
}

#[cfg(test)]
impl Surroundings {
    /// Of a hub that stands alone and takes no rows.
    pub fn alone(sink: mpsc::Sender<Reading>, hub_stats: HubStats) -> Self {
        let refuses = || NotTaken::Later("nobody takes rows".to_owned());
        Self {
            sink,
            hub_stats,
            turns: None,
            publish_rows: Arc::new(move |_| Box::pin(async move { Err(refuses()) })),
            data_bytes_max: 0,
        }
    }
}

/// Where readings go, and by whose leave they are made.
struct Out {
    sink: mpsc::Sender<Reading>,
    /// `None`: this hub stands alone and reads everything.
    turns: Option<Arc<dyn Turns>>,
}

/// The hub's own statistics, asked for by sources of kind `hub`.
pub type HubStats =
    Arc<dyn Fn() -> BoxFuture<'static, anyhow::Result<Value>> + Send + Sync + 'static>;

/// All sources of this hub, running.
///
/// They run on an arbiter of their own: turning a thousand rows or a big HTTP answer into
/// JSON takes milliseconds, which must not be taken from the Hub actor's thread.
pub struct Sources {
    arbiter: Arbiter,
    surroundings: Surroundings,
    running: Mutex<Vec<Running>>,
}

/// Sources that can work and do not run yet.
pub struct Built {
    settings: Vec<config::Source>,
    sources: Vec<Way>,
}

/// How a source is come by.
enum Way {
    Polled(Arc<dyn Source>),
    Notified(notify::Channel),
    Outbox(outbox::Table),
}

struct Running {
    ends: Ends,
    record: SharedRecord,
}

enum Ends {
    Poller(Addr<Poller>),
    Task(AbortHandle),
}

impl Sources {
    /// Starts a poller for each of `settings`; each reads at once and then every interval of its
    /// own, or else every `update_interval`. What they read goes to the sink; one that is full counts as
    /// that read's failure. With turns, only what is this hub's to read is read.
    ///
    /// # Errors
    /// A source that can never work: an unknown database scheme, a malformed URL or header. A
    /// database that is merely down is no error here.
    ///
    /// # Panics
    /// Outside an actix system.
    pub fn start(
        settings: &[config::Source],
        update_interval: Duration,
        surroundings: Surroundings,
    ) -> anyhow::Result<Self> {
        let sources = Self {
            arbiter: Arbiter::new(),
            surroundings,
            running: Mutex::default(),
        };
        sources.reload(settings, update_interval)?;
        Ok(sources)
    }

    /// Replaces all sources by those of `settings`; their records begin anew.
    ///
    /// # Errors
    /// As [`Sources::start`]; the old sources run on then.
    pub fn reload(
        &self,
        settings: &[config::Source],
        update_interval: Duration,
    ) -> anyhow::Result<()> {
        self.exchange(self.build(settings)?, update_interval);
        Ok(())
    }

    /// The part of [`Sources::reload`] that can fail, for whoever has more to do that can.
    ///
    /// # Errors
    /// As [`Sources::start`].
    pub fn build(&self, settings: &[config::Source]) -> anyhow::Result<Built> {
        Ok(Built {
            settings: settings.to_vec(),
            sources: build::all(settings, &self.surroundings)?,
        })
    }

    /// Replaces all sources by those that were built; their records begin anew.
    pub fn exchange(&self, built: Built, update_interval: Duration) {
        let mut running = self.running();
        stop_all(&mut running);
        let turns = &self.surroundings.turns;
        if let Some(turns) = turns {
            let metrics = built.settings.iter().map(|it| it.metric.clone());
            turns.wanted(&metrics.collect::<Vec<_>>());
        }
        let built = built.settings.iter().zip(built.sources);
        running.extend(built.map(|(setting, way)| {
            let out = Out {
                sink: self.surroundings.sink.clone(),
                turns: turns.clone(),
            };
            let told = |out| Told::new(setting, update_interval, out);
            match way {
                Way::Polled(source) => {
                    self.poll(Poller::new(setting, source, update_interval, out))
                }
                Way::Notified(channel) => self.run(told(out), |told| channel.follow(told)),
                Way::Outbox(table) => self.run(told(out), |told| table.empty(told)),
            }
        }));
    }

    fn poll(&self, poller: Poller) -> Running {
        let record = poller.record();
        let poller = Poller::start_in_arbiter(&self.arbiter.handle(), |_| poller);
        Running {
            record,
            ends: Ends::Poller(poller),
        }
    }

    /// A panic is that task's end, and the record says that nothing comes any more.
    fn run<F>(&self, told: Told, task: impl FnOnce(Told) -> F + Send + 'static) -> Running
    where
        F: Future<Output = ()> + 'static,
    {
        let record = told.record();
        let (handle, registration) = AbortHandle::new_pair();
        self.arbiter.spawn_fn(move || {
            actix_rt::spawn(Abortable::new(task(told), registration));
        });
        Running {
            record,
            ends: Ends::Task(handle),
        }
    }

    /// How each source is doing, in the order of the settings.
    pub fn states(&self) -> Vec<SourceState> {
        let now = jiff::Timestamp::now();
        self.running()
            .iter()
            .map(|running| state::lock(&running.record).state(now))
            .collect()
    }

    /// Ends all polling at once; reads under way are given up.
    pub fn stop(&self) {
        stop_all(&mut self.running());
    }

    fn running(&self) -> std::sync::MutexGuard<'_, Vec<Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Sources {
    fn drop(&mut self) {
        self.stop();
        // Behind the tasks that have just been told to end, which let go of their connections first.
        let arbiter = self.arbiter.handle();
        self.arbiter.spawn_fn(move || {
            arbiter.stop();
        });
    }
}

fn stop_all(running: &mut Vec<Running>) {
    for source in running.drain(..) {
        match source.ends {
            Ends::Poller(poller) => poller.do_send(Stop),
            Ends::Task(task) => task.abort(),
        }
    }
}

fn kind_name(kind: &config::SourceKind) -> &'static str {
    match kind {
        config::SourceKind::Host => "host",
        config::SourceKind::Hub => "hub",
        config::SourceKind::Sql { .. } => "sql",
        config::SourceKind::Http { .. } => "http",
        config::SourceKind::Prometheus { .. } => "prometheus",
        config::SourceKind::Redis { .. } => "redis",
        config::SourceKind::PostgresNotify { .. } => "postgres_notify",
        config::SourceKind::PostgresOutbox { .. } => "postgres_outbox",
    }
}
