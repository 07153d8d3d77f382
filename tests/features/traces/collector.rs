//! A collector that keeps what it is sent, taken apart by the protocol's own definitions.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use actix_web::http::header::{CONTENT_TYPE, HeaderMap};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1 as otlp;
use prost::Message;
use tokio::sync::{OwnedRwLockWriteGuard, RwLock};

use crate::support::eventually;

pub use otlp::span::SpanKind;
pub use otlp::status::StatusCode;

/// What a span says; ids are in hexadecimal digits, `parent` is empty at the beginning of a trace.
#[derive(Debug, Clone)]
pub struct Span {
    pub trace: String,
    pub id: String,
    pub parent: String,
    pub name: String,
    pub kind: SpanKind,
    pub attributes: BTreeMap<String, String>,
    pub status: StatusCode,
    /// Of whoever made it.
    pub resource: BTreeMap<String, String>,
    pub began: u64,
    pub ended: u64,
}

#[derive(Default)]
struct Kept {
    spans: Mutex<Vec<Span>>,
    headers: Mutex<Vec<HeaderMap>>,
    /// Held for writing while nothing is to be answered.
    answers: Arc<RwLock<()>>,
}

pub struct Collector {
    address: SocketAddr,
    kept: Arc<Kept>,
}

impl Collector {
    pub fn start() -> Self {
        Self::at(SocketAddr::from(([127, 0, 0, 1], 0)))
    }

    pub fn at(address: SocketAddr) -> Self {
        let kept = Arc::<Kept>::default();
        let data = web::Data::from(kept.clone());
        let server = HttpServer::new(move || {
            App::new()
                .app_data(data.clone())
                .route("/v1/traces", web::post().to(take))
        });
        let server = server.workers(1).disable_signals();
        let server = server.bind(address).expect("a port");
        let address = server.addrs()[0];
        actix::spawn(server.run());
        Self { address, kept }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// All that has come so far.
    pub fn spans(&self) -> Vec<Span> {
        self.kept.spans.lock().expect("spans").clone()
    }

    /// Answers nothing while this is held.
    pub async fn hold(&self) -> OwnedRwLockWriteGuard<()> {
        self.kept.answers.clone().write_owned().await
    }

    pub fn headers(&self) -> Vec<HeaderMap> {
        self.kept.headers.lock().expect("headers").clone()
    }

    /// The span of this name, as soon as it has come.
    pub async fn span(&self, name: &str) -> Span {
        self.spans_when(name, 1).await.swap_remove(0)
    }

    /// All spans of this name, as soon as there are so many.
    pub async fn spans_when(&self, name: &str, count: usize) -> Vec<Span> {
        eventually(&format!("{count} spans {name:?}"), || {
            let mut spans = self.spans();
            spans.retain(|span| span.name == name);
            std::future::ready((spans.len() >= count).then_some(spans))
        })
        .await
    }
}

async fn take(request: HttpRequest, kept: web::Data<Kept>, body: web::Bytes) -> HttpResponse {
    let _may_answer = kept.answers.read().await;
    let protobuf = "application/x-protobuf";
    let kind = request.headers().get(CONTENT_TYPE);
    assert!(kind.is_some_and(|kind| kind == protobuf), "{kind:?}");
    let sent = ExportTraceServiceRequest::decode(body).expect("spans of OTLP");
    for of_resource in sent.resource_spans {
        let resource = said(of_resource.resource.unwrap_or_default().attributes);
        let spans = of_resource.scope_spans.into_iter().flat_map(|it| it.spans);
        let spans = spans.map(|span| Span::of(span, resource.clone()));
        kept.spans.lock().expect("spans").extend(spans);
    }
    let headers = request.headers().clone();
    kept.headers.lock().expect("headers").push(headers);
    HttpResponse::Ok()
        .content_type(protobuf)
        .body(ExportTraceServiceResponse::default().encode_to_vec())
}

impl Span {
    fn of(span: otlp::Span, resource: BTreeMap<String, String>) -> Self {
        Self {
            trace: hexadecimal(&span.trace_id),
            id: hexadecimal(&span.span_id),
            parent: hexadecimal(&span.parent_span_id),
            kind: span.kind(),
            status: span.status.clone().unwrap_or_default().code(),
            name: span.name,
            attributes: said(span.attributes),
            resource,
            began: span.start_time_unix_nano,
            ended: span.end_time_unix_nano,
        }
    }

    pub fn says(&self, key: &str) -> Option<&str> {
        self.attributes.get(key).map(String::as_str)
    }
}

fn said(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |attribute: KeyValue| {
        let value = match attribute.value.and_then(|value| value.value) {
            Some(any_value::Value::StringValue(text)) => text,
            Some(any_value::Value::IntValue(number)) => number.to_string(),
            other => format!("{other:?}"),
        };
        (attribute.key, value)
    };
    attributes.into_iter().map(text).collect()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a string takes all");
        text
    })
}
