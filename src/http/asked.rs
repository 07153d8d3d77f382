//! What a client asks for besides a stream.

use actix_web::HttpRequest;
use serde_json::Value;

use super::reply::Problem;
use super::subscriptions::selector;
use crate::domain::message::MessageId;
use crate::domain::pattern::PATTERNS_MAX;
use crate::domain::view::Selector;

/// The query of a stream, in which a name may come more than once.
#[derive(Debug, serde::Deserialize)]
#[serde(transparent)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// The first value that is not empty: a page that fills in a template has nothing to say then.
    pub(super) fn value(&self, wanted: &str) -> Option<&str> {
        self.values(wanted).find(|value| !value.is_empty())
    }

    fn values(&self, wanted: &str) -> impl Iterator<Item = &str> {
        let named = self.0.iter().filter(move |(name, _)| name == wanted);
        named.map(|(_, value)| value.as_str())
    }
}

/// What a client asks for besides a stream.
pub(super) struct Asked {
    pub selectors: Vec<Selector>,
    pub last_event_id: Option<MessageId>,
    pub user: Option<String>,
    /// To be sent what changes, where that can be said.
    pub takes_patches: bool,
}

impl Asked {
    pub fn of(query: Query, request: &HttpRequest) -> Result<Self, Problem> {
        let metrics: Vec<Value> = query
            .values("metrics")
            .map(listed)
            .collect::<Result<Vec<_>, _>>()?
            .concat();
        if metrics.len() > PATTERNS_MAX {
            let text = format!("A stream takes at most {PATTERNS_MAX} metrics");
            return Err(Problem::invalid(text));
        }
        let numbered = metrics.into_iter().enumerate();
        let selectors = numbered.map(|(nth, value)| selector("Invalid metrics", nth, value));
        Ok(Self {
            selectors: selectors.collect::<Result<_, _>>()?,
            last_event_id: last_event_id(&query, request),
            user: query.value("userId").map(str::to_owned),
            takes_patches: match query.value("delta") {
                None => false,
                Some("merge-patch") => true,
                Some(_) => {
                    let text = "delta: merge-patch is the only one there is";
                    return Err(Problem::invalid(text));
                }
            },
        })
    }
}

/// Names between commas, or JSON as in a subscription.
fn listed(metrics: &str) -> Result<Vec<Value>, Problem> {
    let json = |_| Problem::invalid("Invalid metrics: this is no JSON");
    match metrics.as_bytes().first() {
        Some(b'[') => serde_json::from_str(metrics).map_err(json),
        Some(b'{') => Ok(vec![serde_json::from_str(metrics).map_err(json)?]),
        _ => {
            let names = metrics.split(',').filter(|name| !name.is_empty());
            Ok(names.map(Value::from).collect())
        }
    }
}

/// The larger of header and parameter: a native EventSource repeats the URL it was made with and
/// adds what it has seen since. What is no id of ours says nothing.
fn last_event_id(query: &Query, request: &HttpRequest) -> Option<MessageId> {
    let header = request.headers().get("Last-Event-ID");
    let header = header.and_then(|value| value.to_str().ok());
    let given = header.into_iter().chain(query.value("lastEventId"));
    given.filter_map(MessageId::parse).max()
}
