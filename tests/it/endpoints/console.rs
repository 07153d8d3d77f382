//! The page at `/`: the one answer that is no JSON, and what it may do in a browser.

use reqwest::Method;

use crate::support::http::{respond, send};
use crate::support::hub::Hub;

/// Address, kind and text of a file of the page's.
async fn file(hub: &Hub, path: &str) -> (String, String) {
    let response = respond(hub.anonymous().request_at(Method::GET, path)).await;
    assert_eq!(response.status(), 200, "{path}");
    let headers = response.headers().clone();
    let value = |name: &str| headers.get(name).map(|it| it.to_str().unwrap().to_owned());
    assert_eq!(
        value("referrer-policy").as_deref(),
        Some("no-referrer"),
        "{path}"
    );
    let policy = value("content-security-policy").unwrap_or_default();
    if path == "/" {
        assert!(policy.contains("default-src"), "{policy}");
        assert!(
            !policy.contains("unsafe-inline") && !policy.contains("unsafe-eval"),
            "{policy}"
        );
    }
    let kind = value("content-type").unwrap_or_default();
    (kind, response.text().await.expect("a text"))
}

#[tokio::test]
async fn the_page_is_served_with_all_that_it_needs() {
    let hub = Hub::start().await;
    let (kind, page) = file(&hub, "/").await;
    assert!(kind.starts_with("text/html"), "{kind}");
    let mut files = Vec::new();
    for attribute in ["href=\"", "src=\""] {
        files.extend(quoted_after(&page, attribute));
    }
    assert!(!files.is_empty());
    let mut known = 0;
    while let Some(name) = files.get(known).cloned() {
        known += 1;
        assert!(!name.contains("//"), "from this hub alone: {name}");
        let (kind, text) = file(&hub, &format!("/{}", name.trim_start_matches('/'))).await;
        let expected = match name.rsplit('.').next() {
            Some("js") => "text/javascript",
            Some("css") => "text/css",
            Some("svg") => "image/svg+xml",
            other => panic!("what is {other:?}?"),
        };
        assert!(kind.starts_with(expected), "{name} {kind}");
        assert!(!text.is_empty(), "{name}");
        // A script's own imports, each once.
        for import in quoted_after(&text, "from \"./") {
            if !files.contains(&import) {
                files.push(import);
            }
        }
    }
    assert!(known >= 5, "{files:?}");
}

/// What stands after each `opening`, which ends in a quotation mark or begins a quoted path.
fn quoted_after(text: &str, opening: &str) -> Vec<String> {
    let after = text.split(opening).skip(1);
    after
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn the_page_has_no_script_that_its_policy_would_refuse() {
    let hub = Hub::start().await;
    let (_, page) = file(&hub, "/").await;
    for script in page.split("<script").skip(1) {
        assert!(
            script.contains("src=") && script.contains("></script>"),
            "{script:.100}"
        );
    }
    assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains(" onclick="));
}

#[tokio::test]
async fn nothing_else_is_served_from_where_the_page_is() {
    let hub = Hub::start().await;
    for path in [
        "/.env",
        "/config.toml",
        "/..%2fconfig.toml",
        "/page.js/more",
    ] {
        let answer = send(hub.anonymous().request_at(Method::GET, path)).await;
        assert_eq!(answer.failure(), (404, "not_found"), "{path}");
    }
}
