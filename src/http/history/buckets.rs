//! `GET history` with a step: the numbers of a metric in buckets of time.

use std::collections::BTreeMap;
use std::sync::Arc;

use actix_web::HttpResponse;
use serde::Serialize;
use serde_json::{Number, Value};
use utoipa::ToSchema;

use super::pages;
use super::parameters::{self, invalid};
use crate::domain::pattern::{MetricName, Pattern};
use crate::domain::series::{Aggregate, Bucket, Grid, GridError, Series};
use crate::http::access::Caller;
use crate::http::openapi::schemas;
use crate::http::reply::{self, Problem};
use crate::store::{Bounds, Order, Reader, Ring, Walk};
use crate::wire::message::timestamp;

/// Buckets of all the series in one answer.
const BUCKETS_MAX: u64 = 100_000;
/// Messages read at a time.
const ROWS: usize = 1000;
/// Whole numbers up to here are written as such: a double holds each of them.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

/// What is asked for, checked.
pub(super) struct Wanted {
    patterns: Vec<Pattern>,
    bounds: Bounds,
    grid: Grid,
    aggregate: Aggregate,
    /// A JSON Pointer; `None`: the value is the number.
    field: Option<String>,
}

impl Wanted {
    /// `now_ms` is where the time ends if that is not said.
    pub fn of(wanted: &pages::Wanted, now_ms: u64) -> Result<Self, Problem> {
        let given = [
            ("limit", &wanted.limit),
            ("cursor", &wanted.cursor),
            ("order", &wanted.order),
        ];
        for (name, given) in given {
            if given.is_some() {
                return Err(invalid(name, "not together with `step`"));
            }
        }
        let step_ms = parameters::step(wanted.step.as_deref().unwrap_or_default())?;
        let (from, to) = parameters::times(wanted.from.as_deref(), wanted.to.as_deref())?;
        let from = from.ok_or_else(|| invalid("from", "a time is wanted with `step`"))?;
        // What is published in this very millisecond is past.
        let to = to.unwrap_or(now_ms + 1);
        let aggregate = wanted.agg.as_deref().map(|text| {
            let allowed = Aggregate::ALL.map(Aggregate::as_str).join(", ");
            Aggregate::parse(text)
                .ok_or_else(|| invalid("agg", format_args!("one of {allowed} is wanted")))
        });
        let aggregate = aggregate.transpose()?.unwrap_or(Aggregate::Avg);
        let field = wanted.field.as_deref().map(parameters::field).transpose()?;
        let grid = Grid::over(from, to, step_ms).map_err(|error| match error {
            GridError::Empty => invalid("from", "it must lie before `to`, or in the past"),
            GridError::TooMany(_) => invalid("step", error),
        });
        Ok(Self {
            patterns: parameters::patterns("metric", wanted.metric.as_deref())?,
            bounds: parameters::bounds(Some(from), Some(to)),
            grid: grid?,
            aggregate,
            field,
        })
    }

    /// The metric, where the query names one only.
    fn is_of_one(&self) -> bool {
        matches!(&self.patterns[..], [pattern] if pattern.as_exact().is_some())
    }
}

/// The buckets of one metric.
#[derive(Serialize, ToSchema)]
#[schema(as = Series)]
pub(in crate::http) struct OfMetric {
    #[schema(schema_with = schemas::metric_name)]
    metric: MetricName,
    buckets: Vec<Drawn>,
}

/// What is answered: buckets where the query names one metric, else a series for each.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Buckets, description = "Buckets where the query names one metric, else a series for each.")]
pub(in crate::http) enum Bucketed {
    Buckets(Vec<Drawn>),
    Series(Vec<OfMetric>),
}

/// A bucket of time.
#[derive(Serialize, ToSchema)]
#[schema(as = Bucket)]
pub(in crate::http) struct Drawn {
    /// Where it begins.
    #[schema(schema_with = schemas::time)]
    from: String,
    /// `null` where there is none.
    #[schema(value_type = Option<f64>, required)]
    value: Option<Number>,
    /// How many numbers it has.
    count: u64,
}

/// One list of buckets where the query names one metric, else one for each that was found.
pub(super) async fn read(
    reader: &Reader,
    caller: &Caller,
    wanted: Wanted,
) -> Result<HttpResponse, Problem> {
    let rings = reader
        .rings(wanted.patterns.clone(), caller.user().clone())
        .await?;
    if wanted.is_of_one() {
        let buckets = series(reader, rings, &wanted).await?;
        return Ok(reply::ok(Bucketed::Buckets(buckets)));
    }
    let mut metrics = BTreeMap::<_, Vec<_>>::new();
    for ring in rings {
        metrics.entry(ring.metric.clone()).or_default().push(ring);
    }
    let buckets = wanted.grid.count.saturating_mul(metrics.len() as u64);
    if buckets > BUCKETS_MAX {
        return Err(invalid(
            "step",
            format_args!(
                "this makes {buckets} buckets over {} metrics, and at most {BUCKETS_MAX} are allowed \
                 in one answer: take a longer step, a shorter time or fewer metrics",
                metrics.len()
            ),
        ));
    }
    let mut all = Vec::with_capacity(metrics.len());
    for (metric, rings) in metrics {
        let buckets = series(reader, rings, &wanted).await?;
        all.push(OfMetric { metric, buckets });
    }
    Ok(reply::ok(Bucketed::Series(all)))
}

async fn series(
    reader: &Reader,
    rings: Vec<Arc<Ring>>,
    wanted: &Wanted,
) -> Result<Vec<Drawn>, Problem> {
    let mut series = Series::new(wanted.grid, wanted.aggregate);
    // In the order of time, so that one bucket is done before the next begins.
    let mut walk = Walk::new(rings, wanted.bounds, Order::OldestFirst);
    while !walk.is_at_end() {
        let (further, rows) = reader.page(walk, ROWS).await?;
        walk = further;
        for row in rows {
            if let Some(number) = number(&row.data, wanted) {
                series.add(row.id.millis(), number);
            }
        }
    }
    Ok(series.buckets().into_iter().map(shown).collect())
}

/// The number in a value; `None` where there is none. Messages can be counted whatever they hold.
fn number(data: &str, wanted: &Wanted) -> Option<f64> {
    match &wanted.field {
        None if wanted.aggregate == Aggregate::Count => Some(1.0),
        // A value that is no number is not taken apart.
        None => data.parse().ok().filter(|_| is_number(data)),
        Some(field) => {
            let value: Value = serde_json::from_str(data).ok()?;
            value.pointer(field)?.as_f64()
        }
    }
}

/// Rust also reads `inf` and the like, which no JSON value is; this is for those that are JSON.
fn is_number(json: &str) -> bool {
    json.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

fn shown(bucket: Bucket) -> Drawn {
    let value = bucket.value.and_then(|value| {
        match value.fract() == 0.0 && value.abs() < WHOLE_MAX {
            true => Some(Number::from(value as i64)),
            // `None` for a sum beyond what a double holds.
            false => Number::from_f64(value),
        }
    });
    Drawn {
        from: timestamp(bucket.from_ms),
        value,
        count: bucket.count,
    }
}
