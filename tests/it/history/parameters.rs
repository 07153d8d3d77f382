use serde_json::json;

use super::{history, publish};
use crate::support::hub::Hub;
use crate::support::token;

#[tokio::test]
async fn a_bad_parameter_is_refused_by_its_name() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let many = vec!["m"; 101].join(",");
    let many = format!("/history?metric={many}");
    for (path, named) in [
        ("/history?metric=", "metric"),
        ("/history?metric=a,", "metric"),
        ("/history?metric=a..b", "metric"),
        ("/history?metric=a*", "metric"),
        (&many, "metric"),
        ("/history?from=yesterday", "from"),
        ("/history?from=2026-01-01T00:00:00+02:00", "%2B"),
        ("/history?to=", "to"),
        ("/history?from=5&to=5", "from"),
        ("/history?from=6&to=5", "from"),
        ("/history?limit=0", "limit"),
        ("/history?limit=1001", "limit"),
        ("/history?limit=x", "limit"),
        ("/history?order=up", "order"),
        ("/history?cursor=", "cursor"),
        ("/history?cursor=zz", "cursor"),
        ("/history?cursor=0000000000000001000000000000000f", "cursor"),
        ("/history?metrics=a", "unknown field"),
        ("/history?limit=1&limit=2", "duplicate field"),
        ("/history?field=a", "field"),
        ("/history?agg=avg", "agg"),
        ("/history?step=1m", "from"),
        ("/history?step=0&from=1", "step"),
        ("/history?step=1w&from=1", "step"),
        ("/history?step=1m&from=1&to=1", "from"),
        ("/history?step=1m&from=9999999999999", "Invalid from"),
        ("/history?step=1m&from=1&agg=p99", "agg"),
        ("/history?step=1m&from=1&field=", "field"),
        ("/history?step=1m&from=1&field=/a~2", "field"),
        ("/history?step=1m&from=1&limit=5", "limit"),
        ("/history?step=1m&from=1&order=asc", "order"),
        ("/history?step=1m&from=1&cursor=x", "cursor"),
        ("/history?step=10&from=0&to=100001", "10001 buckets"),
        ("/history?step=1ms&from=0", "buckets"),
        ("/export?format=xml", "format"),
        ("/export?from=x", "from"),
        ("/export?metric=a*", "metric"),
        ("/export?limit=5", "unknown field"),
        ("/alerts?state=done", "state"),
        ("/alerts?severity=High", "severity"),
        ("/alerts?limit=0", "limit"),
        ("/alerts?cursor=x", "cursor"),
    ] {
        let answer = api.get(path).await;
        assert_eq!(answer.failure(), (400, "invalid_request"), "{path}");
        assert!(answer.error().contains(named), "{path}: {}", answer.error());
    }
}

#[tokio::test]
async fn a_cursor_is_of_its_own_query() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    publish(&api, &vec![json!({"metric": "m", "data": 1}); 5]).await;
    let page = history(&api, "metric=m&limit=2").await;
    let cursor = page["nextCursor"].as_str().expect("a cursor");
    history(&api, &format!("metric=m&limit=3&cursor={cursor}")).await;
    for other in ["metric=n", "metric=m&order=asc", "metric=m&from=5", ""] {
        let answer = api.get(&format!("/history?{other}&cursor={cursor}")).await;
        assert_eq!(answer.failure(), (400, "invalid_request"), "{other}");
    }
    let answer = api.get(&format!("/alerts?cursor={cursor}")).await;
    assert_eq!(answer.failure(), (400, "invalid_request"));
}

#[tokio::test]
async fn the_buckets_of_all_series_together_are_bounded() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let message = |n| json!({"metric": format!("m{n}"), "data": 1});
    publish(&api, &(0..11).map(message).collect::<Vec<_>>()).await;
    let answer = api.get("/history?metric=*&step=10&from=0&to=100000").await;
    assert_eq!(answer.failure(), (400, "invalid_request"));
    assert!(answer.error().contains("110000"), "{}", answer.error());
}
