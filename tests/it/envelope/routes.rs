//! Paths and methods: 404, 405, HEAD, OPTIONS, and the headers of every answer.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::A;
use crate::support::http::{Api, respond, send};
use crate::support::hub::Hub;
use crate::support::token;

/// Every endpoint below the base path, with each method it has.
pub const ENDPOINTS: [(&str, Method); 33] = [
    ("/stream", Method::GET),
    ("/reconnect", Method::GET),
    ("/websocket", Method::GET),
    ("/websocket-info", Method::GET),
    ("/connection-stats", Method::GET),
    ("/websocket-stats", Method::GET),
    ("/metrics", Method::GET),
    ("/connections", Method::GET),
    ("/subscribe", Method::POST),
    ("/unsubscribe", Method::POST),
    ("/test-connection", Method::POST),
    ("/publish", Method::POST),
    ("/alerts", Method::POST),
    ("/alerts", Method::GET),
    ("/alerts/1-0/acknowledge", Method::POST),
    ("/alerts/1-0/resolve", Method::POST),
    ("/history", Method::GET),
    ("/export", Method::GET),
    ("/ticket", Method::POST),
    ("/disconnect", Method::POST),
    ("/audit", Method::GET),
    ("/refresh", Method::POST),
    ("/rules", Method::GET),
    ("/rules/x", Method::GET),
    ("/rules/x", Method::PUT),
    ("/rules/x", Method::DELETE),
    ("/rules/test", Method::POST),
    ("/silences", Method::GET),
    ("/silences", Method::POST),
    ("/silences/x", Method::DELETE),
    ("/notifications", Method::GET),
    ("/notifications/x", Method::DELETE),
    ("/notifications/x/retry", Method::POST),
];

const HEALTH: [&str; 5] = [
    "/api/health",
    "/api/health/live",
    "/api/health/ready",
    "/health/live",
    "/health/ready",
];

const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

#[tokio::test]
async fn a_path_that_nobody_knows_is_not_found_whoever_asks_and_however() {
    let hub = Hub::start().await;
    let check = async |api: &Api, method: &Method, path: &str| {
        let answer = send(api.request_at(method.clone(), path)).await;
        assert_eq!(answer.failure(), (404, "not_found"), "{method} {path}");
        assert_eq!(answer.error(), "Not Found", "{method} {path}");
    };
    let paths = [
        "/nowhere",
        "/api",
        "/api/nowhere",
        "/api/health/nowhere",
        A,
        &format!("{A}/"),
        &format!("{A}/nowhere"),
        &format!("{A}/stream/more"),
        &format!("{A}/STREAM"),
        &format!("{A}/%73tream%2f"),
        "/caf%C3%A9",
        "/%ff",
        "/nowhere?access_token=x",
    ];
    for api in [
        hub.anonymous(),
        hub.api("no.good.token"),
        hub.api(&token::admin("ada")),
    ] {
        for path in paths {
            check(&api, &Method::GET, path).await;
        }
        for method in METHODS.iter().filter(|it| **it != Method::HEAD) {
            check(&api, method, "/nowhere").await;
        }
    }
}

/// Asks with every method but those in `allowed`.
async fn check_methods(api: &Api, path: &str, allowed: &[Method]) {
    let wanted: BTreeSet<&str> = allowed.iter().map(Method::as_str).collect();
    for method in METHODS.iter().filter(|it| !allowed.contains(it)) {
        let response = respond(api.request(method.clone(), path).json(&json!({}))).await;
        assert_eq!(response.status(), 405, "{method} {path}");
        let allow = response.headers().get("allow").expect("Allow");
        let allow = allow.to_str().unwrap().split(", ").collect::<BTreeSet<_>>();
        assert_eq!(allow, wanted, "{method} {path}");
        // There is no body to a HEAD.
        if *method != Method::HEAD {
            let answer = send(api.request(method.clone(), path).json(&json!({}))).await;
            assert_eq!(
                answer.failure(),
                (405, "method_not_allowed"),
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn another_method_is_told_which_one_there_is() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    for (path, _) in ENDPOINTS {
        let same = ENDPOINTS.into_iter().filter(|(other, _)| *other == path);
        let allowed: Vec<Method> = same.map(|(_, method)| method).collect();
        check_methods(&api, path, &allowed).await;
    }
}

#[tokio::test]
async fn health_is_asked_with_get_or_head() {
    let hub = Hub::start().await;
    let api = hub.anonymous();
    for path in HEALTH {
        let response = respond(api.request_at(Method::HEAD, path)).await;
        assert_eq!(response.status(), 200, "{path}");
        assert_eq!(response.bytes().await.unwrap().len(), 0, "{path}");
        let response = respond(api.request_at(Method::POST, path)).await;
        assert_eq!(response.status(), 405, "{path}");
        assert_eq!(response.headers()["allow"], "GET, HEAD", "{path}");
    }
}

#[tokio::test]
async fn a_head_for_a_path_that_nobody_knows_has_no_body() {
    let hub = Hub::start().await;
    let response = respond(hub.anonymous().request(Method::HEAD, "/nowhere")).await;
    assert_eq!(response.status(), 404);
    assert_eq!(response.bytes().await.unwrap().len(), 0);
}

#[tokio::test]
async fn a_request_id_is_echoed_or_made() {
    let hub = Hub::start().await;
    let api = hub.anonymous();
    let answered = async |path: &str, given: Option<&str>| {
        let mut request = api.request(Method::GET, path);
        if let Some(given) = given {
            request = request.header("x-request-id", given);
        }
        let response = respond(request).await;
        response.headers()["x-request-id"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    for path in ["/api/health", "/nowhere", "/metrics", "/stream"] {
        assert_eq!(answered(path, Some("abc-123")).await, "abc-123", "{path}");
        let made = answered(path, None).await;
        assert_ne!(made, answered(path, None).await, "{path}");
    }
    // An id goes into the log: what could break a line there, or fill it, is not taken.
    for given in ["", "two words", "\"quoted\"", &"x".repeat(1000)] {
        assert_ne!(answered("/api/health", Some(given)).await, given);
    }
}

/// Attack: an answer that is framed, cached, or taken for another type.
#[tokio::test]
async fn a_stream_has_the_headers_of_every_answer() {
    let hub = Hub::start().await;
    let request = hub
        .api(&token::admin("ada"))
        .request(Method::GET, "/stream");
    let response = respond(request.header("x-request-id", "abc-123")).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["x-request-id"], "abc-123");
}

/// Attack: an answer that is framed, cached, or taken for another type.
#[tokio::test]
async fn answers_about_one_user_are_kept_by_no_cache() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    for answer in [
        api.get("/metrics").await,
        api.get("/connections").await,
        api.post("/ticket", &json!({})).await,
    ] {
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}

const PAGE: &str = "https://admin.example.org";

/// Status and `Access-Control-Allow-Origin` of the answer to a page's preflight.
async fn preflight(hub: &Hub, origin: &str) -> (StatusCode, Option<String>) {
    let request = hub.anonymous().request(Method::OPTIONS, "/subscribe");
    let request = request
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header(
            "access-control-request-headers",
            "authorization,content-type",
        );
    let response = respond(request).await;
    let allowed = response.headers().get("access-control-allow-origin");
    let allowed = allowed.map(|value| value.to_str().unwrap().to_owned());
    (response.status(), allowed)
}

/// Attack: reading answers from a page of another origin.
#[tokio::test]
async fn only_a_page_of_a_listed_origin_may_read_answers() {
    let config = format!("[http]\nallowed_origins = [\"{PAGE}\"]");
    let hub = Hub::with().config(&config).start().await;
    let (status, allowed) = preflight(&hub, PAGE).await;
    assert!(status.is_success(), "{status}");
    assert_eq!(allowed.as_deref(), Some(PAGE));
    for foreign in [
        "https://evil.example.org",
        "null",
        &format!("{PAGE}.evil.org"),
    ] {
        assert_eq!(preflight(&hub, foreign).await.1, None, "{foreign}");
        let told = format!("a page of {foreign} asked, which is not in http.allowed_origins");
        assert!(hub.stderr().contains(&told), "{told}");
    }
    let told = format!("a page of {PAGE} asked");
    assert!(!hub.stderr().contains(&told));

    let api = hub.api(&token::admin("ada"));
    let request = api.request(Method::GET, "/metrics").header("origin", PAGE);
    let answer = send(request).await;
    assert_eq!(answer.header("access-control-allow-origin"), Some(PAGE));
    let vary = answer.header("vary").unwrap_or_default().to_lowercase();
    assert!(vary.contains("origin"), "{vary:?}");
}

#[tokio::test]
async fn a_page_of_a_listed_origin_can_read_refusals_too() {
    let config = format!("[http]\nallowed_origins = [\"{PAGE}\"]");
    let hub = Hub::with().config(&config).start().await;
    let api = hub.anonymous();
    for path in ["/metrics", "/nowhere"] {
        let answer = send(api.request(Method::GET, path).header("origin", PAGE)).await;
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some(PAGE),
            "{path}"
        );
    }
}
