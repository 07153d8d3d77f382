//! SIGHUP: what can change while running does, the rest is named, and a file with a mistake changes
//! nothing.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;

use crate::support::eventually;
use crate::support::http::{send, status_of};
use crate::support::hub::Hub;
use crate::support::{A, token};

/// Line of the log after which the settings are those of the file.
const READ: &str = "settings read again";
/// What an operator is told in its place.
const UNCHANGED_HERE: &str = "The settings stay as they were: ";
const UNCHANGED: &str = "the settings stay as they were";

fn connections(max: usize) -> String {
    format!("[sessions]\nconnections_per_user_max = {max}\n")
}

/// Whether a stream of `user`'s is taken in, which it is at the next try at the latest.
async fn opens(hub: &Hub, user: &str) -> bool {
    let request = hub.api(&token::admin(user)).request(Method::GET, "/stream");
    status_of(request).await == 200
}

/// Waits until `text` has been logged so many times.
async fn logged(hub: &Hub, text: &str, times: usize) {
    eventually(&format!("{text:?} {times} times"), || {
        let found = hub.stderr().matches(text).count();
        std::future::ready((found >= times).then_some(()))
    })
    .await;
}

#[tokio::test]
async fn what_can_change_does_and_disconnects_nobody() {
    let hub = Hub::with().config(&connections(1)).start().await;
    let mut stream = hub.sse("/stream", &token::admin("ada")).await;
    stream.opened().await;
    assert!(!opens(&hub, "ada").await);
    hub.reload(&connections(2));
    let line = hub.logged(READ).await;
    assert!(line.contains("sessions.connections_per_user_max"), "{line}");
    let mut second = hub.sse("/stream", &token::admin("ada")).await;
    second.opened().await;
    hub.reload(&connections(1));
    logged(&hub, READ, 2).await;
    assert!(!opens(&hub, "ada").await);
    hub.api(&token::admin("ada")).publish("m", json!(1)).await;
    for stream in [&mut stream, &mut second] {
        assert_eq!(stream.next_message("metrics_update").await["data"]["m"], 1);
    }
}

#[tokio::test]
async fn whatever_the_documentation_calls_changeable_is_taken_over_at_once() {
    let changed = "[http]\nallowed_origins = [\"https://a.example\"]\n\
                   [realtime]\nheartbeat_interval_ms = 30\n\
                   [auth]\npermitted_roles = [\"platform_admin\", \"owner\"]\n\
                   [limits]\nper_user_per_second = 1\nper_user_burst = 5\n\
                   [prometheus]\ntoken = \"0123456789abcdef\"\n\
                   [log]\nfilter = \"debug\"\n\
                   [[metric]]\nname = \"m\"\npriority = \"high\"\n";
    let hub = Hub::start().await;
    let mut stream = hub.sse("/stream", &token::admin("ada")).await;
    stream.opened().await;
    let owner = token::token("zoe", "owner", Duration::from_secs(60));
    assert_eq!(hub.api(&owner).get("/metrics").await.status, 403);
    hub.reload(changed);
    hub.logged(READ).await;
    assert!(!hub.stderr().contains("restart"), "{}", hub.stderr());
    stream.next_message("heartbeat").await;
    assert_eq!(hub.api(&owner).get("/metrics").await.status, 200);
    hub.api(&token::admin("ada")).publish("m", json!(1)).await;
    assert_eq!(
        stream.next_message("metrics_update").await["priority"],
        "high"
    );
    let anonymous = hub.anonymous();
    let scrape = anonymous.request_at(Method::GET, "/metrics");
    assert_eq!(status_of(scrape).await, 401);
    let health = anonymous.request(Method::GET, "/api/health");
    let answer = send(health.header("origin", "https://a.example")).await;
    let allowed = answer.header("access-control-allow-origin");
    assert_eq!(allowed, Some("https://a.example"));
    assert!(opens(&hub, "ada").await);
    hub.logged(" DEBUG ").await;
    let bob = hub.api(&token::admin("bob"));
    eventually("a refusal", async || {
        (bob.get("/metrics").await.status == 429).then_some(())
    })
    .await;
}

#[tokio::test]
async fn sources_come_and_go_with_the_file() {
    let source =
        |name| format!("[[source]]\nmetric = \"{name}\"\nkind = \"hub\"\ninterval_ms = 20\n");
    let hub = Hub::start().await;
    let ada = hub.api(&token::admin("ada"));
    let watched = async || -> BTreeSet<String> {
        let health = ada.get("/api/health").await.data().clone();
        let sources = health["checks"]["sources"]
            .as_array()
            .expect("a list")
            .clone();
        let name = |it: &serde_json::Value| it["metric"].as_str().expect("a name").to_owned();
        sources.iter().map(name).collect()
    };
    for (config, expected) in [
        (source("a"), vec!["a"]),
        (source("a") + &source("b"), vec!["a", "b"]),
        (source("b"), vec!["b"]),
        (String::new(), vec![]),
    ] {
        let mut stream = hub.sse("/stream", &token::admin("ada")).await;
        stream.opened().await;
        hub.reload(&config);
        let expected: BTreeSet<String> = expected.into_iter().map(str::to_owned).collect();
        eventually("these sources alone", async || {
            (watched().await == expected).then_some(())
        })
        .await;
        for name in expected {
            while stream.next_message("metrics_update").await["data"]
                .get(&name)
                .is_none()
            {}
        }
    }
}

#[tokio::test]
async fn an_administrator_may_ask_for_it_and_is_told_what_came_of_it() {
    let hub = Hub::with().config(&connections(1)).start().await;
    let ada = hub.api(&token::admin("ada"));
    let service = hub.api(&token::service("app"));
    hub.write_config(&(connections(2) + "[http]\nworkers = 3\n"));
    assert_eq!(service.post("/reload", &json!({})).await.status, 403);
    let answer = ada.post("/reload", &json!({})).await;
    assert_eq!(
        (answer.status, answer.data()),
        (
            200,
            &json!({
                "applied": ["sessions.connections_per_user_max"],
                "needsRestart": ["http.workers"],
            })
        )
    );
    hub.write_config("[sessions]\nconnections_per_user_max = 0\n");
    let refused = ada.post("/reload", &json!({})).await;
    let (status, error) = (refused.status, refused.error());
    assert_eq!(status, 400, "{error}");
    assert!(
        error.starts_with(UNCHANGED_HERE) && error.contains("connections_per_user_max"),
        "{error}"
    );
    let trail = hub.stderr();
    let mut records = trail
        .lines()
        .filter(|line| line.contains(r#""action":"reload""#));
    let done = records.next().expect("a record");
    assert!(
        done.contains(r#""actor":"ada""#) && done.contains(r#""outcome":"ok""#),
        "{done}"
    );
    let refused = hub.logged(r#""outcome":"invalid_request""#).await;
    assert!(refused.contains(r#""action":"reload""#), "{refused}");
}

#[tokio::test]
async fn what_needs_a_restart_is_named_and_waits_for_it() {
    let hub = Hub::start().await;
    hub.reload(
        "[http]\nport = 9\n[websocket]\npath = \"/ws\"\n[sessions]\nbacklog_messages_max = 7\n",
    );
    let line = hub.logged("restart").await;
    for key in ["websocket.path", "sessions.backlog_messages_max"] {
        assert!(line.contains(key), "{line}");
    }
    // Over which PORT goes, with the restart too.
    assert!(!line.contains("http.port"), "{line}");
    let ada = hub.api(&token::admin("ada"));
    let info = ada.get("/websocket-info").await;
    assert_eq!(info.data()["endpoint"], format!("{A}/websocket"));
    let answer = send(ada.request_at(Method::GET, "/ws")).await;
    assert_eq!(answer.failure(), (404, "not_found"));
    // Nothing has become of it: what can change still does, on top of the old.
    hub.reload(&format!("{}[websocket]\npath = \"/ws\"\n", connections(1)));
    logged(&hub, READ, 2).await;
    assert!(opens(&hub, "ada").await, "of which it is the first");
}

/// Failure: a stop or a bad reload in the middle of everything.
#[tokio::test]
async fn a_file_with_a_mistake_changes_nothing_and_is_one_line() {
    let hub = Hub::with().config(&connections(1)).start().await;
    let mut stream = hub.sse("/stream", &token::admin("ada")).await;
    stream.opened().await;
    let good = connections(2);
    let mistakes = [
        format!("{good}[http\n"),
        format!("{good}[http]\nport = 70000\n"),
        format!("{good}[htpp]\n"),
        format!("{good}[[source]]\nmetric = \"a\"\nkind = \"sql\"\nquery = \"SELECT 1\"\n"),
        format!("{good}[log]\nfilter = \"debug=loud\"\n"),
    ];
    for (index, mistake) in mistakes.iter().enumerate() {
        hub.reload(mistake);
        logged(&hub, UNCHANGED, index + 1).await;
        assert!(!opens(&hub, "ada").await, "{mistake}");
    }
    let log = hub.stderr();
    let errors: Vec<_> = log
        .lines()
        .filter(|line| line.contains(" ERROR "))
        .collect();
    assert_eq!(errors.len(), mistakes.len(), "{errors:#?}");
    assert!(
        errors[1].contains("http.port is 70000; allowed is "),
        "{}",
        errors[1]
    );
    logged(&hub, "\"outcome\":\"invalid_settings\"", mistakes.len()).await;
    hub.reload(&good);
    hub.logged(READ).await;
    assert!(opens(&hub, "ada").await);
}

#[tokio::test]
async fn a_mistake_that_shows_late_changes_nothing_either() {
    let auth = |secret: &str| format!("[auth]\nsecret = {secret:?}\n");
    // Whose URL can be read, and whose database cannot be.
    let source = "[[source]]\nmetric = \"a\"\nkind = \"sql\"\nquery = \"SELECT 1\"\n\
                  url = \"sqlite:/x?mode=odd\"\n";
    let start = Hub::with().without_env("JWT_SECRET");
    let hub = start.config(&auth(token::SECRET)).start().await;
    let changed = "[log]\nfilter = \"trace\"\n[prometheus]\ntoken = \"0123456789abcdef\"\n";
    let mistakes = [
        "[auth]\npublic_key_file = \"nowhere.pem\"\nalgorithm = \"RS256\"\n".to_owned(),
        auth(token::SECRET) + source,
        auth("another-0123456789-secret-abcdefgh") + source,
    ];
    for (index, mistake) in mistakes.iter().enumerate() {
        hub.reload(&format!("{changed}{mistake}"));
        logged(&hub, UNCHANGED, index + 1).await;
        assert!(opens(&hub, "ada").await, "by the old key: {mistake}");
        let scrape = hub.anonymous().request_at(Method::GET, "/metrics");
        assert_eq!(status_of(scrape).await, 200, "without a token: {mistake}");
        let log = hub.stderr();
        assert!(
            !log.contains(" DEBUG ") && !log.contains(" TRACE "),
            "{log}"
        );
    }
}

#[tokio::test]
async fn a_named_file_that_is_gone_changes_nothing() {
    let start = Hub::with().file("hub.toml", &connections(1));
    let hub = start.arg("--config").arg("hub.toml").start().await;
    let mut stream = hub.sse("/stream", &token::admin("ada")).await;
    stream.opened().await;
    fs::remove_file(hub.path("hub.toml")).expect("the file");
    hub.signal(Signal::HUP);
    let line = hub.logged(UNCHANGED).await;
    assert!(line.contains("hub.toml"), "{line}");
    assert!(!opens(&hub, "ada").await);
}

#[tokio::test]
async fn a_key_is_exchanged_and_streams_that_are_open_live_on() {
    let auth = |secret: &str| format!("[auth]\nsecret = {secret:?}\n");
    let other = "another-0123456789-secret-abcdefgh";
    let start = Hub::with().without_env("JWT_SECRET");
    let hub = start.config(&auth(token::SECRET)).start().await;
    let claims = json!({"sub": "bob", "role": "platform_admin", "exp": token::now() + 60});
    let old = token::admin("ada");
    let new = token::sign_with(&Default::default(), &claims, other);
    let mut stream = hub.sse("/stream", &old).await;
    stream.opened().await;
    assert_eq!(hub.api(&new).get("/metrics").await.status, 401);
    hub.reload(&auth(other));
    hub.logged(READ).await;
    assert_eq!(hub.api(&old).get("/metrics").await.status, 401);
    hub.api(&new).publish("m", json!(1)).await;
    assert_eq!(stream.next_message("metrics_update").await["data"]["m"], 1);
    let log = hub.stop().await.stderr;
    assert!(
        !log.contains(other) && !log.contains(token::SECRET),
        "{log}"
    );
}

#[tokio::test]
async fn in_development_the_token_that_was_printed_stays_good() {
    let start = Hub::with().without_env("JWT_SECRET").arg("--dev");
    let hub = start.start().await;
    let printed = hub.stdout();
    let jwt = printed
        .lines()
        .map(str::trim)
        .find(|line| line.starts_with("eyJ"));
    let api = hub.api(jwt.expect("a token"));
    assert_eq!(api.get("/metrics").await.status, 200);
    hub.reload(&connections(3));
    hub.logged(READ).await;
    assert_eq!(api.get("/metrics").await.status, 200);
}
