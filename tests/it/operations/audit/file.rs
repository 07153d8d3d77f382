//! Where the trail goes, that it survives its file's being moved or full, and how it hangs together
//! with the log.

use std::fs;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;

use super::{FILE, actions, audited, find, line, lines, lines_of};
use crate::support::eventually;
use crate::support::http::{respond, send};
use crate::support::hub::Hub;
use crate::support::token;

#[tokio::test]
async fn the_trail_begins_with_the_start_and_ends_with_the_stop() {
    let hub = audited("").await;
    let address = hub.address.to_string();
    let mut stream = hub.sse("/stream", &token::admin("ada")).await;
    stream.opened().await;
    let (trail, _) = tokio::join!(lines_of(hub), stream.rest());
    assert_eq!(actions(&trail), ["start", "connect", "disconnect", "stop"]);
    assert_eq!(trail[0]["target"], *address);
}

#[tokio::test]
async fn without_a_file_the_trail_is_on_standard_error_and_switched_off_it_is_nowhere() {
    for (config, expected) in [
        ("", &["start", "read_metrics", "stop"][..]),
        ("[audit]\nenabled = false", &[]),
        ("[audit]\nenabled = false\nfile = \"audit.jsonl\"", &[]),
    ] {
        let mut hub = Hub::with().config(config).start().await;
        hub.api(&token::admin("ada")).get("/metrics").await;
        hub.signal(Signal::TERM);
        let ended = hub.ended().await;
        let events = ended.stderr.lines().filter(|line| line.starts_with('{'));
        let trail: Vec<_> = events.map(line).collect();
        assert_eq!(actions(&trail), expected, "{config:?}");
        assert!(!ended.stdout.contains("read_metrics"));
        assert!(!hub.path(FILE).exists(), "{config:?}");
    }
}

/// Attack: somebody changes or stops the audit trail.
#[tokio::test]
async fn a_trail_that_is_rotated_loses_nothing_and_tears_no_line() {
    let hub = audited("").await;
    let ada = hub.api(&token::admin("ada"));
    let old = hub.path("audit.jsonl.1");
    ada.get("/connection-stats").await;
    eventually("the event to be written", || {
        let text = fs::read_to_string(hub.path(FILE)).unwrap_or_default();
        std::future::ready(text.contains("read_stats").then_some(()))
    })
    .await;
    fs::rename(hub.path(FILE), &old).expect("a trail");
    hub.signal(Signal::HUP);
    eventually("the file to be opened anew", || {
        let text = fs::read_to_string(hub.path(FILE)).unwrap_or_default();
        std::future::ready(text.contains("reload").then_some(()))
    })
    .await;
    ada.get("/metrics").await;
    let old = lines(&fs::read_to_string(&old).expect("the old trail"));
    assert_eq!(actions(&old), ["start", "read_stats"]);
    let new = lines_of(hub).await;
    assert_eq!(actions(&new), ["reload", "read_metrics", "stop"]);
}

/// Attack: somebody changes or stops the audit trail.
#[tokio::test]
async fn a_trail_that_cannot_be_written_is_told_and_holds_up_nothing() {
    let config = "[audit]\nfile = \"/dev/full\"";
    let hub = Hub::with().config(config).start().await;
    let ada = hub.api(&token::admin("ada"));
    let health = eventually("health to tell of it", async || {
        let health = ada.get("/api/health").await.data().clone();
        (health["status"] == "degraded").then_some(health)
    })
    .await;
    let check = &health["checks"]["audit"];
    assert_eq!(check["ok"], false);
    assert!(check["errors"].as_u64() >= Some(1), "{check}");
    assert!(check["lastError"].is_string(), "{check}");
    ada.publish("m", json!(1)).await;
    let ended = hub.stop().await;
    let told = ended.stderr.lines().filter(|line| line.contains(" ERROR "));
    assert_eq!(told.count(), 1, "once, however often: {}", ended.stderr);
}

/// Attack: an operator fills the disk first, and then does what nobody shall know of.
#[tokio::test]
async fn where_the_trail_is_required_operators_do_nothing_without_it() {
    let config = "[audit]\nfile = \"/dev/full\"\nrequired = ";
    for (required, status) in [(true, 503), (false, 200)] {
        let hub = Hub::with().config(&format!("{config}{required}"));
        let hub = hub.start().await;
        let ada = hub.api(&token::admin("ada"));
        let mut stream = hub.sse("/stream", &token::admin("eve")).await;
        stream.opened().await;
        eventually("a failure to write", async || {
            let health = ada.get("/api/health").await;
            (health.data()["status"] == "degraded").then_some(())
        })
        .await;
        let body = json!({"userId": "eve"});
        assert_eq!(ada.post("/disconnect", &body).await.status, status);
        assert_eq!(ada.post("/reload", &json!({})).await.status, status);
        let acknowledged = ada.post("/alerts/1-0/acknowledge", &json!({})).await;
        assert_eq!(acknowledged.status == 503, required, "{acknowledged:?}");
        // Who is there is told what happens all the same.
        ada.publish("m", json!(1)).await;
        if required {
            stream.next_message("metrics_update").await;
        }
    }
}

#[tokio::test]
async fn a_trail_that_cannot_be_begun_stops_the_start() {
    let said = Hub::with()
        .config("[audit]\nfile = \"no/such/folder/audit\"")
        .says()
        .await;
    let line = said.failure(1);
    assert!(line.contains("no/such/folder/audit"), "{line}");
}

#[tokio::test]
async fn a_request_is_found_in_log_and_trail_by_the_id_it_was_answered_with() {
    let hub = audited("").await;
    let ada = hub.api(&token::admin("ada"));
    let mut ids = vec!["given-1".to_owned()];
    let request = ada.request(Method::GET, "/metrics");
    let answer = send(request.header("x-request-id", &ids[0])).await;
    assert_eq!(answer.header("x-request-id"), Some("given-1"));
    ids.push(
        ada.get("/metrics")
            .await
            .header("x-request-id")
            .expect("an id")
            .to_owned(),
    );
    let stream = respond(ada.request(Method::GET, "/stream")).await;
    ids.push(
        stream.headers()["x-request-id"]
            .to_str()
            .expect("an id")
            .to_owned(),
    );
    for id in &ids {
        let line = hub.logged(&format!("request_id={id:?}")).await;
        assert!(line.contains(" statshub::access "), "{line}");
        assert!(
            line.contains("status=200") && line.contains("user=\"ada\""),
            "{line}"
        );
    }
    let trail = lines_of(hub).await;
    for (id, expected) in ids.iter().zip([
        &["read_metrics"][..],
        &["read_metrics"],
        &["connect", "disconnect"],
    ]) {
        let lines: Vec<_> = find(&trail, "requestId", id).cloned().collect();
        assert_eq!(actions(&lines), expected);
    }
}
