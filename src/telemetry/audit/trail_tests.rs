use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::super::event::Action;
use super::*;

const SOON: Duration = Duration::from_secs(10);
const SHARES: Shares = Shares {
    denied_per_minute: 100,
    alike_per_hour: 3,
};

fn started(path: &Path) -> Audit {
    Audit::start(&config::Audit {
        enabled: true,
        file: Some(path.to_owned()),
        required: false,
        retention: SOON,
        denied_per_minute: 100,
        alike_per_hour: 3,
    })
    .unwrap()
}

fn record(audit: &Audit, target: &str) {
    audit.record(Event {
        target: Some(target.to_owned()),
        ..Event::new(Action::Publish, Timestamp::UNIX_EPOCH)
    });
}

/// The targets of the lines, or `lost n` for a line that tells of a loss.
fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    text.lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
        .map(|line| match line["target"].as_str() {
            Some(target) => target.to_owned(),
            None => format!("lost {}", line["details"]["lost"]),
        })
        .collect()
}

/// The writer is a thread of its own, so there is nothing to step; wait for what it will do.
fn until(audit: &Audit, reached: impl Fn(&AuditState) -> bool) {
    let began = Instant::now();
    while !reached(&audit.state()) {
        assert!(began.elapsed() < SOON, "still {:?}", audit.state());
        std::thread::yield_now();
    }
}

fn temporary() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("trail/audit.log");
    fs::create_dir(path.parent().unwrap()).unwrap();
    (dir, path)
}

#[test]
fn events_are_written_in_order_from_every_clone() {
    let (_dir, path) = temporary();
    let audit = started(&path);
    record(&audit, "a");
    record(&audit.clone(), "b");
    assert!(audit.close(SOON));
    assert_eq!(lines(&path), ["a", "b"]);
    assert_eq!(audit.state().written, 2);
}

#[test]
fn what_a_full_queue_lost_is_told_just_behind_it() {
    let (_dir, path) = temporary();
    let audit = Audit::waiting(3, SHARES);
    for target in ["a", "b", "c", "d", "e"] {
        record(&audit, target);
    }
    assert_eq!(audit.state().lost, 2);
    audit
        .write_to(Sink::open(Some(path.clone())).unwrap())
        .unwrap();
    until(&audit, |state| state.written == 4);
    record(&audit, "f");
    assert!(audit.close(SOON));
    assert_eq!(lines(&path), ["a", "b", "c", "lost 2", "f"]);
    assert_eq!(audit.state().lost, 2);
}

fn publish(audit: &Audit, target: &str) {
    audit.record(Event {
        actor: crate::domain::message::UserId::parse("shop"),
        target: Some(target.to_owned()),
        ..Event::new(Action::Publish, Timestamp::UNIX_EPOCH)
    });
}

/// How many events the lines stand for.
fn events(path: &Path) -> u64 {
    let text = fs::read_to_string(path).unwrap();
    let line = |line| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let stands_for = |line: serde_json::Value| {
        let details = &line["details"];
        let count = details["events"].as_u64().or(details["lost"].as_u64());
        count.unwrap_or(1)
    };
    text.lines().map(line).map(stands_for).sum()
}

#[test]
fn what_is_summed_up_is_written_before_the_stop_and_at_the_end() {
    let (_dir, path) = temporary();
    let audit = started(&path);
    (0..10).for_each(|_| publish(&audit, "a"));
    audit.record(Event::new(Action::Stop, Timestamp::UNIX_EPOCH));
    (0..5).for_each(|_| publish(&audit, "b"));
    assert!(audit.close(SOON));
    let text = fs::read_to_string(&path).unwrap();
    let actions: Vec<_> = text.lines().map(|line| line.contains("stop")).collect();
    assert_eq!(actions, [false, false, false, false, true, false]);
    assert_eq!((events(&path), audit.state().lost), (16, 0));
}

#[test]
fn a_sum_is_told_when_it_is_due_though_nothing_else_happens() {
    let (_dir, path) = temporary();
    let audit = Audit::waiting(10, SHARES);
    (0..10).for_each(|_| publish(&audit, "a"));
    let trail = audit.trail.as_ref().unwrap();
    trail.lock().repeats.told -= Duration::from_millis(59_500);
    audit
        .write_to(Sink::open(Some(path.clone())).unwrap())
        .unwrap();
    until(&audit, |state| state.written == 4);
    assert_eq!(events(&path), 10);
}

#[test]
fn a_sum_that_could_not_be_written_is_lost_with_all_that_it_stands_for() {
    let audit = started(Path::new("/dev/full"));
    (0..10).for_each(|_| publish(&audit, "a"));
    until(&audit, |state| state.last_error.is_some());
    assert!(audit.close(SOON));
    assert_eq!((audit.state().written, audit.state().lost), (0, 10));
    let (audit, none) = (started(Path::new("/dev/null")), shelf(0));
    audit.keep_in(none);
    (0..10).for_each(|_| publish(&audit, "a"));
    assert!(audit.close(SOON));
    assert_eq!(audit.state().not_kept, 10);
}

/// Attack: a publisher that floods the audit trail, to push out of it what others did.
#[test]
fn a_flood_of_one_user_leaves_room_in_the_queue_for_the_others() {
    let (_dir, path) = temporary();
    let audit = Audit::waiting(5, SHARES);
    (0..100).for_each(|_| publish(&audit, "a"));
    record(&audit, "b");
    assert_eq!(audit.state().lost, 0);
    audit
        .write_to(Sink::open(Some(path.clone())).unwrap())
        .unwrap();
    assert!(audit.close(SOON));
    assert_eq!(events(&path), 101);
}

/// Attack: somebody changes or stops the audit trail.
#[test]
fn a_deleted_file_is_made_again() {
    let (_dir, path) = temporary();
    let audit = started(&path);
    record(&audit, "a");
    until(&audit, |state| state.written == 1);
    fs::remove_file(&path).unwrap();
    record(&audit, "b");
    assert!(audit.close(SOON));
    assert_eq!(lines(&path), ["b"]);
}

#[test]
fn a_rotated_file_is_left_with_or_without_a_word() {
    for told in [false, true] {
        let (_dir, path) = temporary();
        let rotated = path.with_extension("1");
        let audit = started(&path);
        record(&audit, "a");
        until(&audit, |state| state.written == 1);
        fs::rename(&path, &rotated).unwrap();
        if told {
            audit.reopen();
        }
        record(&audit, "b");
        assert!(audit.close(SOON));
        assert_eq!(
            (lines(&rotated), lines(&path)),
            (vec!["a".into()], vec!["b".into()])
        );
    }
}

#[test]
fn a_file_that_cannot_be_opened_stops_the_start() {
    let settings = config::Audit {
        enabled: true,
        file: Some("/no/such/directory/audit.log".into()),
        required: false,
        retention: SOON,
        denied_per_minute: 100,
        alike_per_hour: 3,
    };
    let error = Audit::start(&settings).unwrap_err().to_string();
    assert!(
        error.starts_with("/no/such/directory/audit.log: "),
        "{error}"
    );
}

#[test]
fn events_wait_while_the_file_cannot_be_written() {
    let (_dir, path) = temporary();
    let audit = started(&path);
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
    record(&audit, "a");
    until(&audit, |state| state.last_error.is_some());
    record(&audit, "b");
    fs::create_dir(path.parent().unwrap()).unwrap();
    audit.reopen();
    until(&audit, |state| state.written == 2);
    assert!(audit.close(SOON));
    assert_eq!(lines(&path), ["a", "b"]);
    let state = audit.state();
    assert_eq!((state.lost, state.last_error), (0, None));
    assert!(state.errors > 0);
}

#[test]
fn closing_does_not_wait_for_a_file_that_cannot_be_written() {
    let audit = started(Path::new("/dev/full"));
    record(&audit, "a");
    until(&audit, |state| state.last_error.is_some());
    record(&audit, "b");
    assert!(audit.close(SOON));
    assert_eq!((audit.state().written, audit.state().lost), (0, 2));
}

#[test]
fn closing_gives_up_after_its_limit() {
    let audit = Audit::waiting(1, SHARES);
    assert!(!audit.close(Duration::ZERO), "no thread will ever end");
}

#[test]
fn a_closed_trail_counts_what_it_does_not_take() {
    let (_dir, path) = temporary();
    let audit = started(&path);
    assert!(audit.close(SOON) && audit.close(SOON), "twice is fine");
    record(&audit, "a");
    assert_eq!(audit.state().lost, 1);
    assert_eq!(lines(&path), Vec::<String>::new());
}

#[test]
fn switched_off_it_does_nothing_and_all_is_well() {
    let audit = Audit::start(&config::Audit {
        enabled: false,
        file: Some("/no/such/file".into()),
        required: false,
        retention: SOON,
        denied_per_minute: 100,
        alike_per_hour: 3,
    })
    .unwrap();
    record(&audit, "a");
    audit.reopen();
    assert_eq!(audit.state(), AuditState::default());
    assert!(audit.close(Duration::ZERO));
}

/// Has room for so many records at a time.
#[derive(Debug, Clone)]
struct Shelf {
    room: usize,
    kept: std::sync::Arc<Mutex<Vec<String>>>,
}

impl Keeper for Shelf {
    fn keep(&self, records: Vec<Record>) -> usize {
        let taken = records.len().min(self.room);
        let texts = records.into_iter().take(taken).map(|record| record.text);
        self.kept.lock().unwrap().extend(texts);
        taken
    }
}

fn shelf(room: usize) -> Shelf {
    let kept = Default::default();
    Shelf { room, kept }
}

#[test]
fn a_keeper_gets_what_the_file_gets_and_also_while_the_file_cannot_be_written() {
    for path in ["/dev/full", "/dev/null"] {
        let (audit, shelf) = (started(Path::new(path)), shelf(100));
        audit.keep_in(shelf.clone());
        for target in ["a", "b"] {
            record(&audit, target);
            let reached = || {
                shelf
                    .kept
                    .lock()
                    .unwrap()
                    .iter()
                    .any(|it| it.contains(target))
            };
            until(&audit, |_| reached());
        }
        audit.close(SOON);
        assert_eq!(shelf.kept.lock().unwrap().len(), 2, "{path}");
        assert!(!shelf.kept.lock().unwrap()[0].contains('\n'));
    }
}

#[test]
fn a_keeper_without_room_is_told_later_how_much_it_lacks() {
    let (_dir, path) = temporary();
    let (audit, full) = (Audit::waiting(10, SHARES), shelf(1));
    for target in ["a", "b", "c"] {
        record(&audit, target);
    }
    audit.keep_in(full.clone());
    audit
        .write_to(Sink::open(Some(path.clone())).unwrap())
        .unwrap();
    until(&audit, |state| state.written == 3);
    assert!(audit.close(SOON));
    assert_eq!(audit.state().not_kept, 2);
    let kept = full.kept.lock().unwrap();
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(
        kept[0].contains("\"a\"") && kept[1].contains("\"lost\":2"),
        "{kept:?}"
    );
    assert_eq!(lines(&path), ["a", "b", "c"], "the file lacks nothing");
}
