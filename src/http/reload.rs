//! `POST reload`: the settings are read again, as on SIGHUP. Who can do that is not in this room, so the
//! wish is passed on.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use utoipa::ToSchema;

use super::access::{Admin, outcome};
use super::body::OptionalJsonBody;
use super::reply::{self, Problem};
use super::state::{COME_BACK_AFTER, State, now_ms};
use crate::telemetry::audit::{Action, Event};

/// How the settings were last read. The start counts as a success.
#[derive(Debug)]
pub struct LastReload {
    has_failed: AtomicBool,
    succeeded_at_ms: AtomicU64,
}

impl Default for LastReload {
    fn default() -> Self {
        Self {
            has_failed: AtomicBool::new(false),
            succeeded_at_ms: AtomicU64::new(now_ms()),
        }
    }
}

impl LastReload {
    pub fn record(&self, succeeded: bool) {
        self.has_failed.store(!succeeded, Ordering::Relaxed);
        if succeeded {
            self.succeeded_at_ms.store(now_ms(), Ordering::Relaxed);
        }
    }

    pub fn has_succeeded(&self) -> bool {
        !self.has_failed.load(Ordering::Relaxed)
    }

    /// When one last did, since the Unix epoch.
    pub fn succeeded_at(&self) -> Duration {
        Duration::from_millis(self.succeeded_at_ms.load(Ordering::Relaxed))
    }
}

/// More than one waits its turn; of a crowd most would read the same file again.
const WAITING_MAX: usize = 4;

/// What reading the settings again has changed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Reloaded {
    /// Keys whose new value holds from now on.
    pub applied: Vec<String>,
    /// Keys whose new value is not taken over before a restart.
    pub needs_restart: Vec<String>,
    /// Keys whose new value in the file does not count, each with what goes over it: a variable of the environment
    /// or a flag.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overridden: Vec<String>,
}

/// Somebody's wish that the settings be read again. Without an answer the hub is stopping.
pub type Wish = oneshot::Sender<Result<Reloaded, String>>;

/// The way to whoever reads the settings.
pub type Reloads = mpsc::Sender<Wish>;

/// That way, and its end.
pub fn reloads() -> (Reloads, mpsc::Receiver<Wish>) {
    mpsc::channel(WAITING_MAX)
}

/// `POST reload`. With anything wrong in the settings all stays as it was, and the answer is 400.
pub(super) async fn reload(
    state: web::Data<State>,
    Admin(caller): Admin,
    body: Result<OptionalJsonBody<Nothing>, Problem>,
) -> Result<HttpResponse, Problem> {
    let done = match body.and_then(|_| state.check_audited()) {
        Ok(()) => reloaded(&state.reloads).await,
        Err(problem) => Err(problem),
    };
    state.audit.record(Event {
        outcome: outcome(&done),
        details: done.as_ref().ok().map(|done| json!(done)),
        ..caller.event(Action::Reload)
    });
    Ok(reply::ok(json!(done?)))
}

/// An empty object, or no body at all.
#[derive(serde::Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

async fn reloaded(reloads: &Reloads) -> Result<Reloaded, Problem> {
    let stopping = || Problem::unavailable("The hub is stopping", COME_BACK_AFTER);
    let (wish, answer) = oneshot::channel();
    reloads.send(wish).await.map_err(|_| stopping())?;
    match answer.await {
        Ok(done) => done
            .map_err(|error| Problem::invalid(format!("The settings stay as they were: {error}"))),
        Err(_) => Err(stopping()),
    }
}
