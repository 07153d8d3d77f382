//! Clients that stop reading while very much is published: what that costs the hub, what it costs
//! the others, and what comes of it when they read again.

use serde_json::Value;
use tokio::task::JoinHandle;

use super::journal::{Draft, Journal};
use super::model::{CRITICAL, Published, Reader};
use super::session::Session;
use super::trail::{self, Episode, Start};
use crate::support::either::Transport;
use crate::support::hub::Hub;
use crate::support::id::Id;
use crate::support::token;

const BACKLOG: usize = 20;
const MIB: usize = 1024 * 1024;
/// Near the largest that a message may be.
const MESSAGE_BYTES: usize = 60_000;
/// As many as a body holds.
const BATCH: usize = 15;
const BATCHES: usize = 60;
/// With so much more than before, the hub has not kept what was published.
const GROWTH_MAX: usize = 30 * MIB;

/// What one client got, and whether all of it was accounted for.
struct Outcome {
    transport: Transport,
    came: usize,
    counted: usize,
    critical: usize,
}

fn account(
    session: &Session,
    transport: Transport,
    all: &[Published],
    items: Vec<Value>,
) -> Outcome {
    let is_critical = |it: &&Value| it["priority"] == "critical";
    let critical = items.iter().filter(is_critical).count();
    let episode = Episode {
        start: Start::After(session.began),
        notice: None,
        items,
    };
    let (came, counted) = trail::account(all, BACKLOG, &[episode]);
    Outcome {
        transport,
        came,
        counted,
        critical,
    }
}

async fn open(hub: &Hub, transport: Transport, user: &str) -> Session {
    let reader = Reader::of(&format!("{user}-{}", transport.name()), &[]);
    Session::open(hub, transport, reader).await
}

/// Reads up to the alert that says it is over, and keeps of each message what tells which it is.
fn reading(mut session: Session) -> JoinHandle<(Session, Vec<Value>)> {
    tokio::spawn(async move {
        let mut items = Vec::new();
        loop {
            let mut message = session.client().next().await;
            let is_last = message["type"] == "system_alert";
            if let Some(value) = message["data"].get_mut("large") {
                *value = Value::Null;
            }
            items.push(message);
            if is_last {
                return (session, items);
            }
        }
    })
}

/// Fifty megabytes, and now and then something that matters.
async fn publish_all(journal: &mut Journal) {
    let large = vec![Draft::new("large", "normal").of_bytes(MESSAGE_BYTES); BATCH];
    for _ in 0..BATCHES / 6 {
        journal.publish(&[Draft::new("small", "critical")]).await;
        journal.publish_often(&large, 6).await;
    }
    journal.alert().await;
}

/// Attack: a client that stops reading.
#[tokio::test]
async fn who_does_not_read_costs_little_and_the_others_nothing() {
    let config = format!("[outgoing]\nworker_backlog_bytes_max = {}", 2 * MIB);
    let start = Hub::with().env("MAX_BUFFER_SIZE", &BACKLOG.to_string());
    let hub = start.config(&config).start().await;
    let watcher = hub.api(&token::admin("watcher"));
    let mut journal = Journal::new(&hub);
    let mut stuck = Vec::new();
    let mut readers = Vec::new();
    for transport in Transport::BOTH {
        stuck.push((transport, open(&hub, transport, "stuck").await));
        readers.push((transport, reading(open(&hub, transport, "reader").await)));
    }
    let before = hub.memory();
    publish_all(&mut journal).await;
    let grown = hub.memory_peak().saturating_sub(before);
    eprintln!("XX grown {} KiB before {}", grown / 1024, before / 1024);
    assert!(grown < GROWTH_MAX, "{} KiB more", grown / 1024);
    watcher.sessions_when("?state=lagging", 2).await;

    let all = journal.published;
    let mut outcomes = Vec::new();
    for (transport, task) in readers {
        let (session, items) = task.await.expect("a client that reads");
        outcomes.push(account(&session, transport, &all, items));
    }
    for (transport, session) in stuck {
        let (session, items) = reading(session).await.expect("a client that reads again");
        let outcome = account(&session, transport, &all, items);
        assert!(outcome.counted > all.len() / 2, "most was too much for it");
        outcomes.push(outcome);
    }
    let critical = all.iter().filter(|it| it.priority == CRITICAL).count();
    assert!(critical < BACKLOG);
    for outcome in outcomes {
        let transport = outcome.transport;
        assert_eq!(outcome.came + outcome.counted, all.len(), "{transport:?}");
        assert_eq!(outcome.critical, critical, "{transport:?}");
    }
}

/// Attack: a client that stops reading.
#[tokio::test]
async fn nobody_waits_for_who_does_not_read() {
    let hub = Hub::start().await;
    let watcher = hub.api(&token::admin("watcher"));
    let mut journal = Journal::new(&hub);
    for transport in Transport::BOTH {
        let _stuck = [
            open(&hub, Transport::Sse, "stuck").await,
            open(&hub, Transport::WebSocket, "stuck").await,
        ];
        let mut other = open(&hub, transport, "other").await;
        // Far more than the queue of one connection and its socket hold.
        for _ in 0..4 {
            let large = vec![Draft::new("large", "normal").of_bytes(MESSAGE_BYTES); BATCH];
            journal.publish(&large).await;
            let published = &journal.published[journal.published.len() - BATCH..];
            let ids: Vec<Id> = published.iter().map(|it| it.id).collect();
            let got = other.read(BATCH).await;
            let got: Vec<Id> = got.iter().map(|it| Id::of(&it["messageId"])).collect();
            assert_eq!(got, ids, "each at once, while the others have not read");
        }
        watcher.sessions_when("?state=lagging", 2).await;
        other.leave(&watcher).await;
        drop(_stuck);
        watcher.sessions_when("?state=lagging", 0).await;
    }
}
