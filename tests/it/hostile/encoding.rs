//! Paths and queries that are encoded oddly, or lead elsewhere.

use reqwest::Method;

use super::{answer, authorization};
use crate::support::A;
use crate::support::http::status_of;
use crate::support::hub::Hub;
use crate::support::raw::RawAnswer;
use crate::support::token;

async fn get(hub: &Hub, target: &str) -> RawAnswer {
    let head = format!("GET {target} HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n");
    answer(hub, format!("{head}{}\r\n", authorization())).await
}

/// Attack: a path or query that means something else to somebody else.
#[tokio::test]
async fn a_path_leads_where_it_says_and_nowhere_else() {
    let hub = Hub::start().await;
    for path in [
        "/api/health%2flive",
        "/api%2fhealth",
        "/api//health",
        "//api/health",
        "/api/./health",
        "/api/../api/health",
        "/%2e%2e/api/health",
        "/api/health/.",
        "/api/health/",
        "/api/health;a=b",
        "/api/health%00",
        "/api/health%0a",
        "/api/health%3f",
        "/API/health",
        "/%",
        "/%z",
        "/%zz",
        "/%ff",
        "/%c0%af",
        "/%e2%80%ae",
        "/..%2f..%2fetc%2fpasswd",
        "/..%5c..%5cwindows",
        "/\\..\\",
        "/{path}",
        "/*",
        "/\"quoted\"",
        "/%3Cscript%3Ealert(1)%3C/script%3E",
        &format!("{A}/metrics/"),
        &format!("{A}/../../health"),
        &format!("{A}/publish%20"),
    ] {
        let answer = get(&hub, path).await;
        assert_eq!(answer.failure(), (404, "not_found".into()), "{path}");
        assert!(
            !String::from_utf8_lossy(&answer.body).contains("script"),
            "{path}"
        );
    }
    // What is the same path, written otherwise, asks for the same right.
    let request = format!("GET {A}/%6detrics HTTP/1.1\r\nHost: hub\r\n\r\n");
    let answer = answer(&hub, request).await;
    assert!(matches!(answer.status(), 401 | 404), "{answer:?}");
    answer.envelope();
    hub.stop().await;
}

/// Attack: a path or query that means something else to somebody else.
#[tokio::test]
async fn a_query_that_cannot_be_read_is_refused_or_says_nothing() {
    let hub = Hub::start().await;
    for query in [
        "limit=%",
        "limit=%zz",
        "limit=%ff",
        "limit=",
        "limit=-1",
        "limit=1e3",
        "limit=0x10",
        "limit=99999999999999999999",
        "limit=1&limit=2",
        "offset=%31%32x",
        "state=%00",
        "user=%00",
        "user=a%0ab",
    ] {
        let answer = get(&hub, &format!("{A}/connections?{query}")).await;
        assert_eq!(answer.failure(), (400, "invalid_request".into()), "{query}");
    }
    for query in [
        "",
        "&",
        "&&&",
        "=",
        "==",
        "a",
        "a=%",
        "%=%",
        "%ff=%ff",
        "a=%u1234",
        "limit[]=1",
        "LIMIT=x",
        "?limit=x",
        "user=%ff",
        "user=%E2%80%AE",
        "limit=%31",
        "state=l%69ve",
        "offset=18446744073709551615",
    ] {
        let answer = get(&hub, &format!("{A}/connections?{query}")).await;
        assert_eq!(answer.status(), 200, "{query}");
        answer.envelope();
    }
    hub.stop().await;
}

/// Attack: a path or query that means something else to somebody else.
#[tokio::test]
async fn the_query_of_a_stream_is_read_with_the_same_suspicion() {
    let hub = Hub::with()
        .env("MAX_CONNECTIONS_PER_USER", "1000")
        .start()
        .await;
    let api = hub.api(&token::admin("ada"));
    for (query, status) in [
        ("metrics=%", 400),
        ("metrics=%zz", 400),
        ("metrics=%ff", 400),
        ("metrics=a%00b", 400),
        ("metrics=a%0d%0aX-Injected:%201", 400),
        ("metrics=a;b", 400),
        ("metrics=a+b", 400),
        ("metrics=a%252eb", 400),
        ("userId=bob", 403),
        ("userId=%62ob", 403),
        ("userId=ada%00", 403),
        ("userId=%61da", 200),
        ("metrics=,,,", 200),
        ("metrics=a&metrics=b", 200),
        ("metrics[]=a+b", 200),
        ("lastEventId=%ff", 200),
        ("lastEventId=1-0%0aid:2-0", 200),
    ] {
        let stream = api.request(Method::GET, &format!("/stream?{query}"));
        assert_eq!(status_of(stream).await, status, "{query}");
        let upgrade = api.upgrade(&format!("?{query}"));
        let upgraded = if status == 200 { 101 } else { status };
        assert_eq!(status_of(upgrade).await, upgraded, "{query}");
    }
}

#[tokio::test]
async fn a_query_has_a_limit_on_every_endpoint_that_reads_one() {
    let hub = Hub::start().await;
    let long = "x".repeat(9000);
    for path in [
        "/stream?metrics=",
        "/reconnect?token=",
        "/connections?user=",
        "/metrics?metrics=",
    ] {
        let answer = get(&hub, &format!("{A}{path}{long}")).await;
        assert_eq!(answer.failure(), (400, "invalid_request".into()), "{path}");
        let said = answer.envelope()["error"].to_string();
        assert!(said.len() < 300, "it is not repeated: {said}");
    }
    let answer = get(&hub, &format!("{A}/websocket-info?{long}")).await;
    assert_eq!(
        answer.envelope()["data"]["enabled"],
        true,
        "nobody reads it here"
    );
}
