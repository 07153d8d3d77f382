use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use futures::executor::block_on;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::*;
use crate::config::{self, AuthKeys, Settings};
use crate::domain::history::{History, Limits};
use crate::domain::message::{Json, MessageId, Priority, Retain, Topic};
use crate::domain::pattern::MetricName;
use crate::domain::time::Now;
use crate::store::{Answer, Batch, Listener, Recovered, Settled, Store, Wanted, Writer};
use crate::wire::message::{Publication, encode};

/// 2026-01-01.
const BEGAN_MS: u64 = 1_767_225_600_000;

struct Nobody;

impl Listener for Nobody {
    fn settled(&self, batches: Vec<Settled>) {
        for batch in batches {
            batch.answer.send(batch.outcome);
        }
    }
    fn sessions_wanted(&self) {}
}

fn at(seconds: u64) -> Now {
    Now {
        wall_ms: BEGAN_MS + 1000 * seconds,
        mono: Duration::from_secs(seconds),
    }
}

fn id(seconds: u64) -> MessageId {
    MessageId::new(at(seconds).wall_ms, 0).unwrap()
}

fn open(path: &Path, seconds: u64) -> Store {
    let settings = Settings::with_keys(AuthKeys::Secret(String::new())).store;
    let settings = config::Store {
        file: path.to_owned(),
        ..settings
    };
    Store::open(&settings, at(seconds)).unwrap()
}

fn recovered(path: &Path, seconds: u64) -> Recovered {
    let wanted = Wanted {
        messages_per_ring: 100,
        ids: 1000,
    };
    open(path, seconds).recover(wanted).unwrap()
}

fn covers(recovered: Recovered, positions: &[u64]) -> Vec<bool> {
    let limits = Limits {
        backlog_messages_max: 100,
        bytes_max: 1 << 20,
        user_bytes_max: 1 << 20,
        user_messages_max: 100_000,
        metrics_max: 100,
        counted_ids_max: 100,
    };
    let Recovered {
        origin,
        last,
        holes,
        rings,
        ..
    } = recovered;
    let history = History::restored(limits, origin, last, rings).with_holes(holes);
    positions.iter().map(|it| history.covers(id(*it))).collect()
}

/// Publishes a message at each of these seconds.
fn publish(writer: &Writer, seconds: impl IntoIterator<Item = u64>) {
    for seconds in seconds {
        let publication = Publication {
            topic: Topic::Metric(MetricName::parse("m").unwrap()),
            data: Json::trusted(seconds.to_string()),
            priority: Priority::Normal,
            retain: Retain::All,
        };
        let (answer, answered) = oneshot::channel();
        let batch = Batch {
            messages: vec![Arc::new(encode(id(seconds), publication, at(seconds)))],
            keys: Vec::new(),
            wall_ms: at(seconds).wall_ms,
            alert: None,
            is_copy: false,
            answer: Answer::new(answer, Default::default()),
        };
        assert!(writer.append(batch).is_ok());
        block_on(answered).unwrap().unwrap();
    }
}

/// A store begun at second 1, with messages from 10 to 20; and the name for a copy.
fn stored() -> (TempDir, Writer, PathBuf, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hub.db");
    let writer = open(&path, 1).start(Nobody).unwrap();
    publish(&writer, 10..=20);
    let copy = directory.path().join("copy.db");
    (directory, writer, path, copy)
}

#[test]
fn a_copy_is_one_file_for_its_owner_only_and_holds_everything() {
    let (directory, writer, path, copy) = stored();
    let mut said = (0, 0);
    let bytes = backup(&path, &copy, false, |done, all| said = (done, all)).unwrap();
    let metadata = std::fs::metadata(&copy).unwrap();
    assert_eq!(metadata.len(), bytes);
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    assert!(said.0 == said.1 && said.1 > 0, "{said:?}");
    let names = std::fs::read_dir(directory.path()).unwrap();
    let names = names.map(|it| it.unwrap().file_name().into_string().unwrap());
    let others: Vec<_> = names.filter(|name| !name.starts_with("hub.db")).collect();
    assert_eq!(others, ["copy.db"], "no journal and no half of one");
    let recovered = recovered(&copy, 30);
    assert_eq!(recovered.rings[0].kept.len(), 11);
    drop(writer);
}

#[test]
fn what_is_there_is_overwritten_only_by_force_and_never_by_something_worse() {
    let (directory, _writer, path, copy) = stored();
    std::fs::write(&copy, "precious").unwrap();
    let refused = backup(&path, &copy, false, |_, _| {});
    assert!(
        matches!(refused, Err(BackupError::Exists(_))),
        "{refused:?}"
    );
    let refused = backup(&directory.path().join("nothing.db"), &copy, true, |_, _| {});
    assert!(
        matches!(refused, Err(BackupError::Source(_))),
        "{refused:?}"
    );
    let refused = backup(&path, &path, true, |_, _| {});
    assert!(
        matches!(refused, Err(BackupError::Itself(_))),
        "{refused:?}"
    );
    let nowhere = directory.path().join("no/such/copy.db");
    let refused = backup(&path, &nowhere, false, |_, _| {});
    assert!(
        matches!(refused, Err(BackupError::Unwritable { .. })),
        "{refused:?}"
    );
    assert_eq!(std::fs::read_to_string(&copy).unwrap(), "precious");
    backup(&path, &copy, true, |_, _| {}).unwrap();
    recovered(&copy, 30);
}

#[test]
fn a_hub_on_a_copy_covers_what_the_copy_has_and_nothing_that_came_after_it() {
    let (_directory, writer, path, copy) = stored();
    backup(&path, &copy, false, |_, _| {}).unwrap();
    publish(&writer, 21..=25);
    block_on(writer.close());

    let first = recovered(&copy, 100);
    assert_eq!(
        first.last,
        id(100),
        "no id from before the restore comes again"
    );
    let expected = [true, true, true, false, false, true];
    let positions = [1, 10, 20, 21, 99, 100];
    assert_eq!(covers(first, &positions), expected);
    // For good, and however far the log has gone on.
    let writer = open(&copy, 101).start(Nobody).unwrap();
    publish(&writer, 110..=112);
    block_on(writer.close());
    drop(writer);
    let again = recovered(&copy, 200);
    assert_eq!(again.last, id(112));
    assert_eq!(covers(again, &positions), expected);
    // The first log goes on as if nothing had been.
    let original = recovered(&path, 100);
    assert_eq!((original.holes, original.last), (Vec::new(), id(25)));
}

/// A clock that is far behind would take from the hub what it must know.
#[test]
fn a_start_that_is_refused_leaves_the_copy_a_copy() {
    let (_directory, _writer, path, copy) = stored();
    backup(&path, &copy, false, |_, _| {}).unwrap();
    let settings = Settings::with_keys(AuthKeys::Secret(String::new())).store;
    let settings = config::Store {
        file: copy.clone(),
        ..settings
    };
    let then = Now {
        wall_ms: BEGAN_MS - 48 * 3600 * 1000,
        ..at(0)
    };
    let refused = Store::open(&settings, then);
    assert!(
        matches!(refused, Err(OpenError::Ahead { hours: 48, .. })),
        "{refused:?}"
    );
    assert_eq!(recovered(&copy, 100).holes, [(id(20), id(100))]);
}

#[test]
fn a_copy_of_a_restored_log_has_both_holes() {
    let (directory, writer, path, copy) = stored();
    backup(&path, &copy, false, |_, _| {}).unwrap();
    block_on(writer.close());
    let writer = open(&copy, 100).start(Nobody).unwrap();
    publish(&writer, 110..=112);
    let second = directory.path().join("second.db");
    backup(&copy, &second, false, |_, _| {}).unwrap();
    let recovered = recovered(&second, 200);
    let positions = [1, 20, 50, 99, 100, 112, 113, 199, 200];
    let expected = [true, true, false, false, true, true, false, false, true];
    assert_eq!(covers(recovered, &positions), expected);
}

/// The moment of the copy is one moment, and it comes to an end, whatever is written meanwhile.
#[test]
fn a_copy_of_a_log_that_is_written_all_the_time_is_whole() {
    let (_directory, writer, path, copy) = stored();
    let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let load = {
        let (writer, stop) = (writer.clone(), stop.clone());
        std::thread::spawn(move || {
            let mut seconds = 1000;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                publish(&writer, [seconds]);
                seconds += 1;
            }
            seconds
        })
    };
    let copied = backup(&path, &copy, false, |_, _| {});
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    let end = load.join().unwrap();
    copied.unwrap();
    let ids: Vec<_> = recovered(&copy, end).rings[0]
        .kept
        .iter()
        .map(|it| it.id)
        .collect();
    let all: Vec<_> = (10..=20).chain(1000..end).map(id).collect();
    let first = all.iter().position(|id| Some(id) == ids.first()).unwrap();
    assert_eq!(
        all[first..first + ids.len()],
        ids,
        "no message between two is missing"
    );
}

#[test]
fn another_file_is_no_store() {
    let directory = tempfile::tempdir().unwrap();
    let (file, copy) = (directory.path().join("file"), directory.path().join("copy"));
    for text in [
        "",
        "not a database at all, but long enough to be looked at as one",
    ] {
        std::fs::write(&file, text).unwrap();
        let refused = backup(&file, &copy, false, |_, _| {});
        let source = matches!(
            &refused,
            Err(BackupError::Source(OpenError::Damaged { .. }))
        );
        assert!(source, "{refused:?}");
    }
    assert!(!copy.exists());
}
