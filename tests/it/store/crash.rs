//! kill -9 at any moment, again and again, under publishers that retry and clients that come back.
//!
//! `IT_CRASHES=200` makes it so many.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::follower::Follower;
use crate::support::database::{self, with_url};
use crate::support::hub::Hub;
use crate::support::id::Id;
use crate::support::rng::Rng;
use crate::support::sse::bearer;
use crate::support::{A, number, token};

const FOLLOWERS: usize = 50;
const PUBLISHERS: usize = 4;
const CONFIG: &str = r#"
[sessions]
backlog_messages_max = 100000
[limits]
per_ip_per_second = 1000000
per_ip_burst = 1000000
[audit]
enabled = false
[log]
filter = "warn"
"#;

/// Publishes one thing after the other, each until the hub says that it has it. Returns ids and values
/// as they were acknowledged.
async fn publisher(hub: SocketAddr, number: usize, stop: Arc<AtomicBool>) -> Vec<(String, Value)> {
    let client = reqwest::Client::new();
    let authorization = bearer(&token::admin(&format!("publisher-{number}")));
    let mut acknowledged = Vec::new();
    let mut n = 0;
    while !stop.load(Ordering::Relaxed) {
        n += 1;
        let value = json!([number, n]);
        let body = json!({"metric": format!("m.{}", n % 3), "data": value});
        let id = loop {
            let request = client
                .post(format!("http://{hub}{A}/publish"))
                .header("authorization", &authorization)
                .header("idempotency-key", format!("{n}"))
                .json(&body);
            if let Ok(answer) = request.send().await
                && answer.status() == 202
                && let Ok(answer) = answer.json::<Value>().await
            {
                break answer["data"]["messageId"]
                    .as_str()
                    .expect("an id")
                    .to_owned();
            }
            sleep(Duration::from_millis(5)).await;
        };
        acknowledged.push((id, value));
    }
    acknowledged
}

/// Failure: the process is killed.
#[tokio::test]
async fn what_was_acknowledged_reaches_everybody_once_and_in_order_over_thirty_crashes() {
    crashes(CONFIG, number("IT_CRASHES").unwrap_or(30)).await;
}

/// Failure: the process is killed.
#[tokio::test]
async fn so_it_does_where_the_store_is_a_database() {
    crashes(&with_url(CONFIG, &database::new()), 15).await;
}

async fn crashes(config: &str, crashes: usize) {
    let mut hub = Hub::with().config(config).start().await;
    let address = hub.address;
    let mut followers: Vec<_> = (0..FOLLOWERS).map(Follower::new).collect();
    join_all(
        followers
            .iter_mut()
            .map(|follower| follower.begins(address)),
    )
    .await;

    let stop = Arc::<AtomicBool>::default();
    let publishers = (0..PUBLISHERS).map(|it| tokio::spawn(publisher(address, it, stop.clone())));
    let publishers: Vec<_> = publishers.collect();
    let end = json!("the end");
    let following = followers.into_iter().map(|follower| {
        let end = end.clone();
        tokio::spawn(async move { follower.follows_to(address, &end).await })
    });
    let following: Vec<_> = following.collect();

    let mut rng = Rng::new(1);
    for crash in 0..crashes {
        // Every other time all of them are back, or hardly any would ever be where it is slow.
        if crash % 2 == 0 {
            let watcher = hub.api(&token::admin("watcher"));
            watcher.sessions_when("?state=live", FOLLOWERS).await;
        }
        sleep(Duration::from_millis(rng.between(1, 300) as u64)).await;
        hub.crash().await;
        hub = hub.again().await;
    }
    stop.store(true, Ordering::Relaxed);
    let mut acknowledged: Vec<(String, Value)> = Vec::new();
    for publisher in publishers {
        acknowledged.extend(publisher.await.expect("a publisher"));
    }
    let ada = hub.api(&token::admin("ada"));
    let last = ada.publish("m.end", end.clone()).await;
    acknowledged.push((last, end));

    let unique: HashSet<_> = acknowledged.iter().map(|(id, _)| id).collect();
    assert_eq!(
        unique.len(),
        acknowledged.len(),
        "each has an id of its own"
    );
    acknowledged.sort_by_key(|(id, _)| Id::of(&json!(id)));
    let mut resumes = 0;
    for follower in following {
        let follower = follower.await.expect("a follower");
        assert_eq!(
            follower.told,
            Vec::<Value>::new(),
            "nothing was lost or unknown"
        );
        assert_eq!(follower.seen.len(), acknowledged.len());
        assert!(
            follower.seen == acknowledged,
            "all of it, once and in order"
        );
        resumes += follower.resumes;
    }
    assert!(
        resumes >= FOLLOWERS * (crashes / 2 - 1),
        "{resumes} resumes are too few to tell"
    );
    assert!(
        acknowledged.len() > crashes,
        "{} messages",
        acknowledged.len()
    );
}
