//! Subscribing and unsubscribing: in place over WebSocket, and by a request for either transport.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::support::either::{Client, Transport, set_of};
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::token;

/// How a change is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    InPlace,
    Request(Transport),
}

const WAYS: [Way; 3] = [
    Way::InPlace,
    Way::Request(Transport::Sse),
    Way::Request(Transport::WebSocket),
];

/// One connection whose subscription is changed in one way.
struct Subject {
    way: Way,
    client: Client,
    api: Api,
}

impl Subject {
    async fn open(hub: &Hub, way: Way, query: &str) -> Self {
        let ada = token::admin("ada");
        let transport = match way {
            Way::InPlace => Transport::WebSocket,
            Way::Request(transport) => transport,
        };
        let mut client = hub.open(transport, query, &ada).await;
        client.opened().await;
        let api = hub.api(&ada);
        Self { way, client, api }
    }

    /// Changes it, and holds the notice to what it must be: the subscription is then `expected`.
    async fn change(&mut self, kind: &str, metrics: &[&str], expected: &[&str]) {
        match (&mut self.client, self.way) {
            (Client::WebSocket(client), Way::InPlace) => {
                client
                    .send(&json!({"type": kind, "data": {"metrics": metrics}}))
                    .await;
            }
            _ => {
                let answer = self
                    .api
                    .post(&format!("/{kind}"), &json!({"metrics": metrics}))
                    .await;
                assert_eq!(answer.status, 200, "{answer:?}");
            }
        }
        let notice = self.client.next_message(&format!("{kind}d")).await;
        assert_eq!(notice["priority"], "high");
        let text = format!("Successfully {kind}d {} metrics", preposition(kind));
        assert_eq!(notice["data"]["message"], *text);
        let expected: BTreeSet<String> = expected.iter().map(|it| (*it).to_owned()).collect();
        let now = &notice["data"]["metrics"];
        assert_eq!(
            set_of(now),
            expected,
            "{kind} {metrics:?} by {:?}",
            self.way
        );
    }

    /// Publishes one message to each of these and holds the client to getting `expected`.
    async fn gets(&mut self, expected: &[&str]) {
        for name in ["a", "b.x", "b.y", "c"] {
            self.api.publish(name, json!(1)).await;
        }
        let got = self.client.metrics_until_now(&self.api).await;
        assert_eq!(got, expected, "by {:?}", self.way);
    }
}

fn preposition(kind: &str) -> &str {
    match kind {
        "subscribe" => "to",
        _ => "from",
    }
}

#[tokio::test]
async fn the_first_subscribe_narrows_and_later_ones_add() {
    for way in WAYS {
        let hub = Hub::start().await;
        let mut subject = Subject::open(&hub, way, "").await;
        subject.gets(&["a", "b.x", "b.y", "c"]).await;
        subject.change("subscribe", &["a"], &["a"]).await;
        subject.gets(&["a"]).await;
        subject.change("subscribe", &["b.*"], &["a", "b.*"]).await;
        subject.gets(&["a", "b.x", "b.y"]).await;
        subject
            .change("subscribe", &["b.x", "a"], &["a", "b.*", "b.x"])
            .await;
        subject.gets(&["a", "b.x", "b.y"]).await;
    }
}

#[tokio::test]
async fn subscribe_adds_to_what_was_named_when_the_stream_was_opened() {
    for way in WAYS {
        let hub = Hub::start().await;
        let mut subject = Subject::open(&hub, way, "?metrics=a").await;
        subject.change("subscribe", &["c"], &["a", "c"]).await;
        subject.gets(&["a", "c"]).await;
    }
}

#[tokio::test]
async fn unsubscribe_takes_out_what_it_names_and_the_last_leaves_nothing_but_alerts() {
    for way in WAYS {
        let hub = Hub::start().await;
        let mut subject = Subject::open(&hub, way, "?metrics=a,b.*,b.x").await;
        subject.change("unsubscribe", &["a"], &["b.*", "b.x"]).await;
        subject.gets(&["b.x", "b.y"]).await;
        // A pattern goes by its name; what another one stands for stays.
        subject.change("unsubscribe", &["b.x"], &["b.*"]).await;
        subject.gets(&["b.x", "b.y"]).await;
        subject
            .change("unsubscribe", &["c", "unknown"], &["b.*"])
            .await;
        subject.change("unsubscribe", &["b.*"], &[]).await;
        // It ends with an alert, which comes all the same.
        subject.gets(&[]).await;
        subject.change("unsubscribe", &["b.*"], &[]).await;
        // Nothing is nothing, and not everything to be narrowed.
        subject.change("subscribe", &["c"], &["c"]).await;
        subject.gets(&["c"]).await;
    }
}

#[tokio::test]
async fn everything_is_left_by_its_own_name() {
    for way in WAYS {
        let hub = Hub::start().await;
        let mut subject = Subject::open(&hub, way, "").await;
        subject.change("unsubscribe", &["**"], &[]).await;
        subject.gets(&[]).await;
    }
}

#[tokio::test]
async fn a_name_that_nobody_publishes_yet_is_waited_for() {
    for way in WAYS {
        let hub = Hub::start().await;
        let mut subject = Subject::open(&hub, way, "").await;
        subject.change("subscribe", &["later"], &["later"]).await;
        subject.gets(&[]).await;
        subject.api.publish("later", json!(1)).await;
        assert_eq!(
            subject.client.metrics_until_now(&subject.api).await,
            ["later"]
        );
    }
}

#[tokio::test]
async fn in_place_only_the_connection_itself_changes() {
    let hub = Hub::start().await;
    let mut subject = Subject::open(&hub, Way::InPlace, "?metrics=a").await;
    let mut other = Subject::open(&hub, Way::InPlace, "?metrics=a").await;
    subject.change("subscribe", &["c"], &["a", "c"]).await;
    other.gets(&["a"]).await;
}

#[tokio::test]
async fn the_notice_of_a_change_has_no_place_in_the_order_of_messages() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let mut client = hub.sse("/stream", &ada).await;
    client.opened().await;
    let body = json!({"metrics": ["a"]});
    assert_eq!(hub.api(&ada).post("/subscribe", &body).await.status, 200);
    let event = client.next_event().await.expect("a notice");
    assert_eq!(event.id, None);
    let notice: Value = event.message().expect("a notice");
    assert_eq!(notice["type"], "subscribed");
}
