//! `explain`: why a user has a message, or has not.

use serde_json::{Value, json};

use crate::support::either::Transport;
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::message::text;
use crate::support::token;

async fn explained(api: &Api, id: &str, user: &str) -> Value {
    let path = format!("/explain?messageId={id}&userId={user}");
    api.get(&path).await.data().clone()
}

/// Of the session that the user has, or had last.
async fn outcome(api: &Api, id: &str, user: &str) -> Value {
    explained(api, id, user).await["sessions"][0]["outcome"].clone()
}

/// Publishes, and returns the id.
async fn publish(api: &Api, body: Value) -> String {
    let answer = api.post("/publish", &body).await;
    text(&answer.data()["messageId"]).to_owned()
}

#[tokio::test]
async fn an_operator_is_told_what_became_of_an_alert() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let bob = token::admin("bob");
    for transport in Transport::BOTH {
        let mut client = hub.open(transport, "?metrics=a", &bob).await;
        client.opened().await;
        let alert = json!({"severity": "high", "message": "x"});
        let answer = api.post("/alerts", &alert).await;
        let id = answer.data()["messageId"].as_str().unwrap().to_owned();
        client.next_message("system_alert").await;
        assert_eq!(outcome(&api, &id, "bob").await, "delivered");
        let other = api.publish("b", json!(1)).await;
        assert_eq!(outcome(&api, &other, "bob").await, "filtered");
        client.reset();
        api.sessions_when("?user=bob&state=away", 1).await;
        let missed = api.publish("a", json!(1)).await;
        assert_eq!(outcome(&api, &missed, "bob").await, "waiting");
        api.post("/disconnect", &json!({"userId": "bob"})).await;
    }
    let path = "/explain?messageId=9999999999999-0&userId=bob";
    let answer = api.get(path).await;
    assert_eq!(answer.data()["message"], "never_published");
}

/// Room for two: of what the session was away for, a part is left out when it comes back.
#[tokio::test]
async fn a_session_that_came_back_is_told_of_one_by_one() {
    let config = "[[metric]]\nname = \"gauge\"\nretain = \"latest\"";
    let hub = Hub::with().env("MAX_BUFFER_SIZE", "2").config(config);
    let hub = hub.start().await;
    let api = hub.api(&token::admin("ada"));
    let bob = token::admin("bob");
    for transport in Transport::BOTH {
        let before = publish(&api, json!({"metric": "a", "data": 0})).await;
        let (client, notice) = hub.opened(transport, "?metrics=a,gauge", &bob).await;
        hub.lose(client, &notice).await;
        let gauge = json!({"metric": "gauge", "data": 1, "priority": "high"});
        let replaced = publish(&api, gauge.clone()).await;
        let others = json!({"metric": "a", "data": 1, "userId": "eve"});
        let others = publish(&api, others).await;
        let low = publish(&api, json!({"metric": "a", "data": 1, "priority": "low"})).await;
        let mut urgent = Vec::new();
        for n in 1..=3 {
            let body = json!({"metric": "a", "data": n, "priority": "critical"});
            urgent.push(publish(&api, body).await);
        }
        let newest = publish(&api, gauge).await;
        let reconnect_token = text(&notice["reconnectToken"]);
        let mut client = hub.resume(transport, reconnect_token, &bob).await;
        client.opened().await;
        let after = publish(&api, json!({"metric": "a", "data": 9})).await;
        client.metrics_until_now(&api).await;
        for (id, expected) in [
            (&before, "before_subscription"),
            (&replaced, "conflated"),
            (&others, "not_permitted"),
            (&low, "delivered_or_dropped"),
            (&urgent[0], "dropped"),
            (&urgent[2], "delivered"),
            (&newest, "dropped"),
            (&after, "delivered"),
        ] {
            assert_eq!(outcome(&api, id, "bob").await, expected, "{id}");
        }
        assert_eq!(
            explained(&api, &replaced, "bob").await["message"],
            "replaced"
        );
        assert_eq!(explained(&api, &urgent[0], "bob").await["message"], "gone");
        client.reset();
        api.post("/disconnect", &json!({"userId": "bob"})).await;
        let late = publish(&api, json!({"metric": "a", "data": 10})).await;
        assert_eq!(outcome(&api, &late, "bob").await, "session_ended");
        let ended = explained(&api, &after, "bob").await;
        assert_eq!(ended["sessions"][0]["state"], "ended");
        assert_eq!(ended["sessions"][0]["outcome"], "delivered");
    }
}

#[tokio::test]
async fn what_is_no_question_is_refused_and_who_may_not_ask_too() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    for query in [
        "",
        "?messageId=1-0",
        "?messageId=x&userId=ada",
        "?messageId=1-0&userId=",
    ] {
        let answer = api.get(&format!("/explain{query}")).await;
        assert_eq!(answer.failure(), (400, "invalid_request"), "{query}");
    }
    let service = hub.api(&token::service("app"));
    let answer = service.get("/explain?messageId=1-0&userId=ada").await;
    assert_eq!(answer.failure(), (403, "forbidden"));
}
