//! `audit verify` and `audit tail`: the trail that the store keeps, while a hub writes it and after
//! whatever became of the hub.

use rusqlite::Connection;
use serde_json::{Value, json};

use super::command;
use crate::support::command::Said;
use crate::support::http::Api;
use crate::support::hub::{Hub, Start};
use crate::support::{eventually, token};

fn file(hub: &Hub) -> String {
    hub.path("statshub.db").display().to_string()
}

fn audit(hub: &Hub, words: &[&str]) -> Start {
    let file = file(hub);
    let (first, rest) = words.split_first().expect("a word");
    command(&[&["audit", first, &*file], rest].concat())
}

async fn verify(hub: &Hub, words: &[&str]) -> Said {
    audit(hub, &[&["verify"], words].concat()).says().await
}

/// How many records a whole chain has, and its newest hash.
fn whole(said: &Said) -> (u64, String) {
    assert_eq!(said.stderr, "", "{said:?}");
    let line = said.result();
    assert_eq!(line.lines().count(), 1);
    let count = line
        .strip_prefix("whole: ")
        .and_then(|it| it.split_once(' '));
    let count = count.and_then(|(count, _)| count.parse().ok());
    let hash = line.rsplit(' ').next().expect("a hash");
    assert_eq!(hash.len(), 64, "{line}");
    (
        count.unwrap_or_else(|| panic!("no count in {line}")),
        hash.to_owned(),
    )
}

fn broken(said: &Said) -> &str {
    assert_eq!((said.code, &*said.stderr), (Some(1), ""), "{said:?}");
    said.stdout.strip_prefix("broken: ").expect("what is wrong")
}

/// The chain once it has as many records.
async fn whole_with(hub: &Hub, records: u64) -> String {
    eventually(&format!("{records} records"), async || {
        let (count, hash) = whole(&verify(hub, &[]).await);
        assert!(count <= records, "{count} records");
        (count == records).then_some(hash)
    })
    .await
}

async fn publish(api: &Api, count: usize) {
    for n in 0..count {
        api.publish("m", json!(n)).await;
    }
}

fn tamper(hub: &Hub, text: &str) {
    let connection = Connection::open(hub.path("statshub.db")).expect("a database");
    connection.execute_batch(text).expect("a change");
}

fn actions(hub: &Hub) -> Vec<String> {
    let connection = Connection::open(hub.path("statshub.db")).expect("a database");
    let text = "SELECT record ->> 'action' FROM audit ORDER BY id";
    let mut statement = connection.prepare(text).expect("a query");
    let rows = statement.query_map([], |row| row.get(0)).expect("rows");
    rows.collect::<Result<_, _>>().expect("actions")
}

#[tokio::test]
async fn the_trail_is_one_chain_while_the_hub_runs_over_a_crash_and_over_a_stop() {
    let mut hub = Hub::start().await;
    publish(&hub.api(&token::admin("ada")), 3).await;
    let before = whole_with(&hub, 4).await;
    hub.crash().await;
    assert_eq!(whole(&verify(&hub, &[]).await), (4, before.clone()));
    let mut hub = hub.again().await;
    publish(&hub.api(&token::admin("ada")), 2).await;
    whole_with(&hub, 7).await;
    hub.signal(rustix::process::Signal::TERM);
    assert_eq!(hub.ended().await.code, Some(0));
    let said = verify(&hub, &["--expect", &before]).await;
    assert!(said.stdout.contains(", the expected hash among them, "));
    let (records, after) = whole(&said);
    assert_eq!(records, 8);
    let told = format!("the audit trail in the store ends with record 8, hash {after}");
    assert!(hub.stderr().contains(&told), "{}", hub.stderr());
    let p = "publish";
    assert_eq!(actions(&hub), ["start", p, p, p, "start", p, p, "stop"]);
    let hub = hub.again().await;
    assert_ne!(whole_with(&hub, 9).await, after);
    whole(&verify(&hub, &["--expect", &after]).await);
    assert_eq!(hub.stop().await.code, Some(0));
}

/// Attack: somebody changes or stops the audit trail.
#[tokio::test]
async fn what_somebody_did_to_the_trail_is_found_also_under_a_running_hub() {
    for (done, expected) in [
        (
            "UPDATE audit SET record = replace(record, 'ada', 'eve') WHERE id = 3",
            "record 3 (",
        ),
        ("DELETE FROM audit WHERE id = 2", "record 2 is missing"),
        ("UPDATE audit SET at_ms = 0 WHERE id = 1", "record 1 ("),
    ] {
        let hub = Hub::start().await;
        publish(&hub.api(&token::admin("ada")), 3).await;
        whole_with(&hub, 4).await;
        tamper(&hub, done);
        let said = verify(&hub, &[]).await;
        assert!(broken(&said).starts_with(expected), "{said:?}");
        publish(&hub.api(&token::admin("ada")), 1).await;
        let ended = hub.stop().await;
        assert!(!ended.stderr.contains(" ERROR "), "{}", ended.stderr);
    }
}

/// Attack: somebody changes or stops the audit trail.
#[tokio::test]
async fn an_end_that_is_cut_off_is_found_by_the_hash_only() {
    let hub = Hub::start().await;
    publish(&hub.api(&token::admin("ada")), 3).await;
    let newest = whole_with(&hub, 4).await;
    tamper(&hub, "DELETE FROM audit WHERE id > 2");
    assert_eq!(whole(&verify(&hub, &[]).await).0, 2);
    let said = verify(&hub, &["--expect", &newest]).await;
    assert!(broken(&said).contains("the expected hash is not in the chain"));
    let said = verify(&hub, &["--expect", "abc"]).await;
    assert!(said.failure(2).contains("64 digits"), "{said:?}");
}

#[tokio::test]
async fn old_records_go_and_the_chain_begins_later() {
    let config = "[audit]\nretention_ms = 2000";
    let hub = Hub::with().config(config).start().await;
    publish(&hub.api(&token::admin("ada")), 3).await;
    let newest = whole_with(&hub, 4).await;
    let said = eventually("records to go", async || {
        let said = verify(&hub, &["--expect", &newest]).await;
        said.result()
            .starts_with("whole: 0 records, 4 before")
            .then_some(said)
    })
    .await;
    assert_eq!(whole(&said), (0, newest));
    // It lasts longer from now on.
    hub.reload("[audit]\nretention_ms = 60000");
    publish(&hub.api(&token::admin("ada")), 1).await;
    whole_with(&hub, 2).await;
}

fn records(said: &Said) -> Vec<Value> {
    let lines = said.result().lines();
    let record = |line| serde_json::from_str(line).expect("JSON");
    lines.map(record).collect()
}

#[tokio::test]
async fn the_newest_records_are_shown_by_number_and_by_what_is_asked_for() {
    let hub = Hub::start().await;
    for user in ["ada", "bob", "ada"] {
        publish(&hub.api(&token::admin(user)), 2).await;
        hub.api(&token::admin(user)).get("/metrics").await;
    }
    whole_with(&hub, 10).await;
    let tail = async |words: &[&str]| {
        let said = audit(&hub, &[&["tail"], words].concat()).says().await;
        records(&said)
    };
    let all = tail(&[]).await;
    let ids: Vec<_> = all.iter().map(|record| record["id"].as_u64()).collect();
    assert_eq!(ids, (1..=10).map(Some).collect::<Vec<_>>());
    assert_eq!(
        (&all[0]["action"], &all[9]["action"]),
        (&json!("start"), &json!("read_metrics"))
    );
    assert!(all.iter().all(|record| record["time"].is_string()));
    assert_eq!(tail(&["--lines", "2"]).await, all[8..]);
    assert_eq!(tail(&["-n", "0"]).await, [] as [Value; 0]);
    let bobs = tail(&["--actor", "bob", "--action", "publish"]).await;
    assert_eq!(bobs, all[4..6]);
    assert_eq!(
        tail(&["--action", "read_metrics", "-n", "2"]).await,
        [all[6].clone(), all[9].clone()]
    );
}

#[tokio::test]
async fn the_trail_is_followed_as_it_grows() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    publish(&api, 1).await;
    whole_with(&hub, 2).await;
    let mut tail = audit(
        &hub,
        &["tail", "--follow", "-n", "1", "--action", "publish"],
    )
    .goes_on();
    for n in 1..4 {
        let line = tail.line().await.expect("a record");
        let record: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(
            (&record["actor"], &record["target"]),
            (&json!("ada"), &json!("m")),
            "{line}"
        );
        // In between somebody read, which was not asked for.
        assert_eq!(record["id"], 2 * n);
        api.get("/metrics").await;
        publish(&api, 1).await;
    }
    tail.signal(rustix::process::Signal::INT);
    tail.ended().await;
}

#[tokio::test]
async fn without_a_store_there_is_nothing_to_look_at() {
    for words in [
        &["audit", "verify"][..],
        &["audit", "tail"],
        &["backup", "copy"],
    ] {
        // Neither needs the key.
        let said = command(words).without_env("JWT_SECRET").says().await;
        assert!(
            said.failure(1).contains("statshub.db cannot be opened"),
            "{said:?}"
        );
        let memory = "[store]\ndurability = \"memory\"";
        let said = command(words).config(memory).says().await;
        assert!(
            said.failure(1).contains("store.durability is memory"),
            "{said:?}"
        );
    }
    let said = command(&["audit", "verify", "config.toml"])
        .config("# no database of ours at all, yet long enough");
    let said = said.says().await;
    assert!(
        said.failure(1).contains("is no database of statshub"),
        "{said:?}"
    );
}

#[tokio::test]
async fn switched_off_the_trail_is_not_in_the_store_either() {
    let hub = Hub::with().config("[audit]\nenabled = false").start().await;
    let ada = hub.api(&token::admin("ada"));
    publish(&ada, 1).await;
    let health = ada.get("/api/health").await;
    assert_eq!(health.data()["checks"]["audit"]["store"], Value::Null);
    hub.stop().await;
}
