//! Traces for OpenTelemetry: what became of one request, publish or reading, as spans.
//!
//! Who begins something that takes time makes a [`Span`] of `spans`, where every span of the hub has its name
//! and says what it says; what follows from it elsewhere is told its [`Context`] and makes spans below it. Where
//! nobody collects, or a trace was not picked to be kept, both are empty, nothing is worked out and nothing is
//! allocated.
//!
//! With the feature `otel` this is done by the SDK (`otel`), which hands finished spans to a thread of its own
//! that sends them (`export`); without it (`off`) everything here is empty, and nobody else knows of the feature.
//! Further in than those who report to it, since a span begins where the work does. May use the domain's plain
//! values. Never waits for a collector, and never says a credential, a query string, a body or a user.

#[cfg(feature = "otel")]
mod export;
#[cfg(not(feature = "otel"))]
mod off;
#[cfg(feature = "otel")]
mod otel;
pub mod spans;

#[cfg(not(feature = "otel"))]
pub use off::{Context, FanOut, Span, start, stop, totals};
#[cfg(feature = "otel")]
pub use otel::{Context, FanOut, Span, start, stop, totals};

/// Where spans go, and which.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Of a collector, for OTLP over HTTP; `/v1/traces` is put behind it.
    pub endpoint: String,
    /// Of the traces that begin here, this many are kept, 0 to 1. Those that come from elsewhere are kept where
    /// they are kept there.
    pub ratio: f64,
    pub service_name: String,
    /// Spans that may wait to be sent; above it they are dropped.
    pub queue_spans_max: usize,
}

/// Spans since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Taken by the collector.
    pub exported: u64,
    /// Too many waited, or the collector did not take them.
    pub dropped: u64,
}

/// What part its span has in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Server,
    Client,
    Producer,
    Internal,
}

/// What came in the headers `traceparent` and `tracestate`, of W3C's Trace Context.
#[derive(Debug, Clone, Copy, Default)]
pub struct Incoming<'a> {
    pub parent: Option<&'a str>,
    pub state: Option<&'a str>,
}

/// What an attribute of a span says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Text(String),
    Number(i64),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u16> for Value {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

/// One thing that a span says.
pub type Attribute = (&'static str, Value);

/// A span as it begins. Made only for one that is kept.
#[derive(Debug)]
pub struct Beginning {
    pub name: String,
    pub attributes: Vec<Attribute>,
}
