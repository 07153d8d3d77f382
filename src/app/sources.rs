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
use crate::hub::HubHandle;
use crate::source::{HubStats, Reading, Sources, Turn, Turns};

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
    Sources::start(sources, interval, sink, statistics, turns)
}

async fn publish(mut readings: mpsc::Receiver<Reading>, hub: HubHandle) {
    while let Some(reading) = readings.recv().await {
        let Reading {
            draft,
            fence,
            trace,
        } = reading;
        let metric = draft.metric.clone();
        let held = fence.map(|fence| Held {
            source: metric.to_string(),
            fence,
        });
        if let Err(error) = hub.publish_reading(draft, held, &trace).await {
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
