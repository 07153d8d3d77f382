//! Texts that would do something if they were taken for more than that: in a browser, in a stream, in
//! a header.

use reqwest::Method;
use serde_json::json;

use crate::support::http::{respond, send};
use crate::support::hub::Hub;
use crate::support::token;

const SCRIPT: &str = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>";

/// Attack: stored script in what is published.
#[tokio::test]
async fn no_answer_lets_a_browser_run_what_a_client_wrote() {
    let hub = Hub::start().await;
    let user = SCRIPT;
    let api = hub.api(&token::admin(user));
    api.publish("m", json!(SCRIPT)).await;
    let request = api
        .request(Method::GET, "/stream")
        .header("user-agent", SCRIPT);
    let stream = respond(request).await;
    let kind = stream.headers()["content-type"].to_str().expect("a text");
    assert!(kind.starts_with("text/event-stream"), "{kind}");
    let alert = json!({"severity": "low", "message": SCRIPT});
    assert_eq!(api.post("/alerts", &alert).await.status, 202);
    // That each is JSON, said to be, and not to be guessed at, is held for every answer.
    for path in [
        "/metrics",
        "/connections",
        "/connection-stats",
        "/websocket-stats",
    ] {
        assert_eq!(api.get(path).await.status, 200, "{path}");
    }
    let sessions = api.get("/connections").await;
    assert_eq!(sessions.data()["connections"][0]["userAgent"], SCRIPT);
    assert_eq!(sessions.data()["connections"][0]["user"], user);
}

/// Attack: an answer that is framed, cached, or taken for another type.
#[tokio::test]
async fn a_ticket_is_kept_by_no_cache_and_leaks_into_no_referrer() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let answer = send(api.request(Method::POST, "/ticket")).await;
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
    assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
}

/// Attack: injection of SSE fields.
#[tokio::test]
async fn a_name_cannot_add_to_the_stream_it_is_told_in() {
    let hub = Hub::start().await;
    let user = "a\u{2028}id: 1-1\u{2029}data: {}\\n\\ndata: x";
    let mut stream = hub.sse("/stream", &token::admin(user)).await;
    let event = stream.next_event().await.expect("an event");
    let lines = event.raw.lines().filter(|line| !line.is_empty()).count();
    assert_eq!(lines, 2, "retry and data: {:?}", event.raw);
    assert_eq!((event.id.as_deref(), event.event.as_deref()), (None, None));
    let message = event.message().expect("a message");
    assert_eq!(message["data"]["userId"], user);
}

/// Attack: a user's name that is none.
#[tokio::test]
async fn a_user_whose_name_could_break_a_line_is_nobody() {
    let hub = Hub::start().await;
    for user in [
        "a\nb",
        "a\r\nX-Injected: 1",
        "a\0",
        "\u{1b}[31m",
        "a\u{85}b",
        "\t",
    ] {
        let answer = hub.api(&token::admin(user)).get("/metrics").await;
        assert_eq!(answer.failure(), (401, "unauthenticated"), "{user:?}");
    }
}

/// Attack: injection of headers.
#[tokio::test]
async fn nothing_of_a_request_comes_back_as_a_header_but_an_id_that_is_one() {
    let hub = Hub::start().await;
    let api = hub.anonymous();
    for id in [
        "a b", "a;b", "a,b", "a\"b", "<b>", "a\u{e9}", "{}", "a=b", "a:b", "[1]",
    ] {
        let request = api
            .request(Method::GET, "/nowhere")
            .header("x-request-id", id);
        let answer = send(request).await;
        let given = answer.header("x-request-id").expect("an id");
        assert!(given.parse::<uuid::Uuid>().is_ok(), "{id} {given}");
    }
}
