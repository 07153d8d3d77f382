//! The orderly end: streams are told, requests finished, what must be kept is written.

use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use jiff::Timestamp;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

use crate::http::state::State;
use crate::telemetry::audit::{Action, Event};
use crate::trace;

/// How often it is looked whether the streams have gone.
const LOOKS_EVERY: Duration = Duration::from_millis(10);
/// Of the time for the whole drain, this much is kept for what comes after the streams.
const KEPT_BACK: Duration = Duration::from_secs(3);
/// And of that, this much for what comes after the requests.
const KEPT_TO_THE_LAST: Duration = Duration::from_millis(1500);
/// How long it may take until what was summed up is kept.
const AGGREGATES_WITHIN: Duration = Duration::from_millis(500);
/// How long the store may take to be written and closed.
const STORE_WITHIN: Duration = Duration::from_secs(1);
/// How long the last spans may take to be sent.
const TRACES_WITHIN: Duration = Duration::from_secs(1);
/// How long the audit trail may take to be written.
const AUDIT_WITHIN: Duration = Duration::from_secs(1);

/// Ends everything, in `http.drain_timeout` at most.
pub async fn drain(state: &Data<State>, server: ServerHandle, health: Option<ServerHandle>) {
    let began = Instant::now();
    let limit = state.settings.load().http.drain_timeout;
    log::info!(
        "stopping: {} streams are told to come back",
        state.hub.streams()
    );
    state.stage.drain();
    state.sources.stop();
    state.rules.stop();
    state.hub.drain();
    let streams = limit.saturating_sub(KEPT_BACK).max(limit / 2);
    if timeout(streams, gone(state)).await.is_err() {
        log::warn!("{} streams did not end in time", state.hub.streams());
    }
    let rest = limit.saturating_sub(began.elapsed());
    let requests = rest.saturating_sub(KEPT_TO_THE_LAST).max(rest / 2);
    if timeout(requests, server.stop(true)).await.is_err() {
        log::warn!("some requests did not end in time");
    }
    // Before the store, which keeps what was counted.
    if timeout(AGGREGATES_WITHIN, state.aggregates.stop())
        .await
        .is_err()
    {
        log::warn!("what was summed up was not written to its end");
    }
    // Beside what follows, which is in no trace.
    let traces = spawn_blocking(|| trace::stop(TRACES_WITHIN));
    state
        .audit
        .record(Event::new(Action::Stop, Timestamp::now()));
    // Before the store, which keeps the trail too.
    if !state.audit.close(AUDIT_WITHIN) {
        log::warn!("the audit trail was not written to its end");
    }
    if timeout(STORE_WITHIN, state.hub.close_store())
        .await
        .is_err()
    {
        log::warn!("the store was not closed in time; the next start reads what is there");
    }
    // To the last: whoever asks is told that it goes.
    if let Some(health) = health {
        health.stop(false).await;
    }
    // It has a limit of its own, and cannot panic but in the SDK.
    let _ = traces.await;
    log::info!("stopped");
}

async fn gone(state: &State) {
    while state.hub.streams() > 0 {
        sleep(LOOKS_EVERY).await;
    }
}
