//! `POST write`: points in InfluxDB's line protocol, as Telegraf sends them.
//!
//! A series, which is a measurement with its tags, becomes a metric: so each has its own latest value, and
//! subscriptions can name it. A point becomes the object that `SELECT *` would show of it.

use actix_web::{HttpResponse, web};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Map, Number, Value, json};
use utoipa::IntoParams;
use utoipa::openapi::Object;

use super::access::{Caller, Publisher, outcome};
use super::body::{QueryOf, TextBody, WhenOpen};
use super::idempotency::IdempotencyKey;
use super::openapi::schemas;
use super::publish::{BATCH_MESSAGES_MAX, Published, Written, name_certificate, publish_drafts};
use super::reply::{self, Problem};
use super::state::State;
use crate::domain::message::Draft;
use crate::domain::pattern::MetricName;
use crate::telemetry::audit::{Action, Event};
use crate::wire::line_protocol::{Field, Malformed, Point, points};

/// What is asked for besides; what else InfluxDB knows (`db`, `org`, `bucket`) is passed over.
#[derive(Debug, Default, Deserialize, IntoParams)]
pub(super) struct Parameters {
    #[param(schema_with = precision)]
    precision: Option<Precision>,
    #[param(schema_with = tags)]
    tags: Option<String>,
}

fn precision() -> Object {
    let text = "What timestamps count: `ns` where nothing is said; `n`, `u` and the words of InfluxDB 3 too.";
    let names = [
        "ns",
        "us",
        "ms",
        "s",
        "m",
        "h",
        "n",
        "u",
        "nanosecond",
        "microsecond",
        "millisecond",
        "second",
    ];
    schemas::text(text).enum_values(Some(names)).build()
}

fn tags() -> Object {
    let text = "Tags whose values are in the metric's name, in this order, with commas between them. Without it all \
                of them by name; empty: none.";
    schemas::text(text).build()
}

/// What timestamps count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
pub(super) enum Precision {
    #[default]
    #[serde(rename = "ns", alias = "n", alias = "nanosecond")]
    Nanoseconds,
    #[serde(rename = "us", alias = "u", alias = "µ", alias = "microsecond")]
    Microseconds,
    #[serde(rename = "ms", alias = "millisecond")]
    Milliseconds,
    #[serde(rename = "s", alias = "second")]
    Seconds,
    #[serde(rename = "m")]
    Minutes,
    #[serde(rename = "h")]
    Hours,
}

impl Precision {
    fn nanoseconds(self) -> i128 {
        match self {
            Self::Nanoseconds => 1,
            Self::Microseconds => 1000,
            Self::Milliseconds => 1_000_000,
            Self::Seconds => 1_000_000_000,
            Self::Minutes => 60 * 1_000_000_000,
            Self::Hours => 3600 * 1_000_000_000,
        }
    }
}

/// `POST write`: points that are taken whole or refused whole.
pub(super) async fn write(
    state: web::Data<State>,
    Publisher(caller): Publisher,
    key: IdempotencyKey,
    parameters: QueryOf<Parameters>,
    body: WhenOpen<TextBody>,
) -> Result<HttpResponse, Problem> {
    let mut event = caller.event(Action::Publish);
    let done = written(&state, &caller, key, &parameters.0, body, &mut event).await;
    event.outcome = outcome(&done);
    name_certificate(&mut event, &caller);
    state.audit.record(event);
    done
}

async fn written(
    state: &State,
    caller: &Caller,
    key: IdempotencyKey,
    parameters: &Parameters,
    body: WhenOpen<TextBody>,
    event: &mut Event,
) -> Result<HttpResponse, Problem> {
    let TextBody(body) = body.0?;
    let (lines, messages) = messages(&body, parameters)?;
    let keys = key.of_messages(caller.user(), &messages)?;
    let data_bytes_max = state.settings.load().http.message_bytes_max;
    let drafts = messages.into_iter().zip(lines);
    let drafts: Result<Vec<Draft>, Problem> = drafts
        .map(|(message, line)| message.draft(&format!("line {line}: "), data_bytes_max))
        .collect();
    let message_ids = publish_drafts(state, caller, drafts?, keys, event).await?;
    Ok(reply::accepted(Published::Batch {
        message_ids,
        durability: state.hub.durability(),
    }))
}

/// One of each point, and the line that it begins on.
pub(super) fn messages(
    body: &str,
    parameters: &Parameters,
) -> Result<(Vec<usize>, Vec<Written>), Problem> {
    let named = parameters.tags.as_deref().map(|tags| {
        let tags = tags.split(',').map(str::trim);
        tags.filter(|tag| !tag.is_empty()).collect::<Vec<_>>()
    });
    let precision = parameters.precision.unwrap_or_default();
    let (mut lines, mut messages) = (Vec::new(), Vec::new());
    for point in points(body) {
        let point = point.map_err(malformed)?;
        if lines.len() == BATCH_MESSAGES_MAX {
            return Err(wrong_count());
        }
        lines.push(point.line);
        messages.push(message(point, named.as_deref(), precision)?);
    }
    match lines.is_empty() {
        true => Err(wrong_count()),
        false => Ok((lines, messages)),
    }
}

fn malformed(error: Malformed) -> Problem {
    let (line, column) = (error.line, error.column);
    let text = format!("Malformed line protocol at {error}");
    Problem::invalid(text).details(json!({"line": line, "column": column}))
}

fn wrong_count() -> Problem {
    Problem::invalid(format!(
        "Invalid body: 1 to {BATCH_MESSAGES_MAX} points are allowed"
    ))
}

fn invalid_at(line: usize, problem: impl std::fmt::Display) -> Problem {
    let text = format!("Invalid body at line {line}: {problem}");
    Problem::invalid(text).details(json!({"line": line}))
}

fn message(point: Point, named: Option<&[&str]>, precision: Precision) -> Result<Written, Problem> {
    let line = point.line;
    let metric = metric(&point, named);
    MetricName::parse(&metric).map_err(|error| {
        invalid_at(
            line,
            format_args!("measurement and tags make no name: {error}; choose tags with ?tags="),
        )
    })?;
    let time = point.timestamp.map(|time| {
        let nanoseconds = i128::from(time) * precision.nanoseconds();
        let time = Timestamp::from_nanosecond(nanoseconds);
        time.map_err(|_| invalid_at(line, "the timestamp is out of range; check ?precision="))
    });
    let data = data(point, time.transpose()?).to_string();
    // Cannot fail: it was JSON a moment ago.
    let data = RawValue::from_string(data).map_err(|error| invalid_at(line, error))?;
    Ok(Written {
        metric,
        data,
        priority: None,
        user: None,
        retain: None,
        key: None,
    })
}

/// The measurement, then the values of the tags, all of them by name or those that are named.
fn metric(point: &Point, named: Option<&[&str]>) -> String {
    let segments = point.measurement.split('.').map(segment);
    let all = || point.tags.iter().map(|(_, value)| segment(value));
    let value = |name: &&str| {
        let found = point
            .tags
            .binary_search_by(|(key, _)| key.as_str().cmp(name));
        found.map_or_else(|_| segment(""), |at| segment(&point.tags[at].1))
    };
    let tags: Vec<_> = match named {
        None => all().collect(),
        Some(named) => named.iter().map(value).collect(),
    };
    segments.chain(tags).collect::<Vec<_>>().join(".")
}

fn segment(text: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    match text {
        "" => "_".to_owned(),
        text => text
            .chars()
            .map(|c| if fits(c) { c } else { '_' })
            .collect(),
    }
}

/// Where names are the same, a field goes over a tag, and either over the time.
fn data(point: Point, time: Option<Timestamp>) -> Value {
    let mut data = Map::new();
    if let Some(time) = time {
        data.insert("time".to_owned(), time.to_string().into());
    }
    let tags = point.tags.into_iter();
    data.extend(tags.map(|(name, value)| (name, value.into())));
    let value = |field| match field {
        // Finite, so it is a number.
        Field::Float(float) => Number::from_f64(float).map_or(Value::Null, Value::Number),
        Field::Integer(integer) => integer.into(),
        Field::Unsigned(unsigned) => unsigned.into(),
        Field::Boolean(boolean) => boolean.into(),
        Field::Text(text) => text.into(),
    };
    let fields = point.fields.into_iter();
    data.extend(fields.map(|(name, field)| (name, value(field))));
    data.into()
}

#[cfg(test)]
#[path = "tests/write.rs"]
mod tests;
