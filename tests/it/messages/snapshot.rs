//! `initial_metrics`: where a new stream begins, and from where it can be resumed.

use serde_json::{Value, json};

use crate::support::either::{Came, Client, Transport};
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::id::Id;
use crate::support::message::text;
use crate::support::token;

/// A new stream of ada's, read up to its snapshot, with the notice before it.
async fn snapshot(hub: &Hub, transport: Transport, query: &str) -> (Client, Value, Came) {
    let mut client = hub.open(transport, query, &token::admin("ada")).await;
    let notice = client.next().await;
    assert_eq!(notice["type"], "connection_established");
    let snapshot = client.came("initial_metrics").await;
    (client, notice["data"].clone(), snapshot)
}

#[tokio::test]
async fn it_comes_also_when_there_is_nothing_in_it() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("bob"));
    for (query, publish) in [("", false), ("?metrics=a", false), ("?metrics=a", true)] {
        if publish {
            api.publish("b", json!(1)).await;
        }
        for transport in Transport::BOTH {
            let (_, _, came) = snapshot(&hub, transport, query).await;
            assert_eq!(came.message["data"], json!({}), "{query} {transport:?}");
            Id::of(&came.message["messageId"]);
        }
    }
}

#[tokio::test]
async fn it_has_the_latest_value_of_each_metric_that_is_subscribed_to() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("bob"));
    for (name, value) in [
        ("a", json!(1)),
        ("b.c", json!({"x": [null]})),
        ("a", json!(2)),
        ("d", json!(null)),
    ] {
        api.publish(name, value).await;
    }
    for transport in Transport::BOTH {
        for (query, expected) in [
            ("", json!({"a": 2, "b.c": {"x": [null]}, "d": null})),
            ("?metrics=a,b.*", json!({"a": 2, "b.c": {"x": [null]}})),
        ] {
            let (_, _, came) = snapshot(&hub, transport, query).await;
            assert_eq!(came.message["data"], expected, "{query}");
        }
    }
}

async fn published(api: &Api, path: &str, body: Value) -> Value {
    let answer = api.post(path, &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.data()["messageId"].clone()
}

#[tokio::test]
async fn its_id_is_that_of_the_newest_message_whoever_that_was_for() {
    let hub = Hub::start().await;
    let api = hub.api(&token::service("job"));
    for (path, body) in [
        ("/publish", json!({"metric": "a", "data": 1})),
        ("/publish", json!({"metric": "other", "data": 1})),
        (
            "/publish",
            json!({"metric": "a", "data": 1, "userId": "bob"}),
        ),
        ("/alerts", json!({"severity": "low", "message": "m"})),
    ] {
        let newest = published(&api, path, body.clone()).await;
        for transport in Transport::BOTH {
            let (_, _, came) = snapshot(&hub, transport, "?metrics=a").await;
            assert_eq!(came.message["messageId"], newest, "{body} {transport:?}");
            if let Some(event) = came.event {
                assert_eq!(event.id.as_deref(), newest.as_str());
            }
        }
    }
}

/// How somebody comes back to where a snapshot left off.
#[derive(Debug, Clone, Copy)]
enum Way {
    Token,
    TokenAndId,
    Id,
}

#[tokio::test]
async fn a_resume_from_it_misses_nothing() {
    for transport in Transport::BOTH {
        for way in [Way::Token, Way::TokenAndId, Way::Id] {
            let hub = Hub::start().await;
            // Both from an empty hub and from one whose newest message was for somebody else.
            check_resume(&hub, transport, way).await;
            let api = hub.api(&token::service("job"));
            let body = json!({"metric": "a", "data": 0, "userId": "bob"});
            published(&api, "/publish", body).await;
            check_resume(&hub, transport, way).await;
        }
    }
}

async fn check_resume(hub: &Hub, transport: Transport, way: Way) {
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let (client, notice, came) = snapshot(hub, transport, "?metrics=a").await;
    hub.lose(client, &notice).await;
    let mut missed = Vec::new();
    for number in 0..3 {
        missed.push(api.publish("a", json!(number)).await);
        api.publish("b", json!(number)).await;
    }
    let reconnect_token = text(&notice["reconnectToken"]);
    let from = text(&came.message["messageId"]);
    let mut again = match way {
        Way::Token => hub.resume(transport, reconnect_token, &ada).await,
        Way::TokenAndId => {
            hub.resume_after(transport, reconnect_token, from, &ada)
                .await
        }
        Way::Id => {
            let query = format!("?metrics=a&lastEventId={from}");
            hub.open(transport, &query, &ada).await
        }
    };
    let resumed = again.opened().await;
    assert_eq!(resumed["data"]["resumed"], true, "{way:?} {resumed}");
    assert_eq!(resumed["data"]["replayedMessagesCount"], 3);
    assert_eq!(resumed["data"]["droppedMessagesCount"], 0);
    for id in missed {
        assert_eq!(again.next().await["messageId"], *id, "{way:?}");
    }
    assert_eq!(again.metrics_until_now(&api).await, [""; 0]);
}
