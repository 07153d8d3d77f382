//! `statshub demo`: a link that shows a living platform at once, and nothing left behind.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use reqwest::{Method, Url};
use rustix::process::Signal;

use crate::support::http::respond;
use crate::support::hub::Hub;

/// By then every number of a living platform has changed several times.
const MESSAGES_MAX: usize = 150;

const METRICS: [&str; 7] = [
    "dashboard",
    "users",
    "credits",
    "content",
    "system",
    "sessions.peak",
    "cpu.p95",
];

/// The demo, with `folder` for its temporary files.
async fn demo(folder: &Path) -> Hub {
    let folder = folder.to_str().expect("a path");
    let bare = Hub::with().without_env("JWT_SECRET");
    bare.env("TMPDIR", folder).arg("demo").start().await
}

/// The link and the token that were printed.
fn printed(hub: &Hub) -> (Url, String) {
    let stdout = hub.stdout();
    let line = |begins: &str| {
        stdout
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with(begins))
    };
    let link = line("http://").expect("a link").parse().expect("a URL");
    (link, line("eyJ").expect("a token").to_owned())
}

/// How many things are in it.
fn left_in(folder: &Path) -> usize {
    std::fs::read_dir(folder).expect("a folder").count()
}

/// Every relative reference in a page, style sheet or script.
fn references(path: &str, text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let before: &[&str] = match path.rsplit_once('.') {
        Some((_, "css")) => &["url(", "@import \""],
        Some((_, "js")) => &["from \"", "import \""],
        _ => &["href=\"", "src=\""],
    };
    for before in before {
        let rest = text.split(*before).skip(1);
        let name = rest.filter_map(|it| it.split(['"', ')', '#']).next());
        found.extend(name.filter(|it| !it.is_empty()).map(str::to_owned));
    }
    found
}

/// The page, with all that it refers to.
async fn is_complete_and_asks_nobody_else(hub: &Hub, page: &str) {
    let (mut seen, mut wanted) = (BTreeSet::new(), VecDeque::from([page.to_owned()]));
    while let Some(path) = wanted.pop_front() {
        if !seen.insert(path.clone()) {
            continue;
        }
        let response = respond(hub.anonymous().request_at(Method::GET, &path)).await;
        assert_eq!(response.status(), 200, "{path}");
        let text = response.text().await.expect("a text");
        // The name of a language, which nobody asks for.
        let text = text.replace("http://www.w3.org/2000/svg", "");
        for outside in ["http://", "https://", "\"//", "'//", "(//"] {
            assert!(!text.contains(outside), "{outside} in {path}");
        }
        let here = Url::parse(&hub.url(&path)).expect("a URL");
        for name in references(&path, &text) {
            assert!(!name.contains(':'), "{name} in {path}");
            wanted.push_back(here.join(&name).expect("a URL").path().to_owned());
        }
    }
    for kind in [".js", ".css", ".svg"] {
        assert!(
            seen.iter().any(|path| path.ends_with(kind)),
            "{kind} in {seen:?}"
        );
    }
}

/// Every metric comes, and then comes with another value.
async fn lives(hub: &Hub, jwt: &str) {
    let mut stream = hub.sse("/stream", jwt).await;
    let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut still: BTreeSet<&str> = METRICS.into();
    for _ in 0..MESSAGES_MAX {
        if still.is_empty() {
            break;
        }
        let message = stream.next().await;
        let kind = &message["type"];
        if kind != "initial_metrics" && kind != "metrics_update" {
            continue;
        }
        for (name, value) in message["data"].as_object().expect("values") {
            assert!(METRICS.contains(&name.as_str()), "{name}");
            assert!(value.is_object(), "{name} {value}");
            let of_name = values.entry(name.clone()).or_default();
            of_name.insert(value.to_string());
            if of_name.len() > 1 {
                still.remove(name.as_str());
            }
        }
    }
    assert!(
        still.is_empty(),
        "these stand still: {still:?} of {values:#?}"
    );
}

#[tokio::test]
async fn the_link_leads_to_a_page_and_the_token_to_a_platform_that_lives() {
    let folder = tempfile::tempdir().expect("a directory");
    let hub = demo(folder.path()).await;
    let (link, jwt) = printed(&hub);
    let fragment = link.fragment().unwrap_or_default();
    assert!(fragment.contains(&jwt), "{link}");
    is_complete_and_asks_nobody_else(&hub, link.path()).await;
    lives(&hub, &jwt).await;
    hub.stop().await;
    assert_eq!(left_in(folder.path()), 0);
}

#[tokio::test]
async fn it_leaves_nothing_behind_however_it_is_told_to_end() {
    for signals in [&[Signal::INT][..], &[Signal::TERM, Signal::TERM]] {
        let folder = tempfile::tempdir().expect("a directory");
        let mut hub = demo(folder.path()).await;
        let there = left_in(folder.path());
        assert_eq!(there, 1, "its database is a temporary one");
        signals.iter().for_each(|signal| hub.signal(*signal));
        hub.ended().await;
        assert_eq!(left_in(folder.path()), 0, "{signals:?}");
    }
}

#[tokio::test]
async fn a_demo_that_cannot_start_leaves_nothing_behind_either() {
    let folder = tempfile::tempdir().expect("a directory");
    let taken = Hub::start().await;
    let said = Hub::with()
        .env("TMPDIR", folder.path().to_str().expect("a path"))
        .env("PORT", &taken.port().to_string())
        .config("[audit]\nenabled = false")
        .arg("demo")
        .says()
        .await;
    assert!(
        said.failure(1).contains(&taken.address.to_string()),
        "{said:?}"
    );
    assert_eq!(left_in(folder.path()), 0);
}
