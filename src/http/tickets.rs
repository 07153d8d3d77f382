//! `POST ticket` and `POST refresh`: credentials made and renewed.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::access::{Admin, Caller, outcome};
use super::body::{OptionalJsonBody, WhenOpen};
use super::openapi::schemas;
use super::reply::{self, Code, Problem, RECONNECT_TOKEN_IS_REQUIRED};
use super::state::State;
use super::streams::parse_reconnect_token;
use crate::auth;
use crate::hub::Renewed;
use crate::telemetry::audit::{Action, Event};
use crate::wire::message::timestamp;

/// `POST ticket`. A body says nothing, but has to be JSON: a form of another site's page cannot
/// send that.
pub(super) async fn ticket(
    state: web::Data<State>,
    Admin(caller): Admin,
    OptionalJsonBody(_): OptionalJsonBody<IgnoredAny>,
) -> Result<HttpResponse, Problem> {
    let now_ms = state.now_ms();
    let identity = caller.identity.clone();
    let token_lives = Duration::from_millis(identity.expires_at_ms.saturating_sub(now_ms));
    let expires_in = state.tickets.ttl().min(token_lives).as_secs();
    let holder = auth::Identity {
        user: identity.user.clone(),
        roles: vec![identity.role.to_string()],
        expires_at_ms: identity.expires_at_ms,
        issued_at_ms: identity.issued_at_ms,
        token_id: identity.token_id.clone(),
    };
    let issued = state.issue_ticket(holder).await;
    state.audit.record(Event {
        outcome: outcome(&issued),
        ..caller.event(Action::Ticket)
    });
    Ok(reply::ok(Issued {
        ticket: issued?,
        expires_in,
    }))
}

/// A text that stands for a token in the URL of a stream.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Ticket)]
pub(super) struct Issued {
    ticket: String,
    /// In seconds: until then it opens a session.
    expires_in: u64,
}

/// Until when the stream may go on.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Refreshed {
    #[schema(schema_with = schemas::time)]
    expires_at: String,
}

/// Which session is meant.
#[derive(Deserialize, Default, ToSchema)]
#[schema(as = SessionToken)]
pub(super) struct Session {
    #[serde(default, rename = "reconnectToken")]
    #[schema(schema_with = schemas::reconnect_token, required)]
    token: Value,
}

type SessionBody = WhenOpen<OptionalJsonBody<Session>>;

/// `POST refresh`: the stream of a session goes on with the JWT of this request.
pub(super) async fn refresh(
    state: web::Data<State>,
    Admin(caller): Admin,
    body: SessionBody,
) -> Result<HttpResponse, Problem> {
    let done = refreshed(&state, &caller, body).await;
    state.audit.record(Event {
        target: Some(caller.user().to_string()),
        outcome: outcome(&done),
        ..caller.event(Action::Refresh)
    });
    if done
        .as_ref()
        .is_err_and(|problem| problem.code() == Code::ReconnectTokenInvalid)
    {
        let late = state
            .failed_resumes
            .answer_late(caller.user(), caller.remote);
        late.await;
    }
    let expires_at = timestamp(done?);
    Ok(reply::ok(Refreshed { expires_at }))
}

async fn refreshed(state: &State, caller: &Caller, body: SessionBody) -> Result<u64, Problem> {
    let session = body.0?.0.unwrap_or_default();
    let text = session.token.as_str().filter(|text| !text.is_empty());
    let text = text.ok_or_else(|| Problem::invalid(RECONNECT_TOKEN_IS_REQUIRED))?;
    let token = parse_reconnect_token(text).ok_or_else(Problem::reconnect_token_invalid)?;
    let identity = caller.identity.clone();
    Ok(state.hub.refresh(Renewed::Session(token), identity).await?)
}
