//! How the hub learns that a client has gone, and what that frees.

use serde_json::json;

use crate::support::either::{Client, Transport};
use crate::support::eventually;
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::message::text;
use crate::support::token;

/// How a client goes.
#[derive(Debug, Clone, Copy)]
enum Way {
    Reset,
    /// As a browser does that closes a tab: nothing more is said.
    Close,
    /// It has nothing more to say, and still listens.
    Finish,
}

async fn go(client: Client, way: Way) -> Option<Client> {
    match (way, client) {
        (Way::Reset, client) => client.reset(),
        (Way::Close, client) => drop(client),
        (Way::Finish, Client::Sse(mut client)) => {
            client.finish().await;
            return Some(Client::Sse(client));
        }
        (Way::Finish, Client::WebSocket(client)) => drop(client.close().await),
    }
    None
}

async fn live(api: &Api) -> u64 {
    let stats = api.get("/connection-stats").await;
    let live = stats.data()["totalConnections"].as_u64();
    live.expect("a count")
}

/// Attack: connection churn.
#[tokio::test]
async fn a_client_that_goes_is_noticed_and_its_place_is_free() {
    let start = Hub::with().env("MAX_CONNECTIONS_PER_USER", "1");
    let hub = start.start().await;
    let ada = token::admin("ada");
    let api = hub.api(&token::admin("watcher"));
    for transport in Transport::BOTH {
        for way in [Way::Reset, Way::Close, Way::Finish] {
            let (client, notice) = hub.opened(transport, "?metrics=a", &ada).await;
            assert_eq!(live(&api).await, 1);
            let _half = go(client, way).await;
            eventually(&format!("{way:?} over {transport:?}"), async || {
                (live(&api).await == 0).then_some(())
            })
            .await;
            // Its session waits for it, and the place is for anybody.
            let missed = api.publish("a", json!(1)).await;
            let (other, other_notice) = hub.opened(transport, "", &ada).await;
            let reconnect_token = text(&notice["reconnectToken"]);
            let path = format!("/reconnect?token={reconnect_token}");
            let full = hub.api(&ada).get(&path).await;
            assert_eq!(full.failure(), (429, "connection_limit"));
            hub.lose(other, &other_notice).await;
            let mut again = hub.resume(transport, reconnect_token, &ada).await;
            assert_eq!(again.opened().await["data"]["resumed"], true);
            assert_eq!(again.next().await["messageId"], *missed);
            api.post("/disconnect", &json!({"userId": "ada"})).await;
        }
    }
}

#[tokio::test]
async fn a_client_that_went_before_it_read_anything_gets_everything_when_it_comes_back() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    api.publish("a", json!("before")).await;
    let client = hub.sse("/stream", &ada).await;
    let reconnect_token = client.reconnect_token().to_owned();
    client.reset();
    api.publish("a", json!("after")).await;
    // It cannot have seen a snapshot that the hub may have sent: only its position tells.
    let path = format!("/reconnect?token={reconnect_token}");
    let mut again = hub.sse_after(&path, &ada, "0-0").await;
    let notice = again.next().await;
    assert_eq!(notice["type"], "reconnection_successful");
    assert_eq!(notice["data"]["resumed"], false);
    let snapshot = again.next().await;
    assert_eq!(snapshot["data"], json!({"a": "after"}));
}

/// Attack: connection churn.
#[tokio::test]
async fn many_that_come_and_go_leave_no_connection_behind() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&token::admin("watcher"));
    for round in 0..40 {
        let transport = Transport::BOTH[round % 2];
        // As soon as it is there, or as soon as it has said something.
        let mut client = hub.open(transport, "", &ada).await;
        if round % 3 == 0 {
            client.opened().await;
        }
        client.reset();
    }
    eventually("all to be gone", async || {
        (live(&api).await == 0).then_some(())
    })
    .await;
    let stats = api.get("/connection-stats").await;
    let kept = stats.data()["reconnectTokensCount"].as_u64();
    // Twice as many as may be connected.
    assert!(kept.is_some_and(|kept| kept <= 10), "{kept:?}");
}
