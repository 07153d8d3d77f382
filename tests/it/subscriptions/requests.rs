//! What `POST subscribe` and `POST unsubscribe` answer, and whom they are for.

use serde_json::{Value, json};

use crate::support::either::{Client, Transport};
use crate::support::hub::Hub;
use crate::support::token;

async fn opened(hub: &Hub, transport: Transport, query: &str, user: &str) -> Client {
    let mut client = hub.open(transport, query, &token::admin(user)).await;
    client.opened().await;
    client
}

#[tokio::test]
async fn the_answer_repeats_the_metrics_and_counts_the_connections() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let _clients = [
        opened(&hub, Transport::Sse, "?metrics=old", "ada").await,
        opened(&hub, Transport::WebSocket, "", "ada").await,
        opened(&hub, Transport::WebSocket, "", "ada").await,
        opened(&hub, Transport::Sse, "", "bob").await,
    ];
    let metrics = json!(["b", "a.*", "b"]);
    for (path, message) in [
        ("/subscribe", "Successfully subscribed to metrics"),
        ("/unsubscribe", "Successfully unsubscribed from metrics"),
    ] {
        let answer = api.post(path, &json!({"metrics": metrics})).await;
        let expected = json!({"message": message, "metrics": metrics, "connections": 3});
        assert_eq!((answer.status, answer.data()), (200, &expected));
    }
}

#[tokio::test]
async fn without_a_connection_it_is_still_a_success() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    for path in ["/subscribe", "/unsubscribe"] {
        let answer = api.post(path, &json!({"metrics": ["a"]})).await;
        assert_eq!(answer.data()["connections"], 0);
    }
}

#[tokio::test]
async fn all_connections_of_the_user_change_and_nobody_elses() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let mut own = [
        opened(&hub, Transport::Sse, "?metrics=a", "ada").await,
        opened(&hub, Transport::WebSocket, "?metrics=c", "ada").await,
    ];
    let mut others = [
        opened(&hub, Transport::Sse, "?metrics=a", "bob").await,
        opened(&hub, Transport::WebSocket, "?metrics=a", "bob").await,
    ];
    assert_eq!(
        api.post("/subscribe", &json!({"metrics": ["b"]}))
            .await
            .status,
        200
    );
    for (client, before) in own.iter_mut().zip(["a", "c"]) {
        let notice = client.next().await;
        assert_eq!(notice["type"], "subscribed");
        assert_eq!(notice["data"]["metrics"], json!([before, "b"]));
    }
    api.publish("a", json!(1)).await;
    api.publish("b", json!(1)).await;
    assert_eq!(own[0].metrics_until_now(&api).await, ["a", "b"]);
    assert_eq!(own[1].metrics_until_now(&api).await, ["b"]);
    for client in &mut others {
        assert_eq!(
            client.next().await["data"],
            json!({"a": 1}),
            "and no notice before it"
        );
        assert_eq!(client.metrics_until_now(&api).await, [""; 0]);
    }
}

#[tokio::test]
async fn a_session_that_is_named_changes_alone() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    for transport in Transport::BOTH {
        let (mut named, notice) = hub.opened(transport, "?metrics=a", &ada).await;
        let (mut other, _) = hub.opened(transport, "?metrics=a", &ada).await;
        let session = &notice["reconnectToken"];
        let mut body = json!({"metrics": ["b"], "reconnectToken": session});
        let answer = api.post("/subscribe", &body).await;
        assert_eq!(answer.data()["connections"], 1);
        body["metrics"] = json!(["a"]);
        let answer = api.post("/unsubscribe", &body).await;
        assert_eq!(answer.data()["connections"], 1);
        for expected in [json!(["a", "b"]), json!(["b"])] {
            assert_eq!(named.next().await["data"]["metrics"], expected);
        }
        for name in ["a", "b"] {
            api.publish(name, json!(1)).await;
        }
        assert_eq!(named.metrics_until_now(&api).await, ["b"]);
        assert_eq!(other.metrics_until_now(&api).await, ["a"]);
        // Another user's, none, and what is none.
        body["metrics"] = json!(["c"]);
        let strangers = hub.api(&token::admin("bob"));
        assert_eq!(
            strangers.post("/subscribe", &body).await.data()["connections"],
            0
        );
        for unknown in ["00000000-0000-0000-0000-000000000000", "x", ""] {
            body["reconnectToken"] = json!(unknown);
            let answer = api.post("/subscribe", &body).await;
            assert_eq!(answer.data()["connections"], 0, "{unknown:?}");
        }
        body["reconnectToken"] = json!(7);
        let answer = api.post("/subscribe", &body).await;
        assert_eq!(answer.failure(), (400, "invalid_request"));
        api.publish("c", json!(1)).await;
        assert_eq!(named.metrics_until_now(&api).await, [""; 0]);
    }
}

#[tokio::test]
async fn a_session_that_is_away_changes_too() {
    for transport in Transport::BOTH {
        let hub = Hub::start().await;
        let ada = token::admin("ada");
        let api = hub.api(&ada);
        let mut client = hub.open(transport, "?metrics=a,b", &ada).await;
        let notice = client.opened().await;
        let reconnect_token = notice["data"]["reconnectToken"].as_str().unwrap();
        client.reset();
        api.post("/unsubscribe", &json!({"metrics": ["a"]})).await;
        api.post("/subscribe", &json!({"metrics": ["c"]})).await;
        for name in ["a", "b", "c"] {
            api.publish(name, json!(1)).await;
        }
        let mut again = hub.resume(transport, reconnect_token, &ada).await;
        let notice: Value = again.opened().await;
        assert_eq!(notice["data"]["metrics"], json!(["b", "c"]));
        assert_eq!(again.metrics_until_now(&api).await, ["b", "c"]);
    }
}

#[tokio::test]
async fn what_was_published_before_it_was_subscribed_to_is_not_replayed() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let mut client = hub.open(Transport::Sse, "?metrics=a", &ada).await;
    let notice = client.opened().await;
    let reconnect_token = notice["data"]["reconnectToken"].as_str().unwrap();
    client.reset();
    api.publish("c", json!("before")).await;
    api.post("/subscribe", &json!({"metrics": ["c"]})).await;
    api.publish("c", json!("after")).await;
    let mut again = hub.resume(Transport::Sse, reconnect_token, &ada).await;
    assert_eq!(again.opened().await["data"]["droppedMessagesCount"], 0);
    assert_eq!(again.next().await["data"], json!({"c": "after"}));
}
