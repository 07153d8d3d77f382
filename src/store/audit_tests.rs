use std::path::{Path, PathBuf};

use futures::executor::block_on;
use jiff::Timestamp;
use tempfile::TempDir;

use super::*;
use crate::config::{self, AuthKeys, Settings};
use crate::domain::message::{Priority, Topic};
use crate::domain::time::Now;
use crate::store::chain::{AuditTrail, Fault, Summary, Verdict};
use crate::store::retention::Retention;
use crate::store::tests::{BEGIN_MS, batch, message, metric};
use crate::store::{Listener, Settled, Store, Writer};

/// 2026-01-01.
const BEGAN_MS: i64 = 1_767_225_600_000;

struct Nobody;

impl Listener for Nobody {
    fn settled(&self, _: Vec<Settled>) {}
    fn sessions_wanted(&self) {}
}

fn settings(path: &Path) -> config::Store {
    let keys = AuthKeys::Secret(String::new());
    config::Store {
        file: path.to_owned(),
        ..Settings::with_keys(keys).store
    }
}

fn now() -> Now {
    Now {
        wall_ms: BEGAN_MS as u64,
        mono: Duration::ZERO,
    }
}

fn store(path: &Path) -> Store {
    Store::open(&settings(path), now()).unwrap()
}

fn writer(path: &Path) -> Writer {
    store(path).start(Nobody).unwrap()
}

/// The record of second `n`.
fn record(n: i64) -> AuditRecord {
    let at_ms = BEGAN_MS + 1000 * n;
    let time = Timestamp::from_millisecond(at_ms).unwrap();
    let text = format!("{{\"time\":\"{time:.3}\",\"action\":\"publish\",\"target\":\"m{n}\"}}");
    AuditRecord { at_ms, text }
}

fn write(path: &Path, numbers: std::ops::RangeInclusive<i64>) {
    let writer = writer(path);
    let records: Vec<_> = numbers.map(record).collect();
    assert_eq!(writer.audit(records.clone()), records.len());
    block_on(writer.close());
    assert_eq!(writer.health().audit.written, records.len() as u64);
    assert_eq!(writer.health().audit.waiting_bytes, 0);
}

/// A trail of ten records, with what the newest hash was after five.
fn trail() -> (TempDir, PathBuf, Hash) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.db");
    write(&path, 1..=5);
    let halfway = whole(&path).newest;
    write(&path, 6..=10);
    (directory, path, halfway)
}

fn verify(path: &Path, expected: Option<Hash>) -> Verdict {
    let trail = AuditTrail::in_file(path).unwrap();
    trail.verify(expected, |_, _| {}).unwrap()
}

fn whole(path: &Path) -> Summary {
    match verify(path, None) {
        Verdict::Whole(summary) => summary,
        other => panic!("{other:?}"),
    }
}

fn tamper(path: &Path, text: &str) {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(text).unwrap();
}

fn fault(path: &Path) -> (i64, Fault) {
    match verify(path, None) {
        Verdict::Broken(at) => (at.id, at.fault),
        other => panic!("{other:?}"),
    }
}

/// Takes away what is older than second `n`.
fn forget_before(path: &Path, n: i64) {
    let mut store = store(path);
    let mut retention = Retention::new(&settings(path));
    retention.set_audit(Duration::from_secs(1));
    let now_ms = (BEGAN_MS + 1000 * (n + 1)) as u64;
    while retention.step(&mut store.connection, now_ms).unwrap() {}
}

#[test]
fn the_chain_goes_on_over_a_restart_and_is_as_it_is_described() {
    let (_directory, path, halfway) = trail();
    let summary = whole(&path);
    let times = (BEGAN_MS + 1000, BEGAN_MS + 10_000);
    assert_eq!(summary.records, 10);
    assert_eq!(
        (summary.from, summary.to),
        (Some((1, times.0)), Some((10, times.1)))
    );
    assert_eq!(summary.removed, 0);
    // By hand, from the description alone.
    let mut hash = [0; 32].to_vec();
    for n in 1..=10 {
        hash.extend(record(n).text.as_bytes());
        hash = Sha256::digest(&hash).to_vec();
        if n == 5 {
            assert_eq!(hash, halfway);
        }
    }
    assert_eq!(hash, summary.newest);
    for expected in [halfway, summary.newest] {
        assert!(matches!(verify(&path, Some(expected)), Verdict::Whole(_)));
    }
    assert!(matches!(verify(&path, Some([7; 32])), Verdict::NotThere(_)));
}

/// Attack: somebody changes or stops the audit trail.
#[test]
fn every_kind_of_tampering_is_found_where_it_was_done() {
    let copy = "SELECT at_ms, record, hash FROM audit WHERE id = 4";
    let shift =
        "UPDATE audit SET id = -id - 1 WHERE id >= 4; UPDATE audit SET id = -id WHERE id < 0;";
    for (done, expected) in [
        (
            "UPDATE audit SET record = replace(record, 'm4', 'm5') WHERE id = 4",
            (4, Fault::Changed),
        ),
        (
            "UPDATE audit SET hash = x'00' WHERE id = 4",
            (4, Fault::Changed),
        ),
        (
            "UPDATE audit SET record = '' WHERE id = 10",
            (10, Fault::Changed),
        ),
        (
            "UPDATE audit SET at_ms = at_ms - 1 WHERE id = 4",
            (4, Fault::OtherTime),
        ),
        ("DELETE FROM audit WHERE id = 4", (4, Fault::Missing)),
        ("DELETE FROM audit WHERE id < 4", (1, Fault::Missing)),
        // Without a hole in the numbers.
        (
            "DELETE FROM audit WHERE id = 4; UPDATE audit SET id = id - 1 WHERE id > 4",
            (4, Fault::Changed),
        ),
        (
            &format!(
                "{shift} INSERT INTO audit SELECT 4, at_ms, record, hash FROM audit WHERE id = 5"
            ),
            (5, Fault::Changed),
        ),
        (
            &format!("INSERT INTO audit SELECT 0, * FROM ({copy})"),
            (0, Fault::BeforeTheBeginning),
        ),
        (
            &format!("INSERT INTO audit SELECT 11, * FROM ({copy})"),
            (11, Fault::Changed),
        ),
        (
            "UPDATE audit SET id = -4 WHERE id = 4; UPDATE audit SET id = 4 WHERE id = 7; \
             UPDATE audit SET id = 7 WHERE id = -4",
            (4, Fault::Changed),
        ),
    ] {
        let (_directory, path, _) = trail();
        tamper(&path, done);
        assert_eq!(fault(&path), expected, "{done}");
    }
}

/// Attack: somebody changes or stops the audit trail.
#[test]
fn an_end_that_was_cut_off_is_found_by_a_hash_that_was_written_down() {
    let (_directory, path, halfway) = trail();
    let newest = whole(&path).newest;
    tamper(&path, "DELETE FROM audit WHERE id > 7");
    assert_eq!(whole(&path).records, 7, "nothing in the file tells");
    assert!(matches!(verify(&path, Some(halfway)), Verdict::Whole(_)));
    assert!(matches!(verify(&path, Some(newest)), Verdict::NotThere(_)));
    // Nor does the hub notice, but it cannot make the hash come back.
    write(&path, 8..=10);
    assert!(matches!(verify(&path, None), Verdict::Whole(_)));
    tamper(&path, "DELETE FROM audit");
    assert!(matches!(verify(&path, Some(newest)), Verdict::NotThere(_)));
}

#[test]
fn what_retention_leaves_is_a_chain_still() {
    let (_directory, path, halfway) = trail();
    let newest = whole(&path).newest;
    forget_before(&path, 6);
    let summary = whole(&path);
    assert_eq!((summary.records, summary.removed), (5, 5));
    assert_eq!((summary.from.unwrap().0, summary.newest), (6, newest));
    // The hash that the rest is chained to is still known, those before it are not.
    assert!(matches!(verify(&path, Some(halfway)), Verdict::Whole(_)));
    let first = Link::BEGIN.next(record(1).text.as_bytes()).hash;
    assert!(matches!(verify(&path, Some(first)), Verdict::NotThere(_)));

    forget_before(&path, 1000);
    let summary = whole(&path);
    assert_eq!(
        (summary.records, summary.removed, summary.newest),
        (0, 10, newest)
    );
    write(&path, 11..=12);
    let summary = whole(&path);
    assert_eq!((summary.records, summary.from.unwrap().0), (2, 11));
    tamper(&path, "DELETE FROM audit WHERE id = 11");
    assert_eq!(fault(&path), (11, Fault::Missing));
}

#[test]
fn a_file_that_is_full_keeps_the_newest_records() {
    let (_directory, path, _) = trail();
    let large = |n| {
        let mut record = record(n);
        record
            .text
            .insert_str(1, &format!("\"x\":\"{}\",", "x".repeat(20_000)));
        record
    };
    let writer = writer(&path);
    assert_eq!(writer.audit((11..=100).map(large).collect()), 90);
    block_on(writer.close());
    drop(writer);
    let mut store = store(&path);
    let mut settings = settings(&path);
    settings.retention.file_bytes_max = 1 << 20;
    let mut retention = Retention::new(&settings);
    while retention
        .step(&mut store.connection, BEGAN_MS as u64)
        .unwrap()
    {}
    let summary = whole(&path);
    assert!(summary.records < 90 && summary.removed > 10, "{summary:?}");
}

/// Attack: a publisher fills the store, to push out of the trail what others did.
#[test]
fn a_file_that_is_full_of_messages_keeps_the_trail_and_messages_go() {
    let one_metric = |_| metric("m");
    let a_metric_each = |n| metric(&format!("m{n}"));
    for topic in [&one_metric as &dyn Fn(u64) -> Topic, &a_metric_each] {
        let (_directory, path, _) = trail();
        let later = Now {
            wall_ms: BEGAN_MS as u64 + 60_000,
            mono: Duration::ZERO,
        };
        let mut settings = settings(&path);
        let writer = Store::open(&settings, later).unwrap();
        let writer = writer.start(Nobody).unwrap();
        // All of them newer than the trail.
        let first = BEGAN_MS as u64 - BEGIN_MS + 20_000;
        for from in (first..first + 8000).step_by(1000) {
            let messages = from..from + 1000;
            let messages = messages.map(|n| message(n, topic(n), Priority::Normal));
            let batch = batch(messages.collect(), Vec::new());
            writer.append(batch).unwrap();
        }
        block_on(writer.close());
        drop(writer);
        let mut store = Store::open(&settings, later).unwrap();
        settings.retention.file_bytes_max = std::fs::metadata(&path).unwrap().len() / 2;
        let mut retention = Retention::new(&settings);
        while retention
            .step(&mut store.connection, later.wall_ms)
            .unwrap()
        {}
        let count = "SELECT count(*) FROM message";
        let left: u64 = store
            .connection
            .query_row(count, [], |row| row.get(0))
            .unwrap();
        assert!((1..8000).contains(&left), "{left} messages");
        drop(store);
        let summary = whole(&path);
        assert_eq!((summary.records, summary.removed), (10, 0));
    }
}

#[test]
fn how_much_of_the_trail_is_too_much_is_known_without_reading_it() {
    let (_directory, path, _) = trail();
    let store = store(&path);
    let beyond = |bytes| beyond(&store.connection, bytes).unwrap();
    let each = record(1).text.len() as u64 + ROW_BYTES as u64;
    assert_eq!((beyond(10 * each), beyond(7 * each), beyond(0)), (0, 3, 10));
    tamper(
        &path,
        "UPDATE audit SET record = record || printf('%.*c', 1000, 'x')",
    );
    assert_eq!(beyond(10 * each), 9);
    tamper(&path, "DELETE FROM audit");
    assert_eq!((beyond(0), beyond(each)), (0, 0));
}

#[test]
fn what_somebody_else_put_at_the_end_does_not_stop_the_trail() {
    let (_directory, path, _) = trail();
    let writer = writer(&path);
    assert_eq!(writer.audit(vec![record(11)]), 1);
    let written = |count| {
        while writer.health().audit.written < count {
            std::thread::sleep(Duration::from_millis(5));
        }
    };
    written(1);
    tamper(&path, "INSERT INTO audit VALUES (12, 0, '{}', x'00')");
    assert_eq!(writer.audit(vec![record(12)]), 1);
    written(2);
    block_on(writer.close());
    assert_eq!(fault(&path), (12, Fault::Changed));
    let trail = AuditTrail::in_file(&path).unwrap();
    assert_eq!(trail.newest_id().unwrap(), 13);
    assert_eq!(
        trail.before(14, 1).unwrap()[0].text,
        record(12).text.into_bytes()
    );
    assert_eq!(trail.after(11, 9).unwrap().len(), 2);
}

#[test]
fn more_than_may_wait_is_not_taken() {
    let shared = AuditShared::default();
    let huge = || AuditRecord {
        at_ms: 0,
        text: "x".repeat(WAITING_BYTES_MAX),
    };
    assert_eq!(shared.admit(&[huge(), huge()]), 1);
    assert_eq!(shared.admit(&[record(1)]), 0);
    shared.gone(huge().cost());
    assert_eq!(shared.health().waiting_bytes, 0);
    assert_eq!(shared.admit(&[record(1)]), 1);
}
