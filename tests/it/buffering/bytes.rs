//! The bound on the bytes of all that is kept for replays.

use serde_json::json;

use super::journal::{Draft, Journal};
use super::model::{Counts, PRIORITIES, Published, Reader};
use super::session::Session;
use super::{Seed, seeds};
use crate::support::either::Transport;
use crate::support::hub::Hub;
use crate::support::id::Id;
use crate::support::rng::Rng;
use crate::support::token;

const BYTES_MAX: usize = 200_000;
const MESSAGE_BYTES: usize = 5_000;

async fn hub() -> Hub {
    let config = format!("[history]\nbytes_max = {BYTES_MAX}");
    let start = Hub::with().env("MAX_BUFFER_SIZE", "1000");
    start.config(&config).start().await
}

/// What is kept of messages of one size when `count` are: the newest of the highest priorities.
fn best(published: &[Published], count: usize) -> Vec<Published> {
    let mut best = published.to_vec();
    best.sort_by_key(|message| std::cmp::Reverse((message.priority, message.id)));
    best.truncate(count);
    best.sort_by_key(|message| message.id);
    best
}

/// What a reader that missed all of `published` gets when `count` of them are kept.
fn expected(published: &[Published], reader: &Reader, count: usize) -> (Vec<Id>, Counts) {
    let kept = best(published, count);
    let mut counts = Counts::default();
    for message in published.iter().filter(|message| reader.wants(message)) {
        if !kept.contains(message) {
            counts.dropped[message.priority] += 1;
            counts.metrics.extend(message.metric.clone());
        }
    }
    let kept = kept.iter().filter(|message| reader.wants(message));
    (kept.map(|message| message.id).collect(), counts)
}

/// Sessions that miss everything, of all subscriptions and both transports.
async fn absent(hub: &Hub) -> Vec<Session> {
    let watcher = hub.api(&token::admin("watcher"));
    let mut sessions = Vec::new();
    for transport in Transport::BOTH {
        for (number, patterns) in [&[][..], &["a"], &["a.*", "b"]].into_iter().enumerate() {
            let user = format!("{}-{number}", transport.name());
            let reader = Reader::of(&user, patterns);
            let mut session = Session::open(hub, transport, reader).await;
            session.leave(&watcher).await;
            sessions.push(session);
        }
    }
    sessions
}

/// Holds what every session is told and sent to the one number of messages that are kept, whatever
/// that is. Gives it.
async fn check(hub: &Hub, sessions: &mut [Session], published: &[Published]) -> usize {
    let mut possible: Vec<usize> = (0..=published.len()).collect();
    for (index, session) in sessions.iter_mut().enumerate() {
        let transport = Transport::BOTH[index % 2];
        // By its own position or by the client's, it is the same.
        let last = (index % 3 == 0).then_some(session.began);
        let (notice, replayed) = session.resume(hub, transport, last).await;
        let ids: Vec<Id> = replayed.iter().map(|it| Id::of(&it["messageId"])).collect();
        let got = (ids, Counts::told(&notice));
        possible.retain(|count| expected(published, &session.reader, *count) == got);
        assert!(!possible.is_empty(), "{got:?} for {:?}", session.reader);
    }
    let [kept] = possible.as_slice() else {
        panic!("whoever wants everything knows the number: {possible:?}")
    };
    *kept
}

/// Attack: filling the memory.
#[tokio::test]
async fn where_bytes_run_out_the_oldest_of_the_lowest_goes_first_and_all_is_counted() {
    for seed in seeds(3) {
        let _shown = Seed(seed);
        let mut rng = Rng::new(seed);
        let hub = hub().await;
        let mut sessions = absent(&hub).await;
        let mut journal = Journal::new(&hub);
        for _ in 0..15 {
            let draft = |_| Draft::random(&mut rng).of_bytes(MESSAGE_BYTES);
            let drafts: Vec<Draft> = (0..8).map(draft).collect();
            journal.publish(&drafts).await;
        }
        let kept = check(&hub, &mut sessions, &journal.published).await;
        // A message may cost more than its data, and as it is kept for both transports, twice that.
        assert!(kept * MESSAGE_BYTES <= BYTES_MAX, "{kept}");
        assert!(3 * kept * MESSAGE_BYTES >= BYTES_MAX, "{kept}");
    }
}

/// Attack: filling the memory.
#[tokio::test]
async fn one_that_is_critical_outlives_any_number_of_others() {
    let hub = hub().await;
    let mut sessions = absent(&hub).await;
    let mut journal = Journal::new(&hub);
    journal
        .publish(&[Draft::new("a", "critical").of_bytes(MESSAGE_BYTES)])
        .await;
    for priority in &PRIORITIES[..3] {
        let draft = Draft::new("b", priority).of_bytes(MESSAGE_BYTES);
        for _ in 0..3 {
            journal.publish(&vec![draft.clone(); 20]).await;
        }
    }
    let kept = check(&hub, &mut sessions, &journal.published).await;
    assert!(best(&journal.published, kept)[0] == journal.published[0]);
}

#[tokio::test]
async fn a_snapshot_has_the_newest_value_also_of_what_had_to_go() {
    let hub = hub().await;
    let mut journal = Journal::new(&hub);
    journal
        .publish(&[Draft::new("old", "low").of_bytes(MESSAGE_BYTES)])
        .await;
    for _ in 0..3 {
        let draft = Draft::new("new", "high").of_bytes(MESSAGE_BYTES);
        journal.publish(&vec![draft; 20]).await;
    }
    for transport in Transport::BOTH {
        let mut client = hub.open(transport, "", &token::admin("ada")).await;
        let snapshot = client.next_message("initial_metrics").await;
        for metric in ["old", "new"] {
            let value = snapshot["data"][metric].as_str();
            assert_eq!(value.map(str::len), Some(MESSAGE_BYTES), "{metric}");
        }
    }
}

/// Attack: a flood of messages to one user, to push out what others are to get.
#[tokio::test]
async fn what_is_sent_to_one_user_pushes_out_nothing_of_another() {
    for (setting, kept) in [
        ("user_bytes_max = 60000", 1..20),
        ("user_messages_max = 7", 7..8),
    ] {
        let config = format!("[history]\nbytes_max = {BYTES_MAX}\n{setting}\n");
        let hub = Hub::with().config(&config).start().await;
        let (ada, bob) = (token::admin("ada"), token::admin("bob"));
        let api = hub.api(&token::admin("publisher"));
        let mut away = Vec::new();
        for user in [&ada, &bob] {
            let (client, notice) = hub.opened(Transport::Sse, "", user).await;
            client.reset();
            away.push(
                notice["reconnectToken"]
                    .as_str()
                    .expect("a token")
                    .to_owned(),
            );
        }
        api.sessions_when("?state=away", 2).await;
        let to = |user: &str, priority: &str, bytes: usize| {
            let data = "x".repeat(bytes);
            json!({"metric": "own", "data": data, "userId": user, "priority": priority})
        };
        let publish = async |message| {
            let answer = api
                .post("/publish", &json!({"messages": vec![message; 20]}))
                .await;
            assert_eq!(answer.status, 202);
        };
        publish(to("bob", "high", 500)).await;
        for _ in 0..3 {
            publish(to("ada", "critical", 10_000)).await;
        }
        let mut counts = Vec::new();
        for (user, reconnect_token) in [&ada, &bob].into_iter().zip(&away) {
            let mut client = hub.resume(Transport::Sse, reconnect_token, user).await;
            let notice = client.opened().await["data"].clone();
            assert_eq!(notice["resumed"], true, "{notice}");
            let count = |field: &str| notice[field].as_u64().expect("a number");
            counts.push((
                count("replayedMessagesCount"),
                count("droppedMessagesCount"),
            ));
        }
        let ((ada_kept, ada_dropped), bob_counts) = (counts[0], counts[1]);
        assert!(kept.contains(&ada_kept), "{setting}: {ada_kept}");
        assert_eq!(ada_kept + ada_dropped, 60, "{setting}");
        // Of a number of messages bob's own is too large, too.
        let expected = if setting.starts_with("user_bytes") {
            (20, 0)
        } else {
            (7, 13)
        };
        assert_eq!(bob_counts, expected, "{setting}");
    }
}
