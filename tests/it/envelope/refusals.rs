//! 401, 403, 410, 413 and 415.

use futures::stream;
use reqwest::{Body, Method, RequestBuilder};
use serde_json::{Value, json};
use std::convert::Infallible;

use super::routes::ENDPOINTS;
use crate::support::http::{Answer, Api, send};
use crate::support::hub::Hub;
use crate::support::token;

/// A request that would be good if its bearer were.
fn good_request(api: &Api, path: &str, method: &Method) -> RequestBuilder {
    let unknown = "6b1f3c52-5d0e-4f0a-9c55-0d7f3f6c1a11";
    match (path, method) {
        ("/websocket", _) => api.upgrade(""),
        ("/reconnect", _) => api.request(Method::GET, &format!("/reconnect?token={unknown}")),
        (_, &Method::GET) => api.request(Method::GET, path),
        _ => api.request(method.clone(), path).json(&json!({
            "metrics": ["m"], "metric": "m", "data": 1,
            "severity": "low", "message": "m", "userId": "nobody", "reconnectToken": unknown,
        })),
    }
}

fn challenge(answer: &Answer) -> &str {
    answer.header("www-authenticate").expect("a challenge")
}

/// Attack: a forged or broken token.
#[tokio::test]
async fn without_a_token_every_endpoint_asks_for_one() {
    let hub = Hub::start().await;
    let api = hub.anonymous();
    for (path, method) in ENDPOINTS {
        let answer = send(good_request(&api, path, &method)).await;
        assert_eq!(answer.failure(), (401, "unauthenticated"), "{path}");
        // The RFC wants no error code where there were no credentials.
        assert!(
            challenge(&answer).starts_with("Bearer"),
            "{path} {answer:?}"
        );
        assert!(!challenge(&answer).contains("error"), "{path} {answer:?}");
    }
}

/// Attack: a forged or broken token.
#[tokio::test]
async fn a_token_that_is_not_good_is_refused_on_every_endpoint() {
    let hub = Hub::start().await;
    let api = hub.api("no.good.token");
    for (path, method) in ENDPOINTS {
        let answer = send(good_request(&api, path, &method)).await;
        assert_eq!(answer.failure(), (401, "unauthenticated"), "{path}");
        let challenge = challenge(&answer);
        assert!(challenge.starts_with("Bearer"), "{path} {challenge}");
        assert!(
            challenge.contains(r#"error="invalid_token""#),
            "{path} {challenge}"
        );
    }
}

/// Attack: a good token used beyond its role.
#[tokio::test]
async fn a_good_token_without_a_permitted_role_is_forbidden_on_every_endpoint() {
    let hub = Hub::start().await;
    let guest = token::token("gus", "guest", std::time::Duration::from_secs(3600));
    let api = hub.api(&guest);
    for (path, method) in ENDPOINTS {
        let answer = send(good_request(&api, path, &method)).await;
        assert_eq!(answer.failure(), (403, "forbidden"), "{path}");
        let challenge = challenge(&answer);
        assert!(
            challenge.contains(r#"error="insufficient_scope""#),
            "{path} {challenge}"
        );
    }
}

/// Attack: a good token used beyond its role.
#[tokio::test]
async fn who_may_not_ask_is_not_told_what_is_wrong_with_the_question() {
    let hub = Hub::start().await;
    let answer = hub.anonymous().post_text("/publish", "{").await;
    assert_eq!(answer.failure(), (401, "unauthenticated"));
    let answer = hub.anonymous().get("/stream?metrics=a..b").await;
    assert_eq!(answer.failure(), (401, "unauthenticated"));
}

/// What each way of coming back answers to a reconnect token.
async fn come_back(api: &Api, reconnect_token: &str) -> [Answer; 3] {
    let body = json!({"reconnectToken": reconnect_token});
    [
        api.get(&format!("/reconnect?token={reconnect_token}"))
            .await,
        send(api.upgrade(&format!("?reconnectToken={reconnect_token}"))).await,
        api.post("/refresh", &body).await,
    ]
}

/// Attack: a stolen reconnect token.
#[tokio::test]
async fn a_reconnect_token_is_refused_in_one_way_whatever_is_wrong_with_it() {
    // So many wrong ones would be answered late.
    let config = "[limits]\nfailed_resumes_per_minute = 1000";
    let hub = Hub::with().config(config).start().await;
    let mut stream = hub.sse("/stream", &token::admin("ada")).await;
    stream.opened().await;
    let known = stream.reconnect_token().to_owned();
    let upper = known.to_uppercase();
    let compact = known.replace('-', "");
    let mut bodies: Vec<Value> = Vec::new();
    for (user, reconnect_token) in [
        ("eve", known.as_str()),
        ("ada", "6b1f3c52-5d0e-4f0a-9c55-0d7f3f6c1a11"),
        ("ben", "00000000-0000-0000-0000-000000000000"),
        ("cleo", "garbage"),
        // One way to write a token, and no other.
        ("ada", upper.as_str()),
        ("ada", compact.as_str()),
    ] {
        for answer in come_back(&hub.api(&token::admin(user)), reconnect_token).await {
            assert_eq!(
                answer.failure(),
                (410, "reconnect_token_invalid"),
                "{reconnect_token}"
            );
            bodies.push(answer.body);
        }
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "one answer for all: {bodies:?}");
}

/// Attack: a stolen reconnect token.
#[tokio::test]
async fn a_reconnect_token_is_no_credential() {
    let hub = Hub::start().await;
    let mut stream = hub.sse("/stream", &token::admin("ada")).await;
    stream.opened().await;
    for answer in come_back(&hub.anonymous(), stream.reconnect_token()).await {
        assert_eq!(answer.failure(), (401, "unauthenticated"));
    }
}

#[tokio::test]
async fn a_body_over_the_limit_is_too_large_however_it_is_sent() {
    let config = "[http]\nbody_bytes_max = 2048\nmessage_bytes_max = 512";
    let hub = Hub::with().config(config).start().await;
    let api = hub.api(&token::admin("ada"));
    let body = json!({"metrics": ["m"], "padding": "x".repeat(4096)}).to_string();
    let post = |path: &str, body: Body| {
        let request = api.request(Method::POST, path).body(body);
        send(request.header("content-type", "application/json"))
    };
    for path in [
        "/subscribe",
        "/publish",
        "/alerts",
        "/disconnect",
        "/refresh",
    ] {
        let answer = post(path, body.clone().into()).await;
        assert_eq!(answer.failure(), (413, "payload_too_large"), "{path}");
        // In chunks nothing says beforehand how much will come.
        let chunks: Vec<_> = body.as_bytes().chunks(100).map(<[u8]>::to_vec).collect();
        let chunks = stream::iter(chunks.into_iter().map(Ok::<_, Infallible>));
        let answer = post(path, Body::wrap_stream(chunks)).await;
        assert_eq!(
            answer.failure(),
            (413, "payload_too_large"),
            "{path}, in chunks"
        );
    }
}

/// Attack: bodies and heads that are too large, or endless.
#[tokio::test]
async fn a_message_over_the_limit_is_too_large_and_takes_its_batch_with_it() {
    let config = "[http]\nbody_bytes_max = 8192\nmessage_bytes_max = 512";
    let hub = Hub::with().config(config).start().await;
    let api = hub.api(&token::admin("ada"));
    let large = json!({"metric": "large", "data": "x".repeat(600)});
    let batch = json!({"messages": [{"metric": "small", "data": 1}, large]});
    for body in [large, batch] {
        let answer = api.post("/publish", &body).await;
        assert_eq!(answer.failure(), (413, "payload_too_large"));
    }
    assert_eq!(api.get("/metrics").await.data(), &json!({}));
    api.publish("fits", json!("x".repeat(500))).await;
}

/// Attack: cross-site request forgery.
#[tokio::test]
async fn a_body_must_be_json_and_say_so() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let check = async |path: &str, headers: &[(&str, &str)], taken: bool| {
        let body = match path {
            "/publish" => r#"{"metric":"m","data":1}"#,
            _ => r#"{"metrics":["m"]}"#,
        };
        let mut request = api.request(Method::POST, path).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answer = send(request).await;
        match taken {
            true => assert!(answer.status < 300, "{path} {headers:?} {answer:?}"),
            false => assert_eq!(
                answer.failure(),
                (415, "unsupported_media_type"),
                "{path} {headers:?}"
            ),
        }
    };
    for path in ["/publish", "/subscribe", "/unsubscribe"] {
        check(path, &[], false).await;
        // What a form or a script of a foreign page can send without asking first.
        for kind in [
            "text/plain",
            "application/x-www-form-urlencoded",
            "multipart/form-data; boundary=x",
            "text/json",
            "application/xml",
        ] {
            check(path, &[("content-type", kind)], false).await;
        }
        for kind in [
            "application/json",
            "application/json; charset=utf-8",
            "Application/JSON",
        ] {
            check(path, &[("content-type", kind)], true).await;
        }
        // Inflating would let a small body become a large one.
        let gzip = [
            ("content-type", "application/json"),
            ("content-encoding", "gzip"),
        ];
        check(path, &gzip, false).await;
    }
}
