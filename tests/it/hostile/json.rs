//! JSON at its edges, and beyond: what is refused changes nothing, what is taken arrives as it was
//! written.

use serde_json::json;

use crate::support::http::{Api, send};
use crate::support::hub::Hub;
use crate::support::sse::SseClient;
use crate::support::token;

async fn check_refused(api: &Api, path: &str, body: impl Into<String>, status: u16) {
    let body = body.into();
    let answer = api.post_text(path, body.clone()).await;
    let code = if status == 413 {
        "payload_too_large"
    } else {
        "invalid_request"
    };
    assert_eq!(answer.failure(), (status, code), "{path} {body:.100}");
}

fn nested(levels: usize) -> String {
    "[".repeat(levels) + &"]".repeat(levels)
}

/// Attack: JSON that is too deep, too much or ambiguous.
#[tokio::test]
async fn nesting_has_an_end() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    api.publish("deep", serde_json::from_str(&nested(100)).expect("JSON"))
        .await;
    for levels in [129, 1000, 50_000] {
        let deep = nested(levels);
        let objects = "{\"a\":".repeat(levels) + "1" + &"}".repeat(levels);
        for value in [&deep, &objects] {
            let one = format!(r#"{{"metric":"m","data":{value}}}"#);
            check_refused(&api, "/publish", one.clone(), 400).await;
            check_refused(&api, "/publish", format!(r#"{{"messages":[{one}]}}"#), 400).await;
            let alert = format!(r#"{{"severity":"low","message":"m","more":{value}}}"#);
            check_refused(&api, "/alerts", alert, 400).await;
            check_refused(&api, "/subscribe", format!(r#"{{"metrics":{value}}}"#), 400).await;
            check_refused(&api, "/disconnect", format!(r#"{{"userId":{value}}}"#), 400).await;
        }
        // Neither does what never closes.
        check_refused(&api, "/publish", "[".repeat(levels), 400).await;
        check_refused(&api, "/subscribe", "{\"metrics\":".repeat(levels), 400).await;
    }
    assert_eq!(
        api.get("/metrics")
            .await
            .data()
            .as_object()
            .map(|it| it.len()),
        Some(1)
    );
    hub.stop().await;
}

/// Attack: JSON that is too deep, too much or ambiguous.
#[tokio::test]
async fn a_million_of_something_is_too_much() {
    let hub = Hub::with()
        .config("[http]\nbody_bytes_max = 16777216")
        .start()
        .await;
    let api = hub.api(&token::admin("ada"));
    let list = |element: &str, count: usize| vec![element; count].join(",");
    let million = format!(r#"{{"metrics":[{}]}}"#, list("1", 1_000_000));
    let before = hub.memory();
    check_refused(&api, "/subscribe", million.clone(), 400).await;
    let messages = format!(r#"{{"messages":[{}]}}"#, list("[]", 100_000));
    check_refused(&api, "/publish", messages, 400).await;
    let keys: Vec<String> = (0..50_000).map(|nth| format!("\"{nth}\":1")).collect();
    check_refused(&api, "/publish", format!("{{{}}}", keys.join(",")), 400).await;
    let grown = hub.memory().saturating_sub(before);
    assert!(grown < 200 << 20, "{grown} bytes more");

    let default = Hub::start().await;
    let api = default.api(&token::admin("ada"));
    check_refused(&api, "/subscribe", million, 413).await;
}

/// Attack: JSON that is too deep, too much or ambiguous.
#[tokio::test]
async fn a_batch_has_a_limit_and_is_refused_whole_beyond_it() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let batch = |count: usize| json!({"messages": vec![json!({"metric": "m", "data": 1}); count]});
    check_refused(&api, "/publish", batch(0).to_string(), 400).await;
    check_refused(&api, "/publish", batch(10_000).to_string(), 400).await;
    let mut last = batch(100);
    last["messages"][99] = json!({"metric": "m", "data": 1, "retain": "some"});
    check_refused(&api, "/publish", last.to_string(), 400).await;
    assert_eq!(api.get("/metrics").await.data(), &json!({}));
    assert_eq!(api.post("/publish", &batch(100)).await.status, 202);
}

/// Attack: names and patterns that are none, or too many.
#[tokio::test]
async fn a_name_has_its_form_wherever_it_is_given() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let segments = |count: usize| vec!["a"; count].join(".");
    let stars = |count: usize| vec!["*"; count].join(".");
    let bad = [
        segments(17),
        "x".repeat(129),
        "..".into(),
        "a..b".into(),
        "mé.trique".into(),
        "метрика".into(),
        "ａ".into(), // a full-width letter
        "a\u{200b}".into(),
        "a\u{0301}".into(),
        "A\u{212a}".into(), // the Kelvin sign, which becomes a k in lower case
        "%61".into(),
        "__proto__[x]".into(),
    ];
    let bad_patterns = [
        stars(17),
        stars(60),
        "*".repeat(60),
        "a.**.b".into(),
        "**.**".into(),
    ];
    for name in &bad {
        check_refused(
            &api,
            "/publish",
            json!({"metric": name, "data": 1}).to_string(),
            400,
        )
        .await;
    }
    for name in bad.iter().chain(&bad_patterns) {
        let body = json!({"metrics": ["good", name]}).to_string();
        check_refused(&api, "/subscribe", body.clone(), 400).await;
        check_refused(&api, "/unsubscribe", body, 400).await;
        let request = api.request(reqwest::Method::GET, "/stream");
        let answer = send(request.query(&[("metrics", name)])).await;
        assert_eq!(answer.failure(), (400, "invalid_request"), "{name}");
    }
    api.publish(&segments(16), json!(1)).await;
    api.publish("__proto__", json!(1)).await;
    for pattern in [segments(16), stars(16), "constructor".into()] {
        let answer = api.post("/subscribe", &json!({"metrics": [pattern]})).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
}

/// Attack: JSON that is too deep, too much or ambiguous.
#[tokio::test]
async fn a_field_given_twice_is_refused_where_it_means_something() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    for (path, body) in [
        ("/publish", r#"{"metric":"a","metric":"b","data":1}"#),
        ("/publish", r#"{"metric":"a","data":1,"data":2}"#),
        (
            "/publish",
            r#"{"metric":"a","data":1,"userId":"ada","userId":"eve"}"#,
        ),
        (
            "/publish",
            r#"{"messages":[{"metric":"a","data":1,"data":2}]}"#,
        ),
        (
            "/publish",
            r#"{"messages":[],"messages":[{"metric":"a","data":1}]}"#,
        ),
        (
            "/publish",
            r#"{"metric":"a","data":1,"messages":[{"metric":"b","data":1}]}"#,
        ),
        (
            "/alerts",
            r#"{"severity":"low","severity":"high","message":"m"}"#,
        ),
        ("/subscribe", r#"{"metrics":["a"],"metrics":["b"]}"#),
        ("/disconnect", r#"{"userId":"ada","userId":"eve"}"#),
    ] {
        check_refused(&api, path, body, 400).await;
    }
    assert_eq!(api.get("/metrics").await.data(), &json!({}));
}

/// The text of the next update's value, which need not be anything that a strict parser takes.
async fn next_value(stream: &mut SseClient) -> String {
    let event = stream.next_event().await.expect("an event");
    let data = event.data.expect("a message");
    let (_, rest) = data.split_once(r#""data":{"m":"#).expect("an update of m");
    let (value, _) = rest.rsplit_once(r#"},"timestamp":"#).expect("a timestamp");
    value.to_owned()
}

#[tokio::test]
async fn values_at_the_edge_of_json_arrive_as_they_were_written_or_not_at_all() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let mut stream = hub.sse("/stream?metrics=m", &ada).await;
    stream.opened().await;
    for value in [
        "1e999",
        "-1e999",
        "1e-999",
        "-0",
        "0.1e1",
        "123456789012345678901234567890.5",
        r#""\ud800""#,
        r#""\udc00\ud800""#,
        r#""\ud83d\ude00""#,
        r#"{"\ud800":1}"#,
        r#"{"a":1,"a":2}"#,
        r#""\u0000""#,
        "\"\u{feff}\u{2028}\u{202e}\"",
        r#"{"":{"":""}}"#,
        r#"{"__proto__":{"isAdmin":true}}"#,
        r#""\n\nid: 1-1\ndata: x""#,
    ] {
        let answer = api
            .post_text("/publish", format!(r#"{{"metric":"m","data":{value}}}"#))
            .await;
        match answer.status {
            202 => assert_eq!(next_value(&mut stream).await, value),
            _ => assert_eq!(answer.failure(), (400, "invalid_request"), "{value}"),
        }
    }
    // Nothing else came of it.
    api.publish("m", json!("end")).await;
    assert_eq!(next_value(&mut stream).await, r#""end""#);
}

#[tokio::test]
async fn what_only_looks_like_json_is_none() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    for value in [
        "NaN",
        "Infinity",
        "-Infinity",
        "undefined",
        "01",
        ".5",
        "1.",
        "+1",
        "0x1",
        "1_000",
        "'a'",
        "\"a\nb\"",
        "\"\t\"",
        r#""\x41""#,
        r#""\u12""#,
        "[1,]",
        "{\"a\"}",
        "{1:2}",
        "{a:1}",
        "1 2",
        "/**/1",
        "tru",
        "\u{a0}1",
    ] {
        check_refused(
            &api,
            "/publish",
            format!(r#"{{"metric":"m","data":{value}}}"#),
            400,
        )
        .await;
    }
    assert_eq!(api.get("/metrics").await.data(), &json!({}));
}
