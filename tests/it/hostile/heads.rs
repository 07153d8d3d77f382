//! The head of a request: lines that are none, and headers that contradict each other, which the HTTP
//! layer refuses with an empty answer before there is a request; and odd ones that are lawful.

use super::{answer, ask, authorization, check_healthy};
use crate::support::A;
use crate::support::hub::Hub;

/// Refused with nothing but a status, and hung up on. Where `large`, the end may overtake the answer,
/// since there is more that nobody reads.
async fn check_refused(hub: &Hub, name: &str, bytes: impl AsRef<[u8]>, large: bool) {
    let (answer, mut client) = ask(hub, bytes).await;
    match answer {
        Some(answer) => {
            assert!(matches!(answer.status(), 400 | 431), "{name}: {answer:?}");
            assert!(answer.body.is_empty(), "{name}: {answer:?}");
        }
        None => assert!(large, "{name}: no answer"),
    }
    assert_eq!(client.read_to_end().await, b"", "{name}");
}

/// What begins no request.
const NO_REQUESTS: [(&str, &[u8]); 17] = [
    ("a word", b"GARBAGE\r\n\r\n"),
    ("no path", b"GET\r\n\r\n"),
    ("no version", b"GET /api/health\r\n\r\n"),
    (
        "a version there is not",
        b"GET /api/health HTTP/9.9\r\nHost: a\r\n\r\n",
    ),
    (
        "another protocol",
        b"GET /api/health RTSP/1.0\r\nHost: a\r\n\r\n",
    ),
    (
        "two spaces",
        b"GET  /api/health HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    (
        "a path without a slash",
        b"GET api/health HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    (
        "NUL in the path",
        b"GET /api/\0health HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    (
        "bytes that are no ASCII in the path",
        b"GET /caf\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    (
        "NUL in the method",
        b"G\0T /api/health HTTP/1.1\r\nHost: a\r\n\r\n",
    ),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    (
        "TLS",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\0\0\0\0\0\0\0\0\0\0\0\0\0",
    ),
    (
        "a header without a colon",
        b"GET /api/health HTTP/1.1\r\nHost a\r\n\r\n",
    ),
    (
        "a space before the colon",
        b"GET /api/health HTTP/1.1\r\nHost : a\r\n\r\n",
    ),
    (
        "a folded header",
        b"GET /api/health HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n",
    ),
    (
        "NUL in a header",
        b"GET /api/health HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
    ),
    (
        "ESC in a header",
        b"GET /api/health HTTP/1.1\r\nHost: a\r\nX: \x1b[31m\r\n\r\n",
    ),
];

/// Attack: request smuggling.
#[tokio::test]
async fn what_is_no_request_is_refused_without_a_word_in_the_answer_or_the_log() {
    let hub = Hub::start().await;
    check_healthy(&hub).await;
    let before = hub.stderr();
    for (name, bytes) in NO_REQUESTS {
        check_refused(&hub, name, bytes, false).await;
    }
    assert_eq!(hub.stderr(), before, "anybody could fill it so");
    check_healthy(&hub).await;
    hub.stop().await;
}

/// Headers by which two readers might see two different requests.
const CONTRADICTIONS: [&str; 16] = [
    "Content-Length: 1\r\nContent-Length: 2\r\n",
    "Content-Length: 1\r\nContent-Length: 1\r\n",
    "Content-Length: 1, 1\r\n",
    "Content-Length: -1\r\n",
    "Content-Length: +1\r\n",
    "Content-Length: 0x1\r\n",
    "Content-Length: 1 2\r\n",
    "Content-Length: one\r\n",
    "Content-Length: 99999999999999999999\r\n",
    "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n",
    "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    "Transfer-Encoding: gzip\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
    "Host: another\r\n",
];

/// Attack: request smuggling.
#[tokio::test]
async fn a_request_that_could_be_read_in_two_ways_is_read_in_none() {
    let hub = Hub::start().await;
    for headers in CONTRADICTIONS {
        let head = format!(
            "POST {A}/publish HTTP/1.1\r\nHost: a\r\n{}{headers}\r\n",
            authorization()
        );
        // Whoever reads it otherwise finds a second request in it.
        let bytes = format!("{head}0\r\n\r\nGET /api/health HTTP/1.1\r\nHost: a\r\n\r\n");
        check_refused(&hub, headers, bytes, false).await;
    }
    check_refused(&hub, "no Host", "GET /api/health HTTP/1.1\r\n\r\n", false).await;
    let old = "POST /api/health HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    check_refused(&hub, "chunks in HTTP/1.0", old, false).await;
    check_healthy(&hub).await;
}

/// Attack: bodies and heads that are too large, or endless.
#[tokio::test]
async fn a_head_has_its_limits() {
    let hub = Hub::start().await;
    let with = |headers: &str| format!("GET /api/health HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
    let many = |count: usize| with(&"X: y\r\n".repeat(count));
    assert_eq!(answer(&hub, many(50)).await.status(), 200);
    check_refused(&hub, "many headers", many(200), false).await;
    check_refused(&hub, "very many headers", many(20_000), true).await;

    let long = |bytes: usize| with(&format!("X: {}\r\n", "y".repeat(bytes)));
    assert_eq!(answer(&hub, long(16 * 1024)).await.status(), 200);
    check_refused(&hub, "a long header", long(200_000), true).await;
    let endless = format!(
        "GET /api/health HTTP/1.1\r\nHost: a\r\nX: {}",
        "y".repeat(1 << 20)
    );
    check_refused(&hub, "an endless header", endless, true).await;
    let name = with(&format!("{}: y\r\n", "X".repeat(100_000)));
    check_refused(&hub, "a long name", name, true).await;

    let path = |bytes: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "y".repeat(bytes));
    let known = answer(&hub, path(30_000)).await;
    assert_eq!(known.failure(), (404, "not_found".into()));
    check_refused(&hub, "a long path", path(200_000), true).await;
    check_healthy(&hub).await;
    hub.stop().await;
}

/// Attack: using up the descriptors (EMFILE).
#[tokio::test]
async fn what_is_no_request_takes_nobodys_place() {
    let start = Hub::with().config("[http]\nworkers = 1\nsockets_max = 4\n");
    let hub = start.start().await;
    let name = format!(
        "GET / HTTP/1.1\r\nHost: a\r\n{}: y\r\n\r\n",
        "X".repeat(100_000)
    );
    for _ in 0..20 {
        check_refused(&hub, "a word", "GARBAGE\r\n\r\n", false).await;
        check_refused(&hub, "a long name", &name, true).await;
    }
    check_healthy(&hub).await;
    hub.stop().await;
}

#[tokio::test]
async fn odd_requests_are_answered_in_the_envelope() {
    let hub = Hub::start().await;
    let check = async |request: &str, status: u16| {
        let answer = answer(&hub, request).await;
        assert_eq!(answer.status(), status, "{request:.60}");
        answer.envelope();
    };
    let get = |line: &str| format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n");
    check(&get("OPTIONS *"), 404).await;
    check(&get("GET *"), 404).await;
    check(&get("CONNECT example.org:443"), 404).await;
    check(&get("GET http://elsewhere.example/api/health"), 200).await;
    check(&get("GET /api/health#fragment"), 200).await;
    check(&get("BREW /api/health"), 405).await;
    check(&get("get /api/health"), 405).await;
    check(&get("TRACE /api/health"), 405).await;
    check(&get(&format!("{} /api/health", "X".repeat(5000))), 405).await;
    check("GET /api/health HTTP/1.0\r\n\r\n", 200).await;
    check("\r\n\r\nGET /api/health HTTP/1.1\r\nHost: a\r\n\r\n", 200).await;
    check("GET /api/health HTTP/1.1\r\nHost:\r\n\r\n", 200).await;
    check("GET /api/health HTTP/1.1\r\nHost: a b/c\"\\\r\n\r\n", 200).await;
    hub.stop().await;
}

#[tokio::test]
async fn a_credential_that_is_no_text_is_none() {
    let hub = Hub::start().await;
    for header in [
        &b"Authorization: Bearer \xc3\xa9\xff"[..],
        b"Authorization:",
        b"Authorization: \t",
        b"Cookie: \xff; access_token",
        b"Cookie: access_token=\xff\xfe",
        b"Sec-WebSocket-Protocol: \xff",
    ] {
        let head = format!("GET {A}/metrics HTTP/1.1\r\nHost: a\r\n").into_bytes();
        let answer = answer(&hub, [&*head, header, b"\r\n\r\n"].concat()).await;
        assert_eq!(
            answer.failure(),
            (401, "unauthenticated".into()),
            "{header:?}"
        );
    }
}
