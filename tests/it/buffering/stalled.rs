//! Clients that take nothing any more: they are cut, and what was theirs waits for them.

use super::journal::{Draft, Journal};
use super::model::{Buffer, Counts, Reader};
use super::session::Session;
use super::slow::{self, overwhelm};
use super::{Seed, seeds};
use crate::support::either::Transport;
use crate::support::hub::Hub;
use crate::support::id::Id;
use crate::support::in_time;
use crate::support::rng::Rng;
use crate::support::token;

const BACKLOG: usize = 20;

async fn hub(config: &str) -> Hub {
    let config = format!("{}\n{config}", slow::CONFIG);
    let start = Hub::with().env("MAX_BUFFER_SIZE", &BACKLOG.to_string());
    start.config(&config).start().await
}

/// By whom a client is cut that takes nothing: by the hub, or by the kernel.
const LIMITS: [&str; 2] = ["stall_timeout_ms = 400", "tcp_user_timeout_ms = 400"];

/// Attack: a client that stops reading.
#[tokio::test]
async fn who_takes_nothing_for_too_long_is_cut_and_misses_no_count() {
    for ((names_last, limit), seed) in [true, false].into_iter().zip(LIMITS).zip(seeds(2)) {
        let _shown = Seed(seed);
        let mut rng = Rng::new(seed);
        let hub = hub(limit).await;
        let watcher = hub.api(&token::admin("watcher"));
        for transport in Transport::BOTH {
            let mut journal = Journal::new(&hub);
            let reader = Reader::of(transport.name(), &["a.**"]);
            let user = reader.user.clone();
            let mut session = Session::open_narrow(&hub, transport, reader).await;
            overwhelm(&mut journal, &watcher, &user, &mut rng).await;
            let away = session.is_away(&watcher).await;
            let stats = watcher.get("/connection-stats").await;
            assert_eq!(stats.data()["totalConnections"], 0, "nobody is connected");

            let all = session.reader.missed(&journal.published, session.began);
            let ids: Vec<Id> = all.iter().map(|message| message.id).collect();
            // What the network still held is no loss to who says what arrived.
            let arrived = session.part().rest().await;
            let arrived: Vec<Id> = arrived
                .iter()
                .filter_map(|it| Id::read(&it["messageId"]))
                .collect();
            assert!(ids.starts_with(&arrived), "{arrived:?} of {ids:?}");
            let sent = away["sent"].as_u64().expect("a count") as usize;
            assert!((arrived.len()..ids.len()).contains(&sent), "{sent}");
            let (last, missed) = match names_last {
                true => (arrived.last().copied(), &all[arrived.len()..]),
                false => (None, &all[sent..]),
            };
            let (notice, replayed) = session.resume(&hub, transport, last).await;
            let expected = Buffer::filled(BACKLOG, missed);
            assert_eq!(Counts::told(&notice), expected.counts);
            let kept = expected.kept.iter().zip(&replayed);
            assert!(kept.len() == replayed.len() && kept.into_iter().all(|(it, got)| it.is(got)));
            let alert = journal.alert().await;
            session.read_to(alert).await;
            session.leave(&watcher).await;
        }
    }
}

#[tokio::test]
async fn who_is_slow_but_takes_something_is_not_cut() {
    let mut rng = Rng::new(1);
    let hub = hub("stall_timeout_ms = 1000").await;
    let watcher = hub.api(&token::admin("watcher"));
    for transport in Transport::BOTH {
        let mut journal = Journal::new(&hub);
        let reader = Reader::of(transport.name(), &[]);
        let mut session = Session::open_narrow(&hub, transport, reader).await;
        // One that takes nothing shows when the time for that is over.
        let witness = Reader::of("witness", &[]);
        let mut stuck = Session::open_narrow(&hub, transport, witness).await;
        let mut items = Vec::new();
        in_time("the witness to be cut", async {
            while watcher
                .sessions("?user=witness&state=away")
                .await
                .is_empty()
            {
                // It never gets all that there is, but always something.
                let draft = |_| Draft::random(&mut rng).of_bytes(8192);
                let drafts: Vec<Draft> = (0..30).map(draft).collect();
                journal.publish(&drafts).await;
                items.extend(session.read(10).await);
            }
        })
        .await;
        let alert = journal.alert().await;
        items.extend(session.read_to(alert).await);
        let fell_behind = items.iter().any(|it| it["type"] == "messages_dropped");
        assert!(fell_behind, "it was not slow");
        let here = format!("?user={}&state=live", transport.name());
        assert_eq!(watcher.sessions(&here).await.len(), 1);
        drop(stuck.part());
        session.part().reset();
        for user in ["witness", transport.name()] {
            let body = serde_json::json!({"userId": user});
            assert_eq!(watcher.post("/disconnect", &body).await.status, 200);
        }
    }
}

/// Half of a connection is as good as none: nothing that is sent to it is ever answered.
#[tokio::test]
async fn a_websocket_that_answers_no_ping_is_dropped_and_one_that_does_is_not() {
    let hub = Hub::with()
        .env("WEBSOCKET_PING_INTERVAL", "500")
        .start()
        .await;
    let watcher = hub.api(&token::admin("watcher"));
    let open = async |user: &str| {
        let reader = Reader::of(user, &[]);
        Session::open(&hub, Transport::WebSocket, reader).await
    };
    let (mut dead, mut alive) = (open("dead").await, open("alive").await);
    // Pings are answered as long as somebody reads.
    let mut client = alive.part();
    let reading = tokio::spawn(async move {
        let alert = client.next().await;
        (alert, client)
    });
    dead.is_away(&watcher).await;
    let mut journal = Journal::new(&hub);
    let alert = journal.alert().await;
    let (message, _client) = reading.await.expect("a client");
    assert_eq!(Id::of(&message["messageId"]), alert);
    drop(dead.part());
    let (notice, replayed) = dead.resume(&hub, Transport::WebSocket, None).await;
    assert_eq!((replayed.len(), Counts::told(&notice).total()), (1, 0));
}
