//! What a client may ask for in the query of a stream, or of the history; what a publisher may write; and raw events in
//! bulk.

use std::sync::{Arc, LazyLock};

use actix_web::ResponseError;
use actix_web::http::header::HeaderValue;
use actix_web::test::TestRequest;
use url::form_urlencoded::Serializer;

use super::asked::{Asked, Query};
use super::decode::from_query;
use super::events::{Form, observed};
use super::history::fuzz::parameters;
use super::reply::Problem;
use super::streams::parse_reconnect_token;
use super::write::{Parameters, messages};
use crate::aggregate::{Observed, Rules};
use crate::config::{Overrides, Settings};
use crate::domain::aggregate::Measure;
use crate::domain::message::MessageId;
use crate::domain::pattern::{MetricName, PATTERNS_MAX};
use crate::wire::json::compact;

/// A query string and a `Last-Event-ID`, apart by 0xff. What is taken is within limits, and asked for again in
/// its plainest form it is the same; what is refused is so with a status of the client's.
pub fn query(data: &[u8]) {
    let mut parts = data.split(|byte| *byte == 0xff);
    let mut part = || parts.next().unwrap_or_default();
    let Ok(query) = str::from_utf8(part()) else {
        return;
    };
    let header = HeaderValue::from_bytes(part()).ok();
    let Some(pairs) = taken(from_query::<Query>(query)) else {
        return;
    };
    let names = ["token", "reconnectToken"].map(|name| pairs.value(name).map(str::to_owned));
    for text in names.into_iter().flatten() {
        if let Some(token) = parse_reconnect_token(&text) {
            assert_eq!(token.to_string(), text);
        }
    }
    if let Some(asked) = taken(asked(pairs, header.clone())) {
        check(&asked, header);
    }
    if let Ok(pairs) = from_query::<Vec<(String, String)>>(query) {
        pairs
            .iter()
            .for_each(|(name, value)| parameters(name, value));
    }
}

fn asked(query: Query, header: Option<HeaderValue>) -> Result<Asked, Problem> {
    let header = header.map(|value| ("Last-Event-ID", value));
    let request = header
        .into_iter()
        .fold(TestRequest::default(), TestRequest::insert_header);
    Asked::of(query, &request.to_http_request())
}

fn taken<T>(result: Result<T, Problem>) -> Option<T> {
    let taken = result.inspect_err(|problem| assert_eq!(problem.status_code(), 400));
    taken.ok()
}

fn check(asked: &Asked, header: Option<HeaderValue>) {
    assert!(asked.selectors.len() <= PATTERNS_MAX);
    let header = header.as_ref().and_then(|value| value.to_str().ok());
    let by_header = header.and_then(MessageId::parse);
    assert!(by_header <= asked.last_event_id);
    let mut plain = Serializer::new(String::new());
    let selectors = asked.selectors.iter();
    plain.extend_pairs(selectors.map(|it| match it.view {
        None => ("metrics", it.pattern.to_string()),
        Some(_) => ("metrics", serde_json::json!(it).to_string()),
    }));
    plain.extend_pairs(
        asked
            .last_event_id
            .map(|id| ("lastEventId", id.to_string())),
    );
    plain.extend_pairs(asked.user.iter().map(|user| ("userId", user)));
    let pairs = from_query(&plain.finish()).expect("what was just written");
    let again = self::asked(pairs, None).expect("what was taken before");
    assert_eq!(again.selectors, asked.selectors);
    assert_eq!(again.last_event_id, asked.last_event_id);
    assert_eq!(again.user, asked.user);
}

/// Points in line protocol. What is taken has names that are some and values that the hub passes on; what is
/// refused is so with a status of the client's.
pub fn line_protocol(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else {
        return;
    };
    let Some((lines, messages)) = taken(messages(text, &Parameters::default())) else {
        return;
    };
    assert!(lines.len() == messages.len() && lines.is_sorted());
    assert!(lines.iter().all(|line| *line <= text.split('\n').count()));
    for message in messages {
        assert!(MetricName::parse(&message.metric).is_ok());
        assert!(compact(message.data.get()).is_ok(), "{}", message.data);
    }
}

/// Sums, marks and groups of the events that the corpus is of.
static RULES: LazyLock<Arc<Rules>> = LazyLock::new(|| {
    let aggregate = |metric: &str, rest: &str| {
        format!("[[aggregate]]\nmetric = \"{metric}\"\nfrom = \"e\"\nwindow = \"1m\"\n{rest}\n")
    };
    let tables = [
        aggregate("sum", "op = \"sum\"\nfield = \"/n\"\nby = [\"/g\"]"),
        aggregate(
            "distinct",
            "op = \"distinct\"\nfield = \"/a/0\"\nby = [\"/g\", \"/n\"]",
        ),
        aggregate("count", "op = \"count\""),
    ];
    let key = "[auth]\nsecret = \"0123456789abcdef0123456789abcdef-fuzz\"\n";
    let text = format!("{key}{}", tables.concat());
    let settings = Settings::parse("fuzz", &text, &Default::default(), &Overrides::default());
    let aggregates = settings.map(|settings| settings.aggregates);
    Arc::new(Rules::of(&aggregates.unwrap_or_default(), None))
});

/// Events, one a line or as JSON. What is taken is within limits, and each event is what it is in the other form.
pub fn events(data: &[u8]) {
    let read = |form, body: &[u8]| taken(observed(RULES.clone(), form, body, 0));
    read(Form::Json, data).map(|observed| check_events(observed, data));
    let Some(lines) = read(Form::Lines, data) else {
        return;
    };
    let text = String::from_utf8_lossy(data);
    let each = text.lines().filter(|line| !line.trim_ascii().is_empty());
    let list = format!("[{}]", each.collect::<Vec<_>>().join(","));
    let list = read(Form::Json, list.as_bytes()).expect("events that were taken before");
    assert_eq!(check_events(lines, data), check_events(list, data));
}

/// By rule what was observed, and how many events had nothing for it.
fn check_events(observed: Observed, data: &[u8]) -> Vec<(usize, u64, String)> {
    let events = observed.events;
    assert!(events > 0 && events <= data.len());
    let used = (events - observed.unused) as u64;
    let by_rule = observed.by_rule().map(|(rule, observations, unfit)| {
        assert_eq!(observations.len() as u64 + unfit, used);
        for one in &observations {
            assert!(one.group.len() <= 64);
            assert!(rule.plan.is_grouped || one.group.is_empty());
            assert!(!matches!(one.measure, Measure::Number(number) if !number.is_finite()));
        }
        let groups = observations
            .iter()
            .map(|one| format!("{} {:?}", one.group, one.measure));
        (observations.len(), unfit, groups.collect())
    });
    by_rule.collect()
}
