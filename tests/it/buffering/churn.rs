//! Connections that come and go by the hundred: nothing of them stays but what can be resumed.
//!
//! `IT_CHURN_SECONDS=60` lets the steady ones come and go for so long.

use std::time::Duration;

use futures::future::join_all;
use tokio::task::JoinSet;
use tokio::time::interval;

use crate::support::A;
use crate::support::either::Transport;
use crate::support::eventually;
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::raw::RawClient;
use crate::support::sse::bearer;
use crate::support::{number, token};

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

/// Of the steady ones.
const PER_SECOND: usize = 500;
const AT_ONCE: usize = 10;
const SECONDS: usize = 4;
/// No limit is to keep them out.
const UNLIMITED: &str = "
[limits]
per_ip_per_second = 1000000
per_ip_burst = 1000000
per_user_per_second = 1000000
per_user_burst = 1000000
[audit]
enabled = false
[log]
filter = \"warn\"
";

/// One connection: a plain request, or a stream of either kind, ended in one of three ways.
async fn comes_and_goes(address: std::net::SocketAddr, number: usize) {
    let user = format!("user-{}", number % USERS);
    let bearer = bearer(&token::admin(&user));
    let rest = match number % 4 {
        0 => "/metrics HTTP/1.1\r\n".to_owned(),
        1 | 2 => "/stream HTTP/1.1\r\n".to_owned(),
        _ => "/websocket HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
              Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            .to_owned(),
    };
    let mut client = RawClient::connect(address).await;
    let head = format!("GET {A}{rest}Host: hub\r\nAuthorization: {bearer}\r\n\r\n");
    client.send(head).await;
    match number / 4 % 3 {
        // Before there is an answer.
        0 => client.reset(),
        1 => {
            client.head().await;
            client.reset();
        }
        _ => {
            client.head().await;
        }
    }
}

/// So many a second, evenly, for so long.
async fn steady(hub: &Hub, seconds: usize) {
    let mut tick = interval(Duration::from_secs(1) * AT_ONCE as u32 / PER_SECOND as u32);
    let mut clients = JoinSet::new();
    for number in 0..seconds * PER_SECOND {
        if number % AT_ONCE == 0 {
            tick.tick().await;
        }
        clients.spawn(comes_and_goes(hub.address, number));
        while clients.try_join_next().is_some() {}
    }
    clients.join_all().await;
}

/// Attack: connection churn.
#[tokio::test]
async fn five_hundred_a_second_leave_nothing_behind() {
    let hub = Hub::with().config(UNLIMITED).start().await;
    let watcher = hub.api(&token::admin("watcher"));
    let settled = async || {
        eventually("every connection to be gone", async || {
            let stats = watcher.get("/connection-stats").await;
            (stats.data()["totalConnections"] == 0).then_some(())
        })
        .await;
        let stats = watcher.get("/connection-stats").await;
        let sessions = stats.data()["reconnectTokensCount"].as_u64();
        assert!(sessions <= Some((USERS * AWAY_MAX) as u64), "{stats:?}");
    };
    // Until it has as many of everything as it ever will.
    steady(&hub, 2).await;
    settled().await;
    let threads = std::thread::available_parallelism().unwrap().get();
    let (memory, descriptors) = (hub.memory(), hub.descriptors() + 2 * threads);
    steady(&hub, number("IT_CHURN_SECONDS").unwrap_or(SECONDS)).await;
    settled().await;
    eventually("every descriptor to be closed", async || {
        (hub.descriptors() <= descriptors).then_some(())
    })
    .await;
    let grown = hub.memory().saturating_sub(memory);
    assert!(grown < 8 * MIB, "{} KiB more", grown / 1024);
    hub.is_at_rest().await;
}
