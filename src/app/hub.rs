//! How the Hub is started: alone, with what an earlier process left in the store, or as one of several.

use std::sync::{Arc, OnceLock};

use actix::Actor;
use actix_rt::{Arbiter, ArbiterHandle};
use anyhow::Context;
use tokio::sync::{mpsc, watch};

use crate::broker::redis::{About, Part, Redis};
use crate::config::{Durability, RedisUrl, Settings};
use crate::domain::message::MessageId;
use crate::hub::{self, Clock, Hub, HubHandle, Reached, Shared, SharedLog, StoreLink};
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
    let arbiter = Arbiter::new();
    let link = StoreLink::default();
    let own = match settings.store.durability {
        Durability::Memory => None,
        Durability::Process | Durability::Power => Some(open(settings, clock, &link, audit)?),
    };
    if let Some(url) = &settings.redis.url {
        return share(settings, url, clock, arbiter, own).await;
    }
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
    let (writer, reader) = store.start(link.clone())?;
    writer.retain_audit(settings.audit.retention);
    audit.keep_in(InStore(writer.clone()));
    Ok((recovered, writer, reader))
}

/// One hub of several. Waits a moment for the log, so that it is ready when it says so; where Redis is away it
/// starts all the same.
async fn share(
    settings: &Arc<Settings>,
    url: &RedisUrl,
    clock: Clock,
    arbiter: Arbiter,
    own: Option<Own>,
) -> anyhow::Result<Started> {
    let (events, heard) = mpsc::channel(EVENTS_WAITING_MAX);
    let about = Arc::new(OnceLock::new());
    let last = own.as_ref().map(|(recovered, ..)| recovered.last);
    let part = Part {
        key_ttl: settings.store.key_ttl,
        last: last.filter(|last| *last > MessageId::ZERO),
        about: about_this(clock, about.clone()),
        clock: Box::new(move || clock.now()),
        events,
    };
    let redis = Redis::new(&settings.redis, url, part);
    let (redis, keep_up) = redis.context("redis.ca_file cannot be read")?;
    let log_thread = Arbiter::new();
    log_thread.spawn(keep_up);
    let (reached, reaches) = watch::channel(Reached::default());
    let shared = Shared::new(redis.clone(), last.unwrap_or_default(), reached);
    let (given, thread): (_, ArbiterHandle) = (settings.clone(), arbiter.handle());
    let (own, store) = own
        .map(|(recovered, writer, reader)| ((recovered, writer.clone()), (writer, reader)))
        .unzip();
    let begin = move |_: &mut _| Hub::sharing(given, clock, own, shared);
    let hub = Hub::start_in_arbiter(&thread, begin);
    arbiter.spawn(hub::follow(heard, hub.clone()));
    let log = SharedLog::new(redis, reaches, settings.clone());
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
