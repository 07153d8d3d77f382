//! `POST publish` and `POST alerts`: what comes from outside.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::access::{Caller, Publisher, outcome};
use super::body::{JsonBody, WhenOpen};
use super::decode;
use super::idempotency::IdempotencyKey;
use super::openapi::schemas;
use super::reply::{self, Problem};
use super::state::State;
use crate::domain::alert::Severity;
use crate::domain::message::{Draft, Json, MessageId, Priority, Retain, UserId};
use crate::domain::pattern::MetricName;
use crate::hub::Promise;
use crate::store::{AlertWrite, Keyed};
use crate::telemetry::audit::{Action, Event};
use crate::wire::json;

/// Messages in one batch.
pub(super) const BATCH_MESSAGES_MAX: usize = 1000;
/// Metrics named in one line of the audit trail.
const AUDITED_METRICS_MAX: usize = 10;

/// One message, or a batch of them. Unknown fields are refused: a misspelt `userId` would tell
/// everybody what was meant for one.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    messages: Option<Vec<Written>>,
    metric: Option<String>,
    #[serde(default, deserialize_with = "also_null")]
    data: Option<Box<RawValue>>,
    priority: Option<Priority>,
    #[serde(rename = "userId")]
    user: Option<String>,
    retain: Option<Retain>,
    key: Option<String>,
}

/// A message to publish.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Message)]
pub(super) struct Written {
    #[schema(schema_with = schemas::metric_name)]
    pub metric: String,
    /// Any JSON that every parser reads: no number beyond a double, no half of a surrogate pair.
    #[schema(schema_with = schemas::any)]
    pub data: Box<RawValue>,
    /// `normal` unless said otherwise.
    #[schema(schema_with = schemas::priority_or_null)]
    pub priority: Option<Priority>,
    /// Only this user's connections get it, and only this user sees it later.
    #[serde(rename = "userId")]
    #[schema(schema_with = schemas::receiver_or_null)]
    pub user: Option<String>,
    /// `all` unless said otherwise, here or in the configuration.
    #[schema(schema_with = schemas::retain_or_null)]
    pub retain: Option<Retain>,
    /// The same key again is the same message, not another one.
    #[schema(schema_with = schemas::key_or_null)]
    pub key: Option<String>,
}

/// What was taken.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum Published {
    #[serde(rename_all = "camelCase")]
    One {
        #[schema(schema_with = schemas::message_id)]
        message_id: String,
        #[schema(schema_with = schemas::durability)]
        durability: Promise,
    },
    /// In the order of the batch.
    #[serde(rename_all = "camelCase")]
    Batch {
        #[schema(schema_with = schemas::message_ids)]
        message_ids: Vec<String>,
        #[schema(schema_with = schemas::durability)]
        durability: Promise,
    },
}

/// `null` is data too, and nothing is not.
fn also_null<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Deserialize::deserialize(from).map(Some)
}

/// `POST publish`: a message, or a batch that is taken whole or refused whole.
pub(super) async fn publish(
    state: web::Data<State>,
    Publisher(caller): Publisher,
    key: IdempotencyKey,
    body: WhenOpen<JsonBody<Wanted>>,
) -> Result<HttpResponse, Problem> {
    let mut event = caller.event(Action::Publish);
    let done = published(&state, &caller, key, body, &mut event).await;
    event.outcome = outcome(&done);
    name_certificate(&mut event, &caller);
    state.audit.record(event);
    done
}

/// Where publishers show certificates, the trail says whose.
pub(super) fn name_certificate(event: &mut Event, caller: &Caller) {
    if let Some(subject) = &caller.certificate {
        let details = event.details.get_or_insert_with(|| json!({}));
        details["certificate"] = json!(subject);
    }
}

async fn published(
    state: &State,
    caller: &Caller,
    key: IdempotencyKey,
    body: WhenOpen<JsonBody<Wanted>>,
    event: &mut Event,
) -> Result<HttpResponse, Problem> {
    let JsonBody(wanted) = body.0?;
    let is_batch = wanted.messages.is_some();
    let data_bytes_max = state.settings.load().http.message_bytes_max;
    let written = wanted.written()?;
    let keys = key.of_messages(caller.user(), &written)?;
    let drafts = drafts(written, is_batch, data_bytes_max)?;
    let texts = publish_drafts(state, caller, drafts, keys, event).await?;
    let durability = state.hub.durability();
    Ok(reply::accepted(match <[String; 1]>::try_from(texts) {
        Ok([message_id]) if !is_batch => Published::One {
            message_id,
            durability,
        },
        texts => Published::Batch {
            message_ids: texts.map_or_else(|texts| texts, Vec::from),
            durability,
        },
    }))
}

/// Gives the ids, and says in `event` what was published.
pub(super) async fn publish_drafts(
    state: &State,
    caller: &Caller,
    drafts: Vec<Draft>,
    keys: Vec<Option<Keyed>>,
    event: &mut Event,
) -> Result<Vec<String>, Problem> {
    event.target = Some(named(&drafts));
    event.details = Some(json!({"count": drafts.len()}));
    let ids = state.hub.publish(drafts, keys, &caller.trace).await?;
    let texts: Vec<_> = ids.iter().map(MessageId::to_string).collect();
    event.details = Some(json!({"count": ids.len(), "first": texts.first(), "last": texts.last()}));
    Ok(texts)
}

fn named(drafts: &[Draft]) -> String {
    let names: BTreeSet<_> = drafts.iter().map(|draft| draft.metric.as_str()).collect();
    let shown: Vec<_> = names.iter().copied().take(AUDITED_METRICS_MAX).collect();
    match names.len() - shown.len() {
        0 => shown.join(","),
        more => format!("{} and {more} more", shown.join(",")),
    }
}

impl Wanted {
    fn written(self) -> Result<Vec<Written>, Problem> {
        let is_single = self.metric.is_some()
            || self.data.is_some()
            || self.priority.is_some()
            || self.user.is_some()
            || self.retain.is_some()
            || self.key.is_some();
        let Some(messages) = self.messages else {
            let missing =
                |field| Problem::invalid(format!("Invalid body: missing field `{field}`"));
            return Ok(vec![Written {
                metric: self.metric.ok_or_else(|| missing("metric"))?,
                data: self.data.ok_or_else(|| missing("data"))?,
                priority: self.priority,
                user: self.user,
                retain: self.retain,
                key: self.key,
            }]);
        };
        if is_single {
            let text = "Invalid body: either one message or `messages`, not both";
            return Err(Problem::invalid(text));
        }
        if !(1..=BATCH_MESSAGES_MAX).contains(&messages.len()) {
            let text = format!("Invalid body at messages: 1 to {BATCH_MESSAGES_MAX} are allowed");
            return Err(Problem::invalid(text));
        }
        Ok(messages)
    }
}

fn drafts(
    messages: Vec<Written>,
    is_batch: bool,
    data_bytes_max: usize,
) -> Result<Vec<Draft>, Problem> {
    let draft = |(index, message): (usize, Written)| match is_batch {
        true => message.draft(&format!("messages[{index}]."), data_bytes_max),
        false => message.draft("", data_bytes_max),
    };
    messages.into_iter().enumerate().map(draft).collect()
}

impl Written {
    /// `place` is what stands before a field's name in a refusal.
    pub(super) fn draft(self, place: &str, data_bytes_max: usize) -> Result<Draft, Problem> {
        let metric = MetricName::parse(&self.metric);
        let metric = metric.map_err(|error| invalid_at(&format!("{place}metric"), error))?;
        let user = self.user.map(|text| {
            UserId::parse(&text).ok_or_else(|| {
                let allowed = "a user has 1 to 128 bytes without control characters";
                invalid_at(&format!("{place}userId"), allowed)
            })
        });
        Ok(Draft {
            metric,
            data: compact(&self.data, &format!("{place}data"), data_bytes_max)?,
            priority: self.priority,
            user: user.transpose()?,
            retain: self.retain,
        })
    }
}

pub(super) fn invalid_at(place: &str, error: impl std::fmt::Display) -> Problem {
    Problem::invalid(format!("Invalid body at {place}: {error}")).details(json!({"path": place}))
}

fn compact(raw: &RawValue, place: &str, bytes_max: usize) -> Result<Json, Problem> {
    let data = json::compact(raw.get()).map_err(|error| invalid_at(place, error))?;
    if data.as_str().len() > bytes_max {
        let text = format!("{place} is larger than {bytes_max} bytes");
        return Err(Problem::payload_too_large(bytes_max).saying(text));
    }
    Ok(data)
}

/// What an alert must have; the rest is the publisher's and goes out as it came.
#[derive(Deserialize, ToSchema)]
pub(super) struct Alert {
    #[schema(schema_with = schemas::severity)]
    severity: Severity,
    #[schema(schema_with = schemas::words)]
    message: String,
}

/// `POST alerts`: to everybody, whatever they subscribe to.
pub(super) async fn alert(
    state: web::Data<State>,
    Publisher(caller): Publisher,
    key: IdempotencyKey,
    body: WhenOpen<JsonBody<Box<RawValue>>>,
) -> Result<HttpResponse, Problem> {
    let mut event = caller.event(Action::Alert);
    let done = alerted(&state, &caller, &key, body, &mut event).await;
    event.outcome = outcome(&done);
    name_certificate(&mut event, &caller);
    state.audit.record(event);
    done
}

async fn alerted(
    state: &State,
    caller: &Caller,
    key: &IdempotencyKey,
    body: WhenOpen<JsonBody<Box<RawValue>>>,
    event: &mut Event,
) -> Result<HttpResponse, Problem> {
    let JsonBody(raw) = body.0?;
    let alert: Alert = decode::from_json(raw.get().as_bytes())?;
    if alert.message.trim().is_empty() {
        return Err(invalid_at("message", "a text is wanted"));
    }
    event.target = Some(alert.severity.as_str().to_owned());
    let data = compact(
        &raw,
        "The alert",
        state.settings.load().http.message_bytes_max,
    )?;
    let keys = key.of_alert(caller.user(), &data);
    let new = AlertWrite::New(alert.severity);
    let id = state.hub.alert(data, new, keys, &caller.trace);
    let id = id.await?.to_string();
    event.details = Some(json!({"messageId": id}));
    Ok(reply::accepted(Published::One {
        message_id: id,
        durability: state.hub.durability(),
    }))
}
