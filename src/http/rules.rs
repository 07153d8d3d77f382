//! `rules`: what the hub tells by itself, read and changed.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::access::{Admin, outcome};
use super::body::JsonBody;
use super::openapi::{alerting::RuleWritten, rule_schemas, schemas};
use super::publish::invalid_at;
use super::reply::{self, Problem};
use super::state::State;
use crate::domain::rule::{LifeShown, Rule, RuleFault, RuleShown, Spec};
use crate::rules::{Change, Origin};
use crate::telemetry::audit::{Action, Event};
use crate::wire::message::timestamp;

/// Metrics that are shown of one rule.
const LIVES_SHOWN_MAX: usize = 100;
/// When to come back where there is no room: an operator has to make some.
pub(super) const NO_ROOM_RETRY_AFTER: Duration = Duration::from_secs(60);

/// A rule, and how it is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RuleState)]
pub(super) struct RuleView {
    #[schema(value_type = RuleWritten)]
    pub(super) rule: Spec,
    /// `file` or `live`; what stands in the file is changed there.
    source: &'static str,
    /// Who made or changed it, where it is `live`.
    #[schema(required)]
    changed_by: Option<String>,
    #[schema(schema_with = schemas::time_or_null, required)]
    changed_at: Option<String>,
    /// How many metrics it concerns.
    metrics: usize,
    /// Where its newest value had no answer.
    #[schema(required)]
    last_error: Option<Unanswered>,
    /// Where it holds, at most 100.
    alerts: Vec<LifeView>,
}

/// Why a rule has nothing to say of a value.
#[derive(Serialize, ToSchema)]
pub(super) struct Unanswered {
    #[schema(schema_with = schemas::metric_name)]
    metric: String,
    reason: String,
}

/// A rule on one metric.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = RuleAlert)]
pub(super) struct LifeView {
    #[schema(schema_with = schemas::metric_name)]
    metric: String,
    #[schema(schema_with = rule_schemas::rule_stage)]
    state: &'static str,
    #[schema(schema_with = rule_schemas::rule_cause)]
    reason: &'static str,
    #[schema(schema_with = schemas::time)]
    since: String,
    /// Since when it is over, while that is not long enough to be resolved.
    #[schema(schema_with = schemas::time_or_null, required)]
    over_since: Option<String>,
    /// `null` until everybody was told.
    #[schema(schema_with = schemas::message_id_or_null, required)]
    alert_id: Option<String>,
    #[schema(required)]
    acknowledged_by: Option<String>,
    silenced: bool,
}

/// A rule that was made by another version, and does not work in this one.
#[derive(Serialize, ToSchema)]
pub(super) struct Broken {
    name: String,
    key: &'static str,
    reason: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RuleList)]
pub(super) struct Listed {
    rules: Vec<RuleView>,
    broken: Vec<Broken>,
}

fn view(shown: RuleShown, origin: Origin) -> RuleView {
    let (source, changed) = match origin {
        Origin::File => ("file", None),
        Origin::Live { by, at_ms } => ("live", Some((by, at_ms))),
    };
    let lives = shown.lives.into_iter().take(LIVES_SHOWN_MAX);
    RuleView {
        rule: shown.rule.spec().clone(),
        source,
        changed_at: changed.as_ref().map(|(_, at_ms)| timestamp(*at_ms)),
        changed_by: changed.map(|(by, _)| by.to_string()),
        metrics: shown.metrics,
        last_error: shown.last_error.map(|error| Unanswered {
            metric: error.metric.to_string(),
            reason: error.reason,
        }),
        alerts: lives.map(life).collect(),
    }
}

fn life(shown: LifeShown) -> LifeView {
    let record = shown.record;
    LifeView {
        metric: shown.metric.to_string(),
        state: record.stage.as_str(),
        reason: record.cause.as_str(),
        since: timestamp(record.since_ms),
        over_since: record.over_since_ms.map(timestamp),
        alert_id: record.raised.map(|raised| raised.id.to_string()),
        acknowledged_by: record.acknowledged.map(|step| step.by.to_string()),
        silenced: shown.is_silenced,
    }
}

/// `GET rules`.
pub(super) async fn list(state: web::Data<State>, Admin(caller): Admin) -> HttpResponse {
    let (rules, broken) = (state.rules.all(), state.rules.broken());
    state.audit.record(caller.event(Action::ReadRules));
    let broken = broken.into_iter().map(|(live, fault)| Broken {
        name: live.spec.name,
        key: fault.key,
        reason: fault.to_string(),
    });
    reply::ok(Listed {
        rules: rules.into_iter().map(|(it, of)| view(it, of)).collect(),
        broken: broken.collect(),
    })
}

/// `GET rules/{name}`.
pub(super) async fn one(
    state: web::Data<State>,
    Admin(caller): Admin,
    name: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let found = shown(&state, &name);
    state.audit.record(Event {
        target: Some(name.to_string()),
        outcome: outcome(&found),
        ..caller.event(Action::ReadRules)
    });
    found.map(reply::ok)
}

pub(super) fn shown(state: &State, name: &str) -> Result<RuleView, Problem> {
    let rules = state.rules.all();
    let mut named = rules
        .into_iter()
        .filter(|(it, _)| it.rule.name.as_str() == name);
    let found = named.next().map(|(it, origin)| view(it, origin));
    found.ok_or_else(unknown)
}

fn unknown() -> Problem {
    Problem::not_found().saying("There is no such rule")
}

/// `PUT rules/{name}`.
pub(super) async fn set(
    state: web::Data<State>,
    Admin(caller): Admin,
    name: web::Path<String>,
    body: Result<JsonBody<Spec>, Problem>,
) -> Result<HttpResponse, Problem> {
    let mut event = caller.event(Action::SetRule);
    event.target = Some(name.to_string());
    let done = async {
        let JsonBody(spec) = body?;
        let rule = written(spec, &name, "")?;
        state.check_open()?;
        state.check_audited()?;
        event.details = Some(json!({"rule": rule.spec()}));
        let now_ms = state.now_ms();
        let change = state.rules.set_rule(&rule, caller.user(), now_ms).await?;
        check(change)?;
        shown(&state, &name)
    };
    let done = done.await;
    event.outcome = outcome(&done);
    state.audit.record(event);
    done.map(reply::ok)
}

/// `DELETE rules/{name}`.
pub(super) async fn delete(
    state: web::Data<State>,
    Admin(caller): Admin,
    name: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let done = async {
        state.check_open()?;
        state.check_audited()?;
        let change = state.rules.delete_rule(&name).await?;
        check(change)
    };
    let done = done.await;
    state.audit.record(Event {
        target: Some(name.to_string()),
        outcome: outcome(&done),
        ..caller.event(Action::DeleteRule)
    });
    done.map(|()| {
        reply::ok(Deleted {
            name: name.into_inner(),
        })
    })
}

/// What is no more.
#[derive(Serialize, ToSchema)]
#[schema(as = RuleDeleted)]
pub(super) struct Deleted {
    name: String,
}

fn check(change: Change) -> Result<(), Problem> {
    match change {
        Change::Done => Ok(()),
        Change::Unknown => Err(unknown()),
        Change::ReadOnly => Err(Problem::invalid(
            "This rule stands in the file, and is changed there",
        )),
        Change::TooMany => Err(Problem::rate_limited(NO_ROOM_RETRY_AFTER)
            .saying("There are as many rules as there may be; delete some first")),
    }
}

/// `place` is what stands before a key in a refusal.
pub(super) fn written(spec: Spec, name: &str, place: &str) -> Result<Rule, Problem> {
    if !spec.name.is_empty() && spec.name != name {
        let text = "it is the name in the path, or left out";
        return Err(invalid_at(&format!("{place}name"), text));
    }
    let spec = Spec {
        name: name.to_owned(),
        ..spec
    };
    Rule::parse(spec).map_err(|fault| refused(&fault, place))
}

fn refused(fault: &RuleFault, place: &str) -> Problem {
    let path = format!("{place}{}", camel(fault.key));
    let mut details = json!({"path": path});
    if let Some((line, column)) = fault.place {
        details["line"] = json!(line);
        details["column"] = json!(column);
    }
    Problem::invalid(format!("Invalid body at {path}: {fault}")).details(details)
}

/// Keys of the file in the interface's spelling.
fn camel(key: &str) -> String {
    let mut parts = key.split('_');
    let mut name = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (first, rest) = part.split_at(part.len().min(1));
        name += &first.to_ascii_uppercase();
        name += rest;
    }
    name
}
