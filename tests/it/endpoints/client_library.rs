//! The client for browsers, as pages load it.

use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};

use crate::support::http::respond;
use crate::support::hub::Hub;

const FILES: [(&str, &str); 4] = [
    ("/statshub.js", "text/javascript"),
    ("/statshub-react.js", "text/javascript"),
    ("/statshub.d.ts", "text/plain"),
    ("/statshub-react.d.ts", "text/plain"),
];

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    let value = headers.get(name).unwrap_or_else(|| panic!("no {name}"));
    value.to_str().expect("a text")
}

#[tokio::test]
async fn pages_of_any_origin_may_load_it_without_a_token() {
    let hub = Hub::start().await;
    for (path, kind) in FILES {
        let request = hub.anonymous().request_at(Method::GET, path);
        let answer = respond(request.header("Origin", "https://elsewhere.example")).await;
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        let headers = answer.headers();
        assert!(text(headers, "content-type").starts_with(kind), "{path}");
        assert_eq!(text(headers, "access-control-allow-origin"), "*");
        assert_eq!(
            text(headers, "cross-origin-resource-policy"),
            "cross-origin"
        );
        assert!(text(headers, "cache-control").starts_with("public"));
        let content = answer.text().await.expect("a text");
        assert!(content.contains("export"), "{path}");
    }
}

#[tokio::test]
async fn what_a_page_has_already_is_not_sent_again() {
    let hub = Hub::start().await;
    let ask = |etag: &str| {
        let request = hub.anonymous().request_at(Method::GET, "/statshub.js");
        respond(request.header("If-None-Match", etag.to_owned()))
    };
    let first = ask("\"another\"").await;
    assert_eq!(first.status(), StatusCode::OK);
    let etag = text(first.headers(), "etag").to_owned();
    let strong = etag.trim_start_matches("W/").to_owned();
    for known in [etag.clone(), format!("\"x\", {etag}"), strong] {
        let again = ask(&known).await;
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{known}");
        assert_eq!(text(again.headers(), "etag"), etag);
        assert!(again.bytes().await.expect("nothing").is_empty());
    }
}

#[tokio::test]
async fn it_is_sent_compressed_to_who_takes_that() {
    let hub = Hub::start().await;
    let ask = |encoding: &'static str| {
        let request = hub.anonymous().request_at(Method::GET, "/statshub.js");
        respond(request.header("Accept-Encoding", encoding))
    };
    let plain = ask("identity").await;
    assert!(plain.headers().get("content-encoding").is_none());
    let plain = plain.bytes().await.expect("a file").len();
    let gzip = ask("gzip, br").await;
    assert_eq!(text(gzip.headers(), "content-encoding"), "gzip");
    assert!(text(gzip.headers(), "vary").starts_with("Accept-Encoding"));
    let gzip = gzip.bytes().await.expect("a file").len();
    assert!(gzip < 10 * 1024 && 2 * gzip < plain, "{gzip} of {plain}");
}

#[tokio::test]
async fn its_modules_find_each_other_where_they_are_served() {
    let hub = Hub::start().await;
    let react = hub
        .anonymous()
        .request_at(Method::GET, "/statshub-react.js");
    let react = respond(react).await.text().await.expect("a text");
    assert!(react.contains("from \"./statshub.js\""));
    let types = hub
        .anonymous()
        .request_at(Method::GET, "/statshub-react.d.ts");
    let types = respond(types).await.text().await.expect("a text");
    assert!(types.contains("from \"./statshub.js\""));
}
