//! A client that stays connected and does not read for a while.

use serde_json::Value;

use super::journal::{Draft, Journal};
use super::model::{Counts, Reader};
use super::session::Session;
use super::trail::{self, Episode, Start};
use super::{Seed, seeds};
use crate::support::either::Transport;
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::id::Id;
use crate::support::rng::Rng;
use crate::support::token;

/// More than a worker fans out before its connections get to write, so that only who does not read
/// is ever behind.
pub const CONFIG: &str = "[outgoing]\nqueue_messages_max = 64";
const BATCH: usize = 10;
const MESSAGE_BYTES: usize = 8192;
/// Published when the queue is full already: more than any backlog here holds.
const TOO_MUCH: usize = 200;
/// By then everybody is behind who does not read.
const BATCHES_MAX: usize = 200;

async fn hub(backlog: usize, flush_interval: &str) -> Hub {
    Hub::with()
        .env("MAX_BUFFER_SIZE", &backlog.to_string())
        .env("REAL_TIME_BUFFER_FLUSH_INTERVAL", flush_interval)
        .config(CONFIG)
        .start()
        .await
}

/// Publishes more than a client that does not read can take, however much that is. Ends with an
/// alert.
pub async fn overwhelm(journal: &mut Journal, watcher: &Api, user: &str, rng: &mut Rng) {
    let query = format!("?state=live&user={user}");
    let mut too_much = 0;
    for _ in 0..BATCHES_MAX {
        let draft = |_| Draft::random(rng).of_bytes(MESSAGE_BYTES);
        let drafts: Vec<Draft> = (0..BATCH).map(draft).collect();
        journal.publish(&drafts).await;
        too_much = match watcher.sessions(&query).await.is_empty() {
            true => too_much + BATCH,
            false => 0,
        };
        if too_much >= TOO_MUCH {
            break;
        }
    }
    assert!(too_much >= TOO_MUCH, "nothing is too much for {user}");
    journal.alert().await;
}

/// Holds what came on the one stream of a session to all that was published for it.
fn account(session: &Session, journal: &Journal, backlog: usize, items: &[Value]) -> usize {
    let all = session.reader.missed(&journal.published, session.began);
    let episode = Episode {
        start: Start::After(session.began),
        notice: None,
        items: items.to_vec(),
    };
    let (came, counted) = trail::account(&all, backlog, &[episode]);
    assert_eq!(came + counted, all.len(), "sent and dropped is all");
    let ids = items.iter().filter_map(|it| Id::read(&it["messageId"]));
    let ids: Vec<Id> = ids.collect();
    assert!(ids.windows(2).all(|pair| pair[0] < pair[1]), "{ids:?}");
    counted
}

fn notices(items: &[Value]) -> usize {
    let notice = |it: &&Value| it["type"] == "messages_dropped";
    items.iter().filter(notice).count()
}

#[tokio::test]
async fn who_was_too_slow_is_told_what_was_dropped_then_gets_the_rest_and_is_live() {
    const BACKLOG: usize = 20;
    for (flush_interval, seed) in ["20", "86400000"].into_iter().zip(seeds(2)) {
        let _shown = Seed(seed);
        let mut rng = Rng::new(seed);
        let hub = hub(BACKLOG, flush_interval).await;
        let watcher = hub.api(&token::admin("watcher"));
        for transport in Transport::BOTH {
            let mut journal = Journal::new(&hub);
            let reader = Reader::of(transport.name(), &["a.*", "b"]);
            let user = reader.user.clone();
            let mut session = Session::open_narrow(&hub, transport, reader).await;
            let mut items = Vec::new();
            // Once is chance: the second time begins where the first has ended.
            for _ in 0..2 {
                overwhelm(&mut journal, &watcher, &user, &mut rng).await;
                items.extend(session.read_to(journal.last()).await);
            }
            let drafts = [Draft::new("a.x", "low"), Draft::new("c", "low")];
            journal.publish(&drafts).await;
            let alert = journal.alert().await;
            items.extend(session.read_to(alert).await);
            assert!(notices(&items) >= 2);
            let dropped = account(&session, &journal, BACKLOG, &items);
            assert!(dropped > 0);
            let told = watcher.sessions(&format!("?user={user}")).await.remove(0);
            assert_eq!(told["state"], "live");
            let told = told["dropped"].as_object().expect("counts by priority");
            let told = told.values().filter_map(Value::as_u64).sum::<u64>();
            assert_eq!(told, dropped as u64, "operators see the same");
            session.leave(&watcher).await;
        }
    }
}

#[tokio::test]
async fn who_was_slow_and_lost_nothing_is_told_nothing() {
    const BACKLOG: usize = 1000;
    let mut rng = Rng::new(1);
    let hub = hub(BACKLOG, "86400000").await;
    let watcher = hub.api(&token::admin("watcher"));
    for transport in Transport::BOTH {
        let mut journal = Journal::new(&hub);
        let reader = Reader::of(transport.name(), &[]);
        let user = reader.user.clone();
        let mut session = Session::open_narrow(&hub, transport, reader).await;
        overwhelm(&mut journal, &watcher, &user, &mut rng).await;
        let items = session.read_to(journal.last()).await;
        assert_eq!(notices(&items), 0);
        assert_eq!(account(&session, &journal, BACKLOG, &items), 0);
        session.leave(&watcher).await;
    }
}

#[tokio::test]
async fn who_leaves_while_slow_goes_on_from_what_arrived() {
    const BACKLOG: usize = 20;
    for seed in seeds(2) {
        let _shown = Seed(seed);
        let mut rng = Rng::new(seed);
        let hub = hub(BACKLOG, "20").await;
        let watcher = hub.api(&token::admin("watcher"));
        for transport in Transport::BOTH {
            let mut journal = Journal::new(&hub);
            let reader = Reader::of(transport.name(), &[]);
            let user = reader.user.clone();
            let mut session = Session::open_narrow(&hub, transport, reader).await;
            overwhelm(&mut journal, &watcher, &user, &mut rng).await;
            let got = rng.between(1, 10);
            let got = session.read(got).await;
            let last = Id::of(&got[got.len() - 1]["messageId"]);
            // Sometimes the hub knows that the old stream has gone, and sometimes it does not.
            match rng.per_mille(500) {
                true => session.leave(&watcher).await,
                false => session.part().reset(),
            }
            let (notice, items) = session.resume(&hub, transport, Some(last)).await;
            let all = session.reader.missed(&journal.published, session.began);
            let episode = Episode {
                start: Start::After(last),
                notice: Some(notice),
                items,
            };
            let (came, counted) = trail::account(&all, BACKLOG, &[episode]);
            assert_eq!(got.len() + came + counted, all.len());
            session.leave(&watcher).await;
        }
    }
}

#[tokio::test]
async fn what_a_slow_client_was_told_of_it_is_not_told_of_again() {
    const BACKLOG: usize = 20;
    let mut rng = Rng::new(1);
    let hub = hub(BACKLOG, "20").await;
    let watcher = hub.api(&token::admin("watcher"));
    for (transport, is_replaced) in Transport::BOTH
        .into_iter()
        .flat_map(|it| [(it, false), (it, true)])
    {
        let mut journal = Journal::new(&hub);
        let reader = Reader::of(transport.name(), &[]);
        let mut session = Session::open_narrow(&hub, transport, reader).await;
        overwhelm(&mut journal, &watcher, transport.name(), &mut rng).await;
        journal
            .publish(&vec![Draft::new("a", "critical"); BACKLOG])
            .await;
        let last = journal.last();
        // What is dropped is the newest, after all that is sent.
        journal
            .publish(&vec![Draft::new("a", "low"); BACKLOG])
            .await;
        let items = session.read_to(last).await;
        assert!(account(&session, &journal, BACKLOG, &items) >= BACKLOG);
        let old = session.part();
        let old = match is_replaced {
            true => Some(old),
            false => {
                assert!(old.goodbye().await.is_empty());
                None
            }
        };
        let (notice, replayed) = session.resume(&hub, transport, None).await;
        assert_eq!(
            (Counts::told(&notice), replayed.len()),
            (Counts::default(), 0)
        );
        drop(old);
        session.leave(&watcher).await;
        let body = serde_json::json!({"userId": transport.name()});
        assert_eq!(watcher.post("/disconnect", &body).await.status, 200);
    }
}

#[tokio::test]
async fn a_long_backlog_arrives_over_however_little_at_a_time_and_with_nothing_new_to_push_it() {
    const MESSAGES: usize = 4000;
    const SESSIONS: usize = 4;
    let never = "86400000";
    let hub = Hub::with()
        .env("MAX_BUFFER_SIZE", "100000")
        .env("REAL_TIME_BUFFER_FLUSH_INTERVAL", never)
        .env("REAL_TIME_HEARTBEAT_INTERVAL", never)
        .start()
        .await;
    let api = hub.api(&token::admin("watcher"));
    let mut journal = Journal::new(&hub);
    journal.publish(&[Draft::new("m", "low")]).await;
    let first = journal.last();
    let drafts: Vec<Draft> = (0..MESSAGES / 10).map(|_| Draft::new("m", "low")).collect();
    journal.publish_often(&drafts, 10).await;
    let last = journal.last();
    for _ in 0..2 {
        for transport in Transport::BOTH {
            let query = format!("?metrics=m&lastEventId={first}");
            let read = (0..SESSIONS).map(async |number| {
                let token = token::admin(&format!("{}-{number}", transport.name()));
                let mut client = hub.open_narrow(transport, &query, &token).await;
                let notice = client.next().await;
                assert_eq!(notice["data"]["replayedMessagesCount"], MESSAGES);
                let mut before = first;
                for _ in 0..MESSAGES {
                    let id = Id::of(&client.next().await["messageId"]);
                    assert!(id > before, "{id} after {before}");
                    before = id;
                }
                assert_eq!(before, last);
                client.reset();
            });
            futures::future::join_all(read).await;
            api.sessions_when("?state=live", 0).await;
        }
    }
}
