//! What there is without the feature `otel`: nothing. Closures are not called, and every value has no size.

use std::time::Duration;

use super::{Attribute, Beginning, Incoming, Kind, Totals, Wanted};

/// Says that there is nothing here to do what is wanted.
///
/// # Errors
/// None; with the feature there are some.
pub fn start(wanted: &Wanted) -> anyhow::Result<()> {
    log::warn!(
        "traces.endpoint is {}, but this build has no traces: build it with --features otel, or unset it",
        wanted.endpoint
    );
    Ok(())
}

/// Nothing waits to be sent.
pub fn stop(_: Duration) {}

/// Zeros.
pub fn totals() -> Totals {
    Totals::default()
}

/// Of no trace.
#[derive(Debug, Clone, Default)]
pub struct Context(());

impl Context {
    pub fn traceparent(&self) -> Option<String> {
        None
    }

    pub fn of(_: Option<&str>) -> Self {
        Self(())
    }
}

/// No span.
#[derive(Debug, Default)]
pub struct Span(());

impl Span {
    #[inline]
    pub fn root(
        _: Kind,
        _: Incoming<'_>,
        _: impl FnOnce() -> bool,
        _: impl FnOnce() -> Beginning,
    ) -> Self {
        Self(())
    }

    #[inline]
    pub fn below(_: &Context, _: Kind, _: impl FnOnce() -> Beginning) -> Self {
        Self(())
    }

    #[inline]
    pub fn context(&self) -> Context {
        Context(())
    }

    #[inline]
    pub fn is_kept(&self) -> bool {
        false
    }

    #[inline]
    pub fn headers(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    #[inline]
    pub fn rename(&mut self, _: impl FnOnce() -> String) {}

    #[inline]
    pub fn add<const N: usize>(&mut self, _: impl FnOnce() -> [Attribute; N]) {}

    #[inline]
    pub fn fail(&mut self, _: impl FnOnce() -> (String, String)) {}
}

/// Nobody counts.
#[derive(Debug, Clone, Default)]
pub struct FanOut(());

impl FanOut {
    #[inline]
    pub fn new(_: Span) -> Self {
        Self(())
    }

    #[inline]
    pub fn is_kept(&self) -> bool {
        false
    }

    #[inline]
    pub fn add(&self, _: usize, _: usize) {}
}
