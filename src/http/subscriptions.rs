//! `POST subscribe`, `POST unsubscribe`, `POST test-connection`: for all of a user's sessions, or one.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::access::{Admin, Caller, outcome};
use super::body::{OptionalJsonBody, WhenOpen};
use super::openapi::{schemas, selectors};
use super::reply::{self, METRICS_MUST_BE_AN_ARRAY, Problem};
use super::state::State;
use super::streams::parse_reconnect_token;
use crate::domain::hub::Change;
use crate::domain::message::{Transport, UserId};
use crate::domain::pattern::{NameError, PATTERNS_MAX};
use crate::domain::view::{Selector, SelectorError, ViewError};
use crate::telemetry::audit::{Action, Event};

/// Whatever `metrics` is, so that one text can say what it should be.
#[derive(Deserialize, Default, ToSchema)]
#[schema(as = Metrics, description = "Which metrics.")]
pub(super) struct Named {
    #[serde(default)]
    #[schema(schema_with = selectors::patterns, required)]
    metrics: Value,
    /// For that session alone.
    #[serde(default, rename = "reconnectToken")]
    session: Option<String>,
}

/// What has become of the subscriptions.
#[derive(Serialize, ToSchema)]
#[schema(as = SubscriptionChanged)]
pub(super) struct Changed {
    message: &'static str,
    /// As sent.
    #[schema(schema_with = selectors::patterns)]
    metrics: Vec<Selector>,
    /// How many sessions it is for.
    connections: usize,
}

type NamedBody = WhenOpen<OptionalJsonBody<Named>>;

pub(super) async fn subscribe(
    state: web::Data<State>,
    Admin(caller): Admin,
    body: NamedBody,
) -> Result<HttpResponse, Problem> {
    change(&state, &caller, Change::Subscribe, body).await
}

pub(super) async fn unsubscribe(
    state: web::Data<State>,
    Admin(caller): Admin,
    body: NamedBody,
) -> Result<HttpResponse, Problem> {
    change(&state, &caller, Change::Unsubscribe, body).await
}

async fn change(
    state: &State,
    caller: &Caller,
    change: Change,
    body: NamedBody,
) -> Result<HttpResponse, Problem> {
    let (action, message) = match change {
        Change::Subscribe => (Action::Subscribe, "Successfully subscribed to metrics"),
        Change::Unsubscribe => (
            Action::Unsubscribe,
            "Successfully unsubscribed from metrics",
        ),
    };
    let done = changed(state, caller, change, body).await;
    let connections = done.as_ref().ok().map(|(_, connections)| *connections);
    state.audit.record(Event {
        target: Some(caller.user().to_string()),
        outcome: outcome(&done),
        details: connections.map(|connections| json!({"connections": connections})),
        ..caller.event(action)
    });
    let (metrics, connections) = done?;
    Ok(reply::ok(Changed {
        message,
        metrics,
        connections,
    }))
}

async fn changed(
    state: &State,
    caller: &Caller,
    change: Change,
    body: NamedBody,
) -> Result<(Vec<Selector>, usize), Problem> {
    let named = body.0?.0.unwrap_or_default();
    let selectors = named.selectors()?;
    let only = named.session.as_deref().map(parse_reconnect_token);
    // What is no token is no session's.
    let only = only.map(Option::unwrap_or_default);
    let user = caller.user().clone();
    let connections = state.hub.change_user(user, only, change, selectors.clone());
    Ok((selectors, connections.await?))
}

impl Named {
    fn selectors(&self) -> Result<Vec<Selector>, Problem> {
        let metrics = self.metrics.as_array();
        let metrics = metrics.ok_or_else(|| Problem::invalid(METRICS_MUST_BE_AN_ARRAY))?;
        if metrics.len() > PATTERNS_MAX {
            let text = format!("Invalid metrics: {}", NameError::Patterns);
            return Err(Problem::invalid(text));
        }
        let numbered = metrics.iter().cloned().enumerate();
        numbered
            .map(|(nth, value)| selector(&format!("Invalid body at metrics[{nth}]"), nth, value))
            .collect()
    }
}

/// The element of a list of metrics that stands at `nth`, where `place` says what an error is about.
pub(super) fn selector(place: &str, nth: usize, value: Value) -> Result<Selector, Problem> {
    Selector::try_from(value).map_err(|error| {
        let mut details = json!({"path": format!("metrics[{nth}]")});
        if let SelectorError::View(ViewError::Where(error)) = &error {
            (details["line"], details["column"]) = (error.line.into(), error.column.into());
        }
        Problem::invalid(format!("{place}: {error}")).details(details)
    })
}

#[derive(Deserialize, Default, ToSchema)]
#[schema(as = ConnectionKind)]
pub(super) struct Kind {
    /// `sse` unless said otherwise.
    #[serde(rename = "connectionType")]
    #[schema(schema_with = schemas::transport_or_null)]
    transport: Option<Transport>,
}

/// To how many connections a test message went.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Tested {
    #[serde(rename = "type")]
    #[schema(schema_with = schemas::transport)]
    transport: Transport,
    /// `test_message_sent`, or `no_active_connections` where there are none.
    status: &'static str,
    #[schema(schema_with = schemas::user_id)]
    user_id: UserId,
    connections: usize,
}

type KindBody = WhenOpen<OptionalJsonBody<Kind>>;

/// `POST test-connection`.
pub(super) async fn test_connection(
    state: web::Data<State>,
    Admin(caller): Admin,
    body: KindBody,
) -> Result<HttpResponse, Problem> {
    let done = tested(&state, &caller, body).await;
    state.audit.record(Event {
        target: Some(caller.user().to_string()),
        outcome: outcome(&done),
        details: done.as_ref().ok().map(|tested| json!(tested)),
        ..caller.event(Action::TestConnection)
    });
    Ok(reply::ok(done?))
}

async fn tested(state: &State, caller: &Caller, body: KindBody) -> Result<Tested, Problem> {
    let kind = body.0?.0.unwrap_or_default();
    let transport = kind.transport.unwrap_or(Transport::Sse);
    let connections = state.hub.test(caller.user().clone(), transport).await?;
    let status = match connections {
        0 => "no_active_connections",
        _ => "test_message_sent",
    };
    Ok(Tested {
        transport,
        status,
        user_id: caller.user().clone(),
        connections,
    })
}
