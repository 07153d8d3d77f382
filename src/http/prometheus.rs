//! `GET /metrics`, for Prometheus: to this machine only, or to whoever shows the token.

use std::net::IpAddr;
use std::time::Duration;

use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use actix_web::http::uri::Authority;
use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::access::record_denied;
use super::health;
use super::origin;
use super::reply::{Code, Problem};
use super::state::State;
use crate::aggregate::AggregateState;
use crate::auth::{self, Credential, Endpoint, Source, credential, www_authenticate};
use crate::broker::redis::Health;
use crate::config;
use crate::rules;
use crate::source::SourceState;
use crate::telemetry::aggregates::{AggregateSnapshot, AggregatesSnapshot};
use crate::telemetry::alerting::AlertingSnapshot;
use crate::telemetry::process::Process;
use crate::telemetry::prometheus::{
    self, RedisSnapshot, ScribeSnapshot, Snapshot, SourceSnapshot, StoreSnapshot, TlsSnapshot,
};
use crate::telemetry::standing::{KeysFetched, Standing};
use crate::trace;

/// What proxies add. A request that has one of them came from somewhere else, whoever the peer is.
const FORWARDING: [&str; 6] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
];

/// `GET /metrics`; where it is switched off there is no such path.
pub(super) async fn metrics(
    req: HttpRequest,
    state: web::Data<State>,
) -> Result<HttpResponse, Problem> {
    check(&req, &state.settings.load().prometheus).inspect_err(|problem| {
        if problem.code() != Code::NotFound {
            record_denied(&req, &state, None, problem);
        }
    })?;
    let snapshot = snapshot(&state).await?;
    let text = prometheus::render(snapshot).map_err(Problem::internal)?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, prometheus::CONTENT_TYPE))
        .body(text))
}

fn check(req: &HttpRequest, settings: &config::Prometheus) -> Result<(), Problem> {
    if !settings.enabled {
        return Err(Problem::not_found());
    }
    let Some(token) = &settings.token else {
        return match is_local(req) {
            true => Ok(()),
            false => Err(Problem::forbidden(
                "Metrics are shown to this machine only, unless prometheus.token is set",
            )),
        };
    };
    match credential::find(req, Endpoint::Plain) {
        Some(Credential::Jwt {
            text,
            source: Source::Header,
        }) if is_same(&text, token) => Ok(()),
        Some(_) => Err(Problem::unauthenticated(www_authenticate(
            auth::Problem::Invalid,
        ))),
        None => Err(Problem::unauthenticated(www_authenticate(
            auth::Problem::Missing,
        ))),
    }
}

/// By the socket's own peer: trusted proxies have no say here. A page may make its name lead to this
/// machine (DNS rebinding), so a browser here does not count that asks by a name.
fn is_local(req: &HttpRequest) -> bool {
    let peer = req.peer_addr().map(|peer| peer.ip().to_canonical());
    peer.is_some_and(|ip| ip.is_loopback())
        && !is_forwarded(req.headers())
        && is_no_name(origin::host(req))
}

/// An address, `localhost`, or nothing, which is all that a program of HTTP/1.0 says.
fn is_no_name(host: &str) -> bool {
    let authority = host.parse::<Authority>();
    let host = authority.as_ref().map_or(host, Authority::host);
    let address = host.trim_matches(['[', ']']).parse::<IpAddr>();
    host.is_empty() || host.eq_ignore_ascii_case("localhost") || address.is_ok()
}

fn is_forwarded(headers: &HeaderMap) -> bool {
    FORWARDING.iter().any(|name| headers.contains_key(*name))
}

/// Hashed first, so that the time a comparison takes tells nothing about the token.
fn is_same(given: &str, token: &str) -> bool {
    Sha256::digest(given) == Sha256::digest(token)
}

async fn snapshot(state: &State) -> Result<Snapshot, Problem> {
    let overview = state.hub.overview().await?;
    let statistics = overview.statistics;
    let audit = state.audit.state();
    Ok(Snapshot {
        uptime: overview.uptime,
        process: web::block(Process::read).await.ok().flatten(),
        standing: standing(state),
        requests: state.routed.requests.answered(),
        connections_sse: statistics.sse.total as u64,
        connections_websocket: statistics.websocket.total as u64,
        sessions_away: statistics.away as u64,
        published: statistics.tally.published,
        delivered: overview.delivered,
        dropped: statistics.tally.dropped,
        backlog_messages: statistics.buffered,
        history_bytes: statistics.history_bytes as u64,
        delivery_latency: overview.latency,
        resumes_attempted: statistics.tally.resumes_attempted,
        resumes_succeeded: statistics.tally.resumes_succeeded,
        hub_mailbox_messages: overview.waiting as u64,
        delivery_lag: state.hub.lag(),
        totals: state.counters.totals(),
        tls: state.tls.as_ref().map(|endpoint| TlsSnapshot {
            not_after_seconds: endpoint.certificate.not_after().as_second(),
            handshake_failures: endpoint.failed_handshakes(),
        }),
        store: state.hub.store().map(|store| StoreSnapshot {
            commits: store.commits,
            batches: store.batches,
            failures: store.failures,
            lag: state.hub.store_lag(),
            waiting_bytes: (store.waiting_bytes + store.audit.waiting_bytes) as u64,
            audit_written: store.audit.written,
            audit_lost: store.audit.lost + audit.not_kept,
            audit_newest: store.audit.newest.map(|newest| newest.id as u64),
        }),
        redis: state.hub.shared_log().map(|log| redis(&log.health())),
        scribe: state.hub.scribe().map(|scribe| ScribeSnapshot {
            is_writing: scribe.is_writing,
            has_failed: scribe.last_error.is_some(),
            entries: scribe.entries,
            gaps: scribe.gaps,
        }),
        audit,
        alerting: alerting(&state.rules.health()),
        sources: sources(state.sources.states(), Timestamp::now()),
        aggregates: aggregates(state),
        spans: trace::totals(),
    })
}

fn standing(state: &State) -> Standing {
    let keys = state.authenticator.key_state();
    Standing {
        is_degraded: health::is_degraded(state),
        connections_max: state.settings.load().sessions.connections_max as u64,
        keys: keys.keys as u64,
        keys_fetched: keys.fetched.map(|fetched| KeysFetched {
            failures: fetched.failures,
            last_success_age: fetched.age,
            age_max: fetched.age_max,
        }),
        has_reloaded: state.last_reload.has_succeeded(),
        reloaded_at: state.last_reload.succeeded_at(),
    }
}

fn redis(health: &Health) -> RedisSnapshot {
    RedisSnapshot {
        is_up: health.server.is_some(),
        lag: Duration::from_millis(health.lag_ms()),
        behind: health.behind,
        batches: health.batches,
        calls: health.calls,
        failures: health.failures,
        disconnects: health.disconnects,
        epochs: health.epochs,
    }
}

fn aggregates(state: &State) -> AggregatesSnapshot {
    let totals = state.aggregates.totals();
    let one = |one: AggregateState| AggregateSnapshot {
        lag: one.lag(),
        metric: one.metric,
        counted: one.counted,
        late: one.late,
        ahead: one.ahead,
        without_value: one.without_value,
        ungrouped: one.ungrouped,
        results: one.results,
        failures: one.failures,
    };
    AggregatesSnapshot {
        events: totals.events,
        refused: totals.refused,
        unused: totals.unused,
        skipped: totals.skipped,
        waiting: totals.waiting,
        each: state.aggregates.states().into_iter().map(one).collect(),
    }
}

fn alerting(health: &rules::Health) -> AlertingSnapshot {
    let firing = health.firing.iter();
    AlertingSnapshot {
        rules: health.rules as u64,
        lives: health.lives as u64,
        lives_max: health.lives_max as u64,
        pending: health.pending as u64,
        firing: firing.map(|(it, count)| (*it, *count as u64)).collect(),
        silences: health.silences as u64,
        evaluations: health.counts.evaluations,
        evaluation_errors: health.counts.errors,
        is_acting: health.is_acting,
        notifications_pending: health.notifications_pending as u64,
        notifications_dead: health.notifications_dead as u64,
        delivered: health.delivered,
        failed: health.failed,
        died: health.died,
        left_out: health.left_out,
    }
}

fn sources(states: Vec<SourceState>, now: Timestamp) -> Vec<SourceSnapshot> {
    let snapshot = |source: SourceState| SourceSnapshot {
        metric: source.metric,
        polls: source.polls,
        failures: source.failures,
        last_duration: Duration::from_millis(source.duration_ms.unwrap_or(0)),
        // A clock that went back makes a success in the future, which is as fresh as can be.
        last_success_age: source
            .last_success
            .map(|at| Duration::try_from(now.duration_since(at)).unwrap_or_default()),
    };
    states.into_iter().map(snapshot).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    /// Attack: reading the numbers from elsewhere, through a proxy or a browser on this machine.
    #[test]
    fn only_this_machine_or_the_token_may_scrape() {
        let verdict = |enabled, token: Option<&str>, peer: &str, headers: &[(&str, &str)]| {
            let mut req = TestRequest::default().peer_addr(peer.parse().unwrap());
            for header in headers {
                req = req.append_header(*header);
            }
            let token = token.map(str::to_owned);
            let settings = config::Prometheus { enabled, token };
            let verdict = check(&req.to_http_request(), &settings);
            verdict.map_or_else(|problem| problem.code().as_str(), |()| "ok")
        };
        let (near, far) = ("127.0.0.1:9", "192.0.2.1:9");
        assert_eq!(verdict(false, None, near, &[]), "not_found");
        assert_eq!(verdict(true, None, near, &[]), "ok");
        assert_eq!(verdict(true, None, "[::ffff:127.0.0.1]:9", &[]), "ok");
        assert_eq!(verdict(true, None, far, &[]), "forbidden");
        for name in FORWARDING {
            let claim = [(name, "127.0.0.1")];
            assert_eq!(verdict(true, None, near, &claim), "forbidden", "{name}");
            assert_eq!(verdict(true, None, far, &claim), "forbidden", "{name}");
        }
        // Attack: DNS rebinding, a page of a browser on this machine.
        for (host, expected) in [
            ("127.0.0.1:3001", "ok"),
            ("[::1]:3001", "ok"),
            ("LOCALHOST", "ok"),
            ("localhost:3001", "ok"),
            ("evil.example:3001", "forbidden"),
            ("127.0.0.1.evil.example", "forbidden"),
            ("localhost.evil.example", "forbidden"),
            ("a b", "forbidden"),
        ] {
            assert_eq!(
                verdict(true, None, near, &[("host", host)]),
                expected,
                "{host}"
            );
        }
        let token = Some("s3cret");
        assert_eq!(verdict(true, token, near, &[]), "unauthenticated");
        for (given, expected) in [
            ("Bearer s3cret", "ok"),
            ("Bearer s3cre", "unauthenticated"),
            ("Basic s3cret", "unauthenticated"),
        ] {
            let given = [("authorization", given)];
            assert_eq!(verdict(true, token, far, &given), expected, "{given:?}");
        }
        let cookie = [("cookie", "access_token=s3cret")];
        assert_eq!(verdict(true, token, far, &cookie), "unauthenticated");
    }
}
