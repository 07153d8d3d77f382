//! 400: malformed JSON, wrong types, bad names, and the texts that dashboards look for.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::http::{Api, send};
use crate::support::hub::Hub;
use crate::support::token;

/// Every endpoint that reads a body.
const WITH_BODY: [&str; 7] = [
    "/subscribe",
    "/unsubscribe",
    "/test-connection",
    "/publish",
    "/alerts",
    "/disconnect",
    "/refresh",
];

/// Posts `body` and gives the text of the refusal it must get.
async fn refused(api: &Api, path: &str, body: &str) -> String {
    let answer = api.post_text(path, body.to_owned()).await;
    assert_eq!(
        answer.failure(),
        (400, "invalid_request"),
        "{path} {body:.200}"
    );
    answer.error().to_owned()
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_refused() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let deep = format!(
        "{{\"metric\":\"a\",\"data\":{}{}}}",
        "[".repeat(5000),
        "]".repeat(5000)
    );
    for path in WITH_BODY {
        for body in [
            "{",
            "}",
            "not json",
            "{\"a\":}",
            "{'a':1}",
            "{} {}",
            "[]",
            "3",
            "null",
            "\"text\"",
            "{\"a\":1,}",
            "\u{feff}{}",
            &deep,
        ] {
            refused(&api, path, body).await;
        }
        let answer = api
            .post_text(path, b"{\"metrics\":[\"\xff\"]}".to_vec())
            .await;
        assert_eq!(answer.failure(), (400, "invalid_request"), "{path}");
    }
}

#[tokio::test]
async fn metrics_that_are_no_list_are_refused_in_the_words_that_dashboards_know() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    for path in ["/subscribe", "/unsubscribe"] {
        for body in [
            json!({}),
            json!({"metrics": null}),
            json!({"metrics": "credits"}),
            json!({"metrics": {"0": "credits"}}),
            json!({"metrics": 5}),
            json!({"metrics": true}),
        ] {
            let text = refused(&api, path, &body.to_string()).await;
            assert_eq!(text, "Metrics must be an array", "{path} {body}");
        }
    }
}

#[tokio::test]
async fn a_missing_reconnect_token_is_named_in_the_words_that_dashboards_know() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let check = |answer: crate::support::http::Answer| {
        assert_eq!(answer.failure(), (400, "invalid_request"));
        assert_eq!(answer.error(), "Reconnect token is required");
    };
    check(api.get("/reconnect").await);
    check(api.get("/reconnect?token=").await);
    check(api.get("/reconnect?lastEventId=1-0").await);
    check(api.post("/refresh", &json!({})).await);
    check(api.post("/refresh", &json!({"reconnectToken": ""})).await);
}

#[tokio::test]
async fn values_of_a_wrong_type_or_kind_are_refused() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let long = "x".repeat(129);
    let check = async |path: &str, bodies: &[Value]| {
        for body in bodies {
            refused(&api, path, &body.to_string()).await;
        }
    };
    let lists = [
        json!({"metrics": [1]}),
        json!({"metrics": [null]}),
        json!({"metrics": [["credits"]]}),
        json!({"metrics": ["good", "not good"]}),
    ];
    check("/subscribe", &lists).await;
    check("/unsubscribe", &lists).await;
    let kinds = [
        json!({"connectionType": "pigeon"}),
        json!({"connectionType": "SSE"}),
        json!({"connectionType": 1}),
    ];
    check("/test-connection", &kinds).await;
    let publish = [
        json!({}),
        json!({"metric": "m"}),
        json!({"data": 1}),
        json!({"metric": 5, "data": 1}),
        json!({"metric": "m", "data": 1, "priority": "urgent"}),
        json!({"metric": "m", "data": 1, "priority": 1}),
        json!({"metric": "m", "data": 1, "retain": "some"}),
        json!({"metric": "m", "data": 1, "userId": ""}),
        json!({"metric": "m", "data": 1, "userId": ["ada"]}),
        json!({"metric": "m", "data": 1, "userId": "a\nb"}),
        json!({"metric": "m", "data": 1, "userId": long}),
        json!({"messages": {}}),
        json!({"messages": [1]}),
        json!({"messages": [{"metric": "m"}]}),
    ];
    check("/publish", &publish).await;
    let alerts = [
        json!({}),
        json!({"severity": "high"}),
        json!({"message": "fire"}),
        json!({"severity": "urgent", "message": "fire"}),
        json!({"severity": "normal", "message": "fire"}),
        json!({"severity": 1, "message": "fire"}),
        json!({"severity": "high", "message": {"text": "fire"}}),
    ];
    check("/alerts", &alerts).await;
    let disconnect = [
        json!({}),
        json!({"userId": []}),
        json!({"connectionId": 1}),
        json!({"tokenId": {}}),
        json!({"issuedBefore": []}),
    ];
    check("/disconnect", &disconnect).await;
    check("/refresh", &[json!({"reconnectToken": 5})]).await;
}

/// What no metric may be called, and no pattern either.
pub fn bad_names() -> Vec<String> {
    let mut bad: Vec<String> = [
        "",
        ".",
        "a..b",
        ".a",
        "a.",
        "a b",
        " a",
        "ä",
        "a/b",
        "a\nb",
        "a\0",
        "a:b",
        "😀",
        "\u{202e}a",
    ]
    .map(str::to_owned)
    .into();
    bad.push("x".repeat(129));
    bad
}

#[tokio::test]
async fn a_metric_with_a_bad_name_cannot_be_published() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let wildcards = ["*", "**", "a.*", "a.**", "a*"].map(str::to_owned);
    for name in bad_names().into_iter().chain(wildcards) {
        refused(
            &api,
            "/publish",
            &json!({"metric": name, "data": 1}).to_string(),
        )
        .await;
    }
    for name in ["a", "A-b_0.c", &"x".repeat(128)] {
        api.publish(name, json!(1)).await;
    }
}

#[tokio::test]
async fn a_bad_name_in_the_query_of_a_stream_is_refused() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    // The empty name is none, and the comma separates.
    let names = bad_names().into_iter().filter(|name| !name.is_empty());
    let patterns = ["a*", "***", "**.a", "a.**.b"].map(str::to_owned);
    for name in names.chain(patterns) {
        let query = [("metrics", format!("good,{name}"))];
        for request in [api.request(Method::GET, "/stream"), api.upgrade("")] {
            let answer = send(request.query(&query)).await;
            assert_eq!(answer.failure(), (400, "invalid_request"), "{name:?}");
        }
    }
}

#[tokio::test]
async fn a_bad_filter_or_page_is_refused() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    for query in [
        "transport=pigeon",
        "state=asleep",
        "limit=many",
        "limit=-1",
        "offset=x",
    ] {
        let answer = api.get(&format!("/connections?{query}")).await;
        assert_eq!(answer.failure(), (400, "invalid_request"), "{query}");
    }
}

#[tokio::test]
async fn a_refusal_repeats_nothing_that_may_be_a_secret() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    for (path, body) in [
        ("/subscribe", r#"{"metrics":"CANARY"}"#),
        ("/test-connection", r#"{"connectionType":"CANARY"}"#),
        ("/publish", r#"{"metric":"m","data":1,"priority":"CANARY"}"#),
        ("/refresh", r#"{"reconnectToken":["CANARY"]}"#),
        ("/disconnect", r#"{"tokenId":["CANARY"]}"#),
        ("/publish", r#"{"metric":"m","data":"CANARY"#),
    ] {
        let answer = api.post_text(path, body).await;
        assert_eq!(answer.status, 400, "{path} {body}");
        assert!(
            !answer.body.to_string().contains("CANARY"),
            "{path} {answer:?}"
        );
    }
}
