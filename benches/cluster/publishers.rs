//! As many messages as go through, and what each of them costs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::client::{Client, numbered};
use crate::http::{Connection, publication};
use crate::site::{Site, Spent};

/// Over all hubs, each with one request under way. The same number however many hubs there are.
pub const PUBLISHERS: usize = 48;
/// Of a message's data.
pub const DATA_BYTES: usize = 512;
const METRICS: usize = 10;
/// Of the message that comes last, which is awaited at every hub.
const LAST: &str = "load.last";
/// Begun and not counted.
const WARM_UP: Duration = Duration::from_millis(400);

/// Loads so far: the last message of each has a number of its own.
static RUNS: AtomicUsize = AtomicUsize::new(0);

/// What went through, and what it took until every hub had it.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    pub per_second: f64,
    /// All of them, the warm-up's too.
    pub messages: f64,
    pub spent: Spent,
    /// After the last message was taken until every hub had read it.
    pub behind: Duration,
    /// Hubs that were so far behind that the log had not any more what they were to read next.
    pub lost: usize,
}

/// Publishes at the first so many hubs of a site, `batch` messages to a request.
pub async fn run(site: &mut Site, hubs: usize, batch: usize, time: Duration) -> Load {
    let run = RUNS.fetch_add(1, Ordering::Relaxed);
    let addresses = site.addresses();
    let mut watchers = Vec::new();
    for hub in &addresses {
        let watcher = Client::open(*hub, "watcher", LAST).await;
        watchers.push(watcher.expect("a stream"));
    }
    let taken = Arc::<AtomicU64>::default();
    let ends = Arc::<AtomicBool>::default();
    let before = site.spent().await;
    let publishers = (0..PUBLISHERS).map(|nth| {
        let hub = addresses[nth % hubs];
        tokio::spawn(publish(hub, nth, batch, taken.clone(), ends.clone()))
    });
    let publishers: Vec<_> = publishers.collect();
    sleep(WARM_UP).await;
    let (began, first) = (Instant::now(), taken.load(Ordering::Relaxed));
    sleep(time).await;
    let counted = taken.load(Ordering::Relaxed) - first;
    let per_second = counted as f64 / began.elapsed().as_secs_f64();
    ends.store(true, Ordering::Relaxed);
    for publisher in publishers {
        publisher.await.expect("a publisher");
    }
    let ended = Instant::now();
    let last = publication(&numbered(LAST, run));
    Connection::open(addresses[0]).await.publish(&last).await;
    let mut lost = 0;
    for mut watcher in watchers {
        while watcher.next_number().await.expect("a stream") != run {}
        lost += watcher.anew;
    }
    Load {
        per_second,
        messages: taken.load(Ordering::Relaxed) as f64,
        spent: site.spent().await - before,
        behind: ended.elapsed(),
        lost,
    }
}

async fn publish(
    hub: SocketAddr,
    nth: usize,
    batch: usize,
    taken: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
) {
    let request = publication(&match batch {
        1 => message(nth),
        _ => {
            let messages: Vec<_> = (nth..nth + batch).map(message).collect();
            format!(r#"{{"messages":[{}]}}"#, messages.join(","))
        }
    });
    let mut connection = Connection::open(hub).await;
    while !ends.load(Ordering::Relaxed) {
        connection.publish(&request).await;
        taken.fetch_add(batch as u64, Ordering::Relaxed);
    }
}

fn message(nth: usize) -> String {
    let frame = r#"{"text":""}"#.len();
    let text = "x".repeat(DATA_BYTES - frame);
    let metric = nth % METRICS;
    format!(r#"{{"metric":"orders.shop-{metric}","data":{{"text":"{text}"}}}}"#)
}
