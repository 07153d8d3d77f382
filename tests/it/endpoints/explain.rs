//! `explain`: why a user has a message, or has not.

use serde_json::{Value, json};

use crate::support::either::Transport;
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::token;

/// Of the one session that the user has.
async fn outcome(api: &Api, id: &str, user: &str) -> Value {
    let path = format!("/explain?messageId={id}&userId={user}");
    let answer = api.get(&path).await;
    let sessions = answer.data()["sessions"].as_array();
    let [session] = &sessions.expect("a list")[..] else {
        panic!("{answer:?}");
    };
    session["outcome"].clone()
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
