//! Alert rules at work: what the hub tells by itself when a metric is not as it should be.
//!
//! `watcher` is the actor of the rules: it follows the metrics that they name and what the log remembers of
//! them, lets time pass for the domain's engine, and has done (`deeds`) what that says is to be done. `courier` is
//! the actor of the notifications: it sends what the log says is to be sent (`notice`) to its webhook (`hook`),
//! again and again until it arrives or is given up. Both go by the log alone, so that after a crash, or on another
//! hub, they go on where they were. Of several hubs all evaluate, and the one that holds the lease acts.
//! `book` knows where a rule stands, `handle` is what others ask.
//!
//! May use the domain, the settings, the store's words for alerts, and the hub's handle. Knows no HTTP server.

mod book;
mod courier;
mod deeds;
mod handle;
mod hook;
mod notice;
mod watcher;

use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use actix_rt::Arbiter;
use arc_swap::ArcSwap;
use serde::Serialize;
use serde_json::Value;
use tokio::sync::{Notify, watch};

use crate::broker::redis::Held;
use crate::config::{Alerting, Settings};
use crate::domain::message::{Json, MessageId, StateName};
use crate::domain::rule::{Engine, Limits};
use crate::hub::HubHandle;

pub use book::{LiveRule, Origin};
pub use handle::{Change, Health, RULES_MAX, SILENCES_MAX};
pub use hook::Hook;
pub use notice::{Notice, Status};

use book::Book;
use notice::Notices;

/// The lease by which one of several hubs acts. No metric has such a name.
const LEASE: &str = "*rules";

/// The rules of this hub, at work. Clones are the same.
#[derive(Clone)]
pub struct Rules(Arc<Inner>);

struct Inner {
    hub: HubHandle,
    limits: Alerting,
    engine: Mutex<Engine>,
    book: Mutex<Book>,
    notices: Mutex<Notices>,
    hooks: ArcSwap<Vec<Hook>>,
    /// The rules are others than before.
    changed: Notify,
    /// There is something to send.
    posted: Notify,
    /// Up to which message of the log the watcher has come, and the courier.
    watched: watch::Sender<MessageId>,
    couriered: watch::Sender<MessageId>,
    is_stopped: AtomicBool,
    /// Why what was to be done could not be done the last time.
    last_error: Mutex<Option<String>>,
    /// Notifications that found no room.
    left_out: AtomicU64,
    delivered: AtomicU64,
    failed: AtomicU64,
    died: AtomicU64,
}

impl Rules {
    /// Starts them on `arbiter`. Where real-time delivery is switched off nothing is evaluated.
    pub fn start(settings: &Settings, hooks: Vec<Hook>, hub: HubHandle, arbiter: &Arbiter) -> Self {
        if let Some(redis) = hub.shared_log() {
            redis.want(LEASE);
        }
        let now_ms = hub.clock().now().wall_ms;
        let idle_ms = settings.history.metric_idle_timeout.as_millis();
        let engine = Engine::new(
            Limits {
                lives_max: settings.alerting.lives_max,
                idle_ms: u64::try_from(idle_ms).unwrap_or(u64::MAX),
            },
            now_ms,
        );
        let rules = Self(Arc::new(Inner {
            hub,
            limits: settings.alerting,
            engine: Mutex::new(engine),
            book: Mutex::default(),
            notices: Mutex::default(),
            hooks: ArcSwap::from_pointee(Vec::new()),
            changed: Notify::new(),
            posted: Notify::new(),
            watched: watch::Sender::new(MessageId::ZERO),
            couriered: watch::Sender::new(MessageId::ZERO),
            is_stopped: AtomicBool::new(false),
            last_error: Mutex::default(),
            left_out: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            died: AtomicU64::new(0),
        }));
        if settings.realtime.enabled {
            rules.reload(settings, hooks);
            arbiter.spawn(watcher::run(rules.clone(), now_ms));
            arbiter.spawn(courier::run(rules.clone()));
        }
        rules
    }
}

impl Inner {
    fn engine(&self) -> MutexGuard<'_, Engine> {
        lock(&self.engine)
    }

    /// By which right this hub acts; `None`: another one does.
    fn turn(&self) -> Option<Option<Held>> {
        let Some(redis) = self.hub.shared_log() else {
            return Some(None);
        };
        let lease = redis.lease(LEASE)?;
        Some(Some(Held {
            source: LEASE.to_owned(),
            fence: lease.fence,
        }))
    }

    fn now_ms(&self) -> u64 {
        self.hub.clock().now().wall_ms
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Under which name the log remembers something; `None` where it is too long, which no checked name is.
fn state(parts: &[&str]) -> Option<StateName> {
    StateName::parse(&parts.join("/"))
}

fn json(value: &impl Serialize) -> Json {
    // Cannot fail: strings, numbers, and JSON as it is.
    Json::trusted(serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned()))
}

fn nothing() -> Json {
    Json::trusted(Value::Null.to_string())
}
