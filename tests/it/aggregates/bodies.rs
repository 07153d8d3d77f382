//! What `POST events` takes, and how it refuses.

use std::fmt::Write as _;

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;

use super::{COUNT, hub, lines, result_of, sale};
use crate::support::http::{send, status_of};
use crate::support::token;

#[tokio::test]
async fn only_publishers_may_send_events() {
    let (hub, _) = hub(COUNT).await;
    let body = json!([sale(1)]).to_string();
    let status =
        async |api: crate::support::http::Api| api.post_text("/events", body.clone()).await.status;
    assert_eq!(status(hub.anonymous()).await, 401);
    let viewer = token::token("eve", "viewer", std::time::Duration::from_secs(60));
    assert_eq!(status(hub.api(&viewer)).await, 403);
    assert_eq!(status(hub.api(&token::service("shop"))).await, 202);
    assert_eq!(status(hub.api(&token::admin("ada"))).await, 202);
    let get = hub
        .api(&token::admin("ada"))
        .request(Method::GET, "/events");
    assert_eq!(status_of(get).await, 405);
}

#[tokio::test]
async fn one_bad_event_refuses_its_batch_and_is_named() {
    let (hub, api) = hub(COUNT).await;
    let good = sale(1);
    for (bad, place) in [
        (r#"{"event":"sale","date":1}"#, "unknown field"),
        (r#"{"event":"sale","timestamp":"yesterday"}"#, "timestamp"),
        (r#"{"event":"sale""#, "Malformed JSON"),
        (r#"["sale"]"#, ""),
        ("7", ""),
    ] {
        let answer = lines(&api, &format!("{good}\n{bad}\n{good}\n")).await;
        assert_eq!(answer.failure(), (400, "invalid_request"), "{bad}");
        assert!(answer.error().starts_with("Line 2: "), "{}", answer.error());
        assert!(answer.error().contains(place), "{}", answer.error());
        assert_eq!(answer.body["details"]["line"], 2);
        let list = format!("[{good},{bad},{good}]");
        let answer = api.post_text("/events", list).await;
        assert_eq!(answer.failure(), (400, "invalid_request"), "{bad}");
    }
    let answer = api
        .post("/events", &json!({"events": [good, {"event": 7}]}))
        .await;
    assert!(
        answer.error().contains("events[1].event"),
        "{}",
        answer.error()
    );
    assert_eq!(
        lines(&api, "\n \n").await.failure(),
        (400, "invalid_request")
    );
    // None of all these counts.
    assert_eq!(lines(&api, &sale(2).to_string()).await.status, 202);
    assert_eq!(result_of(&hub, "sales.sum", 1).await["value"], 2);
}

#[tokio::test]
async fn a_body_has_its_media_type_and_its_bounds() {
    let (_hub, api) = hub(&format!("{COUNT}\n[events]\nqueue_events_max = 3\n")).await;
    let body = sale(1).to_string();
    for (media_type, status) in [
        ("application/x-ndjson; charset=utf-8", 202),
        ("text/plain", 415),
        ("application/x-ndjson+gzip", 415),
    ] {
        let request = api.request(Method::POST, "/events").body(body.clone());
        let answer = send(request.header("content-type", media_type)).await;
        assert_eq!(answer.status, status, "{media_type}");
    }
    let request = api.request(Method::POST, "/events").body(body.clone());
    let request = request.header("content-type", "application/x-ndjson");
    let answer = send(request.header("content-encoding", "gzip")).await;
    assert_eq!(answer.failure(), (415, "unsupported_media_type"));
    let more_than_may_wait = format!("{body}\n").repeat(4);
    let answer = lines(&api, &more_than_may_wait).await;
    assert_eq!(answer.failure(), (413, "payload_too_large"));
    let huge = format!("{body}\n").repeat(2 * 1024 * 1024 / body.len());
    let answer = lines(&api, &huge).await;
    assert_eq!(answer.failure(), (413, "payload_too_large"));
}

/// Overload: what is refused is refused whole, and what is taken counts.
#[tokio::test]
async fn senders_that_are_too_fast_are_told_to_come_back_and_nothing_is_lost() {
    const BATCH: usize = 5000;
    let (hub, api) = hub(&format!("{COUNT}\n[events]\nqueue_events_max = {BATCH}\n")).await;
    let mut body = String::new();
    for _ in 0..BATCH {
        writeln!(body, "{}", sale(1)).unwrap();
    }
    let (mut taken, mut refused) = (0, 0);
    // As many at once as it takes.
    while refused == 0 {
        for answer in join_all((0..16).map(|_| lines(&api, &body))).await {
            match answer.status {
                202 => taken += 1,
                _ => {
                    assert_eq!(answer.failure(), (503, "unavailable"));
                    assert!(answer.retry_after() >= 1);
                    refused += 1;
                }
            }
        }
    }
    assert!(taken > 0);
    let count = taken * BATCH as u64;
    assert_eq!(result_of(&hub, "sales.sum", count).await["value"], count);
    let health = hub.api(&token::admin("ada")).get("/api/health").await;
    let events = &health.data()["checks"]["events"];
    assert_eq!(events["refused"], refused * BATCH);
    assert_eq!(events["events"], count);
}
