//! Counts up, as fast as it is answered and most are told.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::support::{A, token};

/// So many may be on their way to those who are there: what goes to thousands takes longer than to be published.
const AHEAD_MAX: u64 = 50;

/// Between tries where a hub does not take it.
const PAUSE: Duration = Duration::from_millis(20);

pub struct Publisher {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    published: AtomicU64,
    most_have: AtomicU64,
    stops: AtomicBool,
    /// Of what was taken at the first try: how long that took.
    latencies: Mutex<Vec<Duration>>,
}

impl Publisher {
    pub fn start(hubs: Arc<[SocketAddr]>) -> Self {
        let shared = Arc::<Shared>::default();
        let task = tokio::spawn(publish(shared.clone(), hubs));
        Self { shared, task }
    }

    /// The newest value that is certainly in the log.
    pub fn published(&self) -> u64 {
        self.shared.published.load(Ordering::Relaxed)
    }

    /// How long publishers waited since this was last asked, in words.
    pub fn latencies(&self) -> String {
        let mut all = std::mem::take(&mut *self.shared.latencies.lock().expect("no panic"));
        all.sort_unstable();
        let at = |share: usize| all.get(all.len().saturating_sub(1) * share / 100);
        format!(
            "{} published at the first try: p50 {:?}, p99 {:?}, at most {:?}",
            all.len(),
            at(50),
            at(99),
            at(100)
        )
    }

    /// Up to where most of those who are there have it all.
    pub fn most_have(&self, value: Option<u64>) {
        let value = value.unwrap_or_default();
        self.shared.most_have.fetch_max(value, Ordering::Relaxed);
    }

    /// Gives the last value.
    pub async fn stop(&self) -> u64 {
        self.shared.stops.store(true, Ordering::Relaxed);
        while !self.task.is_finished() {
            sleep(PAUSE).await;
        }
        self.published()
    }
}

async fn publish(shared: Arc<Shared>, hubs: Arc<[SocketAddr]>) {
    let client = Client::builder().no_proxy().timeout(Duration::from_secs(3));
    let (client, jwt) = (client.build().expect("a client"), token::service("counter"));
    let mut hub = 0;
    for value in 1.. {
        while value > shared.most_have.load(Ordering::Relaxed) + AHEAD_MAX {
            if shared.stops.load(Ordering::Relaxed) {
                return;
            }
            sleep(Duration::from_millis(1)).await;
        }
        let body = json!({"metric": "n", "data": value});
        let mut is_first = true;
        loop {
            let begun = Instant::now();
            let request = client.post(format!("http://{}{A}/publish", hubs[hub]));
            let request = request.bearer_auth(&jwt).json(&body);
            let key = format!("count-{value}");
            let answer = request.header("idempotency-key", key).send().await;
            match answer.map(|answer| answer.status().as_u16()) {
                Ok(202) if is_first => {
                    let mut all = shared.latencies.lock().expect("no panic");
                    all.push(begun.elapsed());
                    break;
                }
                Ok(202) => break,
                Ok(429 | 503) | Err(_) => {
                    is_first = false;
                    hub = (hub + 1) % hubs.len();
                    sleep(PAUSE).await;
                }
                Ok(status) => panic!("{value} was answered with {status}"),
            }
        }
        shared.published.store(value, Ordering::Relaxed);
        if shared.stops.load(Ordering::Relaxed) {
            return;
        }
    }
}
