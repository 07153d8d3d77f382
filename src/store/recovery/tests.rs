use super::super::append::{Answer, Batch, Rings};
use super::*;
use crate::config;
use crate::domain::message::Retain;
use crate::domain::pattern::MetricName;

fn id(n: u64) -> MessageId {
    MessageId::new(n, 0).unwrap()
}

fn store(folder: &tempfile::TempDir) -> Store {
    let settings = config::Store {
        durability: config::Durability::Process,
        file: folder.path().join("log"),
        url: None,
        key_ttl: Duration::from_secs(1),
        retention: config::Retention {
            age: Duration::from_secs(1),
            messages_per_metric_max: 1000,
            file_bytes_max: 1 << 30,
        },
    };
    let now = Now {
        wall_ms: 0,
        mono: Duration::ZERO,
    };
    Store::open(&settings, now).unwrap()
}

fn append(store: &Store, numbers: std::ops::RangeInclusive<u64>, name: &str) {
    let message = |n: u64| {
        let publication = Publication {
            topic: Topic::Metric(MetricName::parse(name).unwrap()),
            data: Json::trusted(n.to_string()),
            priority: Priority::Normal,
            retain: Retain::All,
        };
        let now = Now {
            wall_ms: n,
            mono: Duration::ZERO,
        };
        Arc::new(encode(id(n), publication, now))
    };
    let batch = Batch {
        messages: numbers.map(message).collect(),
        keys: Vec::new(),
        wall_ms: 0,
        alert: None,
        is_copy: false,
        answer: Answer::unheard(),
    };
    let written = append::append(&store.connection, &mut Rings::default(), &batch);
    assert!(written.unwrap().is_ok());
}

/// A metric with few messages, all of which are read, is not cut because others have many.
#[test]
fn only_what_is_not_read_at_all_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    append(&store, 1..=6, "slow");
    append(&store, 7..=8, "slower");
    append(&store, 11..=60, "busy");
    let recovered = store.recover(Wanted {
        messages_per_ring: 4,
        ids: 10,
    });
    let told = |ring: &RestoredRing| {
        let Topic::Metric(name) = &ring.topic else {
            panic!("{ring:?}");
        };
        let gone: Vec<u64> = ring.gone.iter().map(|id| id.millis()).collect();
        let kept: Vec<u64> = ring
            .kept
            .iter()
            .map(|message| message.id.millis())
            .collect();
        (name.to_string(), ring.cut.millis(), gone, kept)
    };
    let mut rings: Vec<_> = recovered.unwrap().rings.iter().map(told).collect();
    rings.sort();
    let expected = [
        (
            "busy",
            50,
            vec![51, 52, 53, 54, 55, 56],
            vec![57, 58, 59, 60],
        ),
        ("slow", 2, vec![], vec![3, 4, 5, 6]),
        ("slower", 0, vec![], vec![7, 8]),
    ];
    let expected = expected.map(|(name, cut, gone, kept)| (name.to_owned(), cut, gone, kept));
    assert_eq!(rings, expected);
}

#[test]
fn rows_that_no_hub_writes_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(&folder);
    append(&store, 1..=3, "a");
    let rows = "UPDATE message SET data = '1' || char(10) || '2' \
                    WHERE id = (SELECT min(id) FROM message); \
                INSERT INTO ring (kind, metric, user, priority) \
                    VALUES (0, 'a', 'somebody', 1), (2, 'a', '', 3); \
                INSERT INTO session VALUES (x'0102', 0, NULL, '{}')";
    store.connection.execute_batch(rows).unwrap();
    let wanted = Wanted {
        messages_per_ring: 10,
        ids: 10,
    };
    let recovered = store.recover(wanted).unwrap();
    let kept = recovered.rings.iter().flat_map(|ring| &ring.kept);
    let kept: Vec<u64> = kept.map(|message| message.id.millis()).collect();
    assert_eq!((recovered.rings.len(), kept), (1, vec![2, 3]));
    assert!(recovered.sessions.is_empty());
}
