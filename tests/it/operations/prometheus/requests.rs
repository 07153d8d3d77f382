//! Requests by route and status, and how long they take.

use std::collections::BTreeSet;

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use super::scrape;
use crate::support::A;
use crate::support::either::Transport;
use crate::support::exposition::Exposition;
use crate::support::http::{respond, send};
use crate::support::hub::Hub;
use crate::support::token;

const REQUESTS: &str = "statshub_http_requests_total";
const TIMED: &str = "statshub_http_request_duration_seconds_count";

fn count(it: &Exposition, route: &str, status: &str) -> f64 {
    let labels = [("route", route), ("status", status)];
    it.find(REQUESTS, &labels).unwrap_or(0.0)
}

fn timed(it: &Exposition, route: &str) -> f64 {
    it.find(TIMED, &[("route", route)]).unwrap_or(0.0)
}

/// Of an answer that may have no body.
async fn status_of(request: RequestBuilder) -> u16 {
    respond(request).await.status().as_u16()
}

/// Every label `route` that there is.
fn routes(it: &Exposition) -> BTreeSet<&str> {
    let samples = it.families.values().flat_map(|family| &family.samples);
    samples
        .filter_map(|sample| sample.labels.get("route").map(String::as_str))
        .collect()
}

#[tokio::test]
async fn each_answer_is_counted_for_its_route_and_status() {
    let hub = Hub::start().await;
    let (ada, nobody) = (hub.api(&token::admin("ada")), hub.anonymous());
    let (publish, alerts) = (format!("{A}/publish"), format!("{A}/alerts"));
    let resolve = format!("{alerts}/{{id}}/resolve");
    let before = scrape(&hub).await;
    // There from the start, so that the first is an increase.
    for status in ["500", "503"] {
        let labels = [("route", &*publish), ("status", status)];
        assert_eq!(before.find(REQUESTS, &labels), Some(0.0));
    }
    for n in 0..3 {
        ada.publish("m", json!(n)).await;
    }
    ada.post_text("/publish", "{").await;
    nobody.post("/publish", &json!({})).await;
    // With an escape it is the same path.
    let escaped = ada.request_at(Method::POST, &publish.replace("publish", "%70ublish"));
    assert_eq!(
        status_of(escaped.json(&json!({"metric": "m", "data": 1}))).await,
        202
    );
    for method in [Method::HEAD, Method::OPTIONS, Method::DELETE] {
        assert_eq!(status_of(ada.request(method, "/publish")).await, 405);
    }
    let health = nobody.request_at(Method::HEAD, "/api/health");
    assert_eq!(status_of(health).await, 200);
    ada.get("/alerts").await;
    for id in ["1-1", "1-2"] {
        ada.post(&format!("/alerts/{id}/resolve"), &json!({})).await;
    }
    let now = scrape(&hub).await;
    for (route, status, expected) in [
        (&*publish, "202", 4.0),
        (&publish, "400", 1.0),
        (&publish, "401", 1.0),
        (&publish, "405", 3.0),
        (&publish, "503", 0.0),
        (&alerts, "200", 1.0),
        (&resolve, "404", 2.0),
        ("unknown", "404", 0.0),
        // The scrape before; this one is not over.
        ("/metrics", "200", 1.0),
    ] {
        assert_eq!(count(&now, route, status), expected, "{route} {status}");
    }
    assert!(count(&now, "/api/health", "200") >= 1.0);
    assert_eq!((timed(&now, &publish), timed(&now, &resolve)), (9.0, 2.0));
}

#[tokio::test]
async fn a_stream_is_counted_when_it_begins_and_never_timed() {
    let hub = Hub::start().await;
    let token = token::admin("ada");
    for transport in Transport::BOTH {
        let mut client = hub.open(transport, "", &token).await;
        client.opened().await;
        client.reset();
    }
    let (ada, nobody) = (hub.api(&token), hub.anonymous());
    assert_eq!(status_of(nobody.request(Method::GET, "/stream")).await, 401);
    assert_eq!(ada.get("/reconnect").await.status, 400);
    assert_eq!(
        status_of(ada.request(Method::GET, "/export?format=csv")).await,
        200
    );
    let now = scrape(&hub).await;
    for (path, status) in [
        ("/stream", "200"),
        ("/stream", "401"),
        ("/websocket", "101"),
        ("/reconnect", "400"),
        ("/export", "200"),
    ] {
        let route = format!("{A}{path}");
        assert_eq!(count(&now, &route, status), 1.0, "{route} {status}");
        assert_eq!(timed(&now, &route), 0.0, "{route}");
    }
}

/// Attack: labels without end, by paths, methods and headers that are made up.
#[tokio::test]
async fn strangers_make_no_labels() {
    let hub = Hub::start().await;
    let nobody = hub.anonymous();
    let before = scrape(&hub).await;
    let before = routes(&before);
    let mut unknown = 0.0;
    for n in 0..60 {
        for (path, is_unknown) in [
            (format!("/made-up-{n}"), true),
            (format!("/made/up?{n}"), true),
            (format!("{A}/publish/{n}"), true),
            (format!("/%6d%61de-up%2f{n}"), true),
            (format!("/{}", "x".repeat(100 + n)), true),
            (format!("{A}/alerts/{n}/resolve"), false),
            (format!("/console/{n}/made-up.js"), false),
            (format!("{A}/publish?made-up={n}"), false),
        ] {
            let method = [Method::GET, Method::HEAD, Method::OPTIONS];
            let made_up = Method::from_bytes(format!("MADE-UP-{n}").as_bytes());
            let mut methods = method.into_iter().chain(made_up.ok());
            let method = methods.nth(n % 4).expect("one of four");
            let request = nobody
                .request_at(method, &path)
                .header("host", format!("made-up-{n}"));
            assert!(status_of(request).await >= 400, "{path}");
            unknown += f64::from(u8::from(is_unknown));
        }
    }
    let after = scrape(&hub).await;
    assert_eq!(routes(&after), before);
    assert_eq!(count(&after, "unknown", "404"), unknown);
    assert_eq!(timed(&after, "unknown"), unknown);
    let made_up = |text: &String| text.to_lowercase().contains("made");
    let mut samples = after.families.values().flat_map(|family| &family.samples);
    assert!(!samples.any(|sample| sample.labels.values().any(made_up)));
}

#[tokio::test]
async fn a_preflight_counts_for_the_path_that_it_asks_about() {
    let config = "[http]\nallowed_origins = [\"https://app.example\"]";
    let hub = Hub::with().config(config).start().await;
    let preflight = hub
        .anonymous()
        .request(Method::OPTIONS, "/publish")
        .header("origin", "https://app.example")
        .header("access-control-request-method", "POST");
    let answer = status_of(preflight).await.to_string();
    let refused = hub
        .anonymous()
        .request(Method::GET, "/stream")
        .header("origin", "https://app.example");
    assert_eq!(send(refused).await.status, 401);
    let now = scrape(&hub).await;
    assert_eq!(count(&now, &format!("{A}/publish"), &answer), 1.0);
    assert_eq!(count(&now, &format!("{A}/stream"), "401"), 1.0);
}
