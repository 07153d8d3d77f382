//! One of several hubs writes the log down.

use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;

use super::*;
use crate::domain::alert::{AlertState, Severity};
use crate::domain::message::{MessageId, Priority, Topic, UserId};
use crate::store::{AlertChange, AlertStep, AlertWrite};

fn id(n: u64) -> MessageId {
    MessageId::new(BEGIN_MS + n, 1).unwrap()
}

/// A log in memory, of which every hub has the same; what is gone from its beginning; and where it ends.
#[derive(Clone, Default)]
struct Shared(Arc<Mutex<(Vec<Entry>, MessageId, MessageId)>>);

impl Shared {
    fn add(&self, numbers: std::ops::RangeInclusive<u64>) {
        for n in numbers {
            let topic = metric(&format!("m{}", n % 7));
            self.push(message(n, topic, Priority::Low), None);
        }
    }

    fn push(&self, message: Arc<crate::domain::message::Message>, alert: Option<AlertWrite>) {
        self.0.lock().unwrap().0.push(Entry {
            key: Some(keyed(&message.id.to_string(), "x")),
            message,
            wall_ms: BEGIN_MS,
            alert,
        });
    }

    /// The oldest go, up to this one.
    fn trim(&self, to: MessageId) {
        let mut log = self.0.lock().unwrap();
        log.0.retain(|entry| entry.message.id > to);
        log.1 = to;
    }
}

impl Log for Shared {
    fn after(&mut self, id: MessageId, max: usize) -> BoxFuture<'_, Result<Entries, String>> {
        let log = self.0.lock().unwrap();
        let later = log.0.iter().filter(|entry| entry.message.id > id);
        let list: Vec<_> = later.take(max).cloned().collect();
        let last = list.last().map_or(id, |entry| entry.message.id);
        let entries = Entries {
            after: id.max(log.1),
            // Where there are no more messages, what hubs tell each other may follow.
            to: match list.len() < max {
                true => last.max(log.2),
                false => last,
            },
            list,
        };
        async move { Ok(entries) }.boxed()
    }
}

struct Hub {
    scribe: Scribe,
    lease: watch::Sender<bool>,
}

impl Hub {
    fn start(fixture: &Fixture, log: &Shared) -> Self {
        let (lease, has_lease) = watch::channel(false);
        let url = fixture.url();
        let scribe = Scribe::start(&fixture.settings, &url, has_lease, log.clone()).unwrap();
        Self { scribe, lease }
    }

    async fn has_written(&self, to: MessageId) {
        eventually("it is written", async || {
            let health = self.scribe.health();
            health.written_to == to && health.last_error.is_none()
        })
        .await;
    }
}

/// What is in the database, in order.
async fn ids(fixture: &Fixture) -> Vec<i64> {
    let mut connection = fixture.sql().await;
    let ids = sqlx::query_scalar("SELECT id FROM statshub.message ORDER BY id");
    ids.fetch_all(&mut connection).await.unwrap()
}

fn expected(numbers: std::ops::RangeInclusive<u64>) -> Vec<i64> {
    numbers
        .map(|n| i64::try_from(id(n).to_bits()).unwrap())
        .collect()
}

fn fixture() -> Fixture {
    let fixture = Fixture::new();
    Database::join(&fixture.settings, &fixture.url()).unwrap();
    fixture
}

#[actix_rt::test]
async fn the_lease_goes_round_and_every_entry_is_there_once() {
    let fixture = fixture();
    let log = Shared::default();
    let hubs: Vec<_> = (0..3).map(|_| Hub::start(&fixture, &log)).collect();
    let mut written = 0;
    for round in 0..9_usize {
        let hub = &hubs[round % 3];
        log.add(written + 1..=written + 700);
        written += 700;
        // For a moment two have it: one does not know yet that its own is over.
        hub.lease.send(true).unwrap();
        hub.scribe.news();
        hub.has_written(id(written)).await;
        hubs[(round + 2) % 3].lease.send(false).unwrap();
    }
    assert!(ids(&fixture).await == expected(1..=written));
    let counted = "SELECT sum(messages)::int8 FROM statshub.ring";
    assert_eq!(fixture.number(counted).await, written as i64);
    let keys = "SELECT count(*) FROM statshub.publish_key";
    assert_eq!(fixture.number(keys).await, written as i64);
    for hub in &hubs {
        hub.scribe.close().await;
    }
}

#[actix_rt::test]
async fn two_who_both_believe_in_their_lease_still_write_everything_once() {
    let fixture = fixture();
    let log = Shared::default();
    let hubs: Vec<_> = (0..2).map(|_| Hub::start(&fixture, &log)).collect();
    for hub in &hubs {
        hub.lease.send(true).unwrap();
    }
    for some in 0..20 {
        log.add(some * 100 + 1..=some * 100 + 100);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    hubs[1].lease.send(false).unwrap();
    hubs[0].has_written(id(2000)).await;
    assert!(ids(&fixture).await == expected(1..=2000));
    let head = "SELECT last FROM statshub.head";
    assert_eq!(fixture.number(head).await, expected(2000..=2000)[0]);
}

#[actix_rt::test]
async fn while_the_database_is_away_it_lags_and_then_catches_up() {
    let mut fixture = fixture();
    let log = Shared::default();
    let hub = Hub::start(&fixture, &log);
    hub.lease.send(true).unwrap();
    log.add(1..=10);
    hub.has_written(id(10)).await;
    fixture.postgres.stop();
    log.add(11..=3000);
    eventually("it says so", async || {
        hub.scribe.health().last_error.is_some()
    })
    .await;
    fixture.postgres.start_again();
    hub.has_written(id(3000)).await;
    assert!(ids(&fixture).await == expected(1..=3000));
    assert_eq!(hub.scribe.health().gaps, 0);
}

#[actix_rt::test]
async fn what_is_gone_from_the_log_is_a_hole() {
    let fixture = fixture();
    let log = Shared::default();
    let hub = Hub::start(&fixture, &log);
    log.add(1..=10);
    log.trim(id(2));
    hub.lease.send(true).unwrap();
    hub.has_written(id(10)).await;
    assert_eq!(hub.scribe.health().gaps, 0, "the log begins there");
    hub.lease.send(false).unwrap();
    log.add(11..=30);
    log.trim(id(20));
    hub.lease.send(true).unwrap();
    hub.has_written(id(30)).await;
    assert_eq!(hub.scribe.health().gaps, 1);
    let found = [expected(3..=10), expected(21..=30)].concat();
    assert_eq!(ids(&fixture).await, found);
    let after = fixture.number("SELECT after FROM statshub.hole").await;
    let before = fixture.number("SELECT before FROM statshub.hole").await;
    assert_eq!([after, before], [found[7], expected(20..=20)[0]]);
    let origin = fixture.number("SELECT origin FROM statshub.head").await;
    assert_eq!(origin, expected(2..=2)[0]);
}

#[actix_rt::test]
async fn what_is_no_message_is_passed() {
    let fixture = fixture();
    let log = Shared::default();
    let hub = Hub::start(&fixture, &log);
    hub.lease.send(true).unwrap();
    log.add(1..=10);
    hub.has_written(id(10)).await;
    log.0.lock().unwrap().2 = id(500);
    hub.has_written(id(500)).await;
    hub.scribe.close().await;
    let head = "SELECT last FROM statshub.head";
    assert_eq!(fixture.number(head).await, expected(500..=500)[0]);
    assert!(ids(&fixture).await == expected(1..=10));
}

#[actix_rt::test]
async fn of_two_changes_of_an_alert_the_first_in_the_log_counts() {
    let fixture = fixture();
    let log = Shared::default();
    let hub = Hub::start(&fixture, &log);
    let alert = |n| message(n, Topic::Alerts, Priority::Critical);
    let acknowledged = |by: &str| {
        AlertWrite::Change(Box::new(AlertChange {
            id: id(1),
            from: AlertState::Open,
            to: AlertState::Acknowledged,
            step: AlertStep {
                by: UserId::parse(by).unwrap(),
                at_ms: 7,
                note: None,
            },
        }))
    };
    log.push(alert(1), Some(AlertWrite::New(Severity::Low)));
    log.push(alert(2), Some(acknowledged("ada")));
    log.push(alert(3), Some(acknowledged("bob")));
    hub.lease.send(true).unwrap();
    hub.has_written(id(3)).await;
    let found = fixture.reader().alert(id(1)).await.unwrap().unwrap();
    assert_eq!(found.acknowledged.unwrap().by.as_str(), "ada");
}
