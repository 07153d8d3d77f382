//! For tests: a hub without a log and without others.

use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::mpsc;

use super::{Aggregates, Document, Followed, Logged, Out, Right, Surroundings, Watched};
use crate::config;
use crate::domain::message::MessageId;
use crate::domain::pattern::MetricName;

pub struct Alone;

impl Surroundings for Alone {
    fn origin(&self) -> String {
        "alone".to_owned()
    }

    fn has_others(&self) -> bool {
        false
    }

    fn has_log(&self) -> bool {
        false
    }

    fn wanted(&self, _: &[MetricName]) {}

    fn turn(&self, _: &MetricName) -> Option<Right> {
        Some(Right(None))
    }

    fn logged<'a>(&'a self, _: &'a MetricName, _: MessageId) -> BoxFuture<'a, Logged> {
        async { Logged::default() }.boxed()
    }

    fn kept(&self) -> BoxFuture<'_, Vec<Document>> {
        async { Vec::new() }.boxed()
    }
}

/// Aggregates of a hub that stands alone, and what comes of them.
pub fn start(
    settings: &[config::Aggregate],
    queue_events_max: usize,
) -> (Aggregates, mpsc::Receiver<Out>) {
    let (out, results) = mpsc::channel(64);
    let events = config::Events { queue_events_max };
    let followed = Followed {
        // Whose end nothing waits for.
        messages: mpsc::channel(1).1,
        missed: Arc::default(),
    };
    let log = (Watched::of(settings), followed);
    let aggregates = Aggregates::start(settings, &events, log, Arc::new(Alone), out);
    (aggregates, results)
}
