//! The way to the shared log by itself, with a hub that takes its time.

use std::time::Duration;

use statshub::broker::redis::{AlertNote, Append, Appended, Entry, Event, Part, Redis as Log};
use statshub::config::{self, RedisUrl};
use statshub::domain::message::{Json, MessageId, Priority, Retain, Topic};
use statshub::domain::pattern::MetricName;
use statshub::domain::time::Now;
use statshub::wire::message::Publication;
use tokio::sync::mpsc;

use crate::faults::Wire;
use crate::redis::Redis;
use crate::support::eventually;

/// A hub that has been told everything up to now, and takes in one event at a time, when it is asked to.
async fn hub(address: std::net::SocketAddr, log_messages_max: u64) -> (Log, mpsc::Receiver<Event>) {
    let settings = config::Redis {
        url: None,
        ca_file: None,
        prefix: "statshub".to_owned(),
        acknowledge: config::Acknowledge::Primary,
        replicas: 0,
        timeout: Duration::from_secs(1),
        log_messages_max,
        lease: Duration::from_secs(1),
    };
    let url = RedisUrl::parse(&format!("redis://{address}")).expect("a URL");
    let (events, mut heard) = mpsc::channel(1);
    let part = Part {
        key_ttl: Duration::from_secs(60),
        last: None,
        seen: None,
        about: Box::new(|_| String::new()),
        clock: Box::new(|| Now {
            wall_ms: 0,
            mono: Duration::ZERO,
        }),
        events,
    };
    let (log, keep_up) = Log::new(&settings, &url, part).expect("a way to the log");
    tokio::spawn(keep_up);
    while !matches!(heard.recv().await, Some(Event::Current)) {}
    (log, heard)
}

async fn publish(log: &Log, alert: Option<AlertNote>) -> Appended {
    let publication = Publication {
        topic: Topic::Metric(MetricName::parse("m").expect("a name")),
        data: Json::trusted("1".to_owned()),
        priority: Priority::Normal,
        retain: Retain::All,
    };
    let append = Append {
        publications: vec![publication],
        keys: Vec::new(),
        wall_ms: 0,
        alert,
        held: None,
        trace: Default::default(),
    };
    log.append(append).await.expect("an answer")
}

async fn published(log: &Log) -> MessageId {
    publish(log, None).await.expect("an id")[0]
}

/// The next so many messages.
async fn taken(heard: &mut mpsc::Receiver<Event>, count: usize) -> Vec<MessageId> {
    let mut ids = Vec::new();
    while ids.len() < count {
        if let Event::Entries(entries) = heard.recv().await.expect("more") {
            let messages = entries.iter().filter(|it| matches!(it, Entry::Message(_)));
            ids.extend(messages.map(Entry::id));
        }
    }
    ids
}

#[tokio::test]
async fn what_the_hub_had_not_taken_when_the_connection_failed_is_read_again() {
    let redis = Redis::start().await;
    let wire = Wire::to(redis.address()).await;
    let (log, mut heard) = hub(wire.address(), 1000).await;
    let (publisher, _all) = hub(redis.address(), 1000).await;
    let mut ids = Vec::new();
    for _ in 0..5 {
        ids.push(published(&publisher).await);
        // The first lies in the channel, the second waits before it, and the others are not asked for.
        let read = ids[ids.len().min(2) - 1];
        eventually("it is read", async || {
            (log.health().read >= read).then_some(())
        })
        .await;
    }
    wire.cut();
    eventually("the connection to be there again", async || {
        (log.health().disconnects == 1 && log.is_there()).then_some(())
    })
    .await;
    assert_eq!(taken(&mut heard, ids.len()).await, ids);
}

#[tokio::test]
async fn who_is_far_behind_the_log_takes_alerts_only_until_it_has_caught_up() {
    let redis = Redis::start().await;
    let (log, mut heard) = hub(redis.address(), 20).await;
    let mut ids = Vec::new();
    let refused = loop {
        match publish(&log, None).await {
            Ok(id) => ids.extend(id),
            Err(why) => break why.to_string(),
        }
        assert!(ids.len() < 100, "nothing holds the publisher back");
    };
    assert!(refused.contains("has yet to read"), "{refused}");
    assert!(ids.len() > 10, "{ids:?}");
    let alert = AlertNote {
        text: String::new(),
        change: None,
    };
    ids.extend(publish(&log, Some(alert)).await.expect("an alert is taken"));
    assert_eq!(taken(&mut heard, ids.len()).await, ids);
    assert_eq!(log.health().behind, 0);
    published(&log).await;
}
