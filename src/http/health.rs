//! Whether the process lives, whether to send it clients, and what ails it.

use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::access;
use super::openapi::answers::HealthChecks;
use super::reply::{self, Problem};
use super::state::{self, State};
use crate::aggregate::AggregateState;
use crate::auth::KeyState;
use crate::source::SourceState;
use crate::telemetry::audit::AuditState;
use crate::transport::descriptors::Descriptors;
use crate::wire::hex::Hex;
use crate::wire::message::timestamp;

/// Above it new clients are better off elsewhere. Publishers wait and are refused before it comes to that.
const LAG_MAX: Duration = Duration::from_secs(10);
const LATE_RETRY_AFTER: Duration = Duration::from_secs(5);
/// Starting takes no longer than this as a rule.
const START_RETRY_AFTER: Duration = Duration::from_secs(1);

/// `/health/live`: for as long as it answers. A supervisor that restarts whatever is not live must
/// not do so because it drains, or because a database is away.
pub(super) async fn live(req: HttpRequest, state: web::Data<State>) -> HttpResponse {
    report(&req, &state).await
}

/// `/api/health` and `/health/ready`.
pub(super) async fn ready(
    req: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    if state.stage.is_draining() {
        return Err(state::draining());
    }
    if !state.stage.is_running() {
        return Err(Problem::unavailable(
            "The hub is starting",
            START_RETRY_AFTER,
        ));
    }
    check_lag(state.hub.lag())?;
    Ok(report(&req, &state).await)
}

fn check_lag(lag: Duration) -> Result<(), Problem> {
    if lag <= LAG_MAX {
        return Ok(());
    }
    let seconds = lag.as_secs();
    let text = format!("Messages do not come through: one is on its way for {seconds} s");
    Err(Problem::unavailable(text, LATE_RETRY_AFTER))
}

async fn report(req: &HttpRequest, state: &State) -> HttpResponse {
    let (keys, audit) = (state.authenticator.key_state(), state.audit.state());
    let sources = state.sources.states();
    let mut ails = something_ails(state, &keys, &audit, &sources);
    // Strangers learn that something ails, not what; nor can they make the hub count its sessions.
    let checks = match access::is_admin(req, state).await {
        true => Some(checks(state, &keys, &audit, &sources, &mut ails).await),
        false => None,
    };
    reply::ok(Report {
        status: if ails { "degraded" } else { "healthy" },
        version: env!("CARGO_PKG_VERSION"),
        uptime_seconds: state.uptime().as_secs(),
        checks,
    })
}

/// What [`report`] says, to whoever has seen that the hub itself answers.
pub(super) fn is_degraded(state: &State) -> bool {
    let (keys, audit) = (state.authenticator.key_state(), state.audit.state());
    something_ails(state, &keys, &audit, &state.sources.states())
}

fn something_ails(
    state: &State,
    keys: &KeyState,
    audit: &AuditState,
    sources: &[SourceState],
) -> bool {
    let store = state.hub.store();
    let log = state.hub.shared_log().map(|log| log.health());
    let tls = state.tls.as_ref();
    !are_good(keys)
        || tls.is_some_and(|tls| tls.certificate.ails(Timestamp::now()).is_some())
        || state.hub.lag() > LAG_MAX
        || state.hub.store_lag() > LAG_MAX
        || audit.last_error.is_some()
        || sources.iter().any(is_ailing)
        || state.aggregates.states().iter().any(AggregateState::ails)
        || state.aggregates.totals().skipped > 0
        || state.rules.health().ails().is_some()
        || log.is_some_and(|log| log.ails().is_some())
        || state.hub.scribe().is_some_and(|it| it.last_error.is_some())
        || store.is_some_and(|store| store.last_error.is_some() || store.audit.last_error.is_some())
}

/// How the hub is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Health)]
pub(super) struct Report {
    /// `healthy`, or `degraded` where something ails and the hub goes on.
    status: &'static str,
    version: &'static str,
    uptime_seconds: u64,
    /// With a good token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = HealthChecks)]
    checks: Option<Value>,
}

fn are_good(keys: &KeyState) -> bool {
    keys.keys > 0 && keys.last_error.is_none()
}

/// Its last error also stays when it has recovered.
fn is_ailing(source: &SourceState) -> bool {
    source.stale || !source.elsewhere && source.last_error_at > source.last_success
}

async fn checks(
    state: &State,
    keys: &KeyState,
    audit: &AuditState,
    sources: &[SourceState],
    ails: &mut bool,
) -> Value {
    let overview = state.hub.overview().await;
    *ails |= overview.is_err();
    let limits = &state.settings.load().history;
    let (hub, history) = match &overview {
        Err(error) => (
            json!({"ok": false, "lastError": error.to_string()}),
            Value::Null,
        ),
        Ok(overview) => (
            json!({
                "ok": true,
                "connections": overview.statistics.sse.total + overview.statistics.websocket.total,
                "sessions": overview.statistics.sessions,
                "waiting": overview.waiting,
                "lagMs": state.hub.lag().as_millis() as u64,
            }),
            json!({
                "bytes": overview.statistics.history_bytes,
                "bytesMax": limits.bytes_max,
                "metrics": overview.statistics.metrics,
                "metricsMax": limits.metrics_max,
            }),
        ),
    };
    json!({
        "hub": hub,
        "history": history,
        "openFiles": open_files(state),
        "keys": {
            "ok": are_good(keys),
            "source": keys.source,
            "keys": keys.keys,
            "lastRefresh": keys.last_refresh_ms.map(timestamp),
            "lastError": keys.last_error,
        },
        "audit": {
            "ok": audit.last_error.is_none(),
            "written": audit.written,
            "lost": audit.lost,
            "errors": audit.errors,
            "lastError": audit.last_error,
            "store": audit_in_store(state, audit),
        },
        "tls": tls(state),
        "store": store(state),
        "redis": redis(state),
        "scribe": scribe(state),
        "rules": rules(state),
        "sources": sources,
        "events": state.aggregates.totals(),
        "aggregates": state.aggregates.states(),
    })
}

/// Whether there are descriptors for all connections that are allowed. No reason to be degraded: most hubs
/// never have as many.
fn open_files(state: &State) -> Value {
    let settings = state.settings.load();
    Descriptors::of(&settings).map_or(Value::Null, |descriptors| {
        json!({
            "ok": descriptors.suffice_for_streams(&settings),
            "max": descriptors.max,
            "forSockets": descriptors.for_sockets,
            "connectionsMax": settings.sessions.connections_max,
            "socketsMax": settings.http.sockets_max,
        })
    })
}

/// `null` where clients come over plain HTTP.
fn tls(state: &State) -> Value {
    state.tls.as_ref().map_or(Value::Null, |endpoint| {
        let ails = endpoint.certificate.ails(Timestamp::now());
        json!({
            "ok": ails.is_none(),
            "notAfter": endpoint.certificate.not_after(),
            "failedHandshakes": endpoint.failed_handshakes(),
            "lastError": ails,
        })
    })
}

/// `null` where it is not kept there.
fn audit_in_store(state: &State, audit: &AuditState) -> Value {
    let is_kept = state.settings.load().audit.enabled;
    match state.hub.store().filter(|_| is_kept) {
        None => Value::Null,
        Some(store) => json!({
            "ok": store.audit.last_error.is_none(),
            "written": store.audit.written,
            "lost": store.audit.lost + audit.not_kept,
            "newest": store.audit.newest.map(|newest| json!({
                "id": newest.id,
                "hash": Hex(&newest.hash).to_string(),
            })),
            "lastError": store.audit.last_error,
        }),
    }
}

/// `null` where several hubs have no database in common.
fn scribe(state: &State) -> Value {
    state.hub.scribe().map_or(Value::Null, |scribe| {
        json!({
            "ok": scribe.last_error.is_none(),
            "isWriting": scribe.is_writing,
            "writtenTo": scribe.written_to.to_string(),
            "entries": scribe.entries,
            "gaps": scribe.gaps,
            "lastError": scribe.last_error,
        })
    })
}

fn rules(state: &State) -> Value {
    let health = state.rules.health();
    let firing: usize = health.firing.iter().map(|(_, count)| count).sum();
    json!({
        "ok": health.ails().is_none(),
        "rules": health.rules,
        "pending": health.pending,
        "firing": firing,
        "lives": health.lives,
        "livesMax": health.lives_max,
        "failing": health.failing,
        "isActing": health.is_acting,
        "notificationsPending": health.notifications_pending,
        "notificationsDead": health.notifications_dead,
        "lastError": health.ails(),
    })
}

/// `null` where this hub stands alone.
fn redis(state: &State) -> Value {
    let Some(log) = state.hub.shared_log() else {
        return Value::Null;
    };
    let health = log.health();
    json!({
        "ok": health.ails().is_none(),
        "node": log.node(),
        "server": health.server,
        "epoch": health.epoch,
        "epochs": health.epochs,
        "disconnects": health.disconnects,
        "batches": health.batches,
        "calls": health.calls,
        "failures": health.failures,
        "read": health.read.to_string(),
        "newest": health.newest.to_string(),
        "lagMs": health.lag_ms(),
        "behind": health.behind,
        "lastError": health.ails(),
    })
}

fn store(state: &State) -> Value {
    match state.hub.store() {
        None => json!({"ok": true, "durability": "memory"}),
        Some(health) => json!({
            "ok": health.last_error.is_none() && state.hub.store_lag() <= LAG_MAX,
            "durability": state.settings.load().store.durability,
            "commits": health.commits,
            "batches": health.batches,
            "failures": health.failures,
            "waitingBytes": health.waiting_bytes,
            "lagMs": state.hub.store_lag().as_millis() as u64,
            "lastError": health.last_error,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::pattern::MetricName;

    #[test]
    fn a_source_ails_while_its_last_read_failed_or_its_value_is_old() {
        let check = |success: Option<i64>, error: Option<i64>, stale, expected| {
            let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
            let source = SourceState {
                metric: MetricName::parse("a").unwrap(),
                kind: "host",
                last_success: success.map(at),
                last_error: error.map(|_| "down".to_owned()),
                last_error_at: error.map(at),
                duration_ms: None,
                polls: 0,
                failures: 0,
                skipped: 0,
                stale,
                connected: None,
                rows: None,
                rows_aside: None,
                elsewhere: false,
            };
            assert_eq!(is_ailing(&source), expected, "{source:?}");
        };
        check(None, None, false, false);
        check(Some(1), None, false, false);
        check(None, Some(1), false, true);
        check(Some(1), Some(2), false, true);
        check(Some(2), Some(1), false, false);
        check(Some(2), None, true, true);
    }

    #[test]
    fn a_hub_whose_messages_do_not_come_through_is_not_ready() {
        assert!(check_lag(LAG_MAX).is_ok());
        let late = check_lag(LAG_MAX + Duration::from_secs(2)).unwrap_err();
        assert_eq!(late.code(), reply::Code::Unavailable);
    }
}
