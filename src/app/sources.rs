//! How what the sources read gets to the hub, and which of several hubs reads which.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::broker::redis::{Held, Redis};
use crate::config::Settings;
use crate::domain::pattern::MetricName;
use crate::http::status::connection_stats;
use crate::hub::Error;
use crate::hub::HubHandle;
use crate::source::{
    HubStats, NotTaken, OutboxRow, OutboxRows, PublishRows, Reading, Sources, Surroundings, Turn,
    Turns,
};
use crate::store::{AppendError, Fingerprint, Key, Keyed};
use crate::trace::Context;

/// What the sources have read and the hub has not taken yet.
const READINGS_WAITING_MAX: usize = 1024;

/// Starts the sources, and what takes their readings to the hub.
///
/// # Errors
/// A source that can never work.
pub fn start(settings: &Settings, hub: &HubHandle) -> anyhow::Result<Sources> {
    let (sink, readings) = mpsc::channel(READINGS_WAITING_MAX);
    actix_rt::spawn(publish(readings, hub.clone()));
    let statistics: HubStats = {
        let hub = hub.clone();
        Arc::new(move || {
            let hub = hub.clone();
            async move { Ok(connection_stats(&hub.overview_of_all().await?.0)) }.boxed()
        })
    };
    let sources = if settings.realtime.enabled {
        settings.sources.as_slice()
    } else {
        &[]
    };
    let interval = settings.realtime.update_interval;
    let turns = hub.shared_log().map(|redis| {
        let looks_every = settings.redis.lease / 10;
        Arc::new(Leases { redis, looks_every }) as Arc<dyn Turns>
    });
    let publish_rows: PublishRows = {
        let hub = hub.clone();
        Arc::new(move |rows| publish_rows(hub.clone(), rows).boxed())
    };
    let surroundings = Surroundings {
        sink,
        hub_stats: statistics,
        turns,
        publish_rows,
        data_bytes_max: settings.http.message_bytes_max,
    };
    Sources::start(sources, interval, surroundings)
}

/// Rows have keys as publishers' messages have, of a publisher whose name no user can have.
async fn publish_rows(hub: HubHandle, rows: OutboxRows) -> Result<(), NotTaken> {
    let publisher = format!("\0outbox {}", rows.outbox);
    let held = held(&rows.outbox, rows.fence);
    let keyed = |row: &OutboxRow| {
        let draft = &row.draft;
        let priority = draft.priority.map_or("", |priority| priority.as_str());
        let user = draft.user.as_ref().map_or("", |user| user.as_str());
        let of = [draft.metric.as_str(), draft.data.as_str(), priority, user];
        Some(Keyed {
            key: Key::of(&publisher, &row.key, 0),
            of: Fingerprint::of(&of.map(str::as_bytes)),
        })
    };
    let keys = rows.rows.iter().map(keyed).collect();
    let drafts = rows.rows.into_iter().map(|row| row.draft).collect();
    let trace = Context::default();
    let taken = hub.publish_by(drafts, keys, held, &trace).await;
    taken.map(drop).map_err(|error| match error {
        Error::NotTaken(AppendError::TooManyMetrics(_)) => NotTaken::Refused(error.to_string()),
        Error::NotTaken(AppendError::KeyReused) => {
            NotTaken::Refused("it was published before, as something else".to_owned())
        }
        error => NotTaken::Later(error.to_string()),
    })
}

fn held(source: &MetricName, fence: Option<u64>) -> Option<Held> {
    fence.map(|fence| Held {
        source: source.to_string(),
        fence,
    })
}

async fn publish(mut readings: mpsc::Receiver<Reading>, hub: HubHandle) {
    while let Some(reading) = readings.recv().await {
        let Reading {
            draft,
            fence,
            trace,
        } = reading;
        let metric = draft.metric.clone();
        let held = held(&metric, fence);
        let published = hub.publish_by(vec![draft], Vec::new(), held, &trace);
        if let Err(error) = published.await {
            log::warn!("what was read for {} is lost: {error}", metric.as_str());
        }
    }
}

/// Of several hubs each source is read by the one that holds its lease.
struct Leases {
    redis: Redis,
    looks_every: Duration,
}

impl Turns for Leases {
    fn wanted(&self, metrics: &[MetricName]) {
        let names = metrics.iter().map(MetricName::to_string);
        self.redis.want_sources(names.collect());
    }

    fn looks_every(&self) -> Duration {
        self.looks_every
    }

    fn turn(&self, metric: &MetricName, interval: Duration) -> Turn {
        let Some(lease) = self.redis.lease(metric.as_str()) else {
            return Turn::Others;
        };
        let due = lease.read_at.map(|read| read + interval);
        match due {
            Some(due) if due > Instant::now() => Turn::Later,
            _ => Turn::Now(lease.fence),
        }
    }
}
