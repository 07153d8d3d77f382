//! A file that cannot be written, read, or understood.

use std::fs;
use std::os::unix::fs::FileExt;

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::support::either::Transport;
use crate::support::hub::Hub;
use crate::support::id::Id;
use crate::support::{eventually, token};

/// The one line that a hub says which does not start on its file, and what is in the file then.
async fn refused(content: &[u8]) -> String {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("log.db");
    fs::write(&file, content).expect("a file");
    let config = format!(
        "[store]\nfile = \"{}\"\n[audit]\nenabled = false",
        file.display()
    );
    let said = Hub::with().config(&config).says().await;
    let is_same = fs::read(&file).expect("a file") == content;
    assert!(is_same, "the file was changed");
    let line = said.failure(1);
    assert!(line.contains(file.to_str().expect("a path")), "{line}");
    line.to_owned()
}

/// A file as a hub leaves it.
async fn left_behind() -> (Hub, Vec<u8>) {
    let mut hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    for n in 0..50 {
        api.publish("m", json!(n)).await;
    }
    hub.signal(rustix::process::Signal::TERM);
    hub.ended().await;
    let content = fs::read(hub.path("statshub.db")).expect("a file");
    (hub, content)
}

/// Failure: a store that is damaged, or somebody else's.
#[tokio::test]
async fn a_file_that_is_no_log_or_is_damaged_stays_as_it_is() {
    let text = refused(b"these are my notes, and they are dear to me").await;
    assert!(text.contains("no database of statshub"), "{text}");
    let (_, mut content) = left_behind().await;
    // The schema, on the first page.
    content[200..4000].fill(0xff);
    let text = refused(&content).await;
    assert!(text.contains("damaged"), "{text}");
}

#[tokio::test]
async fn another_programs_database_stays_as_it_is() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("other.db");
    let other = Connection::open(&file).expect("a database");
    other
        .execute_batch("CREATE TABLE mine (a)")
        .expect("a table");
    drop(other);
    let text = refused(&fs::read(&file).expect("a file")).await;
    assert!(text.contains("another program"), "{text}");
}

/// Failure: a store that is damaged, or somebody else's.
#[tokio::test]
async fn a_newer_schema_is_refused() {
    let (hub, _) = left_behind().await;
    let file = Connection::open(hub.path("statshub.db")).expect("a database");
    file.pragma_update(None, "journal_mode", "DELETE")
        .expect("one file");
    file.pragma_update(None, "user_version", 1000)
        .expect("a version");
    drop(file);
    let content = fs::read(hub.path("statshub.db")).expect("a file");
    let text = refused(&content).await;
    assert!(text.contains("newer statshub"), "{text}");
}

/// Failure: the clock jumps.
#[tokio::test]
async fn a_log_from_the_future_is_refused() {
    let (hub, _) = left_behind().await;
    let file = Connection::open(hub.path("statshub.db")).expect("a database");
    file.pragma_update(None, "journal_mode", "DELETE")
        .expect("one file");
    let ahead = "UPDATE meta SET value = value + (50 * 3600 * 1000 << 20) WHERE key = 'last'";
    file.execute(ahead, []).expect("an update");
    drop(file);
    let content = fs::read(hub.path("statshub.db")).expect("a file");
    let text = refused(&content).await;
    assert!(text.contains("ahead of this machine's clock"), "{text}");
}

/// Failure: a store that is damaged, or somebody else's.
#[tokio::test]
async fn two_hubs_do_not_share_a_file() {
    let hub = Hub::start().await;
    let file = hub.path("statshub.db");
    let config = format!(
        "[store]\nfile = \"{}\"\n[audit]\nenabled = false",
        file.display()
    );
    let said = Hub::with().config(&config).says().await;
    let holder = format!("another hub uses it, process {};", hub.process_id());
    assert!(said.failure(1).contains(&holder), "{said:?}");
}

async fn store_check(hub: &Hub) -> Value {
    let health = hub.api(&token::admin("ada")).get("/api/health").await;
    health.data()["checks"]["store"].clone()
}

#[tokio::test]
async fn while_the_log_cannot_be_written_publishing_is_refused_and_the_rest_goes_on() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let (mut client, _) = hub.opened(Transport::Sse, "", &ada).await;
    let first = api.publish("m", json!(1)).await;
    assert_eq!(client.next().await["messageId"], first);

    // Another program holds the file for as long as it likes.
    let other = Connection::open(hub.path("statshub.db")).expect("a database");
    other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let refused = api
        .post("/publish", &json!({"metric": "m", "data": 2}))
        .await;
    assert_eq!(refused.failure(), (503, "unavailable"));
    assert!(
        refused.error().contains("another program holds the file"),
        "{}",
        refused.error()
    );
    assert!(refused.retry_after() > 0);
    let check = store_check(&hub).await;
    assert_eq!(check["ok"], false, "{check}");
    let (other_client, _) = hub.opened(Transport::WebSocket, "", &ada).await;
    assert_eq!(api.get("/metrics").await.data()["m"]["value"], 1);

    other.execute_batch("ROLLBACK").expect("no lock");
    eventually("a store that is well again", async || {
        store_check(&hub).await["ok"].as_bool().filter(|ok| *ok)
    })
    .await;
    let next = api.publish("m", json!(3)).await;
    for mut client in [client, other_client] {
        assert_eq!(
            client.next().await["messageId"],
            next,
            "what was refused never came"
        );
    }
    // Sessions that began meanwhile were not forgotten.
    let mut hub = hub;
    hub.crash().await;
    let hub = hub.again().await;
    hub.api(&ada).sessions_when("?state=away", 2).await;
}

/// Failure: the disk is full.
#[tokio::test]
async fn a_log_that_is_full_lets_the_oldest_go_and_takes_more() {
    let config = "[store.retention]\nfile_bytes_max = 1048576\n[audit]\nenabled = false";
    let hub = Hub::with().config(config).start().await;
    let api = hub.api(&token::admin("ada"));
    let data = json!("x".repeat(10_000));
    let mut refusals = 0;
    for _ in 0..300 {
        loop {
            let answer = api
                .post("/publish", &json!({"metric": "m", "data": data}))
                .await;
            if answer.status == 202 {
                break;
            }
            assert_eq!(answer.failure(), (503, "unavailable"));
            assert!(
                answer.error().contains("store.retention"),
                "{}",
                answer.error()
            );
            refusals += 1;
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    }
    let size = fs::metadata(hub.path("statshub.db")).expect("a file").len();
    assert!(size <= 1_048_576, "{size} bytes, after {refusals} refusals");
}

/// Failure: a store that is damaged, or somebody else's.
#[tokio::test]
async fn damage_that_comes_while_running_is_told_and_nothing_is_written_over_it() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    api.publish("m", json!(1)).await;
    // Everything into the file itself, then rubbish over all of its pages but the first.
    let other = Connection::open(hub.path("statshub.db")).expect("a database");
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    other
        .query_row(checkpoint, [], |_| Ok(()))
        .expect("a checkpoint");
    drop(other);
    let path = hub.path("statshub.db");
    let file = fs::File::options().write(true).open(&path).expect("a file");
    let length = file.metadata().expect("a size").len();
    let rubbish = vec![0xa5; usize::try_from(length).expect("a size") - 4096];
    file.write_all_at(&rubbish, 4096).expect("rubbish");
    let mut told = None;
    for n in 0..200 {
        let body = json!({"metric": format!("m.{n}"), "data": "x".repeat(5000)});
        let answer = api.post("/publish", &body).await;
        if answer.status == 503 {
            told = Some(answer.error().to_owned());
            break;
        }
    }
    let told = told.expect("it never noticed");
    assert!(told.contains("damaged"), "{told}");
    assert_eq!(store_check(&hub).await["ok"], false);
}

/// A small file system of its own, gone when this is dropped.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None` where this user may not mount anything.
    fn of(size: &str) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory");
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(directory.path())
            .output();
        let is_mounted = mount.is_ok_and(|mount| mount.status.success());
        is_mounted.then_some(Self(directory))
    }
}

impl SmallDisk {
    /// From now on nothing on it can be changed.
    fn is_read_only(&self) {
        let remount = std::process::Command::new("mount")
            .args(["-o", "remount,ro"])
            .arg(self.0.path())
            .status();
        assert!(
            remount.is_ok_and(|status| status.success()),
            "it stays as it was"
        );
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let umount = std::process::Command::new("umount")
            .arg("-l")
            .arg(self.0.path())
            .status();
        assert!(
            umount.is_ok_and(|status| status.success()),
            "it stays mounted"
        );
    }
}

/// Failure: the disk is full.
#[tokio::test]
async fn a_full_disk_refuses_publishers_until_there_is_room_again() {
    let Some(disk) = SmallDisk::of("3m") else {
        eprintln!("left out: this user may not mount a file system");
        return;
    };
    let file = disk.0.path().join("log.db");
    let ballast = disk.0.path().join("ballast");
    fs::write(&ballast, vec![0; 1 << 20]).expect("room for ballast");
    let config = format!(
        "[store]\nfile = \"{}\"\n[audit]\nenabled = false",
        file.display()
    );
    let mut hub = Hub::with().config(&config).start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let (mut client, _) = hub.opened(Transport::Sse, "", &ada).await;
    let body = json!({"metric": "m", "data": "x".repeat(50_000)});
    let mut taken = 0;
    let refused = loop {
        let answer = api.post("/publish", &body).await;
        match answer.status {
            202 => taken += 1,
            _ => break answer,
        }
        assert!(taken < 100, "the disk is never full");
    };
    assert_eq!(refused.failure(), (503, "unavailable"));
    assert!(
        refused.error().contains("disk is full"),
        "{}",
        refused.error()
    );
    for _ in 0..taken {
        client.next_message("metrics_update").await;
    }
    fs::remove_file(&ballast).expect("the ballast");
    let next = eventually("room", async || {
        let answer = api
            .post("/publish", &json!({"metric": "m", "data": 1}))
            .await;
        (answer.status == 202).then(|| answer.data()["messageId"].clone())
    })
    .await;
    assert_eq!(
        client.next_message("metrics_update").await["messageId"],
        next
    );
    hub.crash().await;
    let mut hub = hub.again().await;
    let mut client = hub.open(Transport::Sse, "", &ada).await;
    assert_eq!(client.next_message("initial_metrics").await["data"]["m"], 1);
    hub.crash().await;
}

/// Failure: a store that is damaged, or somebody else's.
#[tokio::test]
async fn a_journal_whose_end_is_torn_off_is_read_up_to_there_and_nobody_is_left_in_the_dark() {
    let mut hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let mut ids = Vec::new();
    for n in 0..50 {
        ids.push(api.publish("m", json!(n)).await);
    }
    hub.crash().await;
    let journal = hub.path("statshub.db-wal");
    let file = fs::File::options()
        .write(true)
        .open(&journal)
        .expect("a journal");
    let length = file.metadata().expect("a size").len();
    file.set_len(length - length / 3).expect("a shorter one");
    let hub = hub.again().await;
    let api = hub.api(&ada);
    let left = api.get("/metrics").await.data()["m"]["value"]
        .as_u64()
        .expect("a value");
    let left = usize::try_from(left).expect("a count");
    assert!((1..49).contains(&left), "{left} of 49");
    let next = api.publish("m", json!("next")).await;
    let id = |text: &str| Id::of(&json!(text));
    assert!(
        id(&next) > id(&ids[49]),
        "ids go on above those that are lost"
    );
    let resumed = async |from: &str| {
        let mut client = hub
            .open(Transport::Sse, &format!("?lastEventId={from}"), &ada)
            .await;
        client.next().await["data"]["resumed"].clone()
    };
    assert_eq!(resumed(&ids[left]).await, true, "whoever was there");
    assert_eq!(resumed(&ids[left + 1]).await, false, "whoever was further");
}

/// Failure: a store that is damaged, or somebody else's.
#[tokio::test]
async fn a_file_that_may_only_be_read_is_refused_and_stays_as_it_is() {
    let Some(disk) = SmallDisk::of("3m") else {
        eprintln!("left out: this user may not mount a file system");
        return;
    };
    let file = disk.0.path().join("log.db");
    let config = format!(
        "[store]\nfile = \"{}\"\n[audit]\nenabled = false",
        file.display()
    );
    let mut hub = Hub::with().config(&config).start().await;
    hub.api(&token::admin("ada")).publish("m", json!(1)).await;
    hub.crash().await;
    disk.is_read_only();
    let before = fs::read(&file).expect("a file");
    let said = Hub::with().config(&config).says().await;
    let line = said.failure(1);
    assert!(
        line.contains("Read-only") && line.contains("store.file"),
        "{line}"
    );
    assert!(
        fs::read(&file).expect("a file") == before,
        "the file was changed"
    );
}
