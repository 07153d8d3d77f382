//! The log and the audit trail: one event is one line, whoever would like to write another, and a
//! flood of refusals is no flood of lines.

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::answer;
use crate::support::http::{respond, status_of};
use crate::support::hub::{Ended, Hub};
use crate::support::{A, eventually, token};

/// Turns a terminal's text around, ends a line for some readers, ends a quoted word.
const USER: &str = "a\u{202e}b\u{2028}c\" status=200 user=\"root";

async fn hub(filter: &str) -> Hub {
    let config = "[audit]\nfile = \"audit.jsonl\"\n";
    Hub::with()
        .config(config)
        .env("RUST_LOG", filter)
        .start()
        .await
}

/// Does everything that leaves a trace, with texts that try to leave one of their own.
async fn leave_traces(hub: &Hub) {
    let ada = token::admin(USER);
    let api = hub.api(&ada);
    let mut stream = hub.sse("/stream?metrics=a", &ada).await;
    stream.opened().await;
    let mut client = hub.websocket("?metrics=a", &ada).await;
    client.opened().await;
    client.subscribe(&["b"]).await;
    client
        .send(&json!({"type": "forged\n2026-01-01T00:00:00.000Z ERROR forged"}))
        .await;
    client.next().await;
    client
        .send(&json!({"type": "refresh", "data": {"token": "forged\ntoken"}}))
        .await;
    client.next().await;
    api.publish("a", json!("forged\n")).await;
    let forged = json!({"userId": "forged\u{202e}\u{feff}"});
    assert_eq!(api.post("/disconnect", &forged).await.status, 200);
    assert_eq!(
        api.get("/connections?user=forged%E2%80%AE").await.status,
        200
    );
    assert_eq!(
        api.post("/publish", &json!({"metric": "forged\n", "data": 1}))
            .await
            .status,
        400
    );
    for path in [
        "/%0a2026-01-01T00:00:00.000Z%20ERROR%20statshub%20forged",
        "/%1b%5b31mforged",
        "/%E2%80%AEforged%22%20status=200",
        "/forged\"%20user=\"root",
    ] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: hub\r\n");
        assert_eq!(answer(hub, request + "\r\n").await.status(), 404, "{path}");
        let query = path.replace('"', "%22");
        let denied = format!("GET {A}/metrics?{query} HTTP/1.1\r\nHost: hub\r\n");
        assert_eq!(answer(hub, denied + "\r\n").await.status(), 401, "{path}");
    }
    for header in [
        "User-Agent: forged\u{202e}\t\" user=\"root",
        "X-Request-Id: forged\u{202e}",
        "X-Request-Id: forged\" user=\"root",
        "X-Forwarded-For: 1.2.3.4\" forged=\"\u{202e}",
        "Authorization: Bearer forged\u{202e}\" x=\"",
        "Cookie: access_token=forged\u{2028}",
        "Origin: https://forged\u{202e}.example",
        "Last-Event-ID: forged\u{2028}",
    ] {
        let request = format!("GET {A}/stream HTTP/1.1\r\nHost: hub\r\n{header}\r\n\r\n");
        assert_eq!(answer(hub, request).await.status(), 401, "{header}");
    }
    let method = "F".repeat(100_000);
    answer(
        hub,
        format!("{method} /forged HTTP/1.1\r\nHost: hub\r\n\r\n"),
    )
    .await;
}

/// The audit trail, once everything until now is in it.
async fn audited(hub: &Hub) -> String {
    let request = hub.anonymous().request(Method::GET, "/metrics");
    status_of(request.header("x-request-id", "the-last")).await;
    let trail = hub.path("audit.jsonl");
    eventually("the last event", async || {
        let text = std::fs::read_to_string(&trail).expect("an audit trail");
        text.contains("the-last").then_some(text)
    })
    .await
}

fn is_invisible(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{feff}')
}

/// `2026-01-31T12:00:00.000Z INFO  target message`.
fn check_log(ended: &Ended) {
    for line in ended.stderr.split_terminator('\n') {
        let (time, rest) = line.split_once(' ').unwrap_or_default();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{line}");
        let level = rest.split(' ').next().unwrap_or_default();
        assert!(
            ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&level),
            "{line}"
        );
        assert!(!line.contains(is_invisible), "{line:?}");
        assert!(line.len() < 20_000, "{} bytes in a line", line.len());
    }
}

fn check_audit(text: &str) -> Vec<Value> {
    let line = |line: &str| {
        assert!(!line.contains(is_invisible), "{line:?}");
        let event: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(
            event["time"].is_string() && event["action"].is_string(),
            "{line}"
        );
        event
    };
    text.split_terminator('\n').map(line).collect()
}

/// Attack: log injection.
#[tokio::test]
async fn every_line_is_an_event_of_the_hubs_own_whatever_a_client_writes() {
    let hub = hub("trace").await;
    leave_traces(&hub).await;
    let events = check_audit(&audited(&hub).await);
    let by_user = events.iter().filter(|event| event["actor"] == USER).count();
    assert!(
        by_user >= 5,
        "the reader of the trail gets what was meant: {events:#?}"
    );
    assert!(
        events.iter().all(|event| event["actor"] != "root"),
        "{events:#?}"
    );
    check_log(&hub.stop().await);
}

#[tokio::test]
async fn a_request_is_one_line_that_can_be_found_by_its_id() {
    let hub = hub("info").await;
    let api = hub.api(&token::admin(USER));
    for (id, path) in [
        ("id-1", "/metrics"),
        ("id-2", "/nowhere"),
        ("id-3", "/stream?metrics=a..b"),
    ] {
        let request = api.request(Method::GET, path).header("x-request-id", id);
        status_of(request).await;
    }
    let ended = hub.stop().await;
    for id in ["id-1", "id-2", "id-3"] {
        let lines: Vec<_> = ended
            .stderr
            .lines()
            .filter(|line| line.contains(id))
            .collect();
        assert_eq!(lines.len(), 1, "{id}: {lines:?}");
        assert_eq!(
            lines[0].matches("status=").count(),
            1 + usize::from(lines[0].contains(r#"c\" status"#))
        );
    }
    check_log(&ended);
}

/// Attack: a flood of bad tokens, against the log and the trail.
#[tokio::test]
async fn a_flood_of_bad_tokens_is_counted_to_the_last_and_told_in_a_few_lines() {
    const FLOOD: usize = 300;
    let hub = hub("warn").await;
    let api = hub.api("no.good.token");
    for nth in 0..FLOOD {
        let path = if nth % 2 == 0 { "/metrics" } else { "/stream" };
        assert_eq!(status_of(api.request(Method::GET, path)).await, 401);
    }
    let request = hub.anonymous().request_at(Method::GET, "/metrics");
    let metrics = respond(request).await.text().await.expect("a text");
    let counted = format!("statshub_unauthenticated_total {FLOOD}");
    assert!(metrics.lines().any(|line| line == counted), "{metrics}");
    let ended = hub.stop().await;
    let lines = ended
        .stderr
        .lines()
        .filter(|line| line.contains("credential"))
        .count();
    assert!(
        (1..=20).contains(&lines),
        "{lines} lines:\n{}",
        ended.stderr
    );
}

/// Attack: a stranger with bad tokens fills the disk with audit events, and pushes out those of others.
#[tokio::test]
async fn a_flood_of_bad_tokens_does_not_fill_the_audit_trail() {
    const FLOOD: usize = 300;
    let config = "[audit]\nfile = \"audit.jsonl\"\ndenied_per_minute = 10\n";
    let mut hub = Hub::with().config(config).start().await;
    let (stranger, gus) = (
        hub.api("no.good.token"),
        hub.api(&token::token(
            "gus",
            "guest",
            std::time::Duration::from_secs(60),
        )),
    );
    for _ in 0..FLOOD {
        assert_eq!(stranger.get("/metrics").await.status, 401);
    }
    assert_eq!(gus.get("/connections").await.status, 403);
    let operator = hub.api(&token::admin("ada"));
    let body = json!({"userId": "eve"});
    assert_eq!(operator.post("/disconnect", &body).await.status, 200);
    hub.signal(Signal::TERM);
    assert_eq!(hub.ended().await.code, Some(0));
    let kept = std::fs::read_to_string(hub.path("audit.jsonl")).expect("an audit trail");
    let events = check_audit(&kept);
    let of = |action: &'static str| events.iter().filter(move |it| it["action"] == action);
    let by = |actor: &str| events.iter().any(|it| it["actor"] == actor);
    assert!(by("gus") && by("ada"), "strangers hide nobody: {kept}");
    let told = of("denied").filter(|it| it["actor"].is_null()).count();
    let counted: u64 = of("denied_more")
        .map(|it| it["details"]["denied"].as_u64().expect("a count"))
        .sum();
    // A minute may have ended meanwhile.
    assert!((10..=20).contains(&told), "{told}");
    assert_eq!(told as u64 + counted, FLOOD as u64);
}

/// What is in neither the log nor the trail, though each has been wherever it may be, and where it may
/// not.
async fn secrets(hub: &Hub) -> Vec<String> {
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let answer = api.post("/ticket", &json!({})).await;
    let ticket = answer.data()["ticket"]
        .as_str()
        .expect("a ticket")
        .to_owned();
    let mut stream = hub.sse_with(&format!("/stream?ticket={ticket}"), &[]).await;
    stream.opened().await;
    let reconnect_token = stream.reconnect_token().to_owned();
    let resume = format!("?reconnectToken={reconnect_token}&ticket={ticket}");
    let mut client = hub.websocket_with(&resume, &[]).await.expect("an upgrade");
    client.opened().await;
    client
        .send(&json!({"type": "refresh", "data": {"token": ada}}))
        .await;
    client.next_message("refreshed").await;
    let body = json!({"reconnectToken": reconnect_token});
    assert_eq!(api.post("/refresh", &body).await.status, 200);
    // By strangers, and in places where they do not belong.
    let anonymous = hub.anonymous();
    for secret in [&ticket, &reconnect_token, &ada] {
        for path in [
            format!("/stream?ticket={secret}&token={secret}x&lastEventId={secret}"),
            format!("/reconnect?token={secret}&access_token={secret}x"),
            format!("/metrics?token={secret}"),
            format!("/nowhere?ticket={secret}"),
        ] {
            status_of(anonymous.request(Method::GET, &path)).await;
        }
        for (name, value) in [
            ("authorization", format!("Basic {secret}")),
            ("authorization", format!("Bearer {secret}x")),
            ("cookie", format!("access_token={secret}x; ticket={secret}")),
        ] {
            let request = anonymous.request(Method::GET, "/metrics");
            status_of(request.header(name, value)).await;
        }
        let body = json!({"reconnectToken": secret, "token": secret});
        api.post("/refresh", &body).await;
    }
    vec![ticket, reconnect_token, ada]
}

/// Attack: reading credentials out of logs, errors or the trail (the canary).
#[tokio::test]
async fn no_credential_is_written_wherever_it_was_shown() {
    let hub = hub("trace").await;
    let secrets = secrets(&hub).await;
    let written = audited(&hub).await + &hub.stop().await.stderr;
    for secret in &secrets {
        let line = written.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret}");
    }
}
