//! `rules/test`: a rule is tried out, and nothing is changed.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::access::{Admin, outcome};
use super::body::JsonBody;
use super::openapi::{alerting::RuleWritten, rule_schemas, schemas};
use super::publish::invalid_at;
use super::reply::{self, Problem};
use super::rules::{shown, written};
use super::state::State;
use crate::domain::message::UserId;
use crate::domain::pattern::MetricName;
use crate::domain::rule::{Spec, TriedOut};
use crate::telemetry::audit::{Action, Event};
use crate::wire::json::compact;

/// Which rule is to be tried, and on what.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = RuleTest)]
pub(super) struct Wanted {
    /// The name of a rule that there is; or else `rule`.
    #[schema(schema_with = rule_schemas::rule_name_or_null)]
    name: Option<String>,
    #[schema(value_type = Option<RuleWritten>)]
    rule: Option<Spec>,
    /// Of which metric; not needed where the rule names one and no pattern.
    #[schema(schema_with = rule_schemas::metric_name_or_null)]
    metric: Option<String>,
    /// The value; its newest one where nothing is given.
    #[schema(schema_with = schemas::any)]
    data: Option<Box<RawValue>>,
}

/// What a rule says of a value.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RuleTested)]
pub(super) struct Tested {
    #[schema(schema_with = schemas::metric_name)]
    metric: String,
    /// What it was tried on.
    #[schema(schema_with = schemas::any)]
    data: Value,
    /// `null` where the rule has no such expression.
    #[schema(required)]
    when: Option<Said>,
    #[schema(required)]
    resolve: Option<Said>,
    /// Whether the value alone would begin an alert; `null` where nobody can tell. Neither absence nor
    /// anomalies are looked at.
    #[schema(required)]
    holds: Option<bool>,
    /// What the alert would say.
    message: String,
    #[schema(schema_with = rule_schemas::object)]
    values: Value,
}

/// What an expression came to: one of the two.
#[derive(Serialize, ToSchema)]
#[schema(as = ExpressionSaid)]
pub(super) struct Said {
    #[schema(required)]
    result: Option<bool>,
    #[schema(required)]
    error: Option<String>,
}

fn said(answer: Result<bool, String>) -> Said {
    let (result, error) = match answer {
        Ok(result) => (Some(result), None),
        Err(error) => (None, Some(error)),
    };
    Said { result, error }
}

/// `POST rules/test`: changes nothing.
pub(super) async fn test(
    state: web::Data<State>,
    Admin(caller): Admin,
    body: Result<JsonBody<Wanted>, Problem>,
) -> Result<HttpResponse, Problem> {
    let mut event = caller.event(Action::TestRule);
    let done = tested(&state, caller.user(), body, &mut event).await;
    event.outcome = outcome(&done);
    state.audit.record(event);
    done.map(reply::ok)
}

async fn tested(
    state: &State,
    user: &UserId,
    body: Result<JsonBody<Wanted>, Problem>,
    event: &mut Event,
) -> Result<Tested, Problem> {
    let JsonBody(wanted) = body?;
    let rule = match (wanted.name, wanted.rule) {
        (Some(name), None) => {
            event.target = Some(name.clone());
            let spec = shown(state, &name)?.rule;
            written(spec, &name, "rule.")?
        }
        (None, Some(spec)) => {
            let name = match spec.name.as_str() {
                "" => "test".to_owned(),
                name => name.to_owned(),
            };
            written(spec, &name, "rule.")?
        }
        _ => return Err(Problem::invalid("Exactly one of name and rule is wanted")),
    };
    let metric = match wanted.metric {
        Some(text) => MetricName::parse(&text).map_err(|error| invalid_at("metric", error))?,
        None => rule
            .on
            .as_exact()
            .ok_or_else(|| invalid_at("metric", "one is wanted, as the rule is on a pattern"))?,
    };
    let data = match wanted.data {
        Some(raw) => compact(raw.get())
            .map_err(|error| invalid_at("data", error))?
            .as_str()
            .to_owned(),
        None => newest(state, user, &metric).await?,
    };
    let TriedOut {
        when,
        resolve,
        is_bad,
        told,
    } = rule.try_out(&metric, &data);
    Ok(Tested {
        metric: metric.to_string(),
        data: serde_json::from_str(&data).map_err(Problem::internal)?,
        when: when.map(said),
        resolve: resolve.map(said),
        holds: is_bad.ok(),
        message: told.message,
        values: told.values.into(),
    })
}

/// The newest value of a metric, as everybody sees it.
async fn newest(state: &State, user: &UserId, metric: &MetricName) -> Result<String, Problem> {
    if let Some(known) = state.rules.newest(metric) {
        return Ok(known);
    }
    let latest = state.hub.latest(user.clone()).await?;
    let found = latest.iter().find(|newest| newest.metric == *metric);
    let value = found.and_then(|it| String::from_utf8(it.message.value().to_vec()).ok());
    value.ok_or_else(|| invalid_at("data", "one is wanted, as the metric has no value yet"))
}
