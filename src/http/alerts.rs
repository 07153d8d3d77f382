//! `GET alerts`, `POST alerts/{id}/acknowledge` and `POST alerts/{id}/resolve`: who has seen to what.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::access::{Admin, Caller, outcome};
use super::body::{OptionalJsonBody, QueryOf, WhenOpen};
use super::history::{Asked, Cursor, invalid, limit, reader};
use super::openapi::{answers::AlertShown, schemas};
use super::publish::invalid_at;
use super::reply::{self, Problem};
use super::state::State;
use crate::domain::alert::{AlertState, Severity, Transition};
use crate::domain::message::{Json, MessageId};
use crate::hub::Error;
use crate::store::{Alert, AlertChange, AlertFilter, AlertStep, AlertWrite, AppendError, Shown};
use crate::telemetry::audit::{Action, Event};

/// Longest note, in characters.
pub(super) const NOTE_CHARS_MAX: usize = 1000;
/// How often a change is tried whose alert others change too. It goes on twice in its life.
const ATTEMPTS: usize = 5;
/// How long until the next try: a database that hubs share is written half a second after the log, at most.
const ATTEMPT_PAUSE: Duration = Duration::from_millis(150);

/// Unknown parameters are refused: a misspelt one would show too much.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Page {
    #[param(schema_with = schemas::alert_state)]
    state: Option<String>,
    #[param(schema_with = schemas::severity)]
    severity: Option<String>,
    #[param(schema_with = schemas::page_limit)]
    limit: Option<String>,
    #[param(schema_with = schemas::cursor)]
    cursor: Option<String>,
}

/// `GET alerts`: the newest first.
pub(super) async fn list(
    state: web::Data<State>,
    Admin(caller): Admin,
    page: Result<QueryOf<Page>, Problem>,
) -> Result<HttpResponse, Problem> {
    let mut event = caller.event(Action::ReadAlerts);
    let done = listed(&state, page).await;
    event.outcome = outcome(&done);
    state.audit.record(event);
    done
}

async fn listed(
    state: &State,
    page: Result<QueryOf<Page>, Problem>,
) -> Result<HttpResponse, Problem> {
    let reader = reader(state)?;
    let QueryOf(page) = page?;
    let states = AlertState::ALL.map(AlertState::as_str);
    let of_state = named("state", page.state.as_deref(), AlertState::parse, &states)?;
    let severities = Severity::ALL.map(Severity::as_str);
    let severity = named(
        "severity",
        page.severity.as_deref(),
        Severity::parse,
        &severities,
    )?;
    let limit = limit(page.limit.as_deref())?;
    let asked = Asked::of(&[
        Some("alerts"),
        page.state.as_deref(),
        page.severity.as_deref(),
    ]);
    let cursor = page.cursor.as_deref();
    let cursor = cursor.map(|text| Cursor::read(text, asked)).transpose()?;
    let filter = AlertFilter {
        state: of_state,
        severity,
        before: cursor.map(|cursor| cursor.0),
    };
    // One more tells whether there are more.
    let mut alerts = reader.alerts(filter, limit + 1).await?;
    let has_more = alerts.len() > limit;
    alerts.truncate(limit);
    let next = alerts.last().filter(|_| has_more);
    let next = next.map(|alert| Cursor(alert.id).write(asked));
    let shown: Result<Vec<_>, _> = alerts.iter().map(Alert::shown).collect();
    Ok(reply::ok(Listed {
        alerts: shown.map_err(Problem::internal)?,
        next_cursor: next,
    }))
}

fn named<T>(
    name: &str,
    text: Option<&str>,
    parse: impl Fn(&str) -> Option<T>,
    all: &[&str],
) -> Result<Option<T>, Problem> {
    let wanted = || invalid(name, format_args!("one of {} is wanted", all.join(", ")));
    text.map(|text| parse(text).ok_or_else(wanted)).transpose()
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AlertPage)]
pub(super) struct Listed {
    #[schema(value_type = Vec<AlertShown>)]
    alerts: Vec<Shown>,
    /// `null`: there are no more.
    #[schema(required)]
    next_cursor: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Note)]
pub(super) struct Noted {
    #[schema(schema_with = schemas::note)]
    note: Option<String>,
}

type NotedBody = WhenOpen<OptionalJsonBody<Noted>>;

/// `POST alerts/{id}/acknowledge`: somebody has seen it.
pub(super) async fn acknowledge(
    state: web::Data<State>,
    Admin(caller): Admin,
    id: web::Path<String>,
    body: NotedBody,
) -> Result<HttpResponse, Problem> {
    go_on(&state, &caller, AlertState::Acknowledged, &id, body).await
}

/// `POST alerts/{id}/resolve`: it is over.
pub(super) async fn resolve(
    state: web::Data<State>,
    Admin(caller): Admin,
    id: web::Path<String>,
    body: NotedBody,
) -> Result<HttpResponse, Problem> {
    go_on(&state, &caller, AlertState::Resolved, &id, body).await
}

async fn go_on(
    state: &State,
    caller: &Caller,
    to: AlertState,
    id: &str,
    body: NotedBody,
) -> Result<HttpResponse, Problem> {
    let action = match to {
        AlertState::Resolved => Action::ResolveAlert,
        AlertState::Open | AlertState::Acknowledged => Action::AcknowledgeAlert,
    };
    let mut event = caller.event(action);
    event.target = Some(id.to_owned());
    let done = gone_on(state, caller, to, id, body, &mut event).await;
    event.outcome = outcome(&done);
    state.audit.record(event);
    done
}

/// Where it went, as the answer shows it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = AlertChanged)]
pub(super) struct GoneOn {
    #[schema(value_type = AlertShown)]
    alert: Shown,
    /// The id of the message that tells everybody; `null` where nothing has changed.
    #[schema(schema_with = schemas::message_id_or_null, required)]
    message_id: Option<String>,
}

async fn gone_on(
    state: &State,
    caller: &Caller,
    to: AlertState,
    id: &str,
    body: NotedBody,
    event: &mut Event,
) -> Result<HttpResponse, Problem> {
    let reader = reader(state)?;
    let OptionalJsonBody(noted) = body.0?;
    let note = note(noted)?;
    let unknown = || Problem::not_found().saying("There is no such alert");
    let id = MessageId::parse(id).ok_or_else(unknown)?;
    state.check_audited()?;
    for _ in 0..ATTEMPTS {
        let mut alert = reader.alert(id).await?.ok_or_else(unknown)?;
        let message_id = match alert.state.towards(to) {
            Transition::Nothing => None,
            Transition::Refused => {
                let text =
                    "This alert is resolved already, and is not opened again by acknowledging it";
                return Err(Problem::invalid(text));
            }
            Transition::Change => match change(state, caller, &mut alert, to, &note).await {
                Ok(message_id) => Some(message_id.to_string()),
                // Somebody was quicker: look again.
                Err(Failed::Hub(Error::NotTaken(AppendError::AlertChanged))) => {
                    actix_rt::time::sleep(ATTEMPT_PAUSE).await;
                    continue;
                }
                Err(Failed::Hub(error)) => return Err(error.into()),
                Err(Failed::Json(error)) => return Err(Problem::internal(error)),
            },
        };
        event.details = Some(json!({"messageId": message_id}));
        return Ok(reply::ok(GoneOn {
            alert: alert.shown().map_err(Problem::internal)?,
            message_id,
        }));
    }
    Err(Error::NotTaken(AppendError::AlertChanged).into())
}

fn note(noted: Option<Noted>) -> Result<Option<String>, Problem> {
    let note = noted.and_then(|noted| noted.note);
    let fits = |note: &String| (1..=NOTE_CHARS_MAX).contains(&note.trim().chars().count());
    match note.as_ref().is_none_or(fits) {
        true => Ok(note),
        false => {
            let allowed = format_args!("a note has 1 to {NOTE_CHARS_MAX} characters");
            Err(invalid_at("note", allowed))
        }
    }
}

enum Failed {
    Hub(Error),
    Json(serde_json::Error),
}

/// Writes it down and tells everybody, both or neither.
async fn change(
    state: &State,
    caller: &Caller,
    alert: &mut Alert,
    to: AlertState,
    note: &Option<String>,
) -> Result<MessageId, Failed> {
    let step = AlertStep {
        by: caller.user().clone(),
        at_ms: state.now_ms(),
        note: note.clone(),
    };
    let change = AlertChange {
        id: alert.id,
        from: alert.state,
        to,
        step: step.clone(),
    };
    alert.state = to;
    match to {
        AlertState::Resolved => alert.resolved = Some(step),
        AlertState::Open | AlertState::Acknowledged => alert.acknowledged = Some(step),
    }
    let fields = alert.shown().map_err(Failed::Json)?;
    let (id, step) = (alert.id, change.step.clone());
    // On one line: the publisher's part came so out of the log.
    let data = Json::trusted(serde_json::to_string(&fields).map_err(Failed::Json)?);
    let change = AlertWrite::Change(Box::new(change));
    let told = state.hub.alert(data, change, Vec::new(), &caller.trace);
    let message_id = told.await.map_err(Failed::Hub)?;
    if let Err(error) = state.rules.told(id, to, step).await {
        // It is seen when the rule has something to say about its alert.
        log::warn!("a rule does not know yet what became of its alert {id}: {error}");
    }
    Ok(message_id)
}
