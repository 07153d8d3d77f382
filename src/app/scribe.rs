//! Of several hubs with a database in common, the one that holds the lease writes the shared log down.

use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::broker::redis::{Entry as Said, Logged, Redis};
use crate::config::Store;
use crate::domain::message::MessageId;
use crate::store::Keyed;
use crate::store::postgres::{Entries, Entry, Log, Scribe};

/// The lease. No metric has such a name.
const LEASE: &str = "*scribe";

/// Starts what writes the log down into the database at `url` while this hub holds the lease.
///
/// # Errors
/// The URL is none, or the system has no more room for a thread.
pub fn start(
    settings: &Store,
    url: &str,
    redis: &Redis,
    lease: Duration,
) -> anyhow::Result<Scribe> {
    redis.want(LEASE);
    let (given, has_lease) = watch::channel(false);
    actix_rt::spawn(follow_lease(redis.clone(), given, lease / 20));
    Scribe::start(settings, url, has_lease, SharedLog(redis.clone()))
}

/// Until the scribe is gone.
async fn follow_lease(redis: Redis, given: watch::Sender<bool>, looks_every: Duration) {
    while !given.is_closed() {
        let has_it = redis.lease(LEASE).is_some();
        given.send_if_modified(|had| std::mem::replace(had, has_it) != has_it);
        sleep(looks_every).await;
    }
}

/// The log in Redis, as the scribe asks for it.
struct SharedLog(Redis);

impl Log for SharedLog {
    fn after(&mut self, id: MessageId, max: usize) -> BoxFuture<'_, Result<Entries, String>> {
        async move {
            let found = self.0.entries_after(id, max).await;
            let found = found.map_err(|error| error.to_string())?;
            let first = found.first().map(|(before, _)| *before);
            let last = found.last().map(|(_, entry)| entry.id());
            let entries = found.into_iter().filter_map(|(_, entry)| match entry {
                Said::Message(logged) => Some(written(logged)),
                Said::Control(..) => None,
            });
            Ok(Entries {
                after: first.unwrap_or(id),
                list: entries.collect(),
                to: last.unwrap_or(id),
            })
        }
        .boxed()
    }
}

fn written(logged: Logged) -> Entry {
    let keyed = logged.keyed.as_ref();
    let alert = logged.alert.as_deref();
    Entry {
        key: keyed.and_then(|(key, of)| Keyed::parse(key, of)),
        alert: alert.and_then(|text| serde_json::from_str(text).ok()),
        message: logged.message,
        wall_ms: logged.wall_ms,
    }
}
