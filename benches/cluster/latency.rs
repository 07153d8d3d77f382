//! From a publish to its arrival at subscribers, at the publisher's hub and at others, at a rate that
//! every hub can hold.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use crate::client::{Client, numbered};
use crate::http::{Connection, publication};
use crate::site::{Site, Spent};

pub const PER_SECOND: usize = 200;
/// They take turns, so that none waits for the answer of the one before.
const PUBLISHERS: usize = 4;
const METRIC: &str = "latency.probe";
/// How long the last message may be on its way.
const ARRIVES_WITHIN: Duration = Duration::from_secs(2);

/// What a light rate is served like, and what it takes.
#[derive(Debug)]
pub struct Light {
    /// Of each message, at the hub where it was published.
    pub same: Vec<Duration>,
    /// At each of the other hubs.
    pub other: Vec<Duration>,
    pub messages: f64,
    pub spent: Spent,
}

/// When each message was published.
type Sent = Arc<Mutex<Vec<Option<Instant>>>>;

/// Publishes at the first hub, and has a subscriber at each.
pub async fn run(site: &mut Site, time: Duration) -> Light {
    let messages = (time.as_secs_f64() * PER_SECOND as f64) as usize;
    let sent: Sent = Arc::new(Mutex::new(vec![None; messages]));
    let mut subscribers = Vec::new();
    for hub in site.addresses() {
        let client = Client::open(hub, "subscriber", METRIC).await;
        let client = client.expect("a stream");
        subscribers.push(tokio::spawn(receive(client, sent.clone(), messages)));
    }
    let before = site.spent().await;
    publish_all(site.addresses()[0], &sent, messages).await;
    let mut latencies = Vec::new();
    for subscriber in subscribers {
        latencies.push(received(subscriber).await);
    }
    let spent = site.spent().await - before;
    let same = latencies.remove(0);
    Light {
        same,
        other: latencies.concat(),
        messages: messages as f64,
        spent,
    }
}

async fn received(subscriber: JoinHandle<Vec<Duration>>) -> Vec<Duration> {
    let all = timeout(ARRIVES_WITHIN, subscriber).await;
    all.expect("every message").expect("a subscriber")
}

async fn receive(mut client: Client, sent: Sent, messages: usize) -> Vec<Duration> {
    let mut latencies = Vec::with_capacity(messages);
    while latencies.len() < messages {
        let number = client.next_number().await.expect("a stream");
        let now = Instant::now();
        let sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
        latencies.push(now - sent[number].expect("a message that was sent"));
    }
    latencies
}

async fn publish_all(hub: SocketAddr, sent: &Sent, messages: usize) {
    let every = Duration::from_secs(1) / PER_SECOND as u32;
    let began = Instant::now() + every;
    let publishers = (0..PUBLISHERS).map(|nth| {
        let sent = sent.clone();
        tokio::spawn(async move {
            let mut connection = Connection::open(hub).await;
            let mut ticks = interval_at(began + every * nth as u32, every * PUBLISHERS as u32);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for number in (nth..messages).step_by(PUBLISHERS) {
                let request = publication(&numbered(METRIC, number));
                ticks.tick().await;
                sent.lock().unwrap_or_else(PoisonError::into_inner)[number] = Some(Instant::now());
                connection.publish(&request).await;
            }
        })
    });
    for publisher in publishers.collect::<Vec<_>>() {
        publisher.await.expect("a publisher");
    }
    sleep(every).await;
}
