//! `GET connections` and `POST disconnect`: seeing and ending what others have open.

use std::fmt::Display;

use actix_web::{HttpResponse, web};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::access::{Admin, outcome};
use super::body::{JsonBody, QueryOf};
use super::openapi::{answers::SessionShown, schemas};
use super::reply::{self, Problem};
use super::state::State;
use crate::domain::hub::{Delivery, Ended, SessionFilter};
use crate::domain::message::{Transport, UserId};
use crate::hub::Chosen;
use crate::telemetry::audit::{Action, Event};
use crate::wire::message::timestamp;

pub(super) const PAGE_SESSIONS_DEFAULT: usize = 100;
pub(super) const PAGE_SESSIONS_MAX: usize = 1000;
/// Longest `jti` looked for, in bytes.
pub(super) const TOKEN_ID_BYTES_MAX: usize = 1024;

#[derive(Deserialize, IntoParams)]
pub(super) struct Page {
    #[param(schema_with = schemas::user_id)]
    user: Option<String>,
    #[param(schema_with = schemas::transport)]
    transport: Option<Transport>,
    #[param(schema_with = schemas::delivery)]
    state: Option<Delivery>,
    #[serde(default)]
    #[param(schema_with = schemas::offset)]
    offset: usize,
    #[param(schema_with = schemas::session_limit)]
    limit: Option<usize>,
}

/// `GET connections`: one page of the sessions, those that are away among them.
pub(super) async fn connections(
    state: web::Data<State>,
    Admin(caller): Admin,
    QueryOf(page): QueryOf<Page>,
) -> Result<HttpResponse, Problem> {
    let user = page.user.as_deref().map(|text| user(text, "user"));
    let filter = SessionFilter {
        user: user.transpose()?,
        transport: page.transport,
        delivery: page.state,
    };
    let limit = page.limit.unwrap_or(PAGE_SESSIONS_DEFAULT);
    let (offset, limit) = (page.offset, limit.min(PAGE_SESSIONS_MAX));
    let (sessions, total) = state.hub.sessions(filter, offset, limit).await?;
    state.audit.record(Event {
        target: page.user,
        details: Some(json!({"shown": sessions.len(), "total": total})),
        ..caller.event(Action::ReadConnections)
    });
    Ok(reply::ok(Sessions {
        connections: sessions,
        total,
        offset,
        limit,
    }))
}

/// One page of the sessions.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionPage)]
pub(super) struct Sessions {
    #[schema(value_type = Vec<SessionShown>)]
    connections: Vec<Value>,
    /// How many there are in all.
    total: usize,
    offset: usize,
    limit: usize,
}

/// How many streams were ended.
#[derive(Serialize, ToSchema)]
pub(super) struct Disconnected {
    connections: usize,
}

fn user(text: &str, field: &str) -> Result<UserId, Problem> {
    let allowed = "a user has 1 to 128 bytes without control characters";
    UserId::parse(text).ok_or_else(|| invalid(field, allowed))
}

fn invalid(field: &str, allowed: impl Display) -> Problem {
    Problem::invalid(format!("Invalid {field}: {allowed}"))
}

/// Exactly one of these; `null` is none. Unknown fields are refused: a misspelt one must not be taken for none.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Selector {
    /// All of this user's.
    #[schema(schema_with = schemas::user_id_or_null)]
    user_id: Option<String>,
    #[schema(schema_with = schemas::uuid_or_null)]
    connection_id: Option<String>,
    /// All that were opened with the token of this `jti`.
    #[schema(schema_with = schemas::token_id_or_null)]
    token_id: Option<String>,
    /// All that were opened with a token issued before.
    #[schema(schema_with = schemas::issued_before)]
    issued_before: Option<Value>,
}

/// `POST disconnect`: ends streams and forgets their sessions. Answers how many streams were live.
pub(super) async fn disconnect(
    state: web::Data<State>,
    Admin(caller): Admin,
    body: Result<JsonBody<Selector>, Problem>,
) -> Result<HttpResponse, Problem> {
    let mut event = caller.event(Action::OperatorDisconnect);
    let done = disconnected(&state, body, &mut event).await;
    event.outcome = outcome(&done);
    if let Ok(ended) = &done {
        event.details = Some(json!({"connections": live(ended), "sessions": ended.len()}));
    }
    state.audit.record(event);
    let connections = live(&done?);
    Ok(reply::ok(Disconnected { connections }))
}

fn live(ended: &[Ended]) -> usize {
    ended.iter().filter(|ended| ended.was_live).count()
}

async fn disconnected(
    state: &State,
    body: Result<JsonBody<Selector>, Problem>,
    event: &mut Event,
) -> Result<Vec<Ended>, Problem> {
    let JsonBody(selector) = body?;
    let chosen = selector.chosen()?;
    state.check_audited()?;
    event.target = Some(match &chosen {
        Chosen::User(user) => format!("user {user}"),
        Chosen::Connection(id) => format!("connection {id}"),
        Chosen::TokenId(id) => format!("jti {id}"),
        Chosen::IssuedBefore(ms) => format!("issued before {}", timestamp(*ms)),
    });
    Ok(state.hub.disconnect(chosen).await?)
}

impl Selector {
    fn chosen(self) -> Result<Chosen, Problem> {
        match (
            self.user_id,
            self.connection_id,
            self.token_id,
            self.issued_before,
        ) {
            (Some(text), None, None, None) => user(&text, "userId").map(Chosen::User),
            (None, Some(text), None, None) => connection(&text),
            (None, None, Some(id), None) => token_id(id),
            (None, None, None, Some(value)) => issued_before(&value),
            _ => Err(Problem::invalid(
                "Exactly one of userId, connectionId, tokenId and issuedBefore is wanted",
            )),
        }
    }
}

fn connection(text: &str) -> Result<Chosen, Problem> {
    let id = Uuid::parse_str(text);
    id.map(Chosen::Connection)
        .map_err(|_| invalid("connectionId", "a UUID is wanted"))
}

fn token_id(id: String) -> Result<Chosen, Problem> {
    match (1..=TOKEN_ID_BYTES_MAX).contains(&id.len()) {
        true => Ok(Chosen::TokenId(id)),
        false => Err(invalid(
            "tokenId",
            format_args!("1 to {TOKEN_ID_BYTES_MAX} bytes"),
        )),
    }
}

/// A number below this is in seconds, as in a token's `iat`: in milliseconds it were a time in 1973.
const SECONDS_BELOW: u64 = 100_000_000_000;

fn issued_before(value: &Value) -> Result<Chosen, Problem> {
    let written = || value.as_str()?.parse::<Timestamp>().ok();
    let number = |number: u64| match number {
        ..SECONDS_BELOW => number * 1000,
        _ => number,
    };
    let ms = value
        .as_u64()
        .map(number)
        .or_else(|| u64::try_from(written()?.as_millisecond()).ok());
    let allowed = "a time as in RFC 3339, or in seconds or milliseconds since 1970";
    ms.map(Chosen::IssuedBefore)
        .ok_or_else(|| invalid("issuedBefore", allowed))
}
