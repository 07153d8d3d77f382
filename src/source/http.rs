//! JSON from a URL.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use serde_json::Value;

use super::fetch::Fetch;
use super::{Source, SourceError};
use crate::domain::pattern::MetricName;
use crate::trace::Span;

pub(super) struct Http(Fetch);

impl Http {
    /// # Errors
    /// As [`Fetch::new`].
    pub fn new(
        url: &str,
        headers: &BTreeMap<String, String>,
        body_bytes_max: usize,
    ) -> anyhow::Result<Self> {
        Fetch::new(url, "application/json", headers, body_bytes_max).map(Self)
    }

    async fn get(&self, span: &mut Span) -> Result<Value, SourceError> {
        let body = self.0.get(span).await?;
        serde_json::from_slice(&body).map_err(|error| SourceError::NoJson {
            url: self.0.shown().to_owned(),
            problem: error.to_string(),
        })
    }
}

impl Source for Http {
    fn span(&self, metric: &MetricName) -> Span {
        self.0.span(metric)
    }

    fn read<'a>(&'a self, span: &'a mut Span) -> BoxFuture<'a, Result<Value, SourceError>> {
        Box::pin(self.get(span))
    }
}
