//! `POST events`: raw events in bulk, of which only sums are kept.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, HttpResponse, web};
use bytes::Bytes;
use futures::future::LocalBoxFuture;
use jiff::Timestamp;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::access::{Publisher, outcome};
use super::body::{self, WhenOpen};
use super::decode;
use super::publish::{invalid_at, name_certificate};
use super::reply::{self, Problem};
use super::state::{State, now_ms};
use crate::aggregate::{Observed, Rules};
use crate::domain::message::MessageId;
use crate::telemetry::audit::{Action, Event};

/// A larger body is read on a thread where nobody waits for anything else.
const READ_HERE_BYTES_MAX: usize = 32 * 1024;
/// When to come back to a hub that cannot count so fast.
const COME_BACK_AFTER: Duration = Duration::from_secs(1);
pub(super) const NDJSON: &str = "application/x-ndjson";

/// What was taken.
#[derive(Serialize, ToSchema)]
#[schema(as = AcceptedEvents)]
pub(super) struct Accepted {
    /// Events of the batch.
    accepted: usize,
    /// Those of them that no aggregate is made from, where there are any.
    #[serde(skip_serializing_if = "is_none")]
    unused: usize,
}

fn is_none(count: &usize) -> bool {
    *count == 0
}

/// How the events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    /// One a line.
    Lines,
}

/// A body of events, not read yet. The errors are those of [`body::JsonBody`].
pub(super) struct Bulk {
    form: Form,
    bytes: Bytes,
}

impl FromRequest for Bulk {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, payload) = (req.clone(), payload.take());
        Box::pin(async move {
            let types = [(body::JSON, Form::Json), (NDJSON, Form::Lines)];
            let form = body::check_media_type(req.headers(), &types)?;
            let bytes = body::read(&req, payload).await?;
            Ok(Self { form, bytes })
        })
    }
}

/// `POST events`: a batch that is taken whole or refused whole.
pub(super) async fn events(
    state: web::Data<State>,
    Publisher(caller): Publisher,
    body: WhenOpen<Bulk>,
) -> Result<HttpResponse, Problem> {
    let mut event = caller.event(Action::Publish);
    event.target = Some("events".to_owned());
    let done = counted(&state, body, &mut event).await;
    event.outcome = outcome(&done);
    name_certificate(&mut event, &caller);
    state.audit.record(event);
    done
}

async fn counted(
    state: &State,
    body: WhenOpen<Bulk>,
    event: &mut Event,
) -> Result<HttpResponse, Problem> {
    let Bulk { form, bytes } = body.0?;
    let rules = state.aggregates.rules();
    let now_ms = now_ms();
    let observed = match bytes.len() <= READ_HERE_BYTES_MAX {
        true => observed(rules, form, &bytes, now_ms)?,
        false => web::block(move || observed(rules, form, &bytes, now_ms))
            .await
            .map_err(Problem::internal)??,
    };
    let (accepted, unused) = (observed.events, observed.unused);
    event.details = Some(json!({"count": accepted}));
    let max = state.aggregates.events_max();
    if accepted > max {
        let text = format!("At most {max} events are taken at once: events.queue_events_max");
        return Err(Problem::payload_too_large(max).saying(text));
    }
    state.aggregates.take(observed).map_err(|_| {
        let text = "Too many events wait to be counted";
        Problem::unavailable(text, COME_BACK_AFTER)
    })?;
    Ok(reply::accepted(Accepted { accepted, unused }))
}

/// One event.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    /// What happened: the `from` of aggregates.
    #[serde(borrow)]
    event: Cow<'a, str>,
    /// What is known of it; aggregates read fields of it.
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
    /// When it was: a time as in RFC 3339, or milliseconds since 1970. Not given: now.
    #[serde(default)]
    timestamp: Option<Moment>,
}

/// An object, and nothing else: of an array serde would take the elements for the fields in their order.
struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(OfObject(PhantomData))
    }
}

struct OfObject<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for OfObject<T> {
    type Value = Object<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Object)
    }
}

/// A batch as an object.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch<'a> {
    #[serde(borrow)]
    events: Vec<Object<Line<'a>>>,
}

/// In milliseconds since the Unix epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Moment(u64);

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(OfMoment)
    }
}

struct OfMoment;

impl Visitor<'_> for OfMoment {
    type Value = Moment;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a time as in RFC 3339, or milliseconds since 1970")
    }

    fn visit_u64<E: Error>(self, ms: u64) -> Result<Moment, E> {
        let unexpected = serde::de::Unexpected::Unsigned(ms);
        let fits = MessageId::new(ms, 0).is_some();
        fits.then_some(Moment(ms))
            .ok_or_else(|| E::invalid_value(unexpected, &self))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Moment, E> {
        let time = text.parse::<Timestamp>().ok();
        let ms = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
        let unexpected = serde::de::Unexpected::Str(text);
        ms.map(Moment)
            .ok_or_else(|| E::invalid_value(unexpected, &self))
    }
}

/// What is in a body.
///
/// # Errors
/// 400 that names the event, by its line or its index, and what is wrong with it; then none of the others counts.
pub(super) fn observed(
    rules: Arc<Rules>,
    form: Form,
    bytes: &[u8],
    now_ms: u64,
) -> Result<Observed, Problem> {
    let text = decode::text(bytes)?;
    let mut observed = Observed::new(rules);
    match form {
        Form::Lines => {
            for (index, line) in text.lines().enumerate() {
                if line.trim_ascii().is_empty() {
                    continue;
                }
                let at_line = |problem| decode::at_line(problem, index + 1);
                let line = decode::borrowed::<Object<Line<'_>>>(line)
                    .map_err(at_line)?
                    .0;
                add(&mut observed, &line, now_ms, || {
                    format!("line {}", index + 1)
                })?;
            }
        }
        Form::Json => {
            let is_list = text.trim_ascii_start().starts_with('[');
            let (lines, name) = match is_list {
                true => (decode::borrowed::<Vec<Object<Line<'_>>>>(text)?, ""),
                false => (
                    decode::borrowed::<Object<Batch<'_>>>(text)?.0.events,
                    "events",
                ),
            };
            for (index, Object(line)) in lines.iter().enumerate() {
                add(&mut observed, line, now_ms, || format!("{name}[{index}]"))?;
            }
        }
    }
    match observed.events {
        0 => Err(Problem::invalid("Invalid body: there is no event in it")),
        _ => Ok(observed),
    }
}

fn add(
    observed: &mut Observed,
    line: &Line<'_>,
    now_ms: u64,
    place: impl Fn() -> String,
) -> Result<(), Problem> {
    if line.event.is_empty() {
        return Err(invalid_at(&place(), "`event` is empty"));
    }
    let at = line.timestamp.map_or(now_ms, |moment| moment.0);
    let at = MessageId::new(at, 0).unwrap_or_default();
    let value = line.data.map_or("null", RawValue::get);
    let added = observed.add(&line.event, value, at);
    added.map_err(|_| invalid_at(&place(), "a number in `data` is too large for a double"))
}

#[cfg(test)]
mod tests {
    use actix_web::ResponseError;
    use actix_web::body::MessageBody;
    use serde_json::Value;

    use super::*;
    use crate::config::{Overrides, Settings};

    const NOW: u64 = 1_769_860_800_000;

    fn rules() -> Arc<Rules> {
        let text = "[auth]\nsecret = \"0123456789abcdef0123456789abcdef-unit\"\n\
            [[aggregate]]\nmetric = \"a\"\nfrom = \"signup\"\nop = \"sum\"\nfield = \"/amount\"\nby = [\"/plan\"]\nwindow = \"1m\"\n\
            [[aggregate]]\nmetric = \"b\"\nfrom = \"signup\"\nop = \"count\"\nwindow = \"1m\"\n";
        let settings = Settings::parse("test", text, &Default::default(), &Overrides::default());
        Arc::new(Rules::of(&settings.unwrap().aggregates, None))
    }

    fn seen(form: Form, body: &str) -> Result<Vec<(u64, String, String)>, String> {
        let observed = observed(rules(), form, body.as_bytes(), NOW).map_err(|problem| {
            let response = problem.error_response();
            assert_eq!(response.status(), 400);
            let bytes = response.into_body().try_into_bytes().unwrap();
            let body: Value = serde_json::from_slice(&bytes).unwrap();
            body["error"].as_str().unwrap().to_owned()
        })?;
        let (_, first, _) = observed.by_rule().next().unwrap();
        let first = first.into_iter();
        Ok(first
            .map(|one| {
                (
                    one.at.millis(),
                    one.group.to_string(),
                    format!("{:?}", one.measure),
                )
            })
            .collect())
    }

    #[test]
    fn events_are_read_from_an_object_a_list_and_lines_alike() {
        let one =
            r#"{"event":"signup","data":{"amount":1.5,"plan":"pro"},"timestamp":1769860799000}"#;
        let two = r#"{"event":"signup","data":{"plan":"fr\u0065e","amount":2},"timestamp":"2026-01-31T12:00:00.250Z"}"#;
        let three = r#"{"event":"other"}"#;
        let four = r#"{"event":"signup","data":{"amount":"no number"}}"#;
        let five = r#"{"event":"signup","data":{"amount":3}}"#;
        let expected = vec![
            (NOW - 1000, "pro".to_owned(), "Number(1.5)".to_owned()),
            (NOW + 250, "free".to_owned(), "Number(2.0)".to_owned()),
            (NOW, "none".to_owned(), "Number(3.0)".to_owned()),
        ];
        let all = [one, two, three, four, five];
        let list = format!("[{}]", all.join(","));
        assert_eq!(seen(Form::Json, &list).unwrap(), expected);
        let object = format!(" {{\"events\": {list} }}\n");
        assert_eq!(seen(Form::Json, &object).unwrap(), expected);
        let lines = format!("{}\r\n\n", all.join("\n"));
        assert_eq!(seen(Form::Lines, &lines).unwrap(), expected);
    }

    #[test]
    fn one_bad_event_is_named_and_refuses_all() {
        let good = r#"{"event":"signup"}"#;
        let check = |bad: &str, index: &str, line: &str| {
            let list = format!("[{good},{good},{bad}]");
            assert_eq!(seen(Form::Json, &list).unwrap_err(), index, "{bad}");
            let lines = format!("{good}\n\n{bad}\n{good}");
            assert_eq!(seen(Form::Lines, &lines).unwrap_err(), line, "{bad}");
        };
        check(
            r#"{"event":7}"#,
            "Invalid body at [2].event: invalid type, expected a string",
            "Line 3: Invalid body at event: invalid type, expected a string",
        );
        check(
            r#"{"data":7}"#,
            "Invalid body at [2]: missing field `event`",
            "Line 3: Invalid body: missing field `event`",
        );
        check(
            r#"{"event":"signup","timestamp":-1}"#,
            "Invalid body at [2].timestamp: invalid type, expected a time as in RFC 3339, or milliseconds since 1970",
            "Line 3: Invalid body at timestamp: invalid type, expected a time as in RFC 3339, or milliseconds since 1970",
        );
        check(
            r#"{"event":"signup","data":{"amount":1e999}}"#,
            "Invalid body at [2]: a number in `data` is too large for a double",
            "Invalid body at line 3: a number in `data` is too large for a double",
        );
        check(
            r#"{"event":""}"#,
            "Invalid body at [2]: `event` is empty",
            "Invalid body at line 3: `event` is empty",
        );
        let cut = seen(Form::Lines, &format!("{good}\n{{\"event\":\"si")).unwrap_err();
        assert!(cut.starts_with("Line 2: Malformed JSON"), "{cut}");
        for empty in ["", "[]", "{\"events\":[]}", "\n\n"] {
            for form in [Form::Json, Form::Lines] {
                assert!(seen(form, empty).is_err(), "{empty:?} {form:?}");
            }
        }
    }

    #[test]
    fn what_no_aggregate_is_made_from_is_counted_as_unused() {
        let lines = b"{\"event\":\"x\"}\n{\"event\":\"signup\"}\n{\"event\":\"y\",\"data\":[1]}";
        let observed = observed(rules(), Form::Lines, lines, NOW).unwrap();
        assert_eq!((observed.events, observed.unused), (3, 2));
    }
}
