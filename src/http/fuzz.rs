//! What a client may ask for in the query of a stream, or of the history; and what a publisher may write.

use actix_web::ResponseError;
use actix_web::http::header::HeaderValue;
use actix_web::test::TestRequest;
use url::form_urlencoded::Serializer;

use super::decode::from_query;
use super::history::fuzz::parameters;
use super::reply::Problem;
use super::streams::{Asked, Query, parse_reconnect_token};
use super::write::{Parameters, messages};
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
