//! `GET explain`: why a user has a message, or has not.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::openapi::Object;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::access::Admin;
use super::body::QueryOf;
use super::openapi::schemas;
use super::reply::{self, Problem};
use super::state::State;
use crate::domain::history::{Fate, Missing};
use crate::domain::hub::{Delivery, Outcome, SessionOutcome};
use crate::domain::message::{MessageId, Priority, Topic, Transport, UserId};
use crate::telemetry::audit::{Action, Event};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(rename_all = "camelCase")]
pub(super) struct Question {
    #[param(schema_with = schemas::message_id)]
    message_id: String,
    #[param(schema_with = schemas::user_id)]
    user_id: String,
}

/// What has become of a message.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Explained {
    #[schema(schema_with = schemas::message_id)]
    message_id: String,
    #[schema(schema_with = schemas::user_id)]
    user_id: String,
    /// `kept` for who comes back, `replaced` by a later value, `gone` to make room, `never_published`, or
    /// `forgotten`: the log does not go back so far.
    message: &'static str,
    /// `null` for an alert or a test message, and where there is no such message.
    metric: Option<String>,
    #[schema(schema_with = schemas::priority)]
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<Priority>,
    /// One for each session that the user has, and had not long ago.
    sessions: Vec<SessionExplained>,
}

/// What became of it for one session, by what that subscribes to now, or did at its end.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SessionExplained {
    #[schema(schema_with = schemas::uuid)]
    connection_id: Uuid,
    /// The hub that has it, or had; where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    node: Option<String>,
    #[schema(schema_with = schemas::transport)]
    transport: Transport,
    #[schema(schema_with = states)]
    state: SessionState,
    #[schema(schema_with = outcomes)]
    outcome: Outcome,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum SessionState {
    Live,
    Lagging,
    Away,
    Ended,
}

fn states() -> Object {
    use SessionState::*;
    let description = "How the session gets its messages, if it is not over.";
    schemas::one_of(description, [Live, Lagging, Away, Ended])
}

fn outcomes() -> Object {
    use Outcome::*;
    let all = [
        Delivered,
        Waiting,
        Conflated,
        Dropped,
        Filtered,
        NotPermitted,
        BeforeSubscription,
        DeliveredOrDropped,
        SessionEnded,
    ];
    schemas::one_of("What became of it for this session.", all)
}

/// `GET explain?messageId=&userId=`.
pub(super) async fn explain(
    state: web::Data<State>,
    Admin(caller): Admin,
    QueryOf(question): QueryOf<Question>,
) -> Result<HttpResponse, Problem> {
    let allowed = "Invalid messageId: an id as publishing answers it, such as 1769860800000-0";
    let id = MessageId::parse(&question.message_id).ok_or(Problem::invalid(allowed))?;
    let allowed = "Invalid userId: a user has 1 to 128 bytes without control characters";
    let user = UserId::parse(&question.user_id).ok_or(Problem::invalid(allowed))?;
    let found = state.hub.explain(id, user).await?;
    state.audit.record(Event {
        target: Some(question.user_id.clone()),
        details: Some(json!({"explained": question.message_id})),
        ..caller.event(Action::ReadConnections)
    });
    let (message, of, sessions) = match found {
        Err(Missing::NeverPublished) => ("never_published", None, Vec::new()),
        Err(Missing::Forgotten) => ("forgotten", None, Vec::new()),
        Ok(it) => {
            let message = match it.message.fate {
                Fate::Kept => "kept",
                Fate::Gone => "gone",
                Fate::Replaced => "replaced",
            };
            let of = (it.message.topic, it.message.priority);
            (message, Some(of), it.sessions)
        }
    };
    let metric = of.as_ref().and_then(|(topic, _)| Topic::metric(topic));
    Ok(reply::ok(Explained {
        message_id: question.message_id,
        user_id: question.user_id,
        message,
        metric: metric.map(ToString::to_string),
        priority: of.as_ref().map(|(_, priority)| *priority),
        sessions: sessions.into_iter().map(SessionExplained::from).collect(),
    }))
}

impl From<(Option<String>, SessionOutcome)> for SessionExplained {
    fn from((node, of): (Option<String>, SessionOutcome)) -> Self {
        Self {
            connection_id: of.connection_id,
            node,
            transport: of.transport,
            state: match of.delivery {
                Some(Delivery::Live) => SessionState::Live,
                Some(Delivery::Lagging) => SessionState::Lagging,
                Some(Delivery::Away) => SessionState::Away,
                None => SessionState::Ended,
            },
            outcome: of.outcome,
        }
    }
}
