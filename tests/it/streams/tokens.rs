//! Resuming a session by its token.

use serde_json::{Value, json};

use crate::support::either::{Client, Transport};
use crate::support::hub::Hub;
use crate::support::message::text;
use crate::support::token;

#[tokio::test]
async fn a_session_that_was_away_gets_what_it_missed_and_what_was_not_is_not_counted() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    for transport in Transport::BOTH {
        let (client, first) = hub.opened(transport, "?metrics=a,b.*", &ada).await;
        hub.lose(client, &first).await;
        let mut missed = Vec::new();
        for name in ["a", "c", "b.x", "a", "b"] {
            let id = api.publish(name, json!(name)).await;
            missed.extend((name == "a" || name == "b.x").then_some(id));
        }
        let mut again = hub
            .resume(transport, text(&first["reconnectToken"]), &ada)
            .await;
        let notice = again.next().await;
        assert_eq!(notice["type"], "reconnection_successful");
        let data = &notice["data"];
        for field in ["reconnectToken", "userId", "metrics"] {
            assert_eq!(data[field], first[field], "{field}");
        }
        assert_eq!(data["resumed"], true);
        assert_eq!(data["previousConnectionId"], first["connectionId"]);
        assert_ne!(data["connectionId"], first["connectionId"]);
        assert_eq!(data["bufferedMessagesCount"], 3);
        assert_eq!(data["replayedMessagesCount"], 3);
        assert_eq!(data["droppedMessagesCount"], 0);
        for id in missed {
            assert_eq!(again.next().await["messageId"], *id);
        }
        assert_eq!(again.metrics_until_now(&api).await, [""; 0]);
    }
}

#[tokio::test]
async fn what_did_not_fit_is_counted_and_named() {
    let hub = Hub::with().env("MAX_BUFFER_SIZE", "3").start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    for transport in Transport::BOTH {
        let (client, first) = hub.opened(transport, "?metrics=a,b", &ada).await;
        hub.lose(client, &first).await;
        for number in 0..5 {
            let low = json!({"metric": "a", "data": number, "priority": "low"});
            api.post("/publish", &low).await;
            api.publish("b", json!(number)).await;
            api.publish("c", json!(number)).await;
        }
        let mut again = hub
            .resume(transport, text(&first["reconnectToken"]), &ada)
            .await;
        let notice = again.next().await["data"].clone();
        assert_eq!(notice["resumed"], true);
        assert_eq!(notice["replayedMessagesCount"], 3);
        assert_eq!(notice["bufferedMessagesCount"], 3);
        assert_eq!(notice["droppedMessagesCount"], 7);
        assert_eq!(notice["droppedByPriority"]["low"], 5);
        assert_eq!(notice["droppedByPriority"]["normal"], 2);
        assert_eq!(notice["droppedMetrics"], json!(["a", "b"]));
        for number in 2..5 {
            assert_eq!(again.next().await["data"], json!({"b": number}));
        }
    }
}

/// Reads `count` updates and gives the id of the last one.
async fn read(client: &mut Client, count: usize) -> Value {
    let mut last = Value::Null;
    for _ in 0..count {
        let message = client.next().await;
        assert_eq!(message["type"], "metrics_update");
        last = message["messageId"].clone();
    }
    last
}

#[tokio::test]
async fn what_was_in_flight_is_replayed_to_a_client_that_says_what_arrived() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    for transport in Transport::BOTH {
        let (mut client, first) = hub.opened(transport, "", &ada).await;
        for number in 0..6 {
            api.publish("a", json!(number)).await;
        }
        // All were sent; of these the client knows.
        let known = read(&mut client, 2).await;
        read(&mut client, 4).await;
        hub.lose(client, &first).await;
        let reconnect_token = text(&first["reconnectToken"]);
        let mut last = text(&known).to_owned();
        for number in 2..6 {
            let again = hub.resume_after(transport, reconnect_token, &last, &ada);
            let mut again = again.await;
            let notice = again.opened().await["data"].clone();
            assert_eq!(notice["replayedMessagesCount"], 6 - number);
            assert_eq!(notice["droppedMessagesCount"], 0);
            let next = again.next().await;
            assert_eq!(next["data"], json!({"a": number}));
            last = text(&next["messageId"]).to_owned();
        }
        // Who says nothing gets what was not sent.
        let mut again = hub.resume(transport, reconnect_token, &ada).await;
        let notice = again.opened().await["data"].clone();
        assert_eq!(notice["replayedMessagesCount"], 0);
    }
}

#[tokio::test]
async fn a_token_stays_good_however_often_and_by_whichever_transport_it_is_used() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let (mut client, mut notice) = hub.opened(Transport::Sse, "?metrics=a", &ada).await;
    let reconnect_token = text(&notice["reconnectToken"]).to_owned();
    let mut last = String::new();
    for round in 0..20 {
        hub.lose(client, &notice).await;
        api.publish("other", json!(round)).await;
        let missed = api.publish("a", json!(round)).await;
        let transport = Transport::BOTH[usize::from(round % 3 == 0)];
        client = match round % 2 == 0 || last.is_empty() {
            true => hub.resume(transport, &reconnect_token, &ada).await,
            false => {
                hub.resume_after(transport, &reconnect_token, &last, &ada)
                    .await
            }
        };
        let resumed = client.next().await["data"].clone();
        assert_eq!(resumed["resumed"], true, "round {round}");
        assert_eq!(resumed["reconnectToken"], *reconnect_token);
        assert_eq!(resumed["previousConnectionId"], notice["connectionId"]);
        assert_eq!(resumed["metrics"], json!(["a"]));
        assert_eq!(resumed["replayedMessagesCount"], 1);
        assert_eq!(client.next().await["messageId"], *missed);
        (notice, last) = (resumed, missed);
    }
}

#[tokio::test]
async fn a_resume_keeps_the_subscription_whatever_it_asks_for() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    for transport in Transport::BOTH {
        let (client, first) = hub.opened(transport, "?metrics=a", &ada).await;
        api.post("/subscribe", &json!({"metrics": ["b"]})).await;
        hub.lose(client, &first).await;
        for name in ["a", "b", "c"] {
            api.publish(name, json!(1)).await;
        }
        let reconnect_token = text(&first["reconnectToken"]);
        let again = hub.resume_with(transport, reconnect_token, "&metrics=c", &ada);
        let mut again = again.await;
        assert_eq!(again.opened().await["data"]["metrics"], json!(["a", "b"]));
        assert_eq!(again.metrics_until_now(&api).await, ["a", "b"]);
        api.post("/disconnect", &json!({"userId": "ada"})).await;
    }
}

#[tokio::test]
async fn who_missed_nothing_is_told_so_however_far_the_log_has_moved_on() {
    let config = "[history]\ncounted_ids_max = 4";
    let start = Hub::with().env("MAX_BUFFER_SIZE", "2").config(config);
    let hub = start.start().await;
    let ada = token::admin("ada");
    let api = hub.api(&token::service("job"));
    for transport in Transport::BOTH {
        let seen = api.publish("a", json!("seen")).await;
        let (client, first) = hub.opened(transport, "?metrics=a", &ada).await;
        hub.lose(client, &first).await;
        // More than the log keeps, and than it remembers having had, of what is not for it.
        let batch = |n: usize| -> Value {
            let metric = ["b", "c.d"][n % 2];
            let priority = ["low", "critical"][n / 2 % 2];
            json!({"metric": metric, "data": n, "priority": priority})
        };
        let others: Vec<Value> = (0..200).map(batch).collect();
        api.post("/publish", &json!({"messages": others})).await;
        let targeted = json!({"metric": "a", "data": 0, "userId": "bob"});
        for _ in 0..20 {
            api.post("/publish", &targeted).await;
        }
        let reconnect_token = text(&first["reconnectToken"]);
        let query = format!("?metrics=a&lastEventId={seen}");
        for by_token in [true, false] {
            let mut again = match by_token {
                true => hub.resume(transport, reconnect_token, &ada).await,
                false => hub.open(transport, &query, &ada).await,
            };
            let notice = again.next().await["data"].clone();
            assert_eq!(notice["resumed"], true, "{notice}");
            let replayed = u64::from(!by_token);
            assert_eq!(notice["replayedMessagesCount"], replayed);
            assert_eq!(notice["droppedMessagesCount"], 0);
            if !by_token {
                again.next().await;
            }
            let next = api.publish("a", json!("next")).await;
            assert_eq!(again.next().await["messageId"], *next);
        }
    }
}
