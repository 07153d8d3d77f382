use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use super::{history, millis, publish};
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::rng::Rng;
use crate::support::token;

const AGGREGATES: [&str; 7] = ["avg", "min", "max", "sum", "last", "count", "p95"];

/// When, and which number.
type Numbers = Vec<(u64, f64)>;

/// Numbers over some tenths of a second, of several priorities, and what is none among them.
async fn published(api: &Api, metric: &str, seed: u64) -> Numbers {
    let mut rng = Rng::new(seed);
    let mut numbers = Vec::new();
    for _ in 0..25 {
        let drawn: Vec<f64> = (0..rng.between(1, 40))
            .map(|_| rng.between(0, 2000) as f64 / 4.0 - 250.0)
            .collect();
        let message = |number: &f64| {
            let priority = ["low", "normal", "high"][(number.abs() as usize) % 3];
            let data = json!({"total": number, "deep": [{"a/b": number}], "name": "x"});
            json!({"metric": metric, "data": data, "priority": priority})
        };
        let mut messages: Vec<Value> = drawn.iter().map(message).collect();
        messages.push(json!({"metric": metric, "data": {"total": "12"}}));
        messages.push(json!({"metric": metric, "data": "text"}));
        let ids = publish(api, &messages).await;
        let times = ids.iter().map(|id| millis(id));
        numbers.extend(times.zip(drawn));
        tokio::time::sleep(Duration::from_millis(rng.between(1, 25) as u64)).await;
    }
    numbers
}

fn aggregated(aggregate: &str, numbers: &[f64]) -> Option<f64> {
    let count = numbers.len();
    match aggregate {
        "count" => Some(count as f64),
        _ if count == 0 => None,
        "avg" => Some(numbers.iter().sum::<f64>() / count as f64),
        "sum" => Some(numbers.iter().sum()),
        "min" => numbers.iter().copied().reduce(f64::min),
        "max" => numbers.iter().copied().reduce(f64::max),
        "last" => numbers.last().copied(),
        "p95" => {
            let mut sorted = numbers.to_vec();
            sorted.sort_by(f64::total_cmp);
            Some(sorted[(0.95 * count as f64).ceil() as usize - 1])
        }
        other => panic!("{other}"),
    }
}

/// Holds an answer's buckets to what comes out of `numbers`.
fn check(buckets: &Value, numbers: &Numbers, aggregate: &str, (from, to): (u64, u64), step: u64) {
    let mut expected = BTreeMap::<u64, Vec<f64>>::new();
    for index in from / step..to.div_ceil(step) {
        expected.insert(index * step, Vec::new());
    }
    for (at, number) in numbers {
        if (from..to).contains(at) {
            let bucket = expected.get_mut(&(at / step * step));
            bucket.expect("a bucket").push(*number);
        }
    }
    let buckets = buckets.as_array().expect("buckets");
    assert_eq!(buckets.len(), expected.len());
    for (bucket, (from, numbers)) in buckets.iter().zip(expected) {
        let time: jiff::Timestamp = bucket["from"].as_str().unwrap().parse().unwrap();
        assert_eq!(time.as_millisecond() as u64, from);
        assert_eq!(bucket["count"], numbers.len(), "{bucket}");
        let wanted = aggregated(aggregate, &numbers);
        match (bucket["value"].as_f64(), wanted) {
            (Some(got), Some(wanted)) => {
                assert!((got - wanted).abs() < 1e-6, "{aggregate} {bucket} {wanted}");
            }
            (got, wanted) => assert_eq!(got, wanted, "{aggregate} {bucket}"),
        }
    }
}

#[tokio::test]
async fn every_aggregate_is_that_of_the_numbers() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let numbers = published(&api, "m", 1).await;
    publish(&api, &[json!({"metric": "other", "data": {"total": 1e9}})]).await;
    let (first, last) = (numbers[0].0, numbers[numbers.len() - 1].0);
    for aggregate in AGGREGATES {
        for (from, to, step) in [
            (first - 133, last + 133, 20),
            (first + 17, last - 17, 50),
            (first, last, 10_000),
        ] {
            let query = format!("metric=m&from={from}&to={to}&step={step}&agg={aggregate}");
            for field in ["total", "/total", "/deep/0/a~1b"] {
                let answer = history(&api, &format!("{query}&field={field}")).await;
                check(&answer["buckets"], &numbers, aggregate, (from, to), step);
            }
        }
    }
}

#[tokio::test]
async fn a_value_that_is_a_number_needs_no_field() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let mut values: Vec<Value> = (1..=500).map(Value::from).collect();
    values.reverse();
    values.extend([json!("7"), json!(null), json!({"a": 1}), json!([5])]);
    let messages: Vec<_> = values
        .iter()
        .map(|value| json!({"metric": "m", "data": value}))
        .collect();
    let ids = publish(&api, &messages).await;
    let (from, to) = (millis(&ids[0]), millis(&ids[503]) + 1);
    let query = format!("metric=m&from={from}&to={to}&step=3650d");
    for (aggregate, value, count) in [
        ("avg", json!(250.5), 500),
        ("min", json!(1), 500),
        ("max", json!(500), 500),
        ("sum", json!(125_250), 500),
        ("last", json!(1), 500),
        ("p95", json!(475), 500),
        // Messages can be counted whatever they hold.
        ("count", json!(504), 504),
    ] {
        let answer = history(&api, &format!("{query}&agg={aggregate}")).await;
        let buckets = answer["buckets"].as_array().unwrap();
        assert_eq!(buckets.len(), 1);
        assert_eq!(buckets[0]["value"], value, "{aggregate}");
        assert_eq!(buckets[0]["count"], count, "{aggregate}");
    }
    let default = history(&api, &query).await;
    assert_eq!(default["buckets"][0]["value"], 250.5, "avg unless said");
}

#[tokio::test]
async fn several_metrics_are_a_series_each() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let a = published(&api, "s.a", 2).await;
    let b = published(&api, "s.b", 3).await;
    let (from, to) = (a[0].0, b[b.len() - 1].0 + 1);
    for metric in ["s.*", "s.a,s.b", "s.a,s.b,s.none"] {
        let query = format!("metric={metric}&from={from}&to={to}&step=100ms&agg=sum&field=total");
        let answer = history(&api, &query).await;
        let series = answer["series"].as_array().unwrap();
        let names: Vec<_> = series.iter().map(|it| &it["metric"]).collect();
        assert_eq!(names, ["s.a", "s.b"], "{metric}");
        check(&series[0]["buckets"], &a, "sum", (from, to), 100);
        check(&series[1]["buckets"], &b, "sum", (from, to), 100);
    }
}

#[tokio::test]
async fn a_metric_without_messages_has_empty_buckets() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let query = "metric=none&from=1970-01-01T00:00:30Z&to=1970-01-01T00:02:00Z&step=1m";
    let bucket = |from: &str| json!({"from": from, "value": null, "count": 0});
    let answer = history(&api, query).await;
    let expected = json!({"buckets": [
        bucket("1970-01-01T00:00:00.000Z"), bucket("1970-01-01T00:01:00.000Z"),
    ]});
    assert_eq!(answer, expected);
    let answer = history(&api, &format!("{query}&agg=count")).await;
    assert_eq!(answer["buckets"][1]["value"], 0);
    let answer = history(&api, &query.replace("none", "none.*")).await;
    assert_eq!(answer, json!({"series": []}));
}
