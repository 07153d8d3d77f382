//! What is written is found, and as in the file.

use std::sync::Arc;

use super::*;
use crate::domain::alert::{AlertState, Severity};
use crate::domain::message::{Message, MessageId, Priority, StateName, Topic, UserId};
use crate::domain::pattern::{MetricName, Pattern};
use crate::store::{
    AlertChange, AlertFilter, AlertStep, AlertWrite, AppendError, Bounds, Order, Reader, Walk,
};

fn id(n: u64) -> MessageId {
    MessageId::new(BEGIN_MS + n, 1).unwrap()
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
    let heard = fixture.written(vec![batch(all.clone(), Vec::new())]).await;
    assert_eq!(heard.outcomes(), [Ok(all.iter().map(|it| it.id).collect())]);
    let found = fixture.recovered(10, 10);
    // Whoever restored the database from a dump would not say so.
    assert_eq!(found.holes.last(), Some(&(all[3].id, all[3].id.next())));
    assert_eq!(found.last, all[3].id.next());
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
    let one = |n| message(n, metric("a"), Priority::Low);
    let all: Vec<_> = (1..=100).map(one).collect();
    fixture.written(vec![batch(all.clone(), Vec::new())]).await;
    let ring = |ids| fixture.recovered(10, ids).rings.remove(0);
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
    let one = |n, keyed| {
        let message = message(n, metric("a"), Priority::Low);
        batch(vec![message], vec![Some(keyed)])
    };
    // Most of them in one transaction.
    let batches = vec![
        one(1, keyed("k", "x")),
        one(2, keyed("k", "x")),
        one(3, keyed("k", "y")),
        one(4, keyed("l", "y")),
    ];
    let expected = [
        Ok(vec![id(1)]),
        Ok(vec![id(1)]),
        Err(AppendError::KeyReused),
        Ok(vec![id(4)]),
    ];
    assert_eq!(fixture.written(batches).await.outcomes(), expected);
    let again = vec![one(5, keyed("k", "x")), one(6, keyed("k", "z"))];
    let expected = [Ok(vec![id(1)]), Err(AppendError::KeyReused)];
    assert_eq!(fixture.written(again).await.outcomes(), expected);
    assert_eq!(fixture.recovered(10, 10).rings[0].kept.len(), 2);
}

fn alert(n: u64, write: AlertWrite) -> Batch {
    Batch {
        alert: Some(write),
        ..batch(
            vec![message(n, Topic::Alerts, Priority::Critical)],
            Vec::new(),
        )
    }
}

fn acknowledged(of: MessageId, by: &str) -> AlertWrite {
    AlertWrite::Change(Box::new(AlertChange {
        id: of,
        from: AlertState::Open,
        to: AlertState::Acknowledged,
        step: AlertStep {
            by: UserId::parse(by).unwrap(),
            at_ms: 7,
            // A column of text would refuse it, and everybody in the same transaction with it.
            note: Some("a\0b".to_owned()),
        },
    }))
}

#[actix_rt::test]
async fn of_two_who_acknowledge_an_alert_one_does() {
    let fixture = Fixture::new();
    let new = alert(1, AlertWrite::New(Severity::High));
    fixture.written(vec![new]).await;
    let both = vec![
        alert(2, acknowledged(id(1), "ada")),
        alert(3, acknowledged(id(1), "bob")),
    ];
    let expected = [Ok(vec![id(2)]), Err(AppendError::AlertChanged)];
    assert_eq!(fixture.written(both).await.outcomes(), expected);
    let reader = fixture.reader();
    let found = reader.alert(id(1)).await.unwrap().unwrap();
    let step = found.acknowledged.unwrap();
    assert_eq!(found.state, AlertState::Acknowledged);
    assert_eq!(
        (step.by.as_str(), step.note.as_deref()),
        ("ada", Some("a\0b"))
    );
    let count = async |state, severity| {
        let filter = AlertFilter {
            state,
            severity,
            before: None,
        };
        reader.alerts(filter, 10).await.unwrap().len()
    };
    assert_eq!(count(None, None).await, 1);
    assert_eq!(count(Some(AlertState::Open), None).await, 0);
    assert_eq!(count(None, Some(Severity::High)).await, 1);
    let both = (Some(AlertState::Acknowledged), Some(Severity::High));
    assert_eq!(count(both.0, both.1).await, 1);
    assert_eq!(reader.alert(id(2)).await.unwrap(), None);
}

/// Some metrics with very many messages and many with few, some to one user, in no even order.
fn mixture() -> Vec<Arc<Message>> {
    let mut state = 1_u64;
    let mut random = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % below
    };
    let topic = |which: u64, user: u64| match (which, user) {
        (0..40, 0) => {
            let user = UserId::parse("ada").unwrap();
            Topic::UserMetric(MetricName::parse("busy.own").unwrap(), user)
        }
        (0..40, _) => metric("busy.all"),
        (40..60, _) => metric(&format!("some.m{}", which % 5)),
        _ => metric(&format!("rare.m{which}-{user}")),
    };
    let one = |n| {
        let (which, user) = (random(100), random(10));
        let priority = Priority::ALL[random(2) as usize];
        message(n, topic(which, user), priority)
    };
    (1..=4000).map(one).collect()
}

async fn walked(
    reader: &Reader,
    patterns: &[&str],
    bounds: Bounds,
    order: Order,
    rows: usize,
) -> Vec<(MessageId, String, Option<String>, String)> {
    let patterns = patterns.iter().map(|it| Pattern::parse(it).unwrap());
    let user = UserId::parse("ada").unwrap();
    let rings = reader.rings(patterns.collect(), user).await.unwrap();
    let mut walk = Walk::new(rings, bounds, order);
    let mut all = Vec::new();
    while !walk.is_at_end() {
        let (further, page) = reader.page(walk, rows).await.unwrap();
        assert!(page.len() <= rows);
        walk = further;
        all.extend(page.into_iter().map(|row| {
            let user = row.ring.user.as_ref().map(|user| user.as_str().to_owned());
            (row.id, row.ring.metric.as_str().to_owned(), user, row.data)
        }));
    }
    all
}

#[actix_rt::test]
async fn a_walk_meets_what_it_meets_in_the_file() {
    let fixture = Fixture::new();
    let folder = tempfile::tempdir().unwrap();
    let in_file = config::Store {
        file: folder.path().join("log.db"),
        url: None,
        ..fixture.settings.clone()
    };
    let mut readers = Vec::new();
    for settings in [&in_file, &fixture.settings] {
        let store = crate::store::open(settings, now(BEGIN_MS)).unwrap();
        let heard = Heard::default();
        let (writer, reader) = store.start(heard.clone()).unwrap();
        for some in mixture().chunks(700) {
            writer.append(batch(some.to_vec(), Vec::new())).unwrap();
        }
        writer.close().await;
        assert!(heard.outcomes().iter().all(Result::is_ok));
        readers.push(reader);
    }
    let everything = Bounds {
        from: MessageId::ZERO,
        to: id(1_000_000),
    };
    let middle = Bounds {
        from: id(1000),
        to: id(3000),
    };
    for patterns in [&["**"][..], &["busy.*"], &["some.m1", "rare.**"], &["none"]] {
        for (bounds, rows) in [(everything, 97), (middle, 1000), (middle, 1)] {
            for order in [Order::OldestFirst, Order::NewestFirst] {
                let expected = walked(&readers[0], patterns, bounds, order, rows).await;
                let found = walked(&readers[1], patterns, bounds, order, rows).await;
                assert!(found == expected, "{patterns:?} {order:?} {rows}");
                assert_eq!(found.is_empty(), patterns == ["none"]);
            }
        }
    }
    let newest = id(4000);
    assert_eq!(readers[1].newest().await, Ok(newest));
}

#[actix_rt::test]
async fn retention_takes_the_oldest_of_each_metric_and_what_is_too_old() {
    let mut fixture = Fixture::new();
    let one = |n| message(n, metric("busy"), Priority::Low);
    let mut all = vec![message(0, metric("idle"), Priority::Low)];
    all.extend((1..=6000).map(one));
    fixture.written(vec![batch(all, Vec::new())]).await;
    // Of what is remembered the newest stays for ever, and nothing else.
    let state = Topic::State(StateName::parse("silence/42").unwrap());
    let states = (6001..=6100).map(|n| message(n, state.clone(), Priority::Low));
    fixture
        .written(vec![batch(states.collect(), Vec::new())])
        .await;
    let counts = async |fixture: &Fixture| {
        let busy = "SELECT coalesce(max(messages), 0) FROM statshub.ring WHERE metric = 'busy'";
        let there = "SELECT count(*) FROM statshub.message";
        (fixture.number(busy).await, fixture.number(there).await)
    };
    assert_eq!(counts(&fixture).await, (6000, 6101));
    fixture.settings.retention.messages_per_metric_max = 1200;
    let writer = fixture.open().start(Nobody).unwrap();
    eventually("1200 are left", async || {
        counts(&fixture).await == (1200, 1202)
    })
    .await;
    writer.close().await;
    let found = fixture.recovered(10_000, 0);
    let of_state = found.rings.iter().find(|ring| ring.topic == state).unwrap();
    assert_eq!(
        of_state.kept.iter().map(|it| it.id).collect::<Vec<_>>(),
        [id(6100)]
    );
    let busy = found.rings.iter().find(|ring| ring.kept.len() > 1).unwrap();
    assert_eq!(busy.cut, id(4800));

    fixture.settings.retention.age = Duration::from_secs(1);
    let writer = fixture.open().start(Nobody).unwrap();
    eventually("it alone is left", async || {
        counts(&fixture).await == (0, 1)
    })
    .await;
    // What is written to a ring that was gone is there.
    let late = vec![message(7000, metric("busy"), Priority::Low)];
    writer.append(batch(late, Vec::new())).unwrap();
    writer.close().await;
    assert!(fixture.recovered(10, 10).origin >= id(6000));
}
