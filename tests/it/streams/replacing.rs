//! A session that is resumed while its old stream still lives, or seems to.

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::either::{Client, Transport};
use crate::support::eventually;
use crate::support::hub::Hub;
use crate::support::message::text;
use crate::support::token;

/// Attack: one reconnect token used twice, over and over.
#[tokio::test]
async fn a_half_open_stream_holds_up_nobody() {
    // No place is left for another connection, and none is needed.
    let start = Hub::with().env("MAX_CONNECTIONS_PER_USER", "1");
    let hub = start.start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    for old in Transport::BOTH {
        for new in Transport::BOTH {
            let (silent, first) = hub.opened(old, "", &ada).await;
            let from = api.publish("a", json!(1)).await;
            let second = api.publish("a", json!(2)).await;
            let reconnect_token = text(&first["reconnectToken"]);
            let mut again = hub.resume_after(new, reconnect_token, &from, &ada).await;
            let notice = again.opened().await["data"].clone();
            assert_eq!(notice["previousConnectionId"], first["connectionId"]);
            assert_eq!(again.next().await["messageId"], *second);
            let stats = api.get("/connection-stats").await;
            assert_eq!(stats.data()["connectionsByUser"], json!({"ada": 1}));
            drop(silent);
            api.post("/disconnect", &json!({"userId": "ada"})).await;
        }
    }
}

/// A stream on which nobody reads, with more under way than its buffers hold.
async fn stuck(hub: &Hub, transport: Transport) -> (Client, Value, String) {
    let ada = token::admin("ada");
    let mut client = hub.open_narrow(transport, "", &ada).await;
    let notice = client.opened().await["data"].clone();
    let api = hub.api(&token::service("job"));
    let from = api.publish("a", json!(0)).await;
    for number in 1..=50 {
        let data = json!({"number": number, "padding": "x".repeat(16 * 1024)});
        api.publish("a", data).await;
    }
    (client, notice, from)
}

#[tokio::test]
async fn a_stream_on_which_nobody_reads_any_more_can_be_replaced_too() {
    for transport in Transport::BOTH {
        let start = Hub::with().env("MAX_CONNECTIONS_PER_USER", "1");
        let hub = start.start().await;
        let ada = token::admin("ada");
        let (_silent, first, from) = stuck(&hub, transport).await;
        let reconnect_token = text(&first["reconnectToken"]);
        let again = hub.resume_after(transport, reconnect_token, &from, &ada);
        let mut again = again.await;
        let notice = again.opened().await["data"].clone();
        assert_eq!(notice["replayedMessagesCount"], 50);
        for number in 1..=50 {
            assert_eq!(again.next().await["data"]["a"]["number"], number);
        }
    }
}

/// Attack: one reconnect token used twice, over and over.
#[tokio::test]
async fn of_two_clients_with_one_token_the_last_one_wins() {
    for transport in Transport::BOTH {
        let hub = Hub::start().await;
        let ada = token::admin("ada");
        let api = hub.api(&ada);
        let (mut current, first) = hub.opened(transport, "", &ada).await;
        let reconnect_token = text(&first["reconnectToken"]);
        for round in 0..10 {
            let mut next = hub.resume(transport, reconnect_token, &ada).await;
            next.opened().await;
            let (messages, code) = current.ended().await;
            let kinds: Vec<&Value> = messages.iter().map(|it| &it["type"]).collect();
            assert_eq!(kinds, ["connection_replaced"], "round {round}");
            assert_eq!(code, (transport == Transport::WebSocket).then_some(4001));
            let sent = api.publish("a", json!(round)).await;
            assert_eq!(next.next().await["messageId"], *sent);
            current = next;
        }
    }
}

/// Attack: one reconnect token used twice, over and over.
#[tokio::test]
async fn of_many_that_resume_at_once_one_stays_and_the_others_are_told() {
    for transport in Transport::BOTH {
        let start = Hub::with().env("MAX_CONNECTIONS_PER_USER", "1");
        let hub = start.start().await;
        let ada = token::admin("ada");
        let api = hub.api(&ada);
        let (_first, notice) = hub.opened(transport, "", &ada).await;
        let reconnect_token = text(&notice["reconnectToken"]);
        let resume = |_| hub.resume(transport, reconnect_token, &ada);
        let mut clients = join_all((0..20).map(resume)).await;
        let ids = clients.iter_mut().map(async |client| client.opened().await);
        let ids = join_all(ids).await;
        let stats = api.get("/connections?user=ada").await;
        let sessions = stats.data()["connections"].as_array().expect("a list");
        assert_eq!(sessions.len(), 1, "one session, whoever has it");
        let sent = api.publish("a", json!(1)).await;
        let mut stayed = 0;
        for (mut client, notice) in clients.into_iter().zip(ids) {
            let message = client.next().await;
            if message["type"] == "metrics_update" {
                assert_eq!(message["messageId"], *sent);
                let holder = &notice["data"]["connectionId"];
                assert_eq!(*holder, sessions[0]["connectionId"]);
                stayed += 1;
            } else {
                assert_eq!(message["type"], "connection_replaced");
                assert_eq!(client.ended().await.0, [Value::Null; 0]);
            }
        }
        assert_eq!(stayed, 1);
    }
}

#[tokio::test]
async fn a_session_moves_to_the_other_transport_and_back() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let (mut client, notice) = hub.opened(Transport::Sse, "?metrics=a", &ada).await;
    let reconnect_token = text(&notice["reconnectToken"]);
    for transport in [Transport::WebSocket, Transport::Sse, Transport::WebSocket] {
        let last = api.publish("a", json!(0)).await;
        client.came("metrics_update").await;
        client.reset();
        let missed = api.publish("a", json!(1)).await;
        client = hub
            .resume_after(transport, reconnect_token, &last, &ada)
            .await;
        let resumed = client.opened().await;
        assert_eq!(resumed["type"], "reconnection_successful");
        assert_eq!(resumed["data"]["resumed"], true);
        assert_eq!(client.next().await["messageId"], *missed);
        // It counts where it is now.
        eventually("it to be counted", async || {
            let stats = api.get("/connection-stats").await;
            let live = |name: &str| stats.data()[name]["totalConnections"].clone();
            let other = Transport::BOTH.map(|it| json!(i32::from(it == transport)));
            (Transport::BOTH.map(|it| live(it.name())) == other).then_some(())
        })
        .await;
        let test = json!({"connectionType": transport.name()});
        api.post("/test-connection", &test).await;
        assert_eq!(client.next().await["type"], "test_message");
    }
}
