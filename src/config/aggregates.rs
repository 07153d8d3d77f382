//! `[[aggregate]]`: metrics that the hub sums up from others, or from raw events; and `[events]`.

use std::time::Duration;

use toml::Value;

use super::entries::{Entry, PRIORITIES};
use super::error::ConfigError;
use super::keys::{DAY, HOUR};
use super::kinds::{Choice, Kind, List, Maybe, Number, Text, Visitor, text};
use super::texts::metric_name;
use crate::domain::aggregate::{Op, Plan};
use crate::domain::message::Priority;
use crate::domain::pattern::MetricName;

/// `[events]`: raw events that are only summed up.
#[derive(Debug, Clone, PartialEq)]
pub struct Events {
    /// Events, and messages that are summed up, that may wait to be counted.
    pub queue_events_max: usize,
}

/// `[[aggregate]]`: a metric that the hub sums up.
#[derive(Debug, Clone, PartialEq)]
pub struct Aggregate {
    /// The result.
    pub metric: MetricName,
    /// A metric, or the name of raw events.
    pub from: MetricName,
    pub op: Op,
    /// Where in a value what is summed up is, as a JSON Pointer; `None`: the value itself.
    pub field: Option<String>,
    pub window: Duration,
    /// How often there is a result; the window is a multiple of it.
    pub every: Duration,
    /// How late an event may come and still count.
    pub grace: Duration,
    /// The unit of time of a rate.
    pub per: Duration,
    /// Where in a value what groups it is, as JSON Pointers.
    pub by: Vec<String>,
    pub groups_max: usize,
    pub priority: Priority,
}

impl Aggregate {
    /// What of it decides how is counted.
    pub fn plan(&self) -> Plan {
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Plan {
            op: self.op,
            reads_numbers: self.field.is_some(),
            per_ms: ms(self.per),
            window_ms: ms(self.window),
            every_ms: ms(self.every),
            grace_ms: ms(self.grace),
            is_grouped: !self.by.is_empty(),
            groups_max: self.groups_max,
        }
    }
}

const OPS: Choice<Op> = Choice(&[
    ("rate", Op::Rate),
    ("count", Op::Count),
    ("sum", Op::Sum),
    ("avg", Op::Avg),
    ("min", Op::Min),
    ("max", Op::Max),
    ("p50", Op::P50),
    ("p95", Op::P95),
    ("p99", Op::P99),
    ("distinct", Op::Distinct),
    ("last", Op::Last),
]);
/// Shortest step between two results, in milliseconds.
const EVERY_MIN: u64 = 100;
const GRACE: Duration = Duration::from_secs(2);
const PER: Duration = Duration::from_secs(1);
const GROUPS_MAX: usize = 100;
/// Pointers of `by`.
const BY_MAX: usize = 8;
/// Longest JSON Pointer, in bytes.
const POINTER_BYTES_MAX: usize = 256;
/// Most steps in a window and twice the grace.
const STEPS_MAX: u64 = 1000;
/// Most groups times steps: some hundred bytes each, and for sketches up to eight kilobytes.
const PARTIALS_MAX: u64 = 500_000;
const SKETCHES_MAX: u64 = 20_000;

/// A time, written with its unit.
struct Span {
    least_ms: u64,
    most_ms: u64,
    allowed: &'static str,
}

impl Kind for Span {
    type Meant = Duration;

    fn allowed(&self) -> String {
        self.allowed.to_owned()
    }

    fn read(&self, value: &Value) -> Option<Duration> {
        let span = humantime::parse_duration(value.as_str()?).ok()?;
        let ms = u64::try_from(span.as_millis()).ok()?;
        let fits = (self.least_ms..=self.most_ms).contains(&ms);
        (fits && span == Duration::from_millis(ms)).then_some(span)
    }

    fn write(&self, meant: &Duration) -> Option<Value> {
        let text = humantime::format_duration(*meant).to_string();
        Some(Value::String(text.replace(' ', "")))
    }
}

const WINDOW: Span = Span {
    least_ms: EVERY_MIN,
    most_ms: 7 * DAY,
    allowed: "a time such as \"500ms\", \"1m\" or \"1h30m\", from 100ms to 7d",
};
const EVERY: Span = Span {
    least_ms: EVERY_MIN,
    most_ms: DAY,
    allowed: "a time such as \"5s\" or \"1m\", from 100ms to 1d, of which the window is a multiple",
};
const GRACE_ALLOWED: Span = Span {
    least_ms: 0,
    most_ms: HOUR,
    allowed: "a time such as \"0s\" or \"10s\", at most 1h",
};
const PER_ALLOWED: Span = Span {
    least_ms: 1,
    most_ms: DAY,
    allowed: "a time such as \"1s\", \"1m\" or \"1h\", at most 1d",
};

fn pointer() -> Text<String> {
    text(
        "a JSON Pointer such as /amount or /user/plan, of at most 256 bytes",
        |pointer| {
            let good = pointer.starts_with('/') && pointer.len() <= POINTER_BYTES_MAX;
            good.then(|| pointer.to_owned())
        },
    )
}

/// An `[[aggregate]]` as written.
pub struct WrittenAggregate {
    metric: Option<MetricName>,
    from: Option<MetricName>,
    op: Option<Op>,
    field: Option<String>,
    window: Option<Duration>,
    every: Option<Duration>,
    grace: Duration,
    per: Option<Duration>,
    by: Vec<String>,
    groups_max: usize,
    priority: Priority,
}

impl Default for WrittenAggregate {
    fn default() -> Self {
        Self {
            metric: None,
            from: None,
            op: None,
            field: None,
            window: None,
            every: None,
            grace: GRACE,
            per: None,
            by: Vec::new(),
            groups_max: GROUPS_MAX,
            priority: Priority::Normal,
        }
    }
}

impl WrittenAggregate {
    /// What holds of the keys that have a default.
    pub fn defaults() -> Self {
        Self {
            per: Some(PER),
            ..Self::default()
        }
    }
}

impl Entry for WrittenAggregate {
    type Meant = Aggregate;
    const SECTION: &str = "aggregate";

    fn visit<V: Visitor>(&mut self, v: &mut V) -> Result<(), V::Error> {
        v.visit("metric", Maybe(metric_name()), &mut self.metric)?;
        v.visit("from", Maybe(metric_name()), &mut self.from)?;
        v.visit("op", Maybe(OPS), &mut self.op)?;
        v.visit("field", Maybe(pointer()), &mut self.field)?;
        v.visit("window", Maybe(WINDOW), &mut self.window)?;
        v.visit("every", Maybe(EVERY), &mut self.every)?;
        v.visit("grace", GRACE_ALLOWED, &mut self.grace)?;
        v.visit("per", Maybe(PER_ALLOWED), &mut self.per)?;
        let by = List {
            of: pointer(),
            min: 0,
        };
        v.visit("by", by, &mut self.by)?;
        v.visit("groups_max", Number(1..=10_000), &mut self.groups_max)?;
        v.visit("priority", PRIORITIES, &mut self.priority)
    }

    fn meant(self, place: &str, _: Option<&str>) -> Result<Aggregate, ConfigError> {
        let missing =
            |key: &str, allowed: &str| ConfigError::missing(format!("{place}{key}"), allowed);
        let metric = self
            .metric
            .ok_or_else(|| missing("metric", metric_name().allowed))?;
        let from = self
            .from
            .ok_or_else(|| missing("from", metric_name().allowed))?;
        let op = self.op.ok_or_else(|| missing("op", &OPS.allowed()))?;
        let window = self
            .window
            .ok_or_else(|| missing("window", WINDOW.allowed))?;
        if self.per.is_some() && op != Op::Rate {
            let reason = "only a rate has a unit of time";
            return Err(ConfigError::misplaced(format!("{place}per"), reason));
        }
        let aggregate = Aggregate {
            metric,
            from,
            op,
            field: self.field,
            window,
            every: self.every.unwrap_or(window),
            grace: self.grace,
            per: self.per.unwrap_or(PER),
            by: self.by,
            groups_max: self.groups_max,
            priority: self.priority,
        };
        check(&aggregate, place)?;
        Ok(aggregate)
    }

    fn identity(meant: &Aggregate) -> (&'static str, &str) {
        ("metric", meant.metric.as_str())
    }
}

/// What no key shows alone.
fn check(aggregate: &Aggregate, place: &str) -> Result<(), ConfigError> {
    let wrong = |key: &str, value: Value, allowed: String| {
        Err(ConfigError::value(
            &format!("{place}{key}"),
            &value,
            allowed,
        ))
    };
    let written = |span: Duration| WINDOW.write(&span).unwrap_or_else(|| "".into());
    let every_ms = aggregate.every.as_millis().max(1) as u64;
    let window_ms = aggregate.window.as_millis() as u64;
    if aggregate.from == aggregate.metric {
        let from = Value::from(aggregate.from.as_str());
        return wrong("from", from, "another metric than the result's".to_owned());
    }
    if !window_ms.is_multiple_of(every_ms) {
        let allowed = format!("a whole multiple of {place}every");
        return wrong("window", written(aggregate.window), allowed);
    }
    let steps = (window_ms + 2 * aggregate.grace.as_millis() as u64).div_ceil(every_ms);
    if steps > STEPS_MAX {
        let allowed = format!(
            "a time of which the window and twice the grace are at most {STEPS_MAX}; they are {steps}"
        );
        return wrong("every", written(aggregate.every), allowed);
    }
    if aggregate.by.len() > BY_MAX {
        let allowed = format!("a list of at most {BY_MAX}");
        return wrong("by", Value::Integer(aggregate.by.len() as i64), allowed);
    }
    let partials_max = match aggregate.op.has_sketch() {
        true => SKETCHES_MAX,
        false => PARTIALS_MAX,
    };
    if !aggregate.by.is_empty() && aggregate.groups_max as u64 * steps > partials_max {
        let allowed = format!(
            "at most {} with this op and {steps} steps in the window and twice the grace",
            partials_max / steps
        );
        let groups = Value::Integer(aggregate.groups_max as i64);
        return wrong("groups_max", groups, allowed);
    }
    Ok(())
}

impl From<&Aggregate> for WrittenAggregate {
    fn from(aggregate: &Aggregate) -> Self {
        Self {
            metric: Some(aggregate.metric.clone()),
            from: Some(aggregate.from.clone()),
            op: Some(aggregate.op),
            field: aggregate.field.clone(),
            window: Some(aggregate.window),
            every: Some(aggregate.every),
            grace: aggregate.grace,
            per: (aggregate.op == Op::Rate).then_some(aggregate.per),
            by: aggregate.by.clone(),
            groups_max: aggregate.groups_max,
            priority: aggregate.priority,
        }
    }
}

/// No metric may come from two places.
pub fn check_together(
    aggregates: &[Aggregate],
    sources: &[super::Source],
) -> Result<(), ConfigError> {
    let is_source = |metric: &MetricName| sources.iter().any(|source| source.metric == *metric);
    match aggregates.iter().position(|it| is_source(&it.metric)) {
        None => Ok(()),
        Some(index) => Err(ConfigError::value(
            &format!("aggregate.{}.metric", index + 1),
            &Value::from(aggregates[index].metric.as_str()),
            "a metric that no [[source]] feeds",
        )),
    }
}
