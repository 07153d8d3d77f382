//! Settings of what operators see: the audit trail, Prometheus, the console, the log, traces, alerting.

use super::keys::{DAY, RATE_MAX, SECOND};
use super::kinds::{Choice, Flag, Fraction, Maybe, Millis, Number, Visitor};
use super::texts::{file, log_filter, word};
use super::{LogFormat, Settings, Traces, secrets};

const LOG_FORMATS: Choice<LogFormat> =
    Choice(&[("text", LogFormat::Text), ("json", LogFormat::Json)]);

/// More than anybody does in an hour: then every event stands for itself.
const ALIKE_MAX: u32 = 1_000_000_000;

/// Every setting of these sections, in the order of `config.toml`.
pub(super) fn visit<V: Visitor>(settings: &mut Settings, v: &mut V) -> Result<(), V::Error> {
    v.visit("audit.enabled", Flag, &mut settings.audit.enabled)?;
    v.visit("audit.file", Maybe(file()), &mut settings.audit.file)?;
    v.visit("audit.required", Flag, &mut settings.audit.required)?;
    v.visit(
        "audit.retention_ms",
        Millis(SECOND..=36_500 * DAY),
        &mut settings.audit.retention,
    )?;
    v.visit(
        "audit.denied_per_minute",
        Number(1..=RATE_MAX),
        &mut settings.audit.denied_per_minute,
    )?;
    v.visit(
        "audit.alike_per_hour",
        Number(1..=ALIKE_MAX),
        &mut settings.audit.alike_per_hour,
    )?;
    v.visit("prometheus.enabled", Flag, &mut settings.prometheus.enabled)?;
    v.visit(
        "prometheus.token",
        Maybe(secrets::bearer_token()),
        &mut settings.prometheus.token,
    )?;
    v.visit("console.enabled", Flag, &mut settings.console.enabled)?;
    v.visit("log.filter", log_filter(), &mut settings.log.filter)?;
    v.visit("log.format", LOG_FORMATS, &mut settings.log.format)?;
    traces(&mut settings.traces, v)?;
    v.visit(
        "alerting.lives_max",
        Number(1..=1_000_000),
        &mut settings.alerting.lives_max,
    )?;
    v.visit(
        "alerting.notifications_max",
        Number(1..=100_000),
        &mut settings.alerting.notifications_max,
    )
}

fn traces<V: Visitor>(traces: &mut Traces, v: &mut V) -> Result<(), V::Error> {
    v.visit(
        "traces.endpoint",
        Maybe(secrets::collector_url()),
        &mut traces.endpoint,
    )?;
    v.visit("traces.ratio", Fraction, &mut traces.ratio)?;
    v.visit("traces.service_name", word(), &mut traces.service_name)?;
    v.visit(
        "traces.queue_spans_max",
        Number(512..=1_000_000),
        &mut traces.queue_spans_max,
    )
}
