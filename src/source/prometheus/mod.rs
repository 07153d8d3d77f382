//! Numbers that a server shows to Prometheus, of one metric.

mod exposition;
#[cfg(any(test, fuzzing))]
pub mod fuzz;

use futures::future::BoxFuture;
use serde_json::{Map, Value, json};

use super::fetch::Fetch;
use super::{Source, SourceError};
use crate::config::{SERIES_NAME, Selector, SeriesAggregate};
use crate::domain::pattern::MetricName;
use crate::trace::Span;
use exposition::{Sample, samples};

/// The older format is liked best, as every server has it.
pub(super) const ACCEPT: &str =
    "text/plain;version=0.0.4, application/openmetrics-text;version=1.0.0;q=0.5, */*;q=0.1";
/// Whole numbers below it are exact, as floats and in JavaScript: 2^53.
const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;

pub(super) struct Prometheus {
    pub fetch: Fetch,
    pub wanted: Wanted,
}

/// What is made of a text.
pub(super) struct Wanted {
    pub selector: Selector,
    pub aggregate: Option<SeriesAggregate>,
    pub series_max: usize,
}

impl Prometheus {
    async fn get(&self, span: &mut Span) -> Result<Value, SourceError> {
        let body = self.fetch.get(span).await?;
        let malformed = |problem: String| SourceError::NoSamples {
            url: self.fetch.shown().to_owned(),
            problem,
        };
        let text = str::from_utf8(&body).map_err(|error| malformed(error.to_string()))?;
        self.wanted.value(text).map_err(|why| match why {
            Why::Malformed(malformed_at) => malformed(malformed_at.to_string()),
            Why::TooMany => SourceError::Series {
                series_max: self.wanted.series_max,
            },
        })
    }
}

impl Source for Prometheus {
    fn span(&self, metric: &MetricName) -> Span {
        self.fetch.span(metric)
    }

    fn read<'a>(&'a self, span: &'a mut Span) -> BoxFuture<'a, Result<Value, SourceError>> {
        Box::pin(self.get(span))
    }
}

/// Why there is no value.
#[derive(Debug, PartialEq)]
enum Why {
    Malformed(exposition::Malformed),
    TooMany,
}

impl Wanted {
    /// `null` where no series is wanted; a number where the selector leaves nothing to tell series apart by, or
    /// where they are to be one; else a list of all, each with the labels that the selector does not pin.
    fn value(&self, text: &str) -> Result<Value, Why> {
        let mut found: Vec<Sample<'_>> = Vec::new();
        for sample in samples(text) {
            let sample = sample.map_err(Why::Malformed)?;
            if !self.selector.admits(|label| value_of(&sample, label)) {
                continue;
            }
            if self.aggregate.is_none() && found.len() == self.series_max {
                return Err(Why::TooMany);
            }
            found.push(sample);
        }
        if let Some(aggregate) = self.aggregate {
            let values: Vec<f64> = found.iter().map(|sample| sample.value).collect();
            return Ok(aggregated(aggregate, &values));
        }
        let listed = found
            .iter()
            .map(|sample| (self.labels(sample), sample.value));
        let listed: Vec<_> = listed.collect();
        Ok(match listed.as_slice() {
            [] => Value::Null,
            [(labels, value)] if labels.is_empty() => number(*value),
            _ => {
                let series = listed.into_iter();
                let series =
                    series.map(|(labels, value)| json!({"labels": labels, "value": number(value)}));
                series.collect()
            }
        })
    }

    /// Those that tell it from the others that are wanted.
    fn labels(&self, sample: &Sample<'_>) -> Map<String, Value> {
        let name = [(SERIES_NAME, sample.name)];
        let labels = sample.labels.iter().map(|(name, value)| (*name, &**value));
        let all = name.into_iter().chain(labels);
        let telling = all.filter(|(label, _)| !self.selector.pins(label));
        telling
            .map(|(label, value)| (label.to_owned(), value.into()))
            .collect()
    }
}

fn value_of<'a>(sample: &'a Sample<'_>, label: &str) -> &'a str {
    if label == SERIES_NAME {
        return sample.name;
    }
    let found = sample.labels.iter().find(|(name, _)| *name == label);
    found.map_or("", |(_, value)| value)
}

fn aggregated(aggregate: SeriesAggregate, values: &[f64]) -> Value {
    let sum: f64 = values.iter().sum();
    match aggregate {
        SeriesAggregate::Count => values.len().into(),
        // Of nothing there is no number.
        _ if values.is_empty() => Value::Null,
        SeriesAggregate::Sum => number(sum),
        SeriesAggregate::Avg => number(sum / values.len() as f64),
        SeriesAggregate::Min => number(values.iter().copied().fold(f64::NAN, f64::min)),
        SeriesAggregate::Max => number(values.iter().copied().fold(f64::NAN, f64::max)),
    }
}

/// What is no number, or without an end, is `null`: JSON has neither.
fn number(value: f64) -> Value {
    match value.fract() == 0.0 && value.abs() < WHOLE_MAX {
        true => (value as i64).into(),
        false => value.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "up 1\nrequests{job=\"api\",code=\"200\"} 10\nrequests{job=\"api\",code=\"500\"} 2.5\n\
        requests{job=\"web\",code=\"200\"} NaN\ntemperature{room=\"a\"} -3\n";

    fn read(
        selector: &str,
        aggregate: Option<SeriesAggregate>,
        series_max: usize,
    ) -> Result<Value, Why> {
        let wanted = Wanted {
            selector: Selector::parse(selector).expect(selector),
            aggregate,
            series_max,
        };
        wanted.value(TEXT)
    }

    #[test]
    fn one_series_is_a_number_and_several_are_a_list() {
        for (selector, expected) in [
            ("up", json!(1)),
            ("down", json!(null)),
            (r#"requests{job="api",code="500"}"#, json!(2.5)),
            (r#"requests{job="web",code="200"}"#, json!(null)),
            (
                r#"requests{job="api",code=~"5.."}"#,
                json!([{"labels": {"code": "500"}, "value": 2.5}]),
            ),
            (
                r#"requests{job="api"}"#,
                json!([{"labels": {"code": "200"}, "value": 10}, {"labels": {"code": "500"}, "value": 2.5}]),
            ),
            (
                r#"{__name__=~"up|temp.*"}"#,
                json!([
                    {"labels": {"__name__": "up"}, "value": 1},
                    {"labels": {"__name__": "temperature", "room": "a"}, "value": -3}
                ]),
            ),
        ] {
            assert_eq!(read(selector, None, 2), Ok(expected), "{selector}");
        }
        assert_eq!(read("requests", None, 2), Err(Why::TooMany));
    }

    #[test]
    fn all_series_may_be_one_number() {
        use SeriesAggregate::{Avg, Count, Max, Min, Sum};
        let api = r#"requests{job="api"}"#;
        for (aggregate, expected) in [
            (Sum, json!(12.5)),
            (Avg, json!(6.25)),
            (Min, json!(2.5)),
            (Max, json!(10)),
            (Count, json!(2)),
        ] {
            assert_eq!(read(api, Some(aggregate), 1), Ok(expected), "{aggregate:?}");
        }
        assert_eq!(read("down", Some(Sum), 1), Ok(json!(null)));
        assert_eq!(read("down", Some(Count), 1), Ok(json!(0)));
        assert_eq!(read("requests", Some(Sum), 1), Ok(json!(null)), "with NaN");
        assert_eq!(read("requests", Some(Max), 1), Ok(json!(10)), "but for NaN");
    }
}
