//! Every span of the hub: its name and what it says, by the semantic conventions of OpenTelemetry where they have
//! a word, else below `statshub.`. Names are few: they hold metrics and routes, never ids, users or paths.

use std::fmt::Display;

use super::{Attribute, Beginning, Context, FanOut, Incoming, Kind, Span};
use crate::domain::message::{Draft, Message, MessageId, Topic};
use crate::domain::pattern::MetricName;

/// What HTTP's own methods are called; whatever else a client writes is one kind.
const METHODS: [&str; 9] = [
    "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE",
];

const SYSTEM: Word = ("messaging.system", "statshub");
const MESSAGE_TYPE: &str = "statshub.message.type";
const PRIORITY: &str = "statshub.message.priority";

/// An attribute that always says the same.
type Word = (&'static str, &'static str);

/// A request: from its head until its answer's head, which for a stream is its opening. `may_begin`: it is worth
/// a trace of its own.
pub fn request(
    incoming: Incoming<'_>,
    may_begin: impl FnOnce() -> bool,
    method: &str,
    scheme: &'static str,
) -> Span {
    Span::root(Kind::Server, incoming, may_begin, || {
        let known = METHODS.contains(&method);
        Beginning {
            name: if known { method } else { "HTTP" }.to_owned(),
            attributes: vec![
                (
                    "http.request.method",
                    if known { method } else { "_OTHER" }.into(),
                ),
                ("url.scheme", scheme.into()),
            ],
        }
    })
}

/// A request's answer; `route` is the template that its path has been found by.
pub fn answered(
    span: &mut Span,
    method: &str,
    route: impl FnOnce() -> Option<String>,
    status: u16,
    request_id: &str,
) {
    if !span.is_kept() {
        return;
    }
    span.add(|| {
        [
            ("http.response.status_code", status.into()),
            ("statshub.request_id", request_id.into()),
        ]
    });
    if let Some(route) = route() {
        if METHODS.contains(&method) {
            span.rename(|| format!("{method} {route}"));
        }
        span.add(|| [("http.route", route.into())]);
    }
    if status >= 500 {
        span.fail(|| (status.to_string(), String::new()));
    }
}

/// A batch on its way to where its messages have their ids and are as durable as promised.
pub fn publish(parent: &Context, drafts: &[Draft]) -> Span {
    Span::below(parent, Kind::Producer, || {
        let first = drafts.first().map(|draft| draft.metric.as_str());
        let one = first.filter(|name| drafts.iter().all(|it| it.metric.as_str() == *name));
        let mut beginning = publishing(one, "metrics_update");
        let more: Option<Attribute> = match drafts {
            [draft] => draft.priority.map(|it| (PRIORITY, it.as_str().into())),
            _ => Some(("messaging.batch.message_count", drafts.len().into())),
        };
        beginning.attributes.extend(more);
        beginning
    })
}

/// An alert, as [`publish`].
pub fn alert(parent: &Context) -> Span {
    Span::below(parent, Kind::Producer, || {
        publishing(Some("alerts"), "system_alert")
    })
}

fn publishing(destination: Option<&str>, kind: &'static str) -> Beginning {
    let mut attributes = vec![
        word(SYSTEM),
        word(("messaging.operation.name", "publish")),
        word(("messaging.operation.type", "send")),
        word((MESSAGE_TYPE, kind)),
    ];
    attributes.extend(destination.map(|name| ("messaging.destination.name", name.into())));
    Beginning {
        name: destination.map_or_else(|| "publish".to_owned(), |name| format!("publish {name}")),
        attributes,
    }
}

/// What became of a batch: its ids, or why it was not taken.
pub fn published<E: Display>(span: &mut Span, outcome: &Result<Vec<MessageId>, E>) {
    match outcome.as_deref() {
        Ok([id]) => span.add(|| [("messaging.message.id", id.to_string().into())]),
        Ok(_) => {}
        Err(error) => span.fail(|| ("not_published".to_owned(), error.to_string())),
    }
}

/// A batch on its way into the log: it waits for the transaction that it goes with, and for that to be committed.
pub fn write(parent: &Context, messages: usize) -> Span {
    Span::below(parent, Kind::Internal, || Beginning {
        name: "write log".to_owned(),
        attributes: vec![("statshub.log.messages", messages.into())],
    })
}

/// It is in the log, one of so many batches of its transaction; or why it is not.
pub fn written<T, E: Display>(span: &mut Span, batches: usize, outcome: &Result<T, E>) {
    span.add(|| [("statshub.log.transaction.batches", batches.into())]);
    if let Err(error) = outcome {
        span.fail(|| ("not_written".to_owned(), error.to_string()));
    }
}

/// A batch on its way into the log that hubs share.
pub fn append(parent: &Context, messages: usize) -> Span {
    Span::below(parent, Kind::Client, || Beginning {
        name: "append to the shared log".to_owned(),
        attributes: vec![
            word(("db.system.name", "redis")),
            ("statshub.log.messages", messages.into()),
        ],
    })
}

/// A message on its way from the Hub into the queues of the connections that it is for, on all workers.
pub fn deliver(parent: &Context, message: &Message, workers: usize) -> FanOut {
    FanOut::new(Span::below(parent, Kind::Internal, || {
        let (destination, kind) = match &message.topic {
            Topic::Metric(name) | Topic::UserMetric(name, _) => (name.as_str(), "metrics_update"),
            Topic::Alerts => ("alerts", "system_alert"),
            Topic::Test(..) => ("test", "test_message"),
            Topic::State(name) => (name.as_str(), "state"),
        };
        Beginning {
            name: format!("deliver {destination}"),
            attributes: vec![
                word(SYSTEM),
                ("messaging.destination.name", destination.into()),
                ("messaging.message.id", message.id.to_string().into()),
                word((MESSAGE_TYPE, kind)),
                word((PRIORITY, message.priority.as_str())),
                ("statshub.workers", workers.into()),
            ],
        }
    }))
}

/// The query of a source, to a database of this kind.
pub fn query(metric: &MetricName, system: &'static str) -> Span {
    reading(metric, || Beginning {
        name: format!("query {metric}"),
        attributes: vec![word(("db.system.name", system))],
    })
}

/// The request of a source to `url`, which holds nothing that may be a credential.
pub fn get(metric: &MetricName, url: &str, host: &str, port: Option<u16>) -> Span {
    reading(metric, || {
        let mut attributes = vec![
            word(("http.request.method", "GET")),
            ("url.full", url.into()),
            ("server.address", host.into()),
        ];
        attributes.extend(port.map(|port| ("server.port", port.into())));
        Beginning {
            name: "GET".to_owned(),
            attributes,
        }
    })
}

/// What a source was answered.
pub fn got(span: &mut Span, status: u16) {
    span.add(|| [("http.response.status_code", status.into())]);
}

/// What came of a read.
pub fn read<T, E: Display>(span: &mut Span, outcome: &Result<T, E>) {
    if let Err(error) = outcome {
        span.fail(|| ("not_read".to_owned(), error.to_string()));
    }
}

/// A reading is the beginning of a trace.
fn reading(metric: &MetricName, beginning: impl FnOnce() -> Beginning) -> Span {
    Span::root(
        Kind::Client,
        Incoming::default(),
        || true,
        || {
            let mut beginning = beginning();
            let metric = ("statshub.source.metric", metric.as_str().into());
            beginning.attributes.push(metric);
            beginning
        },
    )
}

fn word((key, text): Word) -> Attribute {
    (key, text.into())
}
