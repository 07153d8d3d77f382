//! A source is read by one of several hubs, and by another one when that has ended.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::member;
use crate::scenario::LEASE;
use crate::support::hub::Hub;
use crate::support::redis::Redis;
use crate::support::{eventually, token};

/// Counts how often it was asked, and answers with that.
async fn counter() -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let asked = Arc::<AtomicU64>::default();
    let count = asked.clone();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let count = count.clone();
            tokio::spawn(async move {
                let mut request = [0; 4096];
                while socket.read(&mut request).await.is_ok_and(|bytes| bytes > 0) {
                    let body = (count.fetch_add(1, Ordering::Relaxed) + 1).to_string();
                    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n";
                    let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
                    if socket.write_all(answer.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (format!("http://{address}/"), asked)
}

async fn hub(redis: &Redis, source: &str) -> Hub {
    let config = format!(
        "[redis]\nlease_ms = {LEASE}\n[store]\ndurability = \"memory\"\n\
         [[source]]\nmetric = \"counter\"\nkind = \"http\"\nurl = \"{source}\"\ninterval_ms = 100\n"
    );
    member::start(redis.address(), &config).await
}

/// Which of the hubs reads it, once one does.
async fn reader(hubs: &[Hub]) -> usize {
    eventually("one hub reads the source", async || {
        for (nth, hub) in hubs.iter().enumerate() {
            let health = hub.api(&token::admin("ada")).get("/api/health").await;
            let source = &health.data()["checks"]["sources"][0];
            if source["elsewhere"].is_null() && source["polls"].as_u64() > Some(0) {
                return Some(nth);
            }
        }
        None
    })
    .await
}

#[tokio::test]
async fn a_source_is_read_by_one_hub_at_a_time_however_that_ends() {
    let redis = Redis::start().await;
    let (url, asked) = counter().await;
    let mut hubs = Vec::new();
    for _ in 0..3 {
        hubs.push(hub(&redis, &url).await);
    }
    for in_order in [true, false] {
        let nth = reader(&hubs).await;
        let watched = (nth + 1) % hubs.len();
        let mut client = hubs[watched]
            .sse("/stream?metrics=counter", &token::admin("ada"))
            .await;
        client.opened().await;
        let mut last = 0;
        let mut next = async || {
            let update = client.next_message("metrics_update").await;
            update["data"]["counter"].as_u64().expect("a number")
        };
        for _ in 0..10 {
            let value = next().await;
            // Every answer comes once, whoever asked: none is left out, as two readers would leave some out.
            assert!(last == 0 || value == last + 1, "{value} after {last}");
            last = value;
        }
        let mut gone = hubs.remove(nth);
        match in_order {
            true => {
                gone.stop().await;
            }
            false => gone.crash().await,
        }
        // One answer may have been on its way to the hub that is gone.
        let value = next().await;
        assert!(
            (last + 1..=last + 2).contains(&value),
            "{value} after {last}"
        );
        last = value;
        for _ in 0..5 {
            let value = next().await;
            assert_eq!(value, last + 1);
            last = value;
        }
    }
    let last: Value = asked.load(Ordering::Relaxed).into();
    assert!(last.as_u64() > Some(30));
}
