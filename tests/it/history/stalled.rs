//! Exports whose clients take their time, or go.

use std::fs;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::time::sleep;

use crate::support::http::send;
use crate::support::hub::Hub;
use crate::support::raw::{Dechunker, RawClient};
use crate::support::{A, eventually, in_time, token};

const MESSAGES: usize = 600;
const MESSAGE_BYTES: usize = 60_000;

/// A number of `/proc/<pid>/<file>`, of the line that begins with `name`.
fn number(hub: &Hub, file: &str, name: &str) -> u64 {
    let path = format!("/proc/{}/{file}", hub.process_id());
    let text = fs::read_to_string(path).expect("a hub that runs");
    let line = text.lines().find(|line| line.starts_with(name));
    let digits = line.and_then(|line| line.split_whitespace().nth(1));
    digits.and_then(|it| it.parse().ok()).expect("a number")
}

/// A hub with some 36 MB in its log, and time limits that a slow client would run into.
async fn filled() -> Hub {
    let config = "[http]\nheader_timeout_ms = 1000\nkeep_alive_ms = 1000";
    let hub = Hub::with().config(config).start().await;
    let api = hub.api(&token::admin("ada"));
    let large = json!({"metric": "large", "data": "x".repeat(MESSAGE_BYTES)});
    let batch = json!({"messages": vec![large; 15]});
    for _ in 0..MESSAGES / 15 {
        // A connection of its own: one that is kept might be closed just when it is used again.
        let request = api.request(Method::POST, "/publish").json(&batch);
        let answer = send(request.header("connection", "close")).await;
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    hub
}

async fn begun(hub: &Hub) -> RawClient {
    let mut client = RawClient::connect_narrow(hub.address, 4096).await;
    let ada = token::admin("ada");
    let request = format!(
        "GET {A}/export?format=ndjson HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {ada}\r\n\r\n"
    );
    client.send(request).await;
    let head = client.head().await.expect("an answer");
    assert_eq!((head.status, head.is_chunked()), (200, true));
    client
}

/// Attack: filling the memory.
#[tokio::test]
async fn a_slow_client_gets_all_of_it_and_costs_no_memory() {
    let hub = filled().await;
    let before = number(&hub, "status", "VmRSS:");
    let mut client = begun(&hub).await;
    let mut dechunker = Dechunker::default();
    let mut lines = 0;
    let mut pauses = 0;
    while !dechunker.finished {
        let bytes = std::mem::take(&mut client.pending);
        let body = dechunker.push(&bytes);
        lines += body.iter().filter(|byte| **byte == b'\n').count();
        if pauses < 2 && lines > pauses * 100 {
            pauses += 1;
            sleep(Duration::from_secs(3)).await;
        }
        let more = dechunker.finished || in_time("more", client.read_more()).await;
        assert!(more, "the export was cut after {lines} messages");
    }
    assert_eq!(lines, MESSAGES);
    let most = number(&hub, "status", "VmHWM:");
    assert!(most < before + 28_000, "from {before} kB to {most} kB");
}

#[tokio::test]
async fn nothing_more_is_read_for_a_client_that_has_gone() {
    let hub = filled().await;
    let client = begun(&hub).await;
    client.reset();
    // What the log's file gives is counted as read.
    let first = number(&hub, "io", "rchar:");
    let last = eventually("the reading to end", async || {
        let before = number(&hub, "io", "rchar:");
        sleep(Duration::from_millis(300)).await;
        let now = number(&hub, "io", "rchar:");
        (now - before < 100_000).then_some(now)
    })
    .await;
    let all = (MESSAGES * MESSAGE_BYTES) as u64;
    assert!(
        last - first < all / 2,
        "{} of {all} were read",
        last - first
    );
    hub.stop().await;
}

#[tokio::test]
async fn a_stop_does_not_wait_for_an_export() {
    let hub = filled().await;
    let mut client = begun(&hub).await;
    hub.signal(rustix::process::Signal::TERM);
    let mut dechunker = Dechunker::default();
    let bytes = client.read_to_end().await;
    dechunker.push(&bytes);
    assert!(!dechunker.finished, "what is not whole does not look so");
}
