//! What every answer has, and who may read it.

use super::*;

/// Attack: an answer that is framed, cached, or taken for another type.
#[actix_rt::test]
async fn every_answer_has_the_envelope_and_the_common_headers() {
    let hub = Hub::start();
    let ok = hub
        .ask(&post("/double", "content-length: 7", r#"{"n":4}"#))
        .await;
    assert_eq!(
        (ok.status, ok.body.clone()),
        (200, json!({"success": true, "data": {"n": 8}}))
    );
    ok.has_common_headers();

    let unknown = hub.get("/nowhere?token=CANARY", "").await;
    assert_eq!(unknown.refuses(404, "not_found").body["error"], "Not Found");
    let method = hub.get("/double", "").await;
    assert_eq!(
        method.refuses(405, "method_not_allowed").header("allow"),
        Some("post")
    );
    let guarded = hub.get("/guarded", "").await;
    assert_eq!(
        guarded
            .refuses(401, "unauthenticated")
            .header("www-authenticate"),
        Some("bearer")
    );
    hub.get("/page?n=CANARY", "")
        .await
        .refuses(400, "invalid_request");
    hub.get("/page", "").await.refuses(400, "invalid_request");
    hub.ask(&post("/double", "content-length: 0", ""))
        .await
        .refuses(400, "invalid_request");
    hub.ask("POST /double HTTP/1.1\r\nhost: hub\r\ncontent-length: 2\r\n\r\n{}")
        .await
        .refuses(415, "unsupported_media_type");
}

#[actix_rt::test]
async fn what_actix_refuses_by_itself_gets_the_envelope_too() {
    let hub = Hub::start();
    let no_upgrade = hub.get("/upgrade", "").await;
    assert_eq!(
        no_upgrade.refuses(400, "invalid_request").body["error"],
        "WebSocket upgrade is expected"
    );
    let upgrade = "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 12\r\n";
    let version = hub.get("/upgrade", upgrade).await;
    version.refuses(426, "invalid_request");
    assert_eq!(version.header("sec-websocket-version"), Some("13"));
    let stranger = hub.get("/plain-error", "").await;
    assert_eq!(
        stranger.refuses(502, "internal").body["error"],
        "Bad Gateway"
    );
}

/// Attack: an input that makes it panic.
#[actix_rt::test]
async fn a_panic_is_a_500_and_harms_nobody_else() {
    let hub = Hub::start();
    let mut client = hub.connect().await;
    client
        .send("GET /broken HTTP/1.1\r\nhost: hub\r\n\r\n")
        .await;
    client.answer().await.refuses(500, "internal");
    client
        .send("GET /page?n=1 HTTP/1.1\r\nhost: hub\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 200);
}

#[actix_rt::test]
async fn a_request_id_is_echoed_or_made() {
    let hub = Hub::start();
    let given = hub.get("/whoami", "x-request-id: abc-1\r\n").await;
    assert_eq!(given.header("x-request-id"), Some("abc-1"));
    assert_eq!(
        given.body["data"],
        json!({"id": "abc-1", "remote": "127.0.0.1"})
    );
    let made = hub.get("/broken", "x-request-id: a b\r\n").await;
    assert_eq!(made.header("x-request-id").unwrap().len(), 36);
}

/// Attack: reading answers from a page of another origin.
#[actix_rt::test]
async fn listed_origins_may_read_answers_and_others_not() {
    let hub = Hub::start();
    let listed = format!("origin: {ORIGIN}\r\n");
    for path in ["/whoami", "/nowhere", "/page?n=x", "/guarded"] {
        let answer = hub.get(path, &listed).await;
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some(ORIGIN),
            "{path}"
        );
        assert_eq!(
            answer.header("access-control-allow-credentials"),
            Some("true")
        );
        let exposed = answer.header("access-control-expose-headers").unwrap();
        for name in ["x-reconnect-token", "x-request-id", "retry-after"] {
            assert!(exposed.contains(name), "{exposed}");
        }
    }
    for origin in [
        "https://evil.example",
        "null",
        "https://admin.example.evil",
        "garbage",
    ] {
        let answer = hub.get("/whoami", &format!("origin: {origin}\r\n")).await;
        assert_eq!(
            (answer.status, answer.header("access-control-allow-origin")),
            (200, None)
        );
        assert!(answer.header("vary").unwrap().contains("origin"));
    }
    let none = hub.get("/whoami", "").await;
    assert!(none.header("vary").unwrap().contains("origin"));
}

/// Attack: reading answers from a page of another origin.
#[actix_rt::test]
async fn a_preflight_is_answered_for_listed_origins_only() {
    let hub = Hub::start();
    let preflight = async |origin: &str| {
        let request = format!(
            "OPTIONS /double HTTP/1.1\r\nhost: hub\r\norigin: {origin}\r\n\
             access-control-request-method: POST\r\n\
             access-control-request-headers: authorization,content-type,last-event-id,x-request-id\r\n\r\n"
        );
        hub.ask(&request).await
    };
    let listed = preflight(ORIGIN).await;
    assert_eq!(
        (listed.status, listed.header("access-control-allow-origin")),
        (200, Some(ORIGIN))
    );
    let foreign = preflight("https://evil.example").await;
    assert_eq!(foreign.header("access-control-allow-origin"), None);
    foreign.refuses(400, "invalid_request");
}

#[actix_rt::test]
async fn a_caller_above_its_rate_is_told_when_to_come_back() {
    let hub = Hub::limited(1, 2);
    let listed = format!("origin: {ORIGIN}\r\n");
    for _ in 0..2 {
        assert_eq!(hub.get("/whoami", "").await.status, 200);
    }
    let refused = hub.get("/whoami", &listed).await;
    assert_eq!(
        refused.refuses(429, "rate_limited").header("retry-after"),
        Some("1")
    );
    assert_eq!(refused.header("access-control-allow-origin"), Some(ORIGIN));
    assert_eq!(hub.get("/health", "").await.status, 200);
    // A stream waits for its turn.
    assert_eq!(
        hub.get("/whoami", "accept: text/event-stream\r\n")
            .await
            .status,
        200
    );
}
