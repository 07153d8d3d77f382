//! The actor that reads one source again and again.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix::prelude::*;
use futures::FutureExt;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::mpsc::{self, error::TrySendError};
use tokio::time::Instant;

use super::state::{Change, Record, SharedRecord, lock};
use super::{Source, SourceError};
use crate::config;
use crate::domain::message::{Draft, Json, Priority};
use crate::domain::pattern::MetricName;

/// Reads its source when it starts and then once every interval, never twice at a time.
pub(super) struct Poller {
    source: Arc<dyn Source>,
    metric: MetricName,
    priority: Priority,
    interval: Duration,
    timeout: Duration,
    sink: mpsc::Sender<Draft>,
    record: SharedRecord,
    reading: bool,
}

/// Ends the polling; a read under way is given up.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Stop;

impl Poller {
    pub fn new(
        setting: &config::Source,
        source: Arc<dyn Source>,
        update_interval: Duration,
        sink: mpsc::Sender<Draft>,
    ) -> Self {
        let interval = setting.interval.unwrap_or(update_interval);
        let record = Record::new(setting, interval, Timestamp::now());
        Self {
            source,
            metric: setting.metric.clone(),
            priority: setting.priority,
            interval,
            timeout: setting.timeout,
            sink,
            record: Arc::new(Mutex::new(record)),
            reading: false,
        }
    }

    /// What becomes of its reads, for whoever shows it.
    pub fn record(&self) -> SharedRecord {
        self.record.clone()
    }

    fn poll(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.reading, true) {
            lock(&self.record).skipped();
            return;
        }
        let read = read(self.source.clone(), self.timeout);
        ctx.spawn(
            read.into_actor(self)
                .map(|(value, took), poller, _| poller.finish(value, took)),
        );
    }

    fn finish(&mut self, value: Result<Value, SourceError>, took: Duration) {
        self.reading = false;
        let result = value
            .and_then(|value| self.publish(&value))
            .map_err(|error| error.to_string());
        let line = result.clone();
        let change = lock(&self.record).finished(result, took, Timestamp::now());
        match (change, line) {
            (Some(Change::Failed), Err(error)) => {
                log::warn!("source {} fails: {error}", self.metric);
            }
            (Some(Change::Recovered), _) => log::info!("source {} works again", self.metric),
            _ => {}
        }
    }

    /// Hands the value on without waiting: a hub that cannot keep up wants fewer updates, and the
    /// next read brings a newer value anyway.
    fn publish(&self, value: &Value) -> Result<(), SourceError> {
        let draft = Draft {
            metric: self.metric.clone(),
            data: Json::trusted(value.to_string()),
            priority: Some(self.priority),
            user: None,
            retain: None,
        };
        self.sink.try_send(draft).map_err(|error| match error {
            TrySendError::Full(_) => SourceError::SinkFull(self.sink.max_capacity()),
            TrySendError::Closed(_) => SourceError::SinkClosed,
        })
    }
}

/// One read, bounded in time, with a panic turned into an error.
async fn read(
    source: Arc<dyn Source>,
    timeout: Duration,
) -> (Result<Value, SourceError>, Duration) {
    let began = Instant::now();
    let read = AssertUnwindSafe(async { source.read().await }).catch_unwind();
    let value = match tokio::time::timeout(timeout, read).await {
        Ok(Ok(value)) => value,
        Ok(Err(_)) => Err(SourceError::Panicked),
        Err(_) => Err(SourceError::TimedOut(timeout)),
    };
    (value, began.elapsed())
}

impl Actor for Poller {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        self.poll(ctx);
        ctx.run_interval(self.interval, Self::poll);
    }
}

impl Handler<Stop> for Poller {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        ctx.stop();
    }
}
