//! A publisher at full speed, under which streams are opened, broken and resumed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::support::either::Client;
use crate::support::hub::{Hub, Start};
use crate::support::id::Id;
use crate::support::token;

/// Messages in one request.
const BATCH: u64 = 8;
/// It ends by itself then, so that a test that hangs does not fill the machine.
const COUNT_MAX: u64 = 100_000;

/// Publishes 1, 2, 3, ... of the metric `n` as fast as the hub takes it, and `other` in between.
pub struct Flood {
    stop: Arc<AtomicBool>,
    task: JoinHandle<u64>,
}

/// Hubs that drop nothing of a flood and refuse nobody.
pub fn with_room() -> Start {
    Hub::with()
        .env("MAX_BUFFER_SIZE", "200000")
        .env("MAX_CONNECTIONS_PER_USER", "1000")
        .config(
            "[limits]\nper_user_per_second = 1000000\nper_user_burst = 1000000\n\
             per_ip_per_second = 1000000\nper_ip_burst = 1000000",
        )
}

impl Flood {
    /// Once the first messages are there.
    pub async fn start(hub: &Hub) -> Self {
        let api = hub.api(&token::service("job"));
        api.publish("n", json!(0)).await;
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let mut last = 0;
            while !stopped.load(Ordering::Relaxed) && last < COUNT_MAX {
                let numbers = last + 1..=last + BATCH;
                let mut batch: Vec<Value> = numbers
                    .map(|number| json!({"metric": "n", "data": number}))
                    .collect();
                batch.insert(3, json!({"metric": "other", "data": "x"}));
                let answer = api.post("/publish", &json!({"messages": batch})).await;
                assert_eq!(answer.status, 202, "{answer:?}");
                last += BATCH;
            }
            last
        });
        Self { stop, task }
    }

    /// Stops it and gives the last number.
    pub async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("a publisher")
    }
}

/// How far somebody has read.
#[derive(Debug, Clone, Default)]
pub struct Reader {
    pub number: u64,
    /// Of the newest message, as it stands there.
    pub id: String,
}

impl Reader {
    /// The notice and, on a stream that begins anew, the snapshot, which says where to go on.
    pub async fn open(&mut self, client: &mut Client) -> Value {
        let notice = client.next().await["data"].clone();
        assert_eq!(notice["droppedMessagesCount"], 0, "{notice}");
        if notice["resumed"] == false {
            let snapshot = client.next().await;
            assert_eq!(snapshot["type"], "initial_metrics");
            self.number = snapshot["data"]["n"].as_u64().expect("a number");
            self.take_id(&snapshot);
        }
        notice
    }

    /// The next number, which must be the one after the last.
    pub async fn step(&mut self, client: &mut Client) {
        let message = self.next(client).await;
        assert_eq!(message, self.number + 1, "a gap or a repetition");
        self.number = message;
    }

    /// The next number, whichever it is: more than the last, unless something comes twice.
    pub async fn skip(&mut self, client: &mut Client) {
        let number = self.next(client).await;
        assert!(number > self.number, "{number} after {}", self.number);
        self.number = number;
    }

    async fn next(&mut self, client: &mut Client) -> u64 {
        loop {
            let message = client.next().await;
            assert_eq!(message["type"], "metrics_update", "{message}");
            self.take_id(&message);
            if let Some(number) = message["data"]["n"].as_u64() {
                return number;
            }
        }
    }

    fn take_id(&mut self, message: &Value) {
        let text = message["messageId"].as_str().expect("an id").to_owned();
        if !self.id.is_empty() {
            assert!(Id::of(&json!(text)) > Id::of(&json!(self.id)), "{message}");
        }
        self.id = text;
    }
}
