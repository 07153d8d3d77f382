//! Connections that come and go by the hundred: nothing of them stays but what can be resumed.

use futures::future::join_all;

use crate::support::A;
use crate::support::either::Transport;
use crate::support::eventually;
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::raw::RawClient;
use crate::support::sse::bearer;
use crate::support::token;

const USERS: usize = 10;
const EACH: usize = 30;
/// Twice the default of `MAX_CONNECTIONS_PER_USER`.
const AWAY_MAX: usize = 10;
const MIB: usize = 1024 * 1024;

/// One user's connections, one after another, each ended in another way.
async fn come_and_go(hub: &Hub, user: &str) {
    let token = token::admin(user);
    for number in 0..EACH {
        let transport = Transport::BOTH[number % 2];
        let mut client = hub.open(transport, "", &token).await;
        match number / 2 % 4 {
            // Before it has read a thing.
            0 => client.reset(),
            1 => drop(client),
            2 => {
                client.opened().await;
                client.reset();
            }
            _ => {
                client.goodbye().await;
            }
        }
    }
}

/// Connections that end before there is a stream, and some that never get one.
async fn fail(hub: &Hub, user: &str) {
    let bearer = bearer(&token::admin(user));
    for number in 0..EACH {
        let mut client = RawClient::connect(hub.address).await;
        let head = format!("GET {A}/stream HTTP/1.1\r\nHost: hub\r\n");
        match number % 3 {
            0 => client.send(&head[..20]).await,
            1 => client.send(format!("{head}\r\n")).await,
            // Gone, perhaps, while the Hub still thinks about it.
            _ => {
                client
                    .send(format!("{head}Authorization: {bearer}\r\n\r\n"))
                    .await
            }
        }
        client.reset();
    }
}

async fn churn(hub: &Hub, watcher: &Api) {
    let users: Vec<String> = (0..USERS).map(|number| format!("user-{number}")).collect();
    join_all(users.iter().map(|user| come_and_go(hub, user))).await;
    join_all(users.iter().map(|user| fail(hub, user))).await;
    eventually("every connection to be gone", async || {
        let stats = watcher.get("/connection-stats").await;
        (stats.data()["totalConnections"] == 0).then_some(())
    })
    .await;
}

/// Attack: connection churn.
#[tokio::test]
async fn of_connections_that_come_and_go_only_the_last_sessions_stay() {
    let hub = Hub::start().await;
    let watcher = hub.api(&token::admin("watcher"));
    watcher.get("/connection-stats").await;
    // Each of its threads goes on to need two once it had a stream.
    let threads = std::thread::available_parallelism().unwrap().get();
    let descriptors = hub.descriptors() + 2 * threads;
    churn(&hub, &watcher).await;
    for number in 0..USERS {
        // A request that came before its client's end may yet be opened and ended.
        let all = format!("?user=user-{number}");
        let away = format!("{all}&state=away");
        watcher.sessions_when(&all, AWAY_MAX).await;
        watcher.sessions_when(&away, AWAY_MAX).await;
    }
    let stats = watcher.get("/connection-stats").await;
    assert_eq!(stats.data()["reconnectTokensCount"], USERS * AWAY_MAX);
    assert_eq!(stats.data()["connectionsByUser"], serde_json::json!({}));
    eventually("every descriptor to be closed", async || {
        (hub.descriptors() <= descriptors).then_some(())
    })
    .await;

    // A second time it needs no more than the first.
    let (memory, descriptors) = (hub.memory(), hub.descriptors());
    churn(&hub, &watcher).await;
    let grown = hub.memory().saturating_sub(memory);
    assert!(grown < 8 * MIB, "{} KiB more", grown / 1024);
    eventually("every descriptor to be closed", async || {
        (hub.descriptors() <= descriptors).then_some(())
    })
    .await;
}
