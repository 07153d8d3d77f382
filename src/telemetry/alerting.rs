//! Alert rules and their notifications, as Prometheus reads them.

use std::fmt;

use super::exposition::Out;
use crate::domain::alert::Severity;

/// All at one moment. Totals count since the start.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AlertingSnapshot {
    pub rules: u64,
    /// Rules times the metrics that they concern.
    pub lives: u64,
    pub lives_max: u64,
    pub pending: u64,
    pub firing: Vec<(Severity, u64)>,
    pub silences: u64,
    pub evaluations: u64,
    pub evaluation_errors: u64,
    pub is_acting: bool,
    pub notifications_pending: u64,
    pub notifications_dead: u64,
    pub delivered: u64,
    /// Attempts that are made again.
    pub failed: u64,
    pub died: u64,
    /// Without room.
    pub left_out: u64,
}

impl AlertingSnapshot {
    pub(super) fn encode(&self, out: &mut Out<'_>) -> fmt::Result {
        let help = "Alert rules.";
        out.gauge("rules", help, None, &self.rules)?;
        let help = "Alert rules times the metrics that they concern.";
        out.gauge("rule_lives", help, None, &self.lives)?;
        let help = "How many of these there may be.";
        out.gauge("rule_lives_max", help, None, &self.lives_max)?;
        let help = "Alert rules that hold on a metric, not long enough yet.";
        out.gauge("rules_pending", help, None, &self.pending)?;
        let firing = self.firing.iter();
        let firing = firing.map(|(severity, count)| (severity.as_str(), *count));
        let help = "Alerts of rules that fire.";
        out.gauges("rules_firing", help, None, "severity", firing)?;
        let help = "Silences that are remembered.";
        out.gauge("silences", help, None, &self.silences)?;
        let help = "Values that alert rules were asked about.";
        out.counter("rule_evaluations", help, self.evaluations)?;
        let help = "Values that an alert rule had no answer for.";
        out.counter("rule_evaluation_errors", help, self.evaluation_errors)?;
        let help = "1 while this is the hub that tells what alert rules have to say.";
        out.gauge("rules_acting", help, None, &u64::from(self.is_acting))?;
        let help = "Notifications that wait to be delivered.";
        out.gauge(
            "notifications_pending",
            help,
            None,
            &self.notifications_pending,
        )?;
        let help = "Notifications that were given up and wait for an operator.";
        out.gauge("notifications_dead", help, None, &self.notifications_dead)?;
        let help = "Attempts to deliver a notification, and notifications that found no room.";
        let attempts = [
            ("delivered", self.delivered),
            ("failed", self.failed),
            ("dead", self.died),
            ("left_out", self.left_out),
        ];
        out.counters("notifications", help, "outcome", attempts)
    }
}
