//! What is published to one user is for that user's eyes only.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{opened, opened_with_notice};
use crate::support::either::Transport;
use crate::support::eventually;
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::token;

async fn publish_to(api: &Api, user: &str, metric: &str, data: Value) -> String {
    let body = json!({"metric": metric, "data": data, "userId": user});
    let answer = api.post("/publish", &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.data()["messageId"].as_str().unwrap().to_owned()
}

/// Attack: reading another user's stream or messages.
#[tokio::test]
async fn only_that_users_connections_get_it() {
    let hub = Hub::start().await;
    let api = hub.api(&token::service("job"));
    for transport in Transport::BOTH {
        let mut own = opened(&hub, transport, "", "ada").await;
        let mut narrow = opened(&hub, transport, "?metrics=other", "ada").await;
        let mut others = opened(&hub, transport, "", "bob").await;
        let id = publish_to(&api, "ada", "mine", json!(1)).await;
        api.publish("other", json!(2)).await;
        let update = own.next().await;
        assert_eq!(
            (&update["data"], &update["messageId"]),
            (&json!({"mine": 1}), &json!(id))
        );
        // A subscription holds for targeted messages too.
        assert_eq!(narrow.next().await["data"], json!({"other": 2}));
        assert_eq!(others.next().await["data"], json!({"other": 2}));
    }
}

#[tokio::test]
async fn in_a_batch_each_message_has_its_own_user() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let mut ada = opened(&hub, Transport::Sse, "", "ada").await;
    let mut bob = opened(&hub, Transport::WebSocket, "", "bob").await;
    let messages = json!({"messages": [
        {"metric": "m", "data": "for ada", "userId": "ada"},
        {"metric": "m", "data": "for bob", "userId": "bob"},
        {"metric": "m", "data": "for all"},
    ]});
    assert_eq!(api.post("/publish", &messages).await.status, 202);
    for (client, first) in [(&mut ada, "for ada"), (&mut bob, "for bob")] {
        assert_eq!(client.next().await["data"], json!({"m": first}));
        assert_eq!(client.next().await["data"], json!({"m": "for all"}));
    }
}

/// Attack: reading another user's stream or messages.
#[tokio::test]
async fn only_that_user_sees_it_in_snapshots_and_when_polling() {
    let hub = Hub::start().await;
    let api = hub.api(&token::service("job"));
    publish_to(&api, "ada", "mine", json!("secret")).await;
    api.publish("ours", json!("open")).await;
    for (user, sees) in [("ada", vec!["mine", "ours"]), ("bob", vec!["ours"])] {
        let token = token::admin(user);
        let wanted: BTreeSet<String> = sees.iter().map(|it| (*it).to_owned()).collect();
        let names = |values: &Value| -> BTreeSet<String> {
            values
                .as_object()
                .expect("an object")
                .keys()
                .cloned()
                .collect()
        };
        let polled = hub.api(&token).get("/metrics").await;
        assert_eq!(names(polled.data()), wanted, "{user}");
        assert_eq!(polled.body.to_string().contains("secret"), user == "ada");
        for transport in Transport::BOTH {
            let mut client = hub.open(transport, "", &token).await;
            let snapshot = client.next_message("initial_metrics").await;
            assert_eq!(names(&snapshot["data"]), wanted, "{user} {transport:?}");
        }
    }
}

#[tokio::test]
async fn of_a_metric_for_all_and_for_one_each_user_sees_the_newest_that_is_theirs() {
    let hub = Hub::start().await;
    let api = hub.api(&token::service("job"));
    api.publish("m", json!("for all")).await;
    publish_to(&api, "ada", "m", json!("for ada")).await;
    for (user, value) in [("ada", "for ada"), ("bob", "for all")] {
        let polled = hub.api(&token::admin(user)).get("/metrics").await;
        assert_eq!(polled.data()["m"]["value"], value);
        let mut client = hub.open(Transport::Sse, "", &token::admin(user)).await;
        let snapshot = client.next_message("initial_metrics").await;
        assert_eq!(snapshot["data"]["m"], value);
    }
}

/// Attack: reading another user's stream or messages.
#[tokio::test]
async fn only_that_users_sessions_get_it_replayed() {
    let hub = Hub::start().await;
    let api = hub.api(&token::service("job"));
    for transport in Transport::BOTH {
        for (user, expected) in [("ada", vec!["mine", "ours"]), ("bob", vec!["ours"])] {
            let (client, notice) = opened_with_notice(&hub, transport, "", user).await;
            client.reset();
            let token = token::admin(user);
            let admin = hub.api(&token);
            // What is published before the hub has noticed counts as sent.
            eventually("the connection to have ended", async || {
                let live = admin
                    .get(&format!("/connections?state=live&user={user}"))
                    .await;
                (live.data()["total"] == 0).then_some(())
            })
            .await;
            publish_to(&api, "ada", "mine", json!(1)).await;
            api.publish("ours", json!(1)).await;
            let reconnect_token = notice["reconnectToken"].as_str().unwrap();
            let mut again = hub.resume(transport, reconnect_token, &token).await;
            assert_eq!(again.opened().await["data"]["droppedMessagesCount"], 0);
            assert_eq!(again.metrics_until_now(&admin).await, expected, "{user}");
        }
    }
}
