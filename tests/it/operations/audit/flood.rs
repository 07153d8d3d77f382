//! Whoever does something very often pushes nothing out of the trail, and nothing of it is missing there.

use std::time::Duration;

use futures::future::join_all;
use rusqlite::Connection;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::{FILE, audited, find, line, lines};
use crate::support::either::Transport;
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::token;

/// More than a file of two megabytes holds, each of some kilobytes.
const PUBLISHES: usize = 2000;
const AT_ONCE: usize = 20;
const CONNECTS: usize = 100;
/// What stands for itself, as shipped.
const ALIKE: usize = 60;

/// How many events a line stands for.
fn events(line: &Value) -> u64 {
    line["details"]["events"].as_u64().unwrap_or(1)
}

/// How many messages it tells of.
fn messages(line: &Value) -> u64 {
    line["details"]["count"].as_u64().unwrap_or_default()
}

/// Publishes one after another, in batches of two. Returns how many were taken.
async fn flood(publisher: &Api) -> usize {
    let one = json!({"metric": "m", "data": "x".repeat(2000)});
    let body = json!({"messages": [one, one]});
    let flood = async || {
        let mut taken = 0;
        for _ in 0..PUBLISHES / AT_ONCE {
            let answer = publisher.post("/publish", &body).await;
            // A file that is full takes more as soon as something has gone.
            assert!(matches!(answer.status, 202 | 503), "{answer:?}");
            taken += usize::from(answer.status == 202);
        }
        taken
    };
    join_all((0..AT_ONCE).map(|_| flood()))
        .await
        .into_iter()
        .sum()
}

async fn come_and_go(hub: &Hub, user: &str) {
    let token = token::admin(user);
    for number in 0..CONNECTS {
        let mut client = hub.open(Transport::BOTH[number % 2], "", &token).await;
        client.opened().await;
        client.goodbye().await;
    }
    let api = hub.api(&token);
    api.sessions_when(&format!("?user={user}&state=live"), 0)
        .await;
}

fn kept(hub: &Hub) -> Vec<Value> {
    let connection = Connection::open(hub.path("statshub.db")).expect("a database");
    let text = "SELECT record FROM audit ORDER BY id";
    let mut statement = connection.prepare(text).expect("a query");
    let rows = statement.query_map([], |row| row.get::<_, String>(0));
    let texts = rows.expect("rows").collect::<Result<Vec<_>, _>>();
    texts
        .expect("texts")
        .iter()
        .map(|text| line(text))
        .collect()
}

async fn says(hub: &Hub, words: &[&str]) -> String {
    let file = hub.path("statshub.db").display().to_string();
    let command = Hub::with().arg("audit").arg(words[0]).arg(&file);
    let command = words[1..].iter().fold(command, |it, word| it.arg(word));
    command.says().await.result().to_owned()
}

/// Attack: a publisher that floods the audit trail, to push out of it what others did.
#[tokio::test]
async fn a_flood_of_one_user_leaves_in_the_trail_what_others_did_and_is_in_it_to_the_last() {
    let config = "[store.retention]\nfile_bytes_max = 2097152";
    let mut hub = audited(config).await;
    let ada = hub.api(&token::admin("ada"));
    let disconnected = ada.post("/disconnect", &json!({"userId": "eve"})).await;
    assert_eq!(disconnected.status, 200);
    let gus = token::token("gus", "guest", Duration::from_secs(600));
    assert_eq!(hub.api(&gus).get("/connections").await.status, 403);
    let taken = flood(&hub.api(&token::service("shop"))).await;
    come_and_go(&hub, "eve").await;
    assert!(taken > ALIKE, "{taken} taken");

    let tail = says(&hub, &["tail", "--action", "operator_disconnect"]).await;
    assert!(tail.contains("\"user eve\""), "{tail}");
    let verified = says(&hub, &["verify"]).await;
    let is_whole = verified.starts_with("whole: ") && !verified.contains("removed by retention");
    assert!(is_whole, "{verified}");

    hub.signal(Signal::TERM);
    assert_eq!(hub.ended().await.code, Some(0));
    let file = lines(&std::fs::read_to_string(hub.path(FILE)).expect("a trail"));
    for (trail, place) in [(file, "in the file"), (kept(&hub), "in the store")] {
        assert_eq!(
            trail.last().map(|it| &it["action"]),
            Some(&json!("stop")),
            "{place}"
        );
        assert_eq!(
            find(&trail, "action", "operator_disconnect").count(),
            1,
            "{place}"
        );
        assert_eq!(find(&trail, "actor", "gus").count(), 1, "{place}");
        let by = |actor: &'static str, action: &'static str| {
            find(&trail, "actor", actor).filter(move |it| it["action"] == action)
        };
        let publishes: u64 = by("shop", "publish").map(events).sum();
        assert_eq!(publishes, PUBLISHES as u64, "{place}");
        let ok = || by("shop", "publish").filter(|it| it["outcome"] == "ok");
        assert_eq!(ok().map(events).sum::<u64>(), taken as u64, "{place}");
        assert_eq!(ok().map(messages).sum::<u64>(), 2 * taken as u64, "{place}");
        assert_eq!(
            ok().filter(|it| events(it) == 1 && it["target"] == "m")
                .count(),
            ALIKE,
            "{place}"
        );
        for action in ["connect", "disconnect"] {
            let counted: u64 = by("eve", action).map(events).sum();
            assert_eq!(counted, CONNECTS as u64, "{action} {place}");
        }
        let many = trail.len();
        assert!(many < 6 * ALIKE, "{many} lines {place}");
    }
    let verified = says(&hub, &["verify"]).await;
    assert!(verified.starts_with("whole: "), "{verified}");
}

#[tokio::test]
async fn how_much_stands_for_itself_can_be_said() {
    let config = "[audit]\nfile = \"audit.jsonl\"\nalike_per_hour = 2";
    let mut hub = Hub::with().config(config).start().await;
    let api = hub.api(&token::service("shop"));
    let mut ids = Vec::new();
    for metric in ["a", "b", "c", "d", "c"] {
        ids.push(api.publish(metric, json!(1)).await);
    }
    hub.signal(Signal::TERM);
    assert_eq!(hub.ended().await.code, Some(0));
    let trail = lines(&std::fs::read_to_string(hub.path(FILE)).expect("a trail"));
    let published: Vec<_> = find(&trail, "action", "publish").collect();
    let targets: Vec<_> = published.iter().map(|it| &it["target"]).collect();
    assert_eq!(targets, [&json!("a"), &json!("b"), &Value::Null]);
    let sum = published[2];
    assert_eq!(
        (&sum["actor"], &sum["role"]),
        (&json!("shop"), &json!("service"))
    );
    assert_eq!(
        (&sum["remote"], &sum["outcome"]),
        (&json!("127.0.0.1"), &json!("ok"))
    );
    let details = &sum["details"];
    for (field, expected) in [
        ("events", json!(3)),
        ("count", json!(3)),
        ("first", json!(ids[2])),
        ("last", json!(ids[4])),
        ("targets", json!(["c", "d"])),
    ] {
        assert_eq!(details[field], expected, "{details}");
    }
    assert!(
        details["from"].as_str() <= details["to"].as_str(),
        "{details}"
    );
}
