//! What sources have in common that are told by PostgreSQL: whose turn it is, the connection, and the pauses between
//! attempts.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use sqlx::postgres::{PgConnectOptions, PgListener, PgNotification, PgPoolOptions};
use sqlx::{AssertSqlSafe, Executor};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::state::{self, Record, SharedRecord, lock};
use super::{Out, SourceError, Turn};
use crate::config;
use crate::domain::message::Priority;
use crate::domain::pattern::MetricName;

/// How long to wait before the next attempt: the first time, and at most.
const BACK_OFF_MIN: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(10);

/// A source that is told, and how it is doing.
pub(super) struct Told {
    pub metric: MetricName,
    pub priority: Priority,
    /// Between two signs of life.
    pub interval: Duration,
    pub timeout: Duration,
    pub out: Out,
    record: SharedRecord,
}

/// Another hub is to read it from now on.
pub(super) struct Others;

/// Why a connection is left.
pub(super) enum Left {
    Others,
    Failed(SourceError),
}

impl<E: Into<SourceError>> From<E> for Left {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

impl From<Others> for Left {
    fn from(_: Others) -> Self {
        Self::Others
    }
}

impl Told {
    pub fn new(setting: &config::Source, update_interval: Duration, out: Out) -> Self {
        let interval = setting.interval.unwrap_or(update_interval);
        let record = Record::new(setting, interval, Timestamp::now());
        Self {
            metric: setting.metric.clone(),
            priority: setting.priority,
            interval,
            timeout: setting.timeout,
            out,
            record: Arc::new(Mutex::new(record)),
        }
    }

    /// How it is doing, for whoever shows it.
    pub fn record(&self) -> SharedRecord {
        self.record.clone()
    }

    /// By which right it is read now: a fence, where several hubs share it.
    pub fn right(&self) -> Result<Option<u64>, Others> {
        let Some(turns) = &self.out.turns else {
            return Ok(None);
        };
        // Nothing to wait for: what is told is told when it is.
        let turn = turns.turn(&self.metric, Duration::ZERO);
        lock(&self.record).is_elsewhere(turn == Turn::Others);
        match turn {
            Turn::Now(fence) => Ok(Some(fence)),
            Turn::Later | Turn::Others => Err(Others),
        }
    }

    /// How often to look whose turn it is.
    pub fn looks_every(&self) -> Duration {
        let turns = self.out.turns.as_ref();
        turns.map_or(self.interval, |turns| turns.looks_every())
    }

    pub fn note(&self, result: Result<(), &SourceError>) {
        let error = result.err().map(ToString::to_string);
        let noted = error.clone().map_or(Ok(()), Err);
        let change = lock(&self.record).went(noted, Timestamp::now());
        state::log(&self.metric, change, error.as_deref());
    }

    /// Connects again and again, whenever it is this hub's turn, and does `live` until that ends the connection.
    pub async fn keep_connected(
        &self,
        options: &PgConnectOptions,
        channel: &str,
        mut live: impl AsyncFnMut(&mut Connection<'_>) -> Result<(), Left>,
    ) {
        let mut back_off = BACK_OFF_MIN;
        loop {
            if self.right().is_err() {
                sleep(self.looks_every()).await;
                continue;
            }
            let began = Instant::now();
            let left = match self.connect(options, channel).await {
                Ok(listener) => {
                    lock(&self.record).is_connected(true);
                    let mut connection = Connection {
                        told: self,
                        listener,
                    };
                    let left = live(&mut connection).await;
                    lock(&self.record).is_connected(false);
                    left
                }
                Err(error) => Err(Left::Failed(error)),
            };
            match left {
                Err(Left::Failed(error)) => self.note(Err(&error)),
                // Without a pause only where it is told that another's turn it is.
                Ok(()) | Err(Left::Others) => continue,
            }
            if began.elapsed() > BACK_OFF_MAX {
                back_off = BACK_OFF_MIN;
            }
            // Hubs come back at different moments.
            sleep(back_off.mul_f64(rand::random_range(0.5..1.0))).await;
            back_off = (2 * back_off).min(BACK_OFF_MAX);
        }
    }

    async fn connect(
        &self,
        options: &PgConnectOptions,
        channel: &str,
    ) -> Result<PgListener, SourceError> {
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .max_lifetime(None)
            .idle_timeout(None)
            // Gives up first, and so says that it was the connection.
            .acquire_timeout(self.timeout.mul_f64(0.8))
            .connect_lazy_with(options.clone());
        let connect = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.ignore_pool_close_event(true);
            listener.eager_reconnect(false);
            listener.listen(channel).await?;
            Ok::<_, sqlx::Error>(listener)
        };
        let connected = timeout(self.timeout, connect).await;
        let connected = connected.map_err(|_| SourceError::TimedOut(self.timeout))?;
        connected.map_err(SourceError::database)
    }
}

/// What is there while it lasts.
pub(super) struct Connection<'a> {
    pub told: &'a Told,
    pub listener: PgListener,
}

impl Connection<'_> {
    /// Waits until something is told, or an interval is over. Looks meanwhile whose turn it is.
    pub async fn next(&mut self) -> Result<Option<PgNotification>, Left> {
        let mut looks = interval(self.told.looks_every());
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let over = sleep(self.told.interval);
        tokio::pin!(over);
        loop {
            tokio::select! {
                told = self.listener.try_recv() => {
                    let told = told.map_err(SourceError::database)?;
                    return Ok(Some(told.ok_or(SourceError::Broken)?));
                }
                _ = looks.tick() => drop(self.told.right()?),
                () = &mut over => return Ok(None),
            }
        }
    }

    /// Whether the other end still answers; a connection that has died silently says nothing for ever.
    pub async fn check(&mut self) -> Result<(), SourceError> {
        self.run("SELECT 1").await
    }

    pub async fn run(&mut self, text: &str) -> Result<(), SourceError> {
        let limit = self.told.timeout;
        let done = self.listener.execute(AssertSqlSafe(text.to_owned()));
        let done = timeout(limit, done).await;
        let done = done.map_err(|_| SourceError::TimedOut(limit))?;
        done.map(drop).map_err(SourceError::database)
    }
}
