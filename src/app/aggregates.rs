//! What aggregates need of the rest: the log, the other hubs, and whoever publishes their results.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::mpsc;

use crate::aggregate::{
    Aggregates, Document, Followed, Keep, Logged, Out, Right, Surroundings, Told, Watched,
};
use crate::broker::redis::{Entry, Held, Redis};
use crate::config::Settings;
use crate::domain::message::{MessageId, Topic, UserId};
use crate::domain::pattern::{MetricName, Pattern};
use crate::hub::HubHandle;
use crate::store::{Bounds, Order, Reader, Walk};
use crate::trace::Context;

/// Results, and what is to be kept, that wait to be published.
const OUT_WAITING_MAX: usize = 1024;
/// Messages read from the log at once.
const PAGE_MAX: usize = 1000;
/// As whom a hub counts that stands alone.
const ALONE: &str = "alone";

/// Starts counting, and what takes the results to the hub.
///
/// # Errors
/// The hub is overloaded.
pub async fn start(settings: &Settings, hub: &HubHandle) -> anyhow::Result<Aggregates> {
    let (out, results) = mpsc::channel(OUT_WAITING_MAX);
    actix_rt::spawn(publish(results, hub.clone()));
    let surroundings = Arc::new(Here { hub: hub.clone() });
    let wanted = match settings.realtime.enabled {
        true => settings.aggregates.as_slice(),
        false => &[],
    };
    let watched = Watched::of(wanted);
    let wants = watched.clone();
    let wants = Box::new(move |topic: &Topic| wants.wants(topic));
    // What is kept and what the log has of before is asked for when it is known what is needed of it.
    let following = hub.follow(wants, settings.events.queue_events_max).await?;
    let followed = Followed {
        messages: following.messages,
        missed: following.missed,
    };
    let log = (watched, followed);
    Ok(Aggregates::start(
        wanted,
        &settings.events,
        log,
        surroundings,
        out,
    ))
}

async fn publish(mut out: mpsc::Receiver<Out>, hub: HubHandle) {
    while let Some(one) = out.recv().await {
        match one {
            Out::Result(told) => {
                let outcome = tell(&told, &hub).await;
                if let Err(error) = &outcome {
                    let metric = &told.draft.metric;
                    log::warn!("a result of {metric} is lost: {error}");
                }
                told.done(outcome);
            }
            Out::Keep(Keep {
                documents,
                right,
                heard,
            }) => heard(keep(documents, right, &hub).await),
        }
    }
}

async fn tell(told: &Told, hub: &HubHandle) -> Result<(), String> {
    let held = told.right.0.map(|fence| Held {
        source: told.draft.metric.to_string(),
        fence,
    });
    let trace = Context::default();
    let done = hub.publish_by(vec![told.draft.clone()], Vec::new(), held, &trace);
    done.await.map(drop).map_err(|error| error.to_string())
}

/// This hub, as its aggregates see it.
struct Here {
    hub: HubHandle,
}

impl Surroundings for Here {
    fn origin(&self) -> String {
        let node = self.hub.shared_log().map(|redis| redis.node().to_owned());
        node.unwrap_or_else(|| ALONE.to_owned())
    }

    fn has_others(&self) -> bool {
        self.hub.shared_log().is_some()
    }

    fn has_log(&self) -> bool {
        self.has_others() || self.hub.reader().is_some()
    }

    fn wanted(&self, metrics: &[MetricName]) {
        if let Some(redis) = self.hub.shared_log() {
            redis.want_results(metrics.iter().map(MetricName::to_string).collect());
        }
    }

    fn turn(&self, metric: &MetricName) -> Option<Right> {
        match self.hub.shared_log() {
            None => Some(Right(None)),
            Some(redis) => {
                let lease = redis.lease(metric.as_str())?;
                Some(Right(Some(lease.fence)))
            }
        }
    }

    fn logged<'a>(&'a self, metric: &'a MetricName, after: MessageId) -> BoxFuture<'a, Logged> {
        async move {
            let found = match (self.hub.shared_log(), self.hub.reader()) {
                (Some(redis), _) => in_redis(&redis, metric, after).await,
                (None, Some(reader)) => in_store(reader, metric, after).await,
                (None, None) => Ok(Logged::default()),
            };
            found.unwrap_or_else(|error| {
                log::warn!("what the log has of {metric} cannot be summed up: {error}");
                Logged::default()
            })
        }
        .boxed()
    }

    fn kept(&self) -> BoxFuture<'_, Vec<Document>> {
        kept(&self.hub).boxed()
    }
}

async fn in_redis(redis: &Redis, metric: &MetricName, after: MessageId) -> Result<Logged, String> {
    let found = redis.entries_after(after, PAGE_MAX).await;
    let found = found.map_err(|error| error.to_string())?;
    let next = found.last().map(|(_, entry)| entry.id());
    let of_metric = |entry: Entry| match entry {
        Entry::Message(logged) => {
            let message = logged.message;
            let is_it = matches!(&message.topic, Topic::Metric(name) if name == metric);
            let value = String::from_utf8(message.value().into()).ok();
            value.filter(|_| is_it).map(|value| (message.id, value))
        }
        Entry::Control(..) => None,
    };
    let values = found.into_iter().filter_map(|(_, entry)| of_metric(entry));
    Ok(Logged {
        values: values.collect(),
        next,
    })
}

async fn in_store(
    reader: &Reader,
    metric: &MetricName,
    after: MessageId,
) -> Result<Logged, String> {
    // Of what is to all, which any user may see.
    let anybody = UserId::parse("-").ok_or("no user")?;
    let exact = Pattern::parse(metric.as_str()).map_err(|error| error.to_string())?;
    let rings = reader.rings(vec![exact], anybody).await;
    let mut rings = rings.map_err(|error| error.to_string())?;
    rings.retain(|ring| ring.user.is_none());
    let bounds = Bounds {
        from: after.next(),
        to: MessageId::from_bits(i64::MAX as u64),
    };
    let walk = Walk::new(rings, bounds, Order::OldestFirst);
    let page = reader.page(walk, PAGE_MAX).await;
    let (_, rows) = page.map_err(|error| error.to_string())?;
    Ok(Logged {
        next: rows.last().map(|row| row.id),
        values: rows.into_iter().map(|row| (row.id, row.data)).collect(),
    })
}

async fn keep(documents: Vec<Document>, right: Right, hub: &HubHandle) -> bool {
    let Some(metric) = documents.first().and_then(Document::metric) else {
        return true;
    };
    let held = right.0.map(|fence| Held {
        source: metric.to_owned(),
        fence,
    });
    let name = metric.to_owned();
    let states = documents.into_iter().map(|it| (it.name, it.json));
    let kept = hub.remember(states.collect(), held).await;
    if let Err(error) = &kept {
        log::warn!("what was summed up of {name} was not kept: {error}");
    }
    kept.is_ok()
}

/// Follows for a moment: what is kept is told at the beginning.
async fn kept(hub: &HubHandle) -> Vec<Document> {
    let wants = |topic: &Topic| matches!(topic, Topic::State(name) if Document::is_one(name));
    match hub.follow(Box::new(wants), 1).await {
        Ok(following) => {
            let kept = following.kept.iter();
            kept.filter_map(|message| Document::of(message)).collect()
        }
        Err(error) => {
            log::warn!("what was summed up before is not known: {error}");
            Vec::new()
        }
    }
}
