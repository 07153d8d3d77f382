//! Cookies go with every request, whichever page made it: a foreign page gets nothing by them.

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::support::http::{Api, respond, send, status_of};
use crate::support::hub::Hub;
use crate::support::token;

const LISTED: &str = "https://admin.example.org";

async fn hub() -> Hub {
    let config = format!("[http]\nallowed_origins = [\"{LISTED}\"]");
    let start = Hub::with().config(&config);
    start.env("MAX_CONNECTIONS_PER_USER", "1000").start().await
}

/// One request of each kind that takes or changes something, with the status of one let in.
fn requests(api: &Api) -> [(RequestBuilder, u16); 4] {
    let publish = json!({"metric": "m", "data": 1});
    [
        (api.request(Method::GET, "/stream"), 200),
        (api.upgrade(""), 101),
        (api.request(Method::POST, "/publish").json(&publish), 202),
        (api.request(Method::POST, "/ticket"), 200),
    ]
}

/// What each kind of request is answered, when its credential is in a cookie, with `headers`.
async fn check_cookie(hub: &Hub, headers: &[(&str, &str)], lets_in: bool) {
    let cookie = format!("access_token={}", token::admin("ada"));
    for (request, good) in requests(&hub.anonymous()) {
        let mut request = request.header("cookie", &cookie);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let shown = format!("{request:?}");
        let status = status_of(request).await;
        assert_eq!(
            status,
            if lets_in { good } else { 403 },
            "{headers:?} {shown}"
        );
    }
}

/// Attack: cross-site WebSocket hijacking, and its like over SSE and POST.
#[tokio::test]
async fn a_cookie_counts_for_programs_our_own_pages_and_listed_ones() {
    let hub = hub().await;
    let own = hub.url("");
    let own_by_tls = own.replace("http:", "https:");
    check_cookie(&hub, &[], true).await;
    check_cookie(&hub, &[("sec-fetch-site", "none")], true).await;
    check_cookie(&hub, &[("sec-fetch-site", "same-origin")], true).await;
    check_cookie(&hub, &[("origin", &own)], true).await;
    // A proxy may have taken TLS off.
    check_cookie(&hub, &[("origin", &own_by_tls)], true).await;
    check_cookie(&hub, &[("origin", LISTED)], true).await;
    check_cookie(
        &hub,
        &[("origin", LISTED), ("sec-fetch-site", "cross-site")],
        true,
    )
    .await;
}

/// Attack: cross-site WebSocket hijacking, and its like over SSE and POST.
#[tokio::test]
async fn a_cookie_counts_for_no_foreign_page() {
    let hub = hub().await;
    let port = hub.port();
    for origin in [
        "https://evil.example.org",
        "null",
        "",
        "https://admin.example.org.evil.org",
        "https://admin.example.org:8443",
        "http://admin.example.org",
        "HTTPS://evil",
        &format!("http://127.0.0.1:{}", port ^ 1),
        &format!("http://127.0.0.1:{port}.evil.org"),
        "file://",
    ] {
        check_cookie(&hub, &[("origin", origin)], false).await;
    }
    check_cookie(&hub, &[("sec-fetch-site", "cross-site")], false).await;
}

/// Attack: cross-site request forgery.
#[tokio::test]
async fn a_refused_cookie_is_forbidden_and_says_so_in_the_envelope() {
    let hub = hub().await;
    let cookie = format!("access_token={}", token::admin("ada"));
    for (request, _) in requests(&hub.anonymous()) {
        let request = request.header("cookie", &cookie);
        let answer = send(request.header("origin", "https://evil.example.org")).await;
        assert_eq!(answer.failure(), (403, "forbidden"));
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
}

/// Attack: cross-site request forgery.
#[tokio::test]
async fn a_form_with_a_cookie_changes_nothing() {
    let hub = hub().await;
    let cookie = format!("access_token={}", token::admin("ada"));
    let api = hub.anonymous();
    let post = |path: &str| api.request(Method::POST, path).header("cookie", &cookie);
    // All that a form can be, in a browser too old to say whose page it is on.
    for kind in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
    ] {
        for (path, body) in [
            ("/publish", r#"{"metric":"m","data":1}"#),
            ("/alerts", r#"{"severity":"low","message":"m"}"#),
            ("/disconnect", r#"{"userId":"ada"}"#),
            ("/subscribe", r#"{"metrics":["m"]}"#),
        ] {
            let answer = send(post(path).header("content-type", kind).body(body)).await;
            assert_eq!(
                answer.failure(),
                (415, "unsupported_media_type"),
                "{path} {kind}"
            );
        }
    }
    // What needs no body is known by its origin, which is not told where no referrer is.
    for path in ["/ticket", "/test-connection", "/alerts/1-0/acknowledge"] {
        let answer = send(post(path).header("origin", "null")).await;
        assert_eq!(answer.failure(), (403, "forbidden"), "{path}");
    }
    let metrics = hub.api(&token::admin("ada")).get("/metrics").await;
    assert_eq!(metrics.data(), &json!({}));
}

#[tokio::test]
async fn a_credential_that_a_foreign_page_would_have_to_know_needs_no_origin() {
    let hub = hub().await;
    let ada = token::admin("ada");
    for (request, good) in requests(&hub.api(&ada)) {
        let request = request.header("origin", "https://evil.example.org");
        let response = respond(request.header("sec-fetch-site", "cross-site")).await;
        assert_eq!(response.status(), good);
        // Let in it is, and the page cannot read a word.
        assert!(
            !response
                .headers()
                .contains_key("access-control-allow-origin")
        );
    }
    let origin = ("origin", "https://evil.example.org");
    let api = hub.anonymous();
    let by_query = api.upgrade(&format!("?token={ada}"));
    assert_eq!(status_of(by_query.header(origin.0, origin.1)).await, 101);
    let by_protocol = api
        .upgrade("")
        .header("sec-websocket-protocol", format!("statshub, bearer.{ada}"));
    assert_eq!(status_of(by_protocol.header(origin.0, origin.1)).await, 101);
}

/// Attack: cross-site WebSocket hijacking, and its like over SSE and POST.
#[tokio::test]
async fn a_cookie_of_a_foreign_page_does_not_eat_a_connection() {
    let hub = hub().await;
    check_cookie(&hub, &[("origin", "https://evil.example.org")], false).await;
    let stats = hub.api(&token::admin("ada")).get("/connection-stats").await;
    assert_eq!(stats.data()["reconnectTokensCount"], 0);
}

/// Attack: reading answers from a page of another origin.
#[tokio::test]
async fn every_origin_at_once_cannot_be_listed() {
    for origins in ["[\"*\"]", "[\"null\"]", "[\"https://*.example.org\"]"] {
        let config = format!("[http]\nallowed_origins = {origins}");
        let ended = Hub::with().config(&config).run().await;
        assert_eq!(ended.status.code(), Some(2), "{origins}");
        let stderr = String::from_utf8(ended.stderr).unwrap();
        assert!(stderr.contains("http.allowed_origins"), "{stderr}");
    }
}
