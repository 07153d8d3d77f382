//! A hub that was stopped or killed and started again on its file.

use serde_json::{Value, json};

use crate::support::either::Transport;
use crate::support::hub::Hub;
use crate::support::message::text;
use crate::support::token;

async fn restarted(mut hub: Hub, in_order: bool) -> Hub {
    match in_order {
        true => {
            hub.signal(rustix::process::Signal::TERM);
            assert_eq!(hub.ended().await.code, Some(0));
        }
        false => hub.crash().await,
    }
    hub.again().await
}

#[tokio::test]
async fn values_positions_and_tokens_are_there_again() {
    for in_order in [true, false] {
        let mut hub = Hub::start().await;
        let ada = token::admin("ada");
        let api = hub.api(&ada);
        let mut sessions = Vec::new();
        for transport in Transport::BOTH {
            let (client, notice) = hub.opened(transport, "?metrics=a.*", &ada).await;
            sessions.push((transport, client, notice["reconnectToken"].clone()));
        }
        let mut ids = Vec::new();
        for n in 0..5 {
            ids.push(api.publish("a.x", json!(n)).await);
        }
        for (_, client, _) in &mut sessions {
            for id in &ids[..3] {
                assert_eq!(client.next().await["messageId"], *id);
            }
        }
        // The rest is on its way to clients that will not say that it arrived.
        hub = restarted(hub, in_order).await;
        let api = hub.api(&ada);
        let values = api.get("/metrics").await;
        assert_eq!(values.data()["a.x"]["value"], 4);
        assert_eq!(values.data()["a.x"]["messageId"], ids[4]);
        let next = api.publish("a.x", json!(5)).await;
        for (transport, _, reconnect_token) in sessions {
            let last = crate::support::id::Id::of(&json!(ids[2]));
            let token = text(&reconnect_token);
            let mut client = hub.resume_from(transport, token, Some(last), &ada).await;
            let notice = client.next().await;
            assert_eq!(notice["type"], "reconnection_successful");
            assert_eq!(notice["data"]["resumed"], true);
            assert_eq!(notice["data"]["replayedMessagesCount"], 3);
            assert_eq!(notice["data"]["droppedMessagesCount"], 0);
            assert_eq!(notice["data"]["metrics"], json!(["a.*"]));
            for id in ids[3..].iter().chain([&next]) {
                assert_eq!(client.next().await["messageId"], *id);
            }
        }
    }
}

#[tokio::test]
async fn the_counts_of_what_was_dropped_are_exact_over_a_restart() {
    let hub = Hub::with().env("MAX_BUFFER_SIZE", "5").start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let from = api.publish("m", json!(0)).await;
    for n in 1..=20 {
        api.publish("m", json!(n)).await;
    }
    let hub = restarted(hub, false).await;
    for n in 21..=23 {
        hub.api(&ada).publish("m", json!(n)).await;
    }
    let mut client = hub
        .open(Transport::Sse, &format!("?lastEventId={from}"), &ada)
        .await;
    let notice = client.next().await;
    assert_eq!(notice["data"]["replayedMessagesCount"], 5);
    assert_eq!(notice["data"]["droppedMessagesCount"], 18);
    for n in 19..=23 {
        assert_eq!(client.next().await["data"]["m"], n);
    }
}

#[tokio::test]
async fn a_gauge_is_a_gauge_and_a_targeted_message_stays_its_users() {
    let hub = Hub::start().await;
    let (ada, eve) = (token::admin("ada"), token::admin("eve"));
    let api = hub.api(&ada);
    let from = api.publish("m", json!(0)).await;
    for n in 1..=4 {
        let gauge = json!({"metric": "g", "data": n, "retain": "latest"});
        assert_eq!(api.post("/publish", &gauge).await.status, 202);
        let secret = json!({"metric": "s", "data": n, "userId": "ada"});
        assert_eq!(api.post("/publish", &secret).await.status, 202);
    }
    let hub = restarted(hub, false).await;
    let missed = async |token: &str| {
        let mut client = hub
            .open(Transport::Sse, &format!("?lastEventId={from}"), token)
            .await;
        let notice = client.next().await["data"].clone();
        let mut came = Vec::new();
        for _ in 0..notice["replayedMessagesCount"].as_u64().expect("a count") {
            came.push(client.next().await["data"].clone());
        }
        (notice["conflatedMessagesCount"].clone(), came)
    };
    let (conflated, came) = missed(&ada).await;
    assert_eq!(conflated, 3);
    let secrets = came.iter().filter(|data| data["s"].is_u64()).count();
    assert_eq!((came.len(), secrets), (5, 4));
    let (_, came) = missed(&eve).await;
    assert_eq!(came, [json!({"g": 4})]);
    let values: Value = hub.api(&eve).get("/metrics").await.data().clone();
    assert!(values["s"].is_null() && values["g"]["value"] == 4);
}

#[tokio::test]
async fn a_session_that_was_disconnected_or_is_too_old_is_gone() {
    let hub = Hub::with().env("CONNECTION_TIMEOUT", "1500").start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let mut tokens = Vec::new();
    for user in ["old", "ended", "here"] {
        let token = token::admin(user);
        let (client, notice) = hub.opened(Transport::Sse, "", &token).await;
        client.reset();
        tokens.push((token, text(&notice["reconnectToken"]).to_owned()));
    }
    api.sessions_when("?state=away", 3).await;
    let ended = api.post("/disconnect", &json!({"userId": "ended"})).await;
    assert_eq!(ended.status, 200);
    // Written behind the sessions: what is told of these by a crash is old otherwise.
    api.publish("m", json!(1)).await;
    let hub = restarted(hub, false).await;
    let resume = async |index: usize| {
        let (token, reconnect_token): &(String, String) = &tokens[index];
        let path = format!("/reconnect?token={reconnect_token}");
        crate::support::http::status_of(hub.api(token).request(reqwest::Method::GET, &path)).await
    };
    assert_eq!(resume(1).await, 410);
    assert_eq!(resume(2).await, 200);
    // What is left of its time goes on, over the restart.
    hub.api(&ada).sessions_when("?user=old", 0).await;
    assert_eq!(resume(0).await, 410);
}
