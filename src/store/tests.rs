use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::retention::Retention;
use super::*;
use crate::config::{AuthKeys, Durability, Settings};
use crate::domain::message::{
    Json, Message, MessageId, Priority, Retain, StateName, Topic, UserId,
};
use crate::domain::pattern::MetricName;
use crate::domain::time::Now;
use crate::wire::message::{Publication, encode};

pub(super) const BEGIN_MS: u64 = 1_700_000_000_000;

struct Fixture {
    settings: crate::config::Store,
    _folder: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings::with_keys(AuthKeys::Secret(String::new())).store;
        Self {
            settings: crate::config::Store {
                file: folder.path().join("log.db"),
                ..settings
            },
            _folder: folder,
        }
    }

    fn open(&self) -> Result<Store, OpenError> {
        Store::open(&self.settings, now(BEGIN_MS))
    }

    fn sql(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(&self.settings.file).unwrap()
    }
}

pub(super) fn now(wall_ms: u64) -> Now {
    Now {
        wall_ms,
        mono: Duration::ZERO,
    }
}

pub(super) fn message(number: u64, topic: Topic, priority: Priority) -> Arc<Message> {
    let publication = Publication {
        topic,
        data: Json::trusted(format!("{{\"n\":{number}}}")),
        priority,
        retain: Retain::All,
    };
    let id = MessageId::new(BEGIN_MS + number, 1).unwrap();
    Arc::new(encode(id, publication, now(BEGIN_MS)))
}

pub(super) fn metric(name: &str) -> Topic {
    Topic::Metric(MetricName::parse(name).unwrap())
}

pub(super) fn batch(messages: Vec<Arc<Message>>, keys: Vec<Option<Keyed>>) -> Batch {
    Batch {
        wall_ms: BEGIN_MS,
        messages,
        keys,
        alert: None,
        is_copy: false,
        answer: Answer::unheard(),
    }
}

/// Keeps what it is told.
#[derive(Clone, Default)]
pub(super) struct Heard(pub(super) Arc<Mutex<Vec<Settled>>>);

impl Listener for Heard {
    fn settled(&self, batches: Vec<Settled>) {
        self.0.lock().unwrap().extend(batches);
    }

    fn sessions_wanted(&self) {}
}

impl Heard {
    pub(super) fn outcomes(&self) -> Vec<Result<Vec<MessageId>, AppendError>> {
        let heard = self.0.lock().unwrap();
        heard.iter().map(|it| it.outcome.clone()).collect()
    }
}

/// What is in the file after these were written by a hub that stopped in order.
async fn written(fixture: &Fixture, batches: Vec<Batch>) -> Heard {
    let heard = Heard::default();
    let writer = fixture.open().unwrap().start(heard.clone()).unwrap();
    batches
        .into_iter()
        .for_each(|it| writer.append(it).unwrap());
    writer.close().await;
    heard
}

fn recovered(fixture: &Fixture, messages_per_ring: usize, ids: usize) -> Recovered {
    let wanted = Wanted {
        messages_per_ring,
        ids,
    };
    fixture.open().unwrap().recover(wanted).unwrap()
}

#[actix_rt::test]
async fn what_was_written_is_found_as_it_was() {
    let fixture = Fixture::new();
    let user = UserId::parse("zoë").unwrap();
    let own = Topic::UserMetric(MetricName::parse("a").unwrap(), user);
    let all = vec![
        message(1, metric("a"), Priority::Low),
        message(2, own, Priority::High),
        message(3, Topic::Alerts, Priority::Critical),
        message(4, metric("a"), Priority::Low),
    ];
    let heard = written(&fixture, vec![batch(all.clone(), Vec::new())]).await;
    let ids: Vec<_> = all.iter().map(|it| it.id).collect();
    assert_eq!(heard.outcomes(), [Ok(ids)]);
    let found = recovered(&fixture, 10, 10);
    assert_eq!(found.last, all[3].id);
    let mut kept: Vec<_> = found.rings.iter().flat_map(|ring| &ring.kept).collect();
    kept.sort_by_key(|message| message.id);
    assert_eq!(kept.len(), 4);
    for (found, written) in kept.iter().zip(&all) {
        assert_eq!(found.sse, written.sse, "the very bytes");
        assert_eq!(found.topic, written.topic);
    }
}

#[actix_rt::test]
async fn of_a_long_log_the_newest_are_read_and_of_others_the_ids() {
    let fixture = Fixture::new();
    let all: Vec<_> = (1..=100)
        .map(|n| message(n, metric("a"), Priority::Low))
        .collect();
    written(&fixture, vec![batch(all.clone(), Vec::new())]).await;
    let ring = |ids| recovered(&fixture, 10, ids).rings.remove(0);
    let ids = |from: usize, to: usize| all[from..to].iter().map(|it| it.id).collect::<Vec<_>>();
    let whole = ring(1000);
    assert_eq!(
        (whole.kept.len(), whole.gone, whole.cut),
        (10, ids(0, 90), MessageId::ZERO)
    );
    let part = ring(30);
    assert_eq!((part.gone, part.cut), (ids(70, 90), all[69].id));
}

#[actix_rt::test]
async fn a_key_stands_for_its_first_message_and_no_other() {
    let fixture = Fixture::new();
    let keyed = |key, of: &str| Keyed {
        key: Key::of("ada", key, 0),
        of: Fingerprint::of(&[of.as_bytes()]),
    };
    let one = |n, keyed| {
        batch(
            vec![message(n, metric("a"), Priority::Low)],
            vec![Some(keyed)],
        )
    };
    let batches = vec![
        one(1, keyed("k", "x")),
        one(2, keyed("k", "x")),
        one(3, keyed("k", "y")),
        one(4, keyed("l", "y")),
    ];
    let id = |n| MessageId::new(BEGIN_MS + n, 1).unwrap();
    let expected = [
        Ok(vec![id(1)]),
        Ok(vec![id(1)]),
        Err(AppendError::KeyReused),
        Ok(vec![id(4)]),
    ];
    assert_eq!(written(&fixture, batches).await.outcomes(), expected);
    let again = vec![one(5, keyed("k", "x")), one(6, keyed("k", "z"))];
    let expected = [Ok(vec![id(1)]), Err(AppendError::KeyReused)];
    assert_eq!(written(&fixture, again).await.outcomes(), expected);
    assert_eq!(recovered(&fixture, 10, 10).rings[0].kept.len(), 2);
}

#[actix_rt::test]
async fn no_id_is_given_again_even_when_the_log_is_empty() {
    let fixture = Fixture::new();
    let all = (1..=3)
        .map(|n| message(n, metric("a"), Priority::Low))
        .collect();
    written(&fixture, vec![batch(all, Vec::new())]).await;
    fixture.sql().execute("DELETE FROM message", []).unwrap();
    let found = recovered(&fixture, 10, 10);
    assert_eq!(found.last, MessageId::new(BEGIN_MS + 3, 1).unwrap());
}

/// Failure: a store that is damaged, or somebody else's.
#[actix_rt::test]
async fn a_log_whose_end_a_power_cut_may_have_taken_begins_anew() {
    let after = async |durability: Durability, meta: &str| {
        let mut fixture = Fixture::new();
        fixture.settings.durability = durability;
        let first = vec![message(1, metric("a"), Priority::Low)];
        written(&fixture, vec![batch(first, Vec::new())]).await;
        fixture.sql().execute_batch(meta).unwrap();
        let found = recovered(&fixture, 10, 10);
        found.origin > MessageId::new(BEGIN_MS + 1, 1).unwrap()
    };
    let crashed = "UPDATE meta SET value = 0 WHERE key = 'closed';";
    let rebooted = "UPDATE meta SET value = 'another' WHERE key = 'boot';";
    let both = format!("{crashed}{rebooted}");
    assert!(
        !after(Durability::Process, crashed).await,
        "the process alone ended"
    );
    assert!(
        !after(Durability::Process, rebooted).await,
        "it was closed before"
    );
    assert!(after(Durability::Process, &both).await);
    assert!(
        !after(Durability::Power, &both).await,
        "every commit was on the disk"
    );
}

#[actix_rt::test]
async fn retention_takes_the_oldest_of_each_metric_and_what_is_too_old() {
    let fixture = Fixture::new();
    let busy = (1..=2000).map(|n| message(n, metric("busy"), Priority::Low));
    let mut all = vec![message(0, metric("idle"), Priority::Low)];
    all.extend(busy);
    written(&fixture, vec![batch(all, Vec::new())]).await;
    let left = |change: &dyn Fn(&mut crate::config::Retention), now_ms| {
        let mut store = fixture.open().unwrap();
        let mut settings = fixture.settings.clone();
        change(&mut settings.retention);
        let mut retention = Retention::new(&settings);
        let mut steps = 0;
        while retention.step(&mut store.connection, now_ms).unwrap() {
            steps += 1;
            assert!(steps < 100, "it never ends");
        }
        let wanted = Wanted {
            messages_per_ring: 10_000,
            ids: 0,
        };
        drop(store);
        let mut recovered = fixture.open().unwrap().recover(wanted).unwrap();
        recovered.rings.sort_by_key(|ring| ring.kept.len());
        let counts: Vec<_> = recovered.rings.iter().map(|ring| ring.kept.len()).collect();
        (
            counts,
            recovered.rings.last().map(|ring| ring.cut),
            recovered.origin,
        )
    };
    let id = |n| MessageId::new(BEGIN_MS + n, 1).unwrap();
    let begin = MessageId::new(BEGIN_MS, 0).unwrap();
    let many = |it: &mut crate::config::Retention| it.messages_per_metric_max = 1200;
    assert_eq!(left(&many, BEGIN_MS), (vec![1, 1200], Some(id(800)), begin));
    let age = |it: &mut crate::config::Retention| it.age = Duration::from_millis(1000);
    // What was said of the idle one nobody can be told any more.
    let expected = (vec![1000], Some(id(1000)), id(0));
    assert_eq!(left(&age, BEGIN_MS + 2001), expected);
    assert_eq!(left(&age, BEGIN_MS + 1_000_000), (vec![], None, id(2000)));
    let counted: Option<i64> = fixture
        .sql()
        .query_row("SELECT sum(messages) FROM ring", [], |row| row.get(0))
        .unwrap();
    assert_eq!(counted, None);
}

#[actix_rt::test]
async fn of_what_is_remembered_the_newest_stays_for_ever() {
    let mut fixture = Fixture::new();
    let name = StateName::parse("silence/42").unwrap();
    let states = (1..=100).map(|n| message(n, Topic::State(name.clone()), Priority::Low));
    written(&fixture, vec![batch(states.collect(), Vec::new())]).await;
    fixture.settings.retention.age = Duration::from_millis(1);
    let mut store = fixture.open().unwrap();
    let mut retention = Retention::new(&fixture.settings);
    while retention
        .step(&mut store.connection, BEGIN_MS + 1_000_000)
        .unwrap()
    {}
    drop(store);
    let found = recovered(&fixture, 10, 10);
    let kept: Vec<_> = found.rings.iter().flat_map(|ring| &ring.kept).collect();
    let newest = MessageId::new(BEGIN_MS + 100, 1).unwrap();
    assert_eq!(kept.iter().map(|it| it.id).collect::<Vec<_>>(), [newest]);
    assert_eq!(kept[0].topic, Topic::State(name));
}

#[actix_rt::test]
async fn very_many_metrics_of_one_message_each_do_not_fill_the_file_for_ever() {
    let mut fixture = Fixture::new();
    fixture.settings.retention.file_bytes_max = 1 << 20;
    let heard = Heard::default();
    let writer = fixture.open().unwrap().start(heard.clone()).unwrap();
    for n in 1..=20_000 {
        let one = message(n, metric(&format!("order-{n}")), Priority::Low);
        writer.append(batch(vec![one], Vec::new())).unwrap();
        if n % 500 == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    writer.close().await;
    let taken = heard.outcomes().iter().filter(|it| it.is_ok()).count();
    assert!(taken > 10_000, "{taken} of 20,000");
    let size = std::fs::metadata(&fixture.settings.file).unwrap().len();
    assert!(size <= 1 << 20, "{size} bytes");
}

/// Failure: the disk hangs, and refuses nothing.
#[actix_rt::test]
async fn a_pulse_comes_back_when_something_can_be_written_and_not_before() {
    let fixture = Fixture::new();
    let writer = fixture.open().unwrap().start(Heard::default()).unwrap();
    assert!(writer.pulse().await);
    let other = fixture.sql();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let pulse = tokio::spawn({
        let writer = writer.clone();
        async move { writer.pulse().await }
    });
    // Less than the writer's patience.
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!pulse.is_finished());
    other.execute_batch("ROLLBACK").unwrap();
    assert!(pulse.await.unwrap());
    assert_eq!(writer.health().last_error, None);
    writer.close().await;
    assert!(!writer.pulse().await);
}

#[test]
fn only_one_has_the_file() {
    let fixture = Fixture::new();
    let first = fixture.open().unwrap();
    let error = fixture.open().unwrap_err().to_string();
    assert!(error.contains("another hub uses it"), "{error}");
    drop(first);
    fixture.open().unwrap();
}
