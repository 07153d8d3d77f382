//! `tail`: the stream in the terminal, over every interruption.

use rustix::process::Signal;
use serde_json::{Value, json};

use super::{command, nobody};
use crate::support::command::Running;
use crate::support::http::Api;
use crate::support::hub::{Hub, Start};
use crate::support::proxy::Proxy;
use crate::support::{eventually, token};

/// Told to come back at once, a client does.
const AT_ONCE: &str = "[realtime]\nsse_retry_ms = 10";

fn tail(url: &str, words: &[&str]) -> Start {
    command(&[&["tail", "--url", url], words].concat())
}

/// A `tail` that follows, past the snapshot.
async fn following(url: &str, words: &[&str]) -> Running {
    let mut tail = tail(url, words).goes_on();
    tail.noted("live", 1).await;
    let snapshot = tail.line().await.expect("a snapshot");
    assert!(snapshot.contains("initial_metrics"), "{snapshot}");
    tail
}

/// The next message as JSON, which `--json` makes of every line.
async fn message(tail: &mut Running) -> Value {
    let line = tail.line().await.expect("a line");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line:?}"))
}

async fn session_is(api: &Api, state: &str) {
    eventually(state, async || {
        let sessions = api.get(&format!("/connections?state={state}")).await;
        (sessions.data()["total"] == 1).then_some(())
    })
    .await;
}

#[tokio::test]
async fn each_message_is_a_line_with_its_time_its_name_and_its_value() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let mut tail = following(&hub.url(""), &[]).await;
    api.publish("credits.total", json!({"n": 1, "text": "two words"}))
        .await;
    let alert = json!({"severity": "low", "message": "slow\u{1b}[31m"});
    api.post("/alerts", &alert).await;
    for expected in [
        r#"credits.total  {"n":1,"text":"two words"}"#,
        // The hub writes control characters as JSON has them, so that none drives the terminal.
        r#"system_alert  {"message":"slow\u001b[31m","severity":"low"}"#,
    ] {
        let line = tail.line().await.expect("a line");
        let (time, rest) = line.split_once("  ").expect("a time");
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{line}");
        let (name, value) = rest.split_once("  ").expect("a name");
        let (expected_name, expected_value) = expected.split_once("  ").expect("a name");
        assert_eq!(name, expected_name);
        let json = |text: &str| serde_json::from_str::<Value>(text).expect("JSON");
        assert_eq!(json(value), json(expected_value));
        assert!(!line.contains(char::is_control), "{line:?}");
    }
    assert!(tail.stderr().contains("following every metric"));
}

#[tokio::test]
async fn as_json_each_message_is_a_line_as_it_came() {
    let hub = Hub::start().await;
    let mut tail = following(&hub.url(""), &["--json"]).await;
    let id = hub.api(&token::admin("ada")).publish("m", json!(1.5)).await;
    let message = message(&mut tail).await;
    assert_eq!(
        (&message["messageId"], &message["data"]),
        (&json!(id), &json!({"m": 1.5}))
    );
    assert_eq!(
        (&message["type"], &message["priority"]),
        (&json!("metrics_update"), &json!("normal"))
    );
}

#[tokio::test]
async fn it_follows_what_is_named() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let mut tail = following(&hub.url(""), &["a.*", "b", "--json"]).await;
    for name in ["c", "a.x", "a", "b"] {
        api.publish(name, json!(1)).await;
    }
    assert_eq!(message(&mut tail).await["data"], json!({"a.x": 1}));
    assert_eq!(message(&mut tail).await["data"], json!({"b": 1}));
}

#[tokio::test]
async fn over_a_cut_connection_nothing_is_lost_and_nothing_comes_twice() {
    let hub = Hub::with().config(AT_ONCE).start().await;
    let api = hub.api(&token::admin("ada"));
    let proxy = Proxy::start(hub.address).await;
    let mut tail = following(&proxy.url(), &["--json"]).await;
    let mut published = Vec::new();
    for round in 0..3 {
        published.push(api.publish("m", json!(["live", round])).await);
        proxy.cut();
        published.push(api.publish("m", json!(["cut", round])).await);
        tail.noted("resumed", round + 1).await;
    }
    published.push(api.publish("m", json!("last")).await);
    for id in &published {
        assert_eq!(message(&mut tail).await["messageId"], **id);
    }
    assert_eq!(
        api.get("/connections").await.data()["total"],
        1,
        "all of it one session"
    );
}

#[tokio::test]
async fn over_a_crash_it_goes_on_by_itself() {
    let mut hub = Hub::with().config(AT_ONCE).start().await;
    let mut tail = following(&hub.url(""), &["--json"]).await;
    let before = hub
        .api(&token::admin("ada"))
        .publish("m", json!("before"))
        .await;
    assert_eq!(message(&mut tail).await["messageId"], before);
    hub.crash().await;
    tail.noted("trying again", 1).await;
    let hub = hub.again().await;
    let api = hub.api(&token::admin("ada"));
    session_is(&api, "live").await;
    // The same session, with nothing missed and nothing twice.
    for n in 0..3 {
        let id = api.publish("m", json!(n)).await;
        assert_eq!(message(&mut tail).await["messageId"], id);
    }
}

#[tokio::test]
async fn a_hub_that_stops_in_order_is_waited_for() {
    let spread =
        "[realtime]\nsse_retry_ms = 10\nreconnect_spread_min_ms = 5\nreconnect_spread_max_ms = 10";
    let mut hub = Hub::with().config(spread).start().await;
    let mut tail = following(&hub.url(""), &["--json"]).await;
    hub.signal(Signal::TERM);
    assert_eq!(hub.ended().await.code, Some(0));
    tail.noted("the hub is stopping", 1).await;
    let hub = hub.again().await;
    let id = hub.api(&token::admin("ada")).publish("m", json!(1)).await;
    assert_eq!(message(&mut tail).await["messageId"], id);
}

#[tokio::test]
async fn it_ends_at_once_when_told_to_and_leaves_no_half_line() {
    for signal in [Signal::INT, Signal::TERM] {
        let hub = Hub::start().await;
        let api = hub.api(&token::admin("ada"));
        let mut tail = following(&hub.url(""), &["--json"]).await;
        api.publish("m", json!(1)).await;
        message(&mut tail).await;
        tail.signal(signal);
        tail.ended().await;
        assert_eq!(tail.line().await, None);
        session_is(&api, "away").await;
    }
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_failure() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let mut tail = following(&hub.url(""), &[]).await;
    api.publish("m", json!(1)).await;
    tail.line().await;
    tail.hang_up();
    let ended = tokio::select! {
        ended = tail.ended() => ended,
        () = async {
            loop {
                api.publish("m", json!(2)).await;
                tokio::task::yield_now().await;
            }
        } => unreachable!(),
    };
    assert_eq!(ended.code(), Some(0));
    let said = tail.stderr();
    assert!(
        !said.contains("Broken pipe") && !said.contains("os error"),
        "{said}"
    );
}

#[tokio::test]
async fn an_operator_who_disconnects_it_is_obeyed() {
    let hub = Hub::with().config(AT_ONCE).start().await;
    let api = hub.api(&token::admin("ada"));
    let mut tail = following(&hub.url(""), &[]).await;
    let user = api.get("/connections").await.data()["connections"][0]["user"].clone();
    assert_eq!(
        api.post("/disconnect", &json!({"userId": user}))
            .await
            .status,
        200
    );
    assert_eq!(tail.ended().await.code(), Some(1));
    let said = tail.stderr();
    let last = said.lines().last().expect("a line");
    assert!(last.contains("operator"), "{said}");
}

/// Runs a `tail` that cannot follow, and holds it to ending with one line of why.
async fn fails(start: Start) -> String {
    let said = start.says().await;
    assert_eq!((said.code, &*said.stdout), (Some(1), ""), "{said:?}");
    let lines: Vec<_> = said.stderr.lines().collect();
    let (notes, last) = lines.split_at(lines.len() - 1);
    assert!(
        notes.iter().all(|line| line.contains("following")),
        "{said:?}"
    );
    last[0].to_owned()
}

#[tokio::test]
async fn what_another_try_would_not_mend_ends_it_with_one_line() {
    let hub = Hub::start().await;
    let url = hub.url("");
    let line = fails(tail(&url, &["--token", "no.good.token"])).await;
    assert!(
        line.contains("401") && !line.contains("no.good.token"),
        "{line}"
    );
    let line = fails(tail(&url, &["--token", &token::service("job")])).await;
    assert!(line.contains("403"), "{line}");
    let away = format!("http://{}", nobody().await);
    let line = fails(tail(&away, &[])).await;
    assert!(line.contains(&away), "{line}");
    let said = tail(&url, &[]).without_env("JWT_SECRET").says().await;
    assert!(said.failure(2).contains("--token"), "{said:?}");
}

#[tokio::test]
async fn a_token_that_expires_ends_it_unless_it_can_make_another() {
    let hub = Hub::with().config("[auth]\nleeway_ms = 0").start().await;
    let short = token::token("ada", "platform_admin", std::time::Duration::from_secs(2));
    let line = {
        let mut tail = tail(&hub.url(""), &["--token", &short]).goes_on();
        assert_eq!(tail.ended().await.code(), Some(1));
        tail.stderr().lines().last().expect("a line").to_owned()
    };
    assert!(line.contains("expired"), "{line}");
}
