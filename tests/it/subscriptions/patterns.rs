//! Which names a subscription stands for, in the snapshot as in what comes live.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::either::{Client, Transport};
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::token;

const NAMES: [&str; 9] = [
    "credits",
    "credits.total",
    "credits.total.eu",
    "credits-old",
    "users.active",
    "users.active.eu",
    "users.new",
    "Users.active",
    "0_a-Z",
];

/// What is asked for, and which of [`NAMES`] that is.
const SUBSCRIPTIONS: [(&str, &[&str]); 18] = [
    ("", &NAMES),
    ("?metrics=", &NAMES),
    ("?metrics=**", &NAMES),
    ("?metrics=credits", &["credits"]),
    ("?metrics=credits.total", &["credits.total"]),
    ("?metrics=0_a-Z", &["0_a-Z"]),
    ("?metrics=nobody.publishes.this", &[]),
    ("?metrics=*", &["credits", "credits-old", "0_a-Z"]),
    ("?metrics=credits.*", &["credits.total"]),
    ("?metrics=credits.*.eu", &["credits.total.eu"]),
    ("?metrics=*.active", &["users.active", "Users.active"]),
    (
        "?metrics=*.*",
        &["credits.total", "users.active", "users.new", "Users.active"],
    ),
    ("?metrics=*.*.*", &["credits.total.eu", "users.active.eu"]),
    // Any number of segments is also none.
    (
        "?metrics=credits.**",
        &["credits", "credits.total", "credits.total.eu"],
    ),
    (
        "?metrics=users.active.**",
        &["users.active", "users.active.eu"],
    ),
    (
        "?metrics=*.active.**",
        &["users.active", "users.active.eu", "Users.active"],
    ),
    ("?metrics=credits,users.new", &["credits", "users.new"]),
    // What several patterns name comes once.
    (
        "?metrics=credits,*,credits.**,credits",
        &[
            "credits",
            "credits.total",
            "credits.total.eu",
            "credits-old",
            "0_a-Z",
        ],
    ),
];

async fn publish_all(api: &Api) {
    for name in NAMES {
        api.publish(name, json!(1)).await;
    }
}

async fn check(client: &mut Client, api: &Api, query: &str, expected: &[&str]) {
    let wanted: BTreeSet<String> = expected.iter().map(|name| (*name).to_owned()).collect();
    let notice = client.next_message("connection_established").await;
    let snapshot = client.next_message("initial_metrics").await;
    let values = snapshot["data"].as_object().expect("an object");
    let names: BTreeSet<String> = values.keys().cloned().collect();
    assert_eq!(names, wanted, "the snapshot of {query:?}, {notice}");
    let live = client.metrics_until_now(api).await;
    assert_eq!(live.len(), wanted.len(), "each once, {query:?}: {live:?}");
    assert_eq!(BTreeSet::from_iter(live), wanted, "live, {query:?}");
}

#[tokio::test]
async fn a_pattern_stands_for_the_names_it_matches() {
    let hub = Hub::with()
        .env("MAX_CONNECTIONS_PER_USER", "1000")
        .start()
        .await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    publish_all(&api).await;
    let mut clients = Vec::new();
    for transport in Transport::BOTH {
        for (query, expected) in SUBSCRIPTIONS {
            clients.push((hub.open(transport, query, &ada).await, query, expected));
        }
    }
    publish_all(&api).await;
    for (client, query, expected) in &mut clients {
        check(client, &api, query, expected).await;
    }
}

#[tokio::test]
async fn a_connection_is_told_what_it_receives() {
    let hub = Hub::with()
        .env("MAX_CONNECTIONS_PER_USER", "1000")
        .start()
        .await;
    let ada = token::admin("ada");
    for transport in Transport::BOTH {
        let check = async |query: &str, expected: &[&str]| {
            let notice = hub.open(transport, query, &ada).await.opened().await;
            assert_eq!(notice["data"]["metrics"], json!(expected), "{query}");
        };
        check("", &["**"]).await;
        check("?metrics=b,a", &["b", "a"]).await;
        check("?metrics=a,a,a.*", &["a", "a.*"]).await;
        // As a client that encodes everything sends it.
        check("?metrics=a%2Cb.%2A", &["a", "b.*"]).await;
    }
}

#[tokio::test]
async fn alerts_come_whatever_is_subscribed_to() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    for transport in Transport::BOTH {
        for query in ["", "?metrics=nobody.publishes.this"] {
            let mut client = hub.open(transport, query, &ada).await;
            client.opened().await;
            // It waits for an alert.
            assert_eq!(client.metrics_until_now(&api).await, [""; 0]);
        }
    }
}

#[tokio::test]
async fn a_resumed_session_has_the_subscription_that_it_had() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    for transport in Transport::BOTH {
        for (query, shown) in [("?metrics=a,b.*", json!(["a", "b.*"])), ("", json!(["**"]))] {
            let mut client = hub.open(transport, query, &ada).await;
            let notice = client.opened().await;
            let reconnect_token = notice["data"]["reconnectToken"].as_str().unwrap();
            client.reset();
            for transport in Transport::BOTH {
                let mut again = hub.resume(transport, reconnect_token, &ada).await;
                assert_eq!(again.opened().await["data"]["metrics"], shown);
            }
        }
    }
}
