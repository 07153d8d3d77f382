//! What all handlers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use actix_web::{HttpRequest, web};
use arc_swap::ArcSwap;
use jiff::Timestamp;

use super::failed_resumes::FailedResumes;
use super::limit::Rates;
use super::openapi::Document;
use super::reload::{LastReload, Reloads};
use super::reply::Problem;
use super::routed::Routed;
use super::turns::Handfuls;
use crate::aggregate::Aggregates;
use crate::auth::{Authenticator, Tickets};
use crate::config::Settings;
use crate::hub::HubHandle;
use crate::rules::Rules;
use crate::source::Sources;
use crate::telemetry::audit::Audit;
use crate::telemetry::counters::Counters;
use crate::telemetry::throttle::Throttle;
use crate::transport::commands::Services;
use crate::transport::tls::Endpoint;

/// Reasons for refused credentials that are written to the log within a minute.
const LOGGED_REFUSALS_PER_MINUTE: u64 = 10;
/// When to come back to a hub that is switched off, or about to be gone.
pub(super) const COME_BACK_AFTER: Duration = Duration::from_secs(5);

/// One for the whole program: every worker's app holds it as `web::Data`.
pub struct State {
    /// Those in force; exchanged as one by [`State::reload`].
    pub settings: ArcSwap<Settings>,
    pub hub: HubHandle,
    pub authenticator: Authenticator,
    pub tickets: Tickets,
    pub rates: ArcSwap<Rates>,
    /// Of the rates that all hubs allow together.
    pub handfuls: Handfuls,
    pub failed_resumes: FailedResumes,
    pub audit: Audit,
    pub counters: Arc<Counters>,
    /// For log lines that a stranger can cause.
    pub throttle: Throttle,
    pub sources: Sources,
    pub aggregates: Aggregates,
    pub rules: Rules,
    /// What WebSocket connections need.
    pub services: Arc<Services>,
    pub stage: Stage,
    /// `None`: clients come over plain HTTP.
    pub tls: Option<Arc<Endpoint>>,
    /// For who wants the settings read again.
    pub reloads: Reloads,
    pub last_reload: LastReload,
    pub(super) routed: Routed,
    pub document: Document,
    started: Instant,
}

/// What is at work when the interface begins.
pub struct Parts {
    pub hub: HubHandle,
    pub sources: Sources,
    pub aggregates: Aggregates,
    pub rules: Rules,
}

impl State {
    pub fn new(
        settings: Arc<Settings>,
        parts: Parts,
        authenticator: Authenticator,
        audit: Audit,
        tls: Option<Arc<Endpoint>>,
        reloads: Reloads,
    ) -> Self {
        let Parts {
            hub,
            sources,
            aggregates,
            rules,
        } = parts;
        let counters = Arc::<Counters>::default();
        let services = Services {
            hub: hub.clone(),
            authenticator: authenticator.clone(),
            audit: audit.clone(),
            counters: counters.clone(),
        };
        Self {
            hub,
            authenticator,
            services: Arc::new(services),
            tickets: Tickets::new(settings.auth.ticket_ttl),
            handfuls: Handfuls::default(),
            rates: ArcSwap::from_pointee(Rates::new(&settings.limits)),
            failed_resumes: FailedResumes::new(settings.limits.failed_resumes_per_minute),
            audit,
            counters,
            throttle: Throttle::new(LOGGED_REFUSALS_PER_MINUTE),
            sources,
            aggregates,
            rules,
            stage: Stage::default(),
            tls,
            reloads,
            last_reload: LastReload::default(),
            routed: Routed::of(super::routes::all(&settings.websocket.path)),
            document: Document::new(&settings.websocket.path),
            started: Instant::now(),
            settings: ArcSwap::new(settings),
        }
    }

    /// Takes over `settings` for this room: the hub, the authenticator and the sources have reloads
    /// of their own. Rate limits begin anew only where they differ.
    pub fn reload(&self, settings: Arc<Settings>) {
        let limits = &settings.limits;
        if *limits != self.settings.load().limits {
            self.rates.store(Arc::new(Rates::new(limits)));
            self.failed_resumes.allow(limits.failed_resumes_per_minute);
        }
        self.tickets.set_ttl(settings.auth.ticket_ttl);
        self.settings.store(settings);
    }

    /// The wall clock, in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        now_ms()
    }

    /// Time since the start.
    pub fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// For whatever needs the hub to be at work: publishing, subscribing, streams.
    ///
    /// # Errors
    /// 503 when real-time delivery is switched off, or the hub is stopping.
    pub fn check_open(&self) -> Result<(), Problem> {
        if !self.settings.load().realtime.enabled {
            let text = "Real-time delivery is switched off here";
            return Err(Problem::unavailable(text, COME_BACK_AFTER));
        }
        match self.stage.is_draining() {
            true => Err(draining()),
            false => Ok(()),
        }
    }

    /// For what operators do to others, where nothing may be done that leaves no trace.
    ///
    /// # Errors
    /// 503 while the audit trail is required and cannot be written.
    pub fn check_audited(&self) -> Result<(), Problem> {
        let required = self.settings.load().audit.required;
        if required && self.audit.state().last_error.is_some() {
            let text = "The audit trail cannot be written, and nothing is done here without it";
            return Err(Problem::unavailable(text, COME_BACK_AFTER));
        }
        Ok(())
    }

    /// What the app was given as its data.
    ///
    /// # Errors
    /// 500 where it was given none, which is a mistake in building the app.
    pub(super) fn of(req: &HttpRequest) -> Result<&web::Data<Self>, Problem> {
        let missing = || Problem::internal("the state is not in the app's data");
        req.app_data::<web::Data<Self>>().ok_or_else(missing)
    }
}

/// [`State::now_ms`] for who has no state.
pub(super) fn now_ms() -> u64 {
    u64::try_from(Timestamp::now().as_millisecond()).unwrap_or(0)
}

/// 503 for a hub that is stopping.
pub(super) fn draining() -> Problem {
    Problem::unavailable("The hub is shutting down", COME_BACK_AFTER)
}

/// How far the program has come: starting, running, draining. It only ever goes on.
#[derive(Debug, Default)]
pub struct Stage(AtomicU8);

impl Stage {
    const RUNNING: u8 = 1;
    const DRAINING: u8 = 2;

    /// Everything is up.
    pub fn run(&self) {
        self.0.fetch_max(Self::RUNNING, Ordering::Relaxed);
    }

    /// The end has begun.
    pub fn drain(&self) {
        self.0.fetch_max(Self::DRAINING, Ordering::Relaxed);
    }

    pub fn is_running(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::RUNNING
    }

    pub fn is_draining(&self) -> bool {
        self.0.load(Ordering::Relaxed) == Self::DRAINING
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_never_goes_back() {
        let stage = Stage::default();
        assert!(!stage.is_running() && !stage.is_draining());
        stage.run();
        assert!(stage.is_running());
        stage.drain();
        stage.run();
        assert!(!stage.is_running() && stage.is_draining());
    }
}
