//! The sources' part of the Prometheus text.

use std::fmt;

use prometheus_client::registry::Unit;

use super::exposition::Out;
use super::prometheus::Snapshot;

impl Snapshot {
    pub(super) fn encode_sources(&self, out: &mut Out<'_>) -> fmt::Result {
        let sources = || {
            self.sources
                .iter()
                .map(|source| (source.metric.as_str(), source))
        };
        let polls = sources().map(|(name, source)| (name, source.polls));
        out.counters("source_polls", "Polls of a source.", "source", polls)?;
        let failures = sources().map(|(name, source)| (name, source.failures));
        let help = "Polls of a source that failed.";
        out.counters("source_failures", help, "source", failures)?;
        let last = sources().map(|(name, source)| (name, source.last_duration.as_secs_f64()));
        let help = "How long the last poll of a source took.";
        let seconds = Some(&Unit::Seconds);
        out.gauges("source_poll_duration", help, seconds, "source", last)?;
        let ages = sources()
            .filter_map(|(name, source)| Some((name, source.last_success_age?.as_secs_f64())));
        let help = "Time since a source last succeeded.";
        out.gauges("source_last_success_age", help, seconds, "source", ages)
    }
}
