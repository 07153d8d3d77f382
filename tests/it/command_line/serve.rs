//! `serve`, which is also what happens where no command is named, and development mode.

use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;

use super::command;
use crate::support::http::respond;
use crate::support::hub::{Hub, Start};
use crate::support::{in_time, token};

/// Without a secret.
fn bare(words: &[&str]) -> Start {
    command(words).without_env("JWT_SECRET")
}

/// What development mode has printed: the link, and the token.
fn printed(hub: &Hub) -> (String, String) {
    let stdout = hub.stdout();
    let line = |begins: &str| {
        let found = stdout
            .lines()
            .map(str::trim)
            .find(|line| line.starts_with(begins));
        found
            .unwrap_or_else(|| panic!("no {begins} in {stdout:?}"))
            .to_owned()
    };
    (line("http://"), line("eyJ"))
}

#[tokio::test]
async fn a_hub_is_what_runs_where_no_command_is_named_too() {
    for words in [
        &[][..],
        &["serve"],
        &["serve", "--config", "hub.toml"],
        &["--config", "hub.toml"],
    ] {
        let hub = command(words).file("hub.toml", "").start().await;
        assert_eq!(hub.anonymous().get("/api/health").await.status, 200);
        let ended = hub.stop().await;
        let lines: Vec<_> = ended.stdout.lines().collect();
        assert_eq!(
            lines.len(),
            1,
            "where it listens, and nothing else: {lines:?}"
        );
        assert!(ended.stderr.contains(" INFO "), "the log is elsewhere");
    }
}

#[tokio::test]
async fn development_needs_no_secret_and_prints_a_link_and_a_token_that_work() {
    let hub = bare(&["--dev"]).start().await;
    let (link, jwt) = printed(&hub);
    let link = reqwest::Url::parse(&link).expect("a link");
    assert!(
        link.fragment().is_some_and(|it| it.contains(&jwt)),
        "{link}"
    );
    assert_eq!(link.query(), None, "which would get into logs");
    assert_eq!(link.port(), Some(hub.port()));
    let page = respond(hub.anonymous().request_at(Method::GET, link.path())).await;
    assert_eq!(page.status(), 200);
    assert!(
        page.headers()["content-type"]
            .to_str()
            .is_ok_and(|it| it.starts_with("text/html"))
    );
    let mut stream = hub.sse("/stream", &jwt).await;
    stream.opened().await;
    hub.api(&jwt).publish("m", json!(1)).await;
    assert_eq!(stream.next_message("metrics_update").await["data"]["m"], 1);
    // The page gets its stream by a ticket.
    assert_eq!(hub.api(&jwt).post("/ticket", &json!({})).await.status, 200);
}

#[tokio::test]
async fn every_development_has_a_secret_of_its_own() {
    let (first, second) = (
        bare(&["--dev"]).start().await,
        bare(&["serve", "--dev"]).start().await,
    );
    let (_, jwt) = printed(&first);
    assert_eq!(first.api(&jwt).get("/metrics").await.status, 200);
    assert_eq!(second.api(&jwt).get("/metrics").await.status, 401);
}

#[tokio::test]
async fn development_goes_by_the_keys_that_there_are() {
    let hub = command(&["--dev"]).start().await;
    let (_, jwt) = printed(&hub);
    for good in [jwt, token::admin("ada")] {
        assert_eq!(hub.api(&good).get("/metrics").await.status, 200);
    }
    let roles = "[auth]\npermitted_roles = [\"owner\"]";
    let hub = bare(&["--dev"]).config(roles).start().await;
    let (_, jwt) = printed(&hub);
    assert_eq!(hub.api(&jwt).get("/metrics").await.status, 200);
    // With a public key no token can be made; everything else is as ever.
    let public = format!(
        "[auth]\npublic_key_file = {:?}\nalgorithm = \"RS256\"",
        token::public_key("rsa_a")
    );
    let hub = bare(&["--dev"]).config(&public).start().await;
    assert!(!hub.stdout().contains("eyJ"), "{}", hub.stdout());
}

#[tokio::test]
async fn development_never_listens_beyond_loopback() {
    let file = "[http]\nhost = \"0.0.0.0\"";
    for (start, named) in [
        (bare(&["--dev"]).env("HOST", "0.0.0.0"), "HOST"),
        (bare(&["--dev"]).env("HOST", "::"), "HOST"),
        (bare(&["--dev", "--host", "0.0.0.0"]), "--host"),
        (
            bare(&["--dev"]).without_env("HOST").config(file),
            "http.host",
        ),
        (command(&["--dev"]).env("HOST", "192.0.2.1"), "HOST"),
        (bare(&["demo", "--host", "0.0.0.0"]), "--host"),
    ] {
        let said = start.says().await;
        let line = said.failure(2);
        assert!(line.contains(named) && line.contains("loopback"), "{line}");
    }
    let hub = bare(&["--dev"]).env("HOST", "localhost").start().await;
    assert!(hub.address.ip().is_loopback());
}

#[tokio::test]
async fn a_hub_whose_output_nobody_reads_runs_all_the_same() {
    for words in [&["serve"][..], &["--dev"]] {
        let mut hub = command(words).goes_on();
        // Long before it is up and has something to say.
        hub.hang_up();
        hub.noted("listening on ", 1).await;
        let log = hub.stderr();
        let line = log
            .lines()
            .find_map(|line| line.split_once(" listening on "));
        let (_, address) = line.expect("an address");
        let url = format!("http://{}/api/health", address.trim());
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client");
        let answer = in_time("an answer", client.get(url).send()).await;
        assert_eq!(answer.expect("an answer").status(), 200, "{words:?}");
        hub.signal(Signal::TERM);
        assert_eq!(hub.ended().await.code(), Some(0), "{words:?}");
    }
}
