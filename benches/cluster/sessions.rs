//! What hubs and sessions cost Redis while nothing is published, and what a message costs it to keep.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::client::Client;
use crate::publishers;
use crate::redis::Books;
use crate::site::{Shape, Site};

pub const CLIENTS: usize = 500;
/// Connections of each user.
pub const OF_ONE_USER: usize = 4;
/// A thirtieth of the usual, to see many in a short time.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// How long is looked.
const WATCHED: Duration = Duration::from_secs(5);
/// Until what has changed is written down.
const SETTLED: Duration = Duration::from_secs(1);
const FILLING: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy)]
pub struct Costs {
    /// Of a hub without clients, in a second.
    pub idle: Books,
    /// Of a stream that is opened, until its session is written down.
    pub opening: Books,
    /// Of a position, which is written for each client with each heartbeat.
    pub position: Books,
    /// Of a session's hash, while its client is there and when it is away.
    pub live_bytes: f64,
    pub away_bytes: f64,
    /// Of a user's hash, for each connection.
    pub slot_bytes: f64,
    /// Of a message in the log, and of a metric's newest value, which is kept beside it.
    pub message_bytes: f64,
    pub newest_bytes: f64,
}

pub async fn run() -> Costs {
    let mut site = Site::with(Shape::Hubs(1), Some(HEARTBEAT)).await;
    let idle = watched(&mut site).await / WATCHED.as_secs_f64();
    let (began, before) = (Instant::now(), site.redis().books().await);
    let clients = opened(&site).await;
    sleep(SETTLED).await;
    let opening = site.redis().books().await - before - idle * began.elapsed().as_secs_f64();
    let live_bytes = site.redis().mean_bytes("{statshub}:session:*").await;
    let of_user = site.redis().mean_bytes("{statshub}:live:*").await;
    let beating = watched(&mut site).await;
    let writing = beating - idle * WATCHED.as_secs_f64();
    drop(clients);
    sleep(SETTLED).await;
    let away_bytes = site.redis().mean_bytes("{statshub}:session:*").await;
    publishers::run(&mut site, 1, 1, FILLING).await;
    let redis = site.redis();
    let messages: f64 = redis.ask(&["XLEN", "{statshub}:log"]).await;
    let metrics: f64 = redis.ask(&["HLEN", "{statshub}:latest"]).await;
    Costs {
        idle,
        opening: opening / CLIENTS as f64,
        position: writing / beating.renewals,
        live_bytes,
        away_bytes,
        slot_bytes: of_user / OF_ONE_USER as f64,
        message_bytes: redis.mean_bytes("{statshub}:log").await / messages,
        newest_bytes: redis.mean_bytes("{statshub}:latest").await / metrics,
    }
}

async fn watched(site: &mut Site) -> Books {
    let before = site.redis().books().await;
    sleep(WATCHED).await;
    site.redis().books().await - before
}

async fn opened(site: &Site) -> Vec<Client> {
    let hub = site.addresses()[0];
    let mut clients = Vec::new();
    for nth in 0..CLIENTS {
        let user = format!("user-{}", nth / OF_ONE_USER);
        let client = Client::open(hub, &user, "orders.shop-1").await;
        clients.push(client.expect("a stream"));
    }
    clients
}
