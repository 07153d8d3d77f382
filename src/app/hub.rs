//! How the Hub is started: alone, with what an earlier process left in the store, or as one of several.

use std::sync::{Arc, OnceLock};

use actix::Actor;
use actix_rt::{Arbiter, ArbiterHandle};
use anyhow::Context;
use tokio::sync::{mpsc, watch};

use super::scribe;
use crate::broker::redis::{About, Part, Redis};
use crate::config::{Durability, RedisUrl, Settings};
use crate::domain::message::MessageId;
use crate::hub::{self, Clock, Hub, HubHandle, Reached, Shared, SharedLog, StoreLink};
use crate::store::postgres::Scribe;
use crate::store::{self, AuditRecord, Reader, Recovered, Writer};
use crate::telemetry::audit::{Audit, Keeper, Record};

/// What the shared log says and the Hub has not heard yet.
const EVENTS_WAITING_MAX: usize = 16;

/// The Hub, on a thread of its own, and what belongs to it.
pub struct Started {
    pub hub: HubHandle,
    /// The Hub's own thread, and that of the shared log.
    pub threads: Vec<Arbiter>,
}

/// Starts the Hub.
///
/// # Errors
/// The store cannot be opened or read.
pub async fn start(
    settings: &Arc<Settings>,
    clock: Clock,
    audit: &Audit,
) -> anyhow::Result<Started> {
    if let (Some(redis), Some(database)) = (&settings.redis.url, &settings.store.url) {
        let (writer, reader) = store::join(&settings.store, database)?;
        writer.retain_audit(settings.audit.retention);
        audit.keep_in(InStore(writer.clone()));
        let kept = Kept::InDatabase(writer, reader, database.clone());
        return share(settings, redis, clock, kept).await;
    }
    let link = StoreLink::default();
    let own = match settings.store.durability {
        Durability::Memory => None,
        Durability::Process | Durability::Power => Some(open(settings, clock, &link, audit)?),
    };
    if let Some(redis) = &settings.redis.url {
        let kept = own.map_or(Kept::Nowhere, Kept::InFile);
        return share(settings, redis, clock, kept).await;
    }
    let arbiter = Arbiter::new();
    let (given, thread) = (settings.clone(), arbiter.handle());
    let Some((recovered, writer, reader)) = own else {
        let hub = Hub::start_in_arbiter(&thread, move |_| Hub::new(given, clock));
        return Ok(Started {
            hub: HubHandle::new(hub, settings, clock, None, None),
            threads: vec![arbiter],
        });
    };
    let store = writer.clone();
    let begin = move |_: &mut _| Hub::going_on(given, clock, recovered, store);
    let hub = Hub::start_in_arbiter(&thread, begin);
    link.lead_to(&hub);
    Ok(Started {
        hub: HubHandle::new(hub, settings, clock, Some((writer, reader)), None),
        threads: vec![arbiter],
    })
}

/// What an earlier process left, and the ways to add to it and to ask it.
type Own = (Recovered, Writer, Reader);

fn open(settings: &Settings, clock: Clock, link: &StoreLink, audit: &Audit) -> anyhow::Result<Own> {
    let mut store = store::open(&settings.store, clock.now())?;
    let recovered = store.recover(store::Wanted {
        messages_per_ring: settings.sessions.backlog_messages_max,
        ids: settings.history.counted_ids_max,
    })?;
    log::info!(
        "the store has {} metrics, up to {}, and {} sessions that may come back",
        recovered.rings.len(),
        recovered.last,
        recovered.sessions.len()
    );
    let (writer, reader) = store.start(link.clone())?;
    writer.retain_audit(settings.audit.retention);
    audit.keep_in(InStore(writer.clone()));
    Ok((recovered, writer, reader))
}

/// What one of several hubs keeps of the log, and where.
enum Kept {
    Nowhere,
    /// In a file of its own, all of it.
    InFile(Own),
    /// In the database that all have in common; one of them writes.
    InDatabase(Writer, Reader, String),
}

/// One hub of several. Waits a moment for the log, so that it is ready when it says so; where Redis is away it
/// starts all the same.
async fn share(
    settings: &Arc<Settings>,
    url: &RedisUrl,
    clock: Clock,
    kept: Kept,
) -> anyhow::Result<Started> {
    let (own, store, database) = match kept {
        Kept::Nowhere => (None, None, None),
        Kept::InFile((recovered, writer, reader)) => {
            let own = (recovered, writer.clone());
            (Some(own), Some((writer, reader)), None)
        }
        Kept::InDatabase(writer, reader, url) => (None, Some((writer, reader)), Some(url)),
    };
    let (events, heard) = mpsc::channel(EVENTS_WAITING_MAX);
    let about = Arc::new(OnceLock::new());
    let last = own.as_ref().and_then(|(recovered, ..)| recovered.newest());
    let seen = match (&database, &store) {
        // Where it is away, the log itself knows.
        (Some(_), Some((_, reader))) => reader.newest().await.ok(),
        _ => None,
    };
    let part = Part {
        key_ttl: settings.store.key_ttl,
        last,
        seen,
        about: about_this(clock, about.clone()),
        clock: Box::new(move || clock.now()),
        events,
    };
    let redis = Redis::new(&settings.redis, url, part);
    let (redis, keep_up) = redis.context("redis.ca_file cannot be read")?;
    let (arbiter, log_thread) = (Arbiter::new(), Arbiter::new());
    log_thread.spawn(keep_up);
    let scribe = |url: &String| -> anyhow::Result<Scribe> {
        let scribe = scribe::start(&settings.store, url, &redis, settings.redis.lease)?;
        scribe.retain_audit(settings.audit.retention);
        Ok(scribe)
    };
    let scribe = database.as_ref().map(scribe).transpose()?;
    let (reached, reaches) = watch::channel(Reached::default());
    let shared = Shared::new(
        redis.clone(),
        last.unwrap_or_default(),
        reached,
        scribe.clone(),
    );
    let (given, thread): (_, ArbiterHandle) = (settings.clone(), arbiter.handle());
    let begin = move |_: &mut _| Hub::sharing(given, clock, own, shared);
    let hub = Hub::start_in_arbiter(&thread, begin);
    arbiter.spawn(hub::follow(heard, hub.clone()));
    let log = SharedLog::new(redis, reaches, settings.clone(), scribe);
    let hub = HubHandle::new(hub, settings, clock, store, Some(log.clone()));
    // The cell is new, so there is nothing in it yet.
    let _ = about.set(hub.clone());
    if !log.reaches(MessageId::ZERO).await {
        log::warn!("starting without the shared log: streams are served, publishing has to wait");
    }
    Ok(Started {
        hub,
        threads: vec![arbiter, log_thread],
    })
}

/// What this hub tells the others about itself.
fn about_this(clock: Clock, hub: Arc<OnceLock<HubHandle>>) -> About {
    let started_ms = clock.now().wall_ms;
    Box::new(move |read| {
        let about = hub::About {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_ms,
            connections: hub.get().map_or(0, HubHandle::streams),
            read: read.to_string(),
        };
        // Cannot fail: strings and numbers.
        serde_json::to_string(&about).unwrap_or_default()
    })
}

/// The audit trail's way into the store.
#[derive(Debug)]
struct InStore(Writer);

impl Keeper for InStore {
    fn keep(&self, records: Vec<Record>) -> usize {
        let records = records.into_iter();
        let records = records.map(|Record { at_ms, text }| AuditRecord { at_ms, text });
        self.0.audit(records.collect())
    }
}
