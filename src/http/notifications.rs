//! `notifications`: what webhooks were sent, are yet to be sent, and could not be sent.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::access::{Admin, Caller, outcome};
use super::openapi::{rule_schemas, schemas};
use super::reply::{self, Problem};
use super::state::State;
use crate::rules::{Change, Notice, Status};
use crate::telemetry::audit::{Action, Event};
use crate::wire::message::timestamp;

/// Of each kind.
const SHOWN_MAX: usize = 1000;

/// One notification.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Notification)]
pub(super) struct View {
    /// What the receiver sees as `webhook-id`.
    id: String,
    webhook: String,
    /// `firing`, `repeated`, `acknowledged` or `resolved`.
    event: String,
    /// The rule.
    #[schema(schema_with = rule_schemas::rule_name)]
    alert: String,
    #[schema(schema_with = schemas::metric_name)]
    metric: String,
    /// `pending`, `delivered` or `dead`.
    status: &'static str,
    attempts: u32,
    #[schema(schema_with = schemas::time)]
    created_at: String,
    /// When it is tried next, while it is pending.
    #[schema(schema_with = schemas::time_or_null, required)]
    due_at: Option<String>,
    /// When it was delivered or given up.
    #[schema(schema_with = schemas::time_or_null, required)]
    done_at: Option<String>,
    #[schema(required)]
    last_error: Option<String>,
}

/// The newest first.
#[derive(Serialize, ToSchema)]
#[schema(as = NotificationList)]
pub(super) struct Listed {
    pending: Vec<View>,
    /// Given up; may be tried again or dropped.
    dead: Vec<View>,
    /// Delivered lately.
    recent: Vec<View>,
}

/// Which one it was.
#[derive(Serialize, ToSchema)]
#[schema(as = NotificationChanged)]
pub(super) struct Changed {
    id: String,
}

fn view((id, notice): (String, Notice)) -> View {
    let is_pending = notice.status == Status::Pending;
    View {
        id,
        webhook: notice.webhook,
        event: notice.event,
        alert: notice.alert,
        metric: notice.metric,
        status: notice.status.as_str(),
        attempts: notice.attempts,
        created_at: timestamp(notice.created_ms),
        due_at: is_pending.then(|| timestamp(notice.due_ms)),
        done_at: notice.done_ms.map(timestamp),
        last_error: notice.last_error,
    }
}

/// `GET notifications`.
pub(super) async fn list(state: web::Data<State>, Admin(caller): Admin) -> HttpResponse {
    state.audit.record(caller.event(Action::ReadNotifications));
    let of = |status| {
        let all = state.rules.notices(status).into_iter().take(SHOWN_MAX);
        all.map(view).collect()
    };
    reply::ok(Listed {
        pending: of(Status::Pending),
        dead: of(Status::Dead),
        recent: of(Status::Delivered),
    })
}

/// `POST notifications/{id}/retry`.
pub(super) async fn retry(
    state: web::Data<State>,
    Admin(caller): Admin,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let done = async {
        state.check_open()?;
        state.check_audited()?;
        Ok(state.rules.retry(&id, state.now_ms()).await?)
    };
    let done = done.await;
    answer(&state, &caller, Action::RetryNotification, id, done)
}

/// `DELETE notifications/{id}`.
pub(super) async fn delete(
    state: web::Data<State>,
    Admin(caller): Admin,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let done = async {
        state.check_open()?;
        state.check_audited()?;
        Ok(state.rules.drop_dead(&id).await?)
    };
    let done = done.await;
    answer(&state, &caller, Action::DropNotification, id, done)
}

fn answer(
    state: &State,
    caller: &Caller,
    action: Action,
    id: web::Path<String>,
    done: Result<Change, Problem>,
) -> Result<HttpResponse, Problem> {
    let done = done.and_then(|change| match change {
        Change::Done => Ok(()),
        _ => Err(Problem::not_found().saying("There is no such dead notification")),
    });
    state.audit.record(Event {
        target: Some(id.to_string()),
        outcome: outcome(&done),
        ..caller.event(action)
    });
    done.map(|()| {
        reply::ok(Changed {
            id: id.into_inner(),
        })
    })
}
