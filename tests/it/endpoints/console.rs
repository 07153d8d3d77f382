//! The console at `/`: the answers that are no JSON, what they may do in a browser, and how long one keeps them.

use std::collections::{BTreeSet, VecDeque};

use reqwest::header::HeaderMap;
use reqwest::{Method, Url};
use rustix::process::Signal;

use crate::support::eventually;
use crate::support::http::{respond, send};
use crate::support::hub::Hub;

/// Headers and body of a file, unpacked by nobody.
async fn file(hub: &Hub, path: &str, accepts: &str) -> (HeaderMap, Vec<u8>) {
    let request = hub.anonymous().request_at(Method::GET, path);
    let response = respond(request.header("accept-encoding", accepts)).await;
    assert_eq!(response.status(), 200, "{path}");
    let headers = response.headers().clone();
    (headers, response.bytes().await.expect("a body").into())
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get(name)
        .map(|value| value.to_str().expect("a text"))
}

/// Whether caches are told that the answer goes by what the client takes.
fn varies(headers: &HeaderMap) -> bool {
    header(headers, "vary").is_some_and(|it| it.contains("Accept-Encoding"))
}

/// The page at `/`.
async fn page(hub: &Hub) -> String {
    let (_, body) = file(hub, "/", "identity").await;
    String::from_utf8(body).expect("a text")
}

/// Every file of the console by its path, `/` first: what the page names, and what that imports.
async fn files(hub: &Hub) -> Vec<(String, HeaderMap, String)> {
    let (mut seen, mut wanted) = (BTreeSet::new(), VecDeque::from(["/".to_owned()]));
    let mut found = Vec::new();
    while let Some(path) = wanted.pop_front() {
        // What else a hub serves to browsers has chapters of its own.
        if !seen.insert(path.clone()) || (path != "/" && !path.starts_with("/console/")) {
            continue;
        }
        let (headers, body) = file(hub, &path, "identity").await;
        let text = String::from_utf8(body).expect("a text");
        let here = Url::parse(&hub.url(&path)).expect("a URL");
        for opening in ["href=\"", "src=\"", "from \"", "import \""] {
            let named = text.split(opening).skip(1);
            for name in named.filter_map(|rest| rest.split('"').next()) {
                if !name.starts_with('#') {
                    let there = here.join(name).expect("a URL");
                    assert_eq!(there.origin(), here.origin(), "{name} in {path}");
                    wanted.push_back(there.path().to_owned());
                }
            }
        }
        found.push((path, headers, text));
    }
    found
}

/// Attack: stored script in what is published.
#[tokio::test]
async fn every_file_has_its_kind_and_a_policy_without_exceptions() {
    let hub = Hub::start().await;
    let files = files(&hub).await;
    assert!(files.len() > 20, "{}", files.len());
    for (path, headers, text) in &files {
        let kind = match path.rsplit_once('.') {
            Some((_, "js")) => "text/javascript; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "svg")) => "image/svg+xml",
            _ => "text/html; charset=utf-8",
        };
        assert_eq!(header(headers, "content-type"), Some(kind), "{path}");
        let policy = header(headers, "content-security-policy").unwrap_or_default();
        for wanted in [
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "connect-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        ] {
            assert!(
                policy.split("; ").any(|it| it == wanted),
                "{wanted} for {path}"
            );
        }
        assert!(
            !policy.contains("unsafe") && !policy.contains('*'),
            "{policy}"
        );
        for (name, expected) in [
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ] {
            assert_eq!(header(headers, name), Some(expected), "{path}");
        }
        assert!(!text.is_empty(), "{path}");
    }
}

/// Attack: stored script in what is published.
#[tokio::test]
async fn the_page_has_nothing_that_its_policy_would_refuse() {
    let hub = Hub::start().await;
    for (path, _, text) in files(&hub).await {
        for script in text.split("<script").skip(1) {
            let is_outside = script.contains("src=") && script.contains("></script>");
            assert!(is_outside, "{script:.100}");
        }
        for inline in [
            "<style",
            " style=",
            " onclick=",
            "javascript:",
            "innerHTML",
            "eval(",
        ] {
            assert!(!text.contains(inline), "{inline} in {path}");
        }
        // One way to keep a token, which ends with the tab.
        assert!(!text.contains("localStorage"), "{path}");
    }
}

#[tokio::test]
async fn files_are_kept_for_ever_under_the_hash_of_them_all_and_the_page_is_asked_for() {
    let hub = Hub::start().await;
    let mut folders = BTreeSet::new();
    for (path, headers, _) in files(&hub).await {
        let cached = header(&headers, "cache-control").unwrap_or_default();
        if path == "/" {
            assert_eq!(cached, "no-cache");
            continue;
        }
        assert!(
            cached.contains("immutable") && cached.contains("max-age=31536000"),
            "{cached}"
        );
        let folder = path.split('/').nth(2).expect("a folder");
        assert!(
            folder.len() == 16 && folder.bytes().all(|b| b.is_ascii_hexdigit()),
            "{path}"
        );
        folders.insert(folder.to_owned());
    }
    assert_eq!(folders.len(), 1, "{folders:?}");
    let (headers, icon) = file(&hub, "/favicon.ico", "identity").await;
    assert_eq!(header(&headers, "content-type"), Some("image/svg+xml"));
    assert!(icon.starts_with(b"<svg"));
}

#[tokio::test]
async fn who_takes_gzip_gets_the_same_in_fewer_bytes() {
    let hub = Hub::start().await;
    for (path, headers, text) in files(&hub).await {
        assert!(varies(&headers), "{path}");
        assert_eq!(header(&headers, "content-encoding"), None, "{path}");
        let (headers, packed) = file(&hub, &path, "br;q=1, gzip;q=0.8").await;
        assert!(varies(&headers), "{path}");
        assert_eq!(header(&headers, "content-encoding"), Some("gzip"), "{path}");
        assert!(packed.starts_with(&[0x1f, 0x8b]), "{path}");
        assert!(packed.len() < text.len(), "{path}");
        // The last four bytes are the length of what is packed (RFC 1952).
        let length = packed.last_chunk().map(|it| u32::from_le_bytes(*it));
        assert_eq!(length, u32::try_from(text.len()).ok(), "{path}");
    }
}

#[tokio::test]
async fn nothing_else_is_served_from_where_the_console_is() {
    let hub = Hub::start().await;
    let page = page(&hub).await;
    let hash = page.split("console/").nth(1).and_then(|it| it.get(..16));
    let hash = hash.expect("a hash");
    for path in [
        "/.env",
        "/config.toml",
        "/..%2fconfig.toml",
        "/console/",
        "/console/main.js",
        "/console/0000000000000000/main.js",
        &format!("/console/{hash}"),
        &format!("/console/{hash}/"),
        &format!("/console/{hash}/index.html"),
        &format!("/console/{hash}/tsconfig.json"),
        &format!("/console/{hash}/types.d.ts"),
        &format!("/console/{hash}/main.js/more"),
        &format!("/console/{hash}/../console.rs"),
        &format!("/console/{hash}/..%2f..%2fconsole.rs"),
    ] {
        let answer = send(hub.anonymous().request_at(Method::GET, path)).await;
        assert_eq!(answer.failure(), (404, "not_found"), "{path}");
    }
}

#[tokio::test]
async fn without_a_console_its_paths_are_not_there() {
    let check = async |hub: &Hub, asset: &str, expected: u16| {
        for path in ["/", "/console", asset, "/favicon.ico"] {
            let answer = respond(hub.anonymous().request_at(Method::GET, path)).await;
            assert_eq!(answer.status().as_u16(), expected, "{path}");
        }
    };
    let hub = Hub::with().env("CONSOLE_ENABLED", "true");
    let hub = hub.config("[console]\nenabled = false").start().await;
    let asset = files(&hub).await.remove(1).0;
    check(&hub, &asset, 200).await;

    let hub = Hub::with()
        .config("[console]\nenabled = false")
        .start()
        .await;
    check(&hub, &asset, 404).await;
    let answer = send(hub.anonymous().request_at(Method::GET, "/")).await;
    assert_eq!(answer.failure(), (404, "not_found"));

    // And comes while the hub runs.
    std::fs::write(hub.path("config.toml"), "[console]\nenabled = true").expect("a file");
    hub.signal(Signal::HUP);
    eventually("a page", async || {
        let answer = respond(hub.anonymous().request_at(Method::GET, "/")).await;
        answer.status().is_success().then_some(())
    })
    .await;
}
