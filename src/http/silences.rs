//! `silences`: times in which alerts of rules are not told.

use actix_web::{HttpResponse, web};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;
use uuid::Uuid;

use super::access::{Admin, outcome};
use super::body::JsonBody;
use super::openapi::{rule_schemas, schemas};
use super::publish::invalid_at;
use super::reply::{self, Problem};
use super::rules::NO_ROOM_RETRY_AFTER;
use super::state::State;
use crate::domain::message::UserId;
use crate::domain::pattern::Pattern;
use crate::domain::rule::{RuleName, Silence};
use crate::rules::Change;
use crate::telemetry::audit::{Action, Event};
use crate::wire::message::timestamp;

/// Longest reason, in characters.
pub(super) const WHY_CHARS_MAX: usize = 1000;
/// Longest silence: who wants to hear nothing for longer takes the rule out.
const LASTS_MAX_MS: u64 = 366 * 24 * 3_600_000;

/// A silence as it is.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Silence)]
pub(super) struct View {
    #[schema(schema_with = schemas::uuid)]
    id: String,
    /// `null`: of all rules.
    #[schema(schema_with = rule_schemas::rule_name_or_null, required)]
    alert: Option<String>,
    /// `null`: of all metrics.
    #[schema(schema_with = rule_schemas::pattern_or_null, required)]
    metric: Option<String>,
    #[schema(schema_with = schemas::time)]
    from: String,
    #[schema(schema_with = schemas::time)]
    until: String,
    by: String,
    why: String,
    /// It has begun.
    active: bool,
}

#[derive(Serialize, ToSchema)]
#[schema(as = SilenceList)]
pub(super) struct Listed {
    silences: Vec<View>,
}

/// What is not to be told. At least one of `alert` and `metric` is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SilenceWanted)]
pub(super) struct Wanted {
    #[schema(schema_with = rule_schemas::rule_name_or_null)]
    alert: Option<String>,
    #[schema(schema_with = rule_schemas::pattern_or_null)]
    metric: Option<String>,
    /// Now, unless said otherwise.
    #[schema(schema_with = schemas::time_or_null)]
    from: Option<String>,
    #[schema(schema_with = schemas::time)]
    until: String,
    #[schema(schema_with = rule_schemas::why)]
    why: String,
}

/// What is no more.
#[derive(Serialize, ToSchema)]
#[schema(as = SilenceDeleted)]
pub(super) struct Deleted {
    id: String,
}

fn view(id: String, silence: Silence, now_ms: u64) -> View {
    View {
        id,
        alert: silence.alert,
        metric: silence.metric.map(|it| it.to_string()),
        active: (silence.from_ms..silence.until_ms).contains(&now_ms),
        from: timestamp(silence.from_ms),
        until: timestamp(silence.until_ms),
        by: silence.by.to_string(),
        why: silence.why,
    }
}

/// `GET silences`: those that are not over.
pub(super) async fn list(state: web::Data<State>, Admin(caller): Admin) -> HttpResponse {
    let now_ms = state.now_ms();
    state.audit.record(caller.event(Action::ReadSilences));
    let all = state.rules.silences().into_iter();
    let all = all.filter(|(_, silence)| silence.until_ms > now_ms);
    let silences = all.map(|(id, it)| view(id, it, now_ms)).collect();
    reply::ok(Listed { silences })
}

/// `POST silences`.
pub(super) async fn add(
    state: web::Data<State>,
    Admin(caller): Admin,
    body: Result<JsonBody<Wanted>, Problem>,
) -> Result<HttpResponse, Problem> {
    let mut event = caller.event(Action::AddSilence);
    let done = added(&state, caller.user(), body, &mut event).await;
    event.outcome = outcome(&done);
    state.audit.record(event);
    done.map(reply::ok)
}

async fn added(
    state: &State,
    by: &UserId,
    body: Result<JsonBody<Wanted>, Problem>,
    event: &mut Event,
) -> Result<View, Problem> {
    let JsonBody(wanted) = body?;
    let now_ms = state.now_ms();
    let silence = wanted.meant(by, now_ms)?;
    state.check_open()?;
    state.check_audited()?;
    let id = Uuid::new_v4().to_string();
    event.target = Some(id.clone());
    event.details = Some(json!({"silence": silence}));
    match state.rules.add_silence(&id, &silence).await? {
        Change::TooMany => Err(Problem::rate_limited(NO_ROOM_RETRY_AFTER)
            .saying("There are as many silences as there may be; delete some first")),
        _ => Ok(view(id, silence, now_ms)),
    }
}

impl Wanted {
    fn meant(self, by: &UserId, now_ms: u64) -> Result<Silence, Problem> {
        if self.alert.is_none() && self.metric.is_none() {
            let text = "Invalid body: at least one of alert and metric is wanted";
            return Err(Problem::invalid(text));
        }
        if let Some(name) = &self.alert
            && RuleName::parse(name).is_none()
        {
            return Err(invalid_at(
                "alert",
                "a rule has 1 to 64 of A-Z a-z 0-9 _ . -",
            ));
        }
        let metric = self.metric.as_deref().map(Pattern::parse).transpose();
        let metric = metric.map_err(|error| invalid_at("metric", error))?;
        let from = self.from.as_deref().map(|text| moment("from", text));
        let from_ms = from.transpose()?.unwrap_or(now_ms);
        let until_ms = moment("until", &self.until)?;
        if until_ms <= now_ms.max(from_ms) || until_ms - from_ms > LASTS_MAX_MS {
            let text = "a moment after from and after now, at most 366 days after from";
            return Err(invalid_at("until", text));
        }
        let why = self.why.trim();
        if !(1..=WHY_CHARS_MAX).contains(&why.chars().count()) {
            let text = format!("a reason of 1 to {WHY_CHARS_MAX} characters is wanted");
            return Err(invalid_at("why", text));
        }
        Ok(Silence {
            alert: self.alert,
            metric,
            from_ms,
            until_ms,
            by: by.clone(),
            why: why.to_owned(),
        })
    }
}

fn moment(place: &str, text: &str) -> Result<u64, Problem> {
    let time = text.parse::<Timestamp>().ok();
    let ms = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
    ms.ok_or_else(|| invalid_at(place, "a time as in RFC 3339 is wanted"))
}

/// `DELETE silences/{id}`: what is held back is told at once.
pub(super) async fn delete(
    state: web::Data<State>,
    Admin(caller): Admin,
    id: web::Path<String>,
) -> Result<HttpResponse, Problem> {
    let done = async {
        state.check_open()?;
        state.check_audited()?;
        match state.rules.delete_silence(&id).await? {
            Change::Unknown => Err(Problem::not_found().saying("There is no such silence")),
            _ => Ok(()),
        }
    };
    let done = done.await;
    state.audit.record(Event {
        target: Some(id.to_string()),
        outcome: outcome(&done),
        ..caller.event(Action::DeleteSilence)
    });
    done.map(|()| {
        reply::ok(Deleted {
            id: id.into_inner(),
        })
    })
}
