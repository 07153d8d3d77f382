//! `GET audit`: the newest of the trail in the store, page by page.

use serde_json::{Value, json};

use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::{eventually, token};

/// One page, and the cursor of the next.
async fn page(api: &Api, query: &str) -> (Vec<Value>, Option<String>) {
    let answer = api.get(&format!("/audit{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let events = answer.data()["events"].as_array().expect("a list").clone();
    let next = answer.data()["nextCursor"].as_str().map(str::to_owned);
    (events, next)
}

/// The events of one query, as soon as there are as many.
async fn events(api: &Api, query: &str, count: usize) -> Vec<Value> {
    eventually(&format!("{count} events of {query}"), async || {
        let (events, _) = page(api, query).await;
        (events.len() == count).then_some(events)
    })
    .await
}

/// A hub of which two users have asked something, one of them what is refused.
async fn used() -> (Hub, Api) {
    let hub = Hub::start().await;
    let (ada, bob) = (hub.api(&token::admin("ada")), hub.api(&token::admin("bob")));
    for n in 0..5 {
        ada.publish("a", json!(n)).await;
    }
    bob.publish("b", json!(1)).await;
    let refused = bob.post("/publish", &json!({"metric": "no name"})).await;
    assert_eq!(refused.status, 400);
    (hub, ada)
}

#[tokio::test]
async fn the_newest_stand_first_and_each_has_its_number() {
    let (_hub, api) = used().await;
    let all = events(&api, "?action=publish", 7).await;
    let numbers: Vec<_> = all.iter().map(|it| it["id"].as_i64().unwrap()).collect();
    assert!(numbers.is_sorted_by(|a, b| a > b), "{numbers:?}");
    let newest = &all[0];
    for (field, expected) in [
        ("actor", "bob"),
        ("action", "publish"),
        ("outcome", "invalid_request"),
        ("role", "platform_admin"),
    ] {
        assert_eq!(newest[field], expected, "{newest}");
    }
}

#[tokio::test]
async fn filters_go_by_action_actor_and_outcome() {
    let (_hub, api) = used().await;
    for (query, count) in [
        ("?action=publish&actor=ada", 5),
        ("?action=publish&actor=bob", 2),
        ("?action=publish&outcome=ok", 6),
        ("?action=publish&outcome=refused", 1),
        ("?outcome=invalid_request&actor=bob", 1),
        ("?action=start,publish", 8),
        ("?actor=nobody", 0),
    ] {
        events(&api, query, count).await;
    }
    // Who asks is in the trail too, with whom they asked for.
    eventually("the question itself", async || {
        let (read, _) = page(&api, "?action=read_audit&limit=1000").await;
        read.iter().find(|it| it["target"] == "nobody").cloned()
    })
    .await;
}

#[tokio::test]
async fn pages_are_complete_and_without_repeats_while_more_is_written() {
    let (_hub, api) = used().await;
    let all = events(&api, "?action=publish", 7).await;
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let (events, next) = page(&api, &format!("?action=publish&limit=3{cursor}")).await;
        assert!(events.len() <= 3);
        found.extend(events);
        api.publish("meanwhile", json!(1)).await;
        match next {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(found, all);
}

#[tokio::test]
async fn a_parameter_that_is_none_is_refused() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    for query in [
        "?limit=0",
        "?limit=x",
        "?cursor=x",
        "?cursor=0",
        "?user=ada",
    ] {
        let answer = api.get(&format!("/audit{query}")).await;
        assert_eq!(answer.failure(), (400, "invalid_request"), "{query}");
    }
}
