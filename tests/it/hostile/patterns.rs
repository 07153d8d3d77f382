//! Subscriptions made to cost as much as can be.

use serde_json::{Value, json};

use crate::support::hub::Hub;
use crate::support::token;
use crate::support::websocket::WsClient;
use crate::support::witness::Witness;

const SEGMENTS: usize = 16;
const NAMES: usize = 4000;
const PATTERNS: usize = 100;
const CLIENTS: usize = 5;
const ROUNDS: usize = 15;

/// A deep name; all of them differ in the last segment only.
fn name(number: usize) -> String {
    format!("{}.n{number}", vec!["a"; SEGMENTS - 1].join("."))
}

/// Wildcard patterns that nobody had before, and that match every name to its last segment.
fn patterns(batch: usize) -> Vec<String> {
    let pattern = |number: usize| {
        let segment = |bit: usize| if number >> bit & 1 == 0 { "*" } else { "a" };
        let segments: Vec<&str> = (0..SEGMENTS - 1).map(segment).chain(["*"]).collect();
        segments.join(".")
    };
    (batch * PATTERNS..(batch + 1) * PATTERNS)
        .map(pattern)
        .collect()
}

async fn change(client: &mut WsClient, kind: &str, patterns: &[String]) -> Value {
    let data = json!({"metrics": patterns});
    client.send(&json!({"type": kind, "data": data})).await;
    client.next_message(&format!("{kind}d")).await
}

/// Attacks: wildcard DoS (patterns of stars only, as many as may be, against thousands of names) and
/// subscription explosion (ever new ones, each left again).
#[tokio::test]
async fn the_worst_of_patterns_over_and_over_disturb_nobody_and_match_once() {
    let hub = Hub::with().config("[http]\nworkers = 1\n").start().await;
    let eve = token::admin("eve");
    let api = hub.api(&eve);
    for batch in 0..NAMES / 500 {
        let names = batch * 500..(batch + 1) * 500;
        let messages: Vec<Value> = names
            .map(|number| json!({"metric": name(number), "data": number}))
            .collect();
        let answer = api.post("/publish", &json!({"messages": messages})).await;
        assert_eq!(answer.status, 202, "{answer:?}");
    }
    let mut witness = Witness::of(&hub).await;
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let mut client = hub.websocket("?metrics=none", &eve).await;
        client.opened().await;
        clients.push(client);
    }
    for round in 0..ROUNDS {
        for (nth, client) in clients.iter_mut().enumerate() {
            let patterns = patterns(round * CLIENTS + nth);
            change(client, "unsubscribe", &["none".into()]).await;
            change(client, "subscribe", &patterns).await;
            witness.is_undisturbed().await;
            if round < ROUNDS - 1 {
                change(client, "unsubscribe", &patterns).await;
            }
        }
    }
    // Every one of its hundred patterns matches, and it gets the message once.
    let api = hub.api(&token::admin("ada"));
    for number in [0, NAMES - 1] {
        api.publish(&name(number), json!("new")).await;
    }
    for client in &mut clients {
        for number in [0, NAMES - 1] {
            let update = client.next_message("metrics_update").await;
            assert_eq!(update["data"], json!({name(number): "new"}));
        }
    }
    witness.is_undisturbed().await;
}
