//! The numbers of what is summed up.

use std::fmt;
use std::time::Duration;

use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::exposition::Out;
use crate::domain::pattern::MetricName;

/// Of all aggregates together.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AggregatesSnapshot {
    /// Raw events taken, and refused as too many waited.
    pub events: u64,
    pub refused: u64,
    /// Those taken that no aggregate is made from.
    pub unused: u64,
    /// Messages that are in no aggregate, as too many waited.
    pub skipped: u64,
    /// Raw events that wait to be counted.
    pub waiting: u64,
    pub each: Vec<AggregateSnapshot>,
}

/// One aggregate. Its metric's name is the label.
#[derive(Debug, Clone, PartialEq)]
pub struct AggregateSnapshot {
    pub metric: MetricName,
    pub counted: u64,
    pub late: u64,
    pub ahead: u64,
    pub without_value: u64,
    pub ungrouped: u64,
    pub results: u64,
    pub failures: u64,
    /// How long after it was due the last result was published.
    pub lag: Duration,
}

impl AggregatesSnapshot {
    pub(super) fn encode(&self, out: &mut Out<'_>) -> fmt::Result {
        let help = "Raw events by what became of them: taken, refused as too many waited.";
        let events = [("taken", self.events), ("refused", self.refused)];
        out.counters("events", help, "outcome", events)?;
        let help = "Raw events taken that no aggregate is made from.";
        out.counter("events_unused", help, self.unused)?;
        let help = "Raw events that wait to be counted.";
        out.gauge("events_waiting", help, None, &self.waiting)?;
        let help = "Messages that are in no aggregate, as too many waited and no log had them.";
        out.counter("aggregate_messages_skipped", help, self.skipped)?;
        let help = "Events and messages by aggregate and by what became of them there.";
        let observed = self.each.iter().flat_map(|one| {
            let outcomes = [
                ("counted", one.counted),
                ("late", one.late),
                ("ahead", one.ahead),
                ("without_value", one.without_value),
            ];
            let labels = |outcome| [("aggregate", one.metric.as_str()), ("outcome", outcome)];
            outcomes.map(|(outcome, count)| (labels(outcome), count))
        });
        out.family("aggregate_observations", help, observed)?;
        let help = "Those counted in the group \"other\", as there are too many groups.";
        self.of_each(out, "aggregate_ungrouped", help, |one| one.ungrouped)?;
        let help = "Results published.";
        self.of_each(out, "aggregate_results", help, |one| one.results)?;
        let help = "Results that could not be published.";
        self.of_each(out, "aggregate_result_failures", help, |one| one.failures)?;
        let help = "How long after it was due the last result was published.";
        let seconds = Some(&Unit::Seconds);
        let mut lags = out.describe("aggregate_result_lag", help, seconds, MetricType::Gauge)?;
        for one in &self.each {
            let labels = [("aggregate", one.metric.as_str())];
            lags.encode_family(&labels)?
                .encode_gauge(&one.lag.as_secs_f64())?;
        }
        Ok(())
    }

    fn of_each(
        &self,
        out: &mut Out<'_>,
        name: &str,
        help: &str,
        number: impl Fn(&AggregateSnapshot) -> u64,
    ) -> fmt::Result {
        let each = self.each.iter();
        let each = each.map(|one| ([("aggregate", one.metric.as_str())], number(one)));
        out.family::<[(&str, &str); 1]>(name, help, each)
    }
}
