//! Where metrics come from: the sources that the hub reads itself, each on its own schedule.
//!
//! A source is one way to get one JSON value (`Source`); a poller is the actor that asks one
//! source again and again and keeps its record. They share nothing but a bounded channel, so
//! a slow, failing or panicking source is its own problem only.
//!
//! May use `domain` and `config`. Gives no ids, knows no connection, and never waits for the hub:
//! drafts leave through the channel that the composition root hands in.

mod error;
mod host;
mod http;
mod hub;
mod poller;
mod sql;
mod state;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::prelude::*;
use anyhow::Context as _;
use futures::future::BoxFuture;
use serde_json::Value;
use tokio::sync::mpsc;

use crate::config;
use crate::domain::message::Draft;
use crate::domain::pattern::MetricName;
use crate::trace::{Context, Span};

pub use error::SourceError;
pub use state::SourceState;

use poller::{Out, Poller, Stop};
use state::SharedRecord;

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

/// The hub's own statistics, asked for by sources of kind `hub`.
pub type HubStats =
    Arc<dyn Fn() -> BoxFuture<'static, anyhow::Result<Value>> + Send + Sync + 'static>;

/// All sources of this hub, running.
///
/// They run on an arbiter of their own: turning a thousand rows or a big HTTP answer into
/// JSON takes milliseconds, which must not be taken from the Hub actor's thread.
pub struct Sources {
    arbiter: Arbiter,
    sink: mpsc::Sender<Reading>,
    hub_stats: HubStats,
    turns: Option<Arc<dyn Turns>>,
    running: Mutex<Vec<Running>>,
}

/// Sources that can work and do not run yet.
pub struct Built {
    settings: Vec<config::Source>,
    sources: Vec<Arc<dyn Source>>,
}

struct Running {
    poller: Addr<Poller>,
    record: SharedRecord,
}

impl Sources {
    /// Starts a poller for each of `settings`; each reads at once and then every interval of its
    /// own, or else every `update_interval`. What they read goes to `sink`; one that is full counts as
    /// that read's failure. With `turns`, only what is this hub's to read is read.
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
        sink: mpsc::Sender<Reading>,
        hub_stats: HubStats,
        turns: Option<Arc<dyn Turns>>,
    ) -> anyhow::Result<Self> {
        let sources = Self {
            arbiter: Arbiter::new(),
            sink,
            hub_stats,
            turns,
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
            sources: build(settings, &self.hub_stats)?,
        })
    }

    /// Replaces all sources by those that were built; their records begin anew.
    pub fn exchange(&self, built: Built, update_interval: Duration) {
        let mut running = self.running();
        stop_all(&mut running);
        if let Some(turns) = &self.turns {
            let metrics = built.settings.iter().map(|it| it.metric.clone());
            turns.wanted(&metrics.collect::<Vec<_>>());
        }
        let built = built.settings.iter().zip(built.sources);
        running.extend(built.map(|(setting, source)| {
            let out = Out {
                sink: self.sink.clone(),
                turns: self.turns.clone(),
            };
            let poller = Poller::new(setting, source, update_interval, out);
            Running {
                record: poller.record(),
                poller: Poller::start_in_arbiter(&self.arbiter.handle(), |_| poller),
            }
        }));
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
        self.arbiter.stop();
    }
}

fn stop_all(running: &mut Vec<Running>) {
    for source in running.drain(..) {
        source.poller.do_send(Stop);
    }
}

fn build(
    settings: &[config::Source],
    hub_stats: &HubStats,
) -> anyhow::Result<Vec<Arc<dyn Source>>> {
    let pools = sql::Pools::open(settings)?;
    settings
        .iter()
        .map(|setting| {
            build_one(setting, &pools, hub_stats)
                .with_context(|| format!("source {}", setting.metric))
        })
        .collect()
}

fn build_one(
    setting: &config::Source,
    pools: &sql::Pools,
    hub_stats: &HubStats,
) -> anyhow::Result<Arc<dyn Source>> {
    Ok(match &setting.kind {
        config::SourceKind::Host => Arc::new(host::Host::default()),
        config::SourceKind::Hub => Arc::new(hub::Hub(hub_stats.clone())),
        config::SourceKind::Sql {
            url,
            query,
            rows_max,
        } => Arc::new(pools.source(url, query, *rows_max, setting.timeout)?),
        config::SourceKind::Http {
            url,
            headers,
            body_bytes_max,
        } => Arc::new(http::Http::new(url, headers, *body_bytes_max)?),
    })
}

fn kind_name(kind: &config::SourceKind) -> &'static str {
    match kind {
        config::SourceKind::Host => "host",
        config::SourceKind::Hub => "hub",
        config::SourceKind::Sql { .. } => "sql",
        config::SourceKind::Http { .. } => "http",
    }
}
