//! How spans get to the collector: a queue with an end, a thread of the SDK's that empties it, and a count of
//! what was lost. Nobody else waits for any of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use opentelemetry::Context;
use opentelemetry_otlp::{ExporterBuildError, Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter as Export, SpanProcessor,
};

use super::{Totals, Wanted};

/// What waits, and what became of the rest.
#[derive(Debug, Default)]
pub struct Tally {
    waiting: AtomicUsize,
    exported: AtomicU64,
    dropped: AtomicU64,
}

impl Tally {
    pub fn totals(&self) -> Totals {
        Totals {
            exported: self.exported.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }
}

/// What takes finished spans.
///
/// # Errors
/// The endpoint is no URL, or a variable of OpenTelemetry says what is not there.
pub fn processor(wanted: &Wanted, tally: &Arc<Tally>) -> Result<Bounded, ExporterBuildError> {
    let endpoint = format!("{}/v1/traces", wanted.endpoint.trim_end_matches('/'));
    let exporter = SpanExporter::builder()
        .with_http()
        .with_endpoint(endpoint)
        .with_protocol(Protocol::HttpBinary)
        .build()?;
    let exporter = Counted {
        exporter,
        tally: tally.clone(),
        is_failing: AtomicBool::new(false),
    };
    // Never full: what is more than may wait does not get there.
    let config = BatchConfigBuilder::default()
        .with_max_queue_size(wanted.queue_spans_max)
        .build();
    let batches = BatchSpanProcessor::builder(exporter)
        .with_batch_config(config)
        .build();
    Ok(Bounded {
        batches,
        tally: tally.clone(),
        spans_max: wanted.queue_spans_max,
    })
}

/// The SDK drops what its queue has no room for too, but tells nobody how much.
#[derive(Debug)]
pub struct Bounded {
    batches: BatchSpanProcessor,
    tally: Arc<Tally>,
    spans_max: usize,
}

impl SpanProcessor for Bounded {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        if self.tally.waiting.fetch_add(1, Ordering::Relaxed) < self.spans_max {
            self.batches.on_end(span);
        } else {
            self.tally.waiting.fetch_sub(1, Ordering::Relaxed);
            self.tally.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// The exporter, with what becomes of each batch counted, and said when it changes.
#[derive(Debug)]
struct Counted {
    exporter: SpanExporter,
    tally: Arc<Tally>,
    is_failing: AtomicBool,
}

impl Export for Counted {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let spans = batch.len();
        let done = self.exporter.export(batch).await;
        self.tally.waiting.fetch_sub(spans, Ordering::Relaxed);
        let became = match done {
            Ok(()) => &self.tally.exported,
            Err(_) => &self.tally.dropped,
        };
        became.fetch_add(spans as u64, Ordering::Relaxed);
        let was_failing = self.is_failing.swap(done.is_err(), Ordering::Relaxed);
        match &done {
            Err(error) if !was_failing => {
                log::warn!("traces are lost, the collector does not take them: {error}");
            }
            Ok(()) if was_failing => log::info!("the collector takes traces again"),
            _ => {}
        }
        done
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}
