//! A hub is killed with all of its clients on it, and they go on at the others.

use std::io::Result;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::client::{Client, numbered};
use crate::http::{Connection, publication};
use crate::redis::Books;
use crate::sessions::{CLIENTS, OF_ONE_USER};
use crate::site::{Shape, Site};

const METRIC: &str = "orders.shop-1";
/// What clients have before the hub is killed, and what they missed when they are back.
const HAD: usize = 0;
const MISSED: usize = 1;
/// Until the sessions are written down.
const SETTLED: Duration = Duration::from_secs(1);
const TRIES_AGAIN_AFTER: Duration = Duration::from_millis(50);

/// How a client comes back.
#[derive(Debug, Clone, Copy)]
pub enum Manner {
    AtOnce,
    /// After the three seconds that hubs tell an EventSource to wait, and with each attempt again.
    EventSource,
}

impl Manner {
    fn waits(self) -> Duration {
        match self {
            Self::AtOnce => Duration::ZERO,
            Self::EventSource => Duration::from_secs(3),
        }
    }
}

#[derive(Debug, Clone, Copy)]
pub struct Failover {
    /// From the kill until half and all of the clients had what they missed.
    pub half: Duration,
    pub all: Duration,
    /// What Redis did for each.
    pub resume: Books,
    /// Entries that hubs wrote into the log for it, all together.
    pub entries: f64,
    /// Attempts that failed.
    pub failed: usize,
}

pub async fn run(manner: Manner) -> Failover {
    let mut site = Site::start(Shape::Hubs(3)).await;
    let addresses = site.addresses();
    let (had, mut all_had) = mpsc::channel(CLIENTS);
    let clients = (0..CLIENTS).map(|nth| {
        let client = Visitor {
            nth,
            manner,
            hubs: addresses.clone(),
        };
        tokio::spawn(client.run(had.clone()))
    });
    let clients: Vec<_> = clients.collect();
    for _ in 0..CLIENTS {
        all_had.recv().await.expect("a client with its stream");
    }
    let mut publisher = Connection::open(addresses[1]).await;
    let publish = |number| publication(&numbered(METRIC, number));
    publisher.publish(&publish(HAD)).await;
    for _ in 0..CLIENTS {
        all_had.recv().await.expect("a client with the message");
    }
    sleep(SETTLED).await;
    let entries: f64 = site.redis().ask(&["XLEN", "{statshub}:log"]).await;
    let before = site.redis().books().await;
    let killed = Instant::now();
    drop(site.hubs.remove(0));
    publisher.publish(&publish(MISSED)).await;
    let (mut back, mut failed, mut streams) = (Vec::new(), 0, Vec::new());
    for client in clients {
        let (at, attempts, stream) = client.await.expect("a client");
        back.push(at - killed);
        failed += attempts;
        streams.push(stream);
    }
    back.sort_unstable();
    let after: f64 = site.redis().ask(&["XLEN", "{statshub}:log"]).await;
    Failover {
        half: back[CLIENTS / 2],
        all: back[CLIENTS - 1],
        resume: (site.redis().books().await - before) / CLIENTS as f64,
        // One of them is the message.
        entries: after - entries - 1.0,
        failed,
    }
}

struct Visitor {
    nth: usize,
    manner: Manner,
    hubs: Vec<SocketAddr>,
}

impl Visitor {
    /// Returns when it was back, how often it had tried in vain, and its stream. Tells `had` that it has its stream,
    /// and that it has the first message.
    async fn run(self, had: mpsc::Sender<()>) -> (Instant, usize, Client) {
        let user = format!("user-{}", self.nth / OF_ONE_USER);
        let mut client = Client::open(self.hubs[0], &user, METRIC)
            .await
            .expect("a stream");
        had.send(()).await.expect("somebody waits");
        assert_eq!(client.next_number().await.expect("a message"), HAD);
        had.send(()).await.expect("somebody waits");
        while client.next().await.is_ok() {}
        let mut failed = 0;
        sleep(self.manner.waits()).await;
        loop {
            match self.comes_back(&client, failed).await {
                Ok(client) => return (Instant::now(), failed, client),
                Err(_) => failed += 1,
            }
            sleep(self.manner.waits().max(TRIES_AGAIN_AFTER)).await;
        }
    }

    /// Of the hubs that are left one after the other.
    async fn comes_back(&self, client: &Client, attempt: usize) -> Result<Client> {
        let left = &self.hubs[1..];
        let hub = left[(self.nth + attempt) % left.len()];
        let mut client = Client::resume(hub, client.session.clone()).await?;
        while client.next_number().await? != MISSED {}
        Ok(client)
    }
}
