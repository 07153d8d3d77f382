//! Spans as the SDK of OpenTelemetry makes them.

use std::collections::HashMap;
use std::env;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context as _;
use opentelemetry::propagation::{Extractor, TextMapPropagator};
use opentelemetry::trace::{
    Span as _, SpanContext, SpanKind, Status, TraceContextExt, Tracer, TracerProvider,
};
use opentelemetry::{Context as Around, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use uuid::Uuid;

use super::export::{self, Tally};
use super::{Attribute, Beginning, Incoming, Kind, Totals, Value, Wanted};

/// Its own variable goes over the settings, as the SDK reads it.
const SAMPLER: &str = "OTEL_TRACES_SAMPLER";

/// Once for the process, as its log is: a trace goes through every room.
static RUNNING: OnceLock<Running> = OnceLock::new();

struct Running {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    tally: Arc<Tally>,
}

/// From now on there are spans. Doing it again does nothing.
///
/// # Errors
/// The endpoint is no URL, or a variable of OpenTelemetry says what is not there.
pub fn start(wanted: &Wanted) -> anyhow::Result<()> {
    let tally = Arc::<Tally>::default();
    let processor = export::processor(wanted, &tally).context("there can be no traces")?;
    let resource = Resource::builder()
        .with_service_name(wanted.service_name.clone())
        .with_attributes([
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            // Several hubs are one service.
            KeyValue::new("service.instance.id", Uuid::new_v4().to_string()),
        ])
        .build();
    let mut provider = SdkTracerProvider::builder()
        .with_span_processor(processor)
        .with_resource(resource);
    if env::var_os(SAMPLER).is_none() {
        let own = Sampler::TraceIdRatioBased(wanted.ratio);
        provider = provider.with_sampler(Sampler::ParentBased(Box::new(own)));
    }
    let provider = provider.build();
    let running = Running {
        tracer: provider.tracer("statshub"),
        provider,
        tally,
    };
    if RUNNING.set(running).is_ok() {
        log::info!("traces go to {}", wanted.endpoint);
    }
    Ok(())
}

/// Sends what waits, for as long as `within`. Blocks.
pub fn stop(within: Duration) {
    if let Some(running) = RUNNING.get()
        && let Err(error) = running.provider.shutdown_with_timeout(within)
    {
        log::warn!("the last traces were not sent: {error}");
    }
}

pub fn totals() -> Totals {
    RUNNING
        .get()
        .map(|it| it.tally.totals())
        .unwrap_or_default()
}

/// A span that others may be below; empty where that is not kept.
#[derive(Debug, Clone, Default)]
pub struct Context(Option<Arc<SpanContext>>);

impl Context {
    /// For whoever takes the work on in another process; `None` where there is nothing to go on with.
    pub fn traceparent(&self) -> Option<String> {
        let context = self.0.as_deref()?;
        let headers = headers(context.clone());
        headers
            .into_iter()
            .find_map(|(name, value)| (name == "traceparent").then_some(value))
    }

    /// Back from [`Context::traceparent`].
    pub fn of(traceparent: Option<&str>) -> Self {
        let Some(parent) = traceparent.filter(|_| RUNNING.get().is_some()) else {
            return Self::default();
        };
        let incoming = Incoming {
            parent: Some(parent),
            state: None,
        };
        Self::kept(around(incoming).span().span_context())
    }

    fn kept(context: &SpanContext) -> Self {
        let is_kept = context.is_valid() && context.is_sampled();
        Self(is_kept.then(|| Arc::new(context.clone())))
    }
}

/// Something that takes time; ends when it is dropped.
#[derive(Debug, Default)]
pub struct Span(Option<Box<opentelemetry_sdk::trace::Span>>);

impl Span {
    /// A span at the beginning of its trace here: below what came from elsewhere or, where nothing did and it
    /// `may_begin` one, of a new trace.
    pub fn root(
        kind: Kind,
        incoming: Incoming<'_>,
        may_begin: impl FnOnce() -> bool,
        beginning: impl FnOnce() -> Beginning,
    ) -> Self {
        let Some(running) = RUNNING.get() else {
            return Self::default();
        };
        let around = around(incoming);
        if !around.span().span_context().is_valid() && !may_begin() {
            return Self::default();
        }
        // What it says is worked out when the SDK has decided to keep it; no sampler of ours looks at that.
        let mut span = running
            .tracer
            .span_builder("")
            .with_kind(kind.into())
            .start_with_context(&running.tracer, &around);
        if span.is_recording() {
            let Beginning { name, attributes } = beginning();
            span.update_name(name);
            span.set_attributes(attributes.into_iter().map(said));
        }
        Self(Some(Box::new(span)))
    }

    /// A span below `parent`; none where that is not kept.
    pub fn below(parent: &Context, kind: Kind, beginning: impl FnOnce() -> Beginning) -> Self {
        let (Some(running), Some(parent)) = (RUNNING.get(), &parent.0) else {
            return Self::default();
        };
        let around = Around::new().with_remote_span_context(SpanContext::clone(parent));
        let Beginning { name, attributes } = beginning();
        let span = running
            .tracer
            .span_builder(name)
            .with_kind(kind.into())
            .with_attributes(attributes.into_iter().map(said))
            .start_with_context(&running.tracer, &around);
        Self(Some(Box::new(span)))
    }

    pub fn context(&self) -> Context {
        let span = self.0.as_deref();
        span.map_or_else(Context::default, |span| Context::kept(span.span_context()))
    }

    /// What tells another service that its spans belong below this one, or that they need not be kept.
    pub fn headers(&self) -> Vec<(String, String)> {
        let span = self.0.as_deref();
        span.map_or_else(Vec::new, |span| headers(span.span_context().clone()))
    }

    pub fn rename(&mut self, name: impl FnOnce() -> String) {
        if let Some(span) = self.kept() {
            span.update_name(name());
        }
    }

    pub fn add<const N: usize>(&mut self, attributes: impl FnOnce() -> [Attribute; N]) {
        if let Some(span) = self.kept() {
            span.set_attributes(attributes().map(said));
        }
    }

    /// It came to nothing: the kind of error, of which there are few, and why in words.
    pub fn fail(&mut self, why: impl FnOnce() -> (String, String)) {
        if let Some(span) = self.kept() {
            let (kind, words) = why();
            span.set_attribute(KeyValue::new("error.type", kind));
            span.set_status(Status::error(words));
        }
    }

    /// Whether it is worth saying something about it.
    pub fn is_kept(&self) -> bool {
        self.0.as_deref().is_some_and(|span| span.is_recording())
    }

    fn kept(&mut self) -> Option<&mut opentelemetry_sdk::trace::Span> {
        self.0.as_deref_mut().filter(|span| span.is_recording())
    }
}

/// The span of one message on its way to all its connections. Each worker has a clone; it ends with the last.
#[derive(Debug, Clone, Default)]
pub struct FanOut(Option<Arc<Reached>>);

#[derive(Debug)]
struct Reached {
    span: Span,
    connections: AtomicUsize,
    lagging: AtomicUsize,
}

impl FanOut {
    pub fn new(span: Span) -> Self {
        Self(span.0.is_some().then(|| {
            Arc::new(Reached {
                span,
                connections: AtomicUsize::new(0),
                lagging: AtomicUsize::new(0),
            })
        }))
    }

    /// Whether somebody wants the counts.
    pub fn is_kept(&self) -> bool {
        self.0.is_some()
    }

    /// So many more `connections` have the message in their queues, and so many more are too far behind.
    pub fn add(&self, connections: usize, lagging: usize) {
        if let Some(reached) = &self.0 {
            reached
                .connections
                .fetch_add(connections, Ordering::Relaxed);
            reached.lagging.fetch_add(lagging, Ordering::Relaxed);
        }
    }
}

impl Drop for Reached {
    fn drop(&mut self) {
        let (connections, lagging) = (*self.connections.get_mut(), *self.lagging.get_mut());
        self.span.add(|| {
            [
                ("statshub.connections.reached", connections.into()),
                ("statshub.connections.lagging", lagging.into()),
            ]
        });
    }
}

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        match key {
            "traceparent" => self.parent,
            "tracestate" => self.state,
            _ => None,
        }
    }

    fn keys(&self) -> Vec<&str> {
        vec!["traceparent", "tracestate"]
    }
}

/// What a span of ours is to be below. Not whatever this thread happens to be in.
fn around(incoming: Incoming<'_>) -> Around {
    match incoming.parent {
        Some(_) => TraceContextPropagator::new().extract_with_context(&Around::new(), &incoming),
        None => Around::new(),
    }
}

fn headers(context: SpanContext) -> Vec<(String, String)> {
    let mut headers = HashMap::new();
    let around = Around::new().with_remote_span_context(context);
    TraceContextPropagator::new().inject_context(&around, &mut headers);
    headers.retain(|_, value| !value.is_empty());
    headers.into_iter().collect()
}

fn said((key, value): Attribute) -> KeyValue {
    match value {
        Value::Text(text) => KeyValue::new(key, text),
        Value::Number(number) => KeyValue::new(key, number),
    }
}

impl From<Kind> for SpanKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Server => Self::Server,
            Kind::Client => Self::Client,
            Kind::Producer => Self::Producer,
            Kind::Internal => Self::Internal,
        }
    }
}
