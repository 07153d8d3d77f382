//! From where a resume counts, in cases worth a name.

use serde_json::json;

use super::journal::{Draft, Journal};
use super::model::{Buffer, Counts, Reader};
use super::session::Session;
use crate::support::either::Transport;
use crate::support::hub::Hub;
use crate::support::token;

async fn hub(backlog: &str, config: &str) -> Hub {
    let start = Hub::with().env("MAX_BUFFER_SIZE", backlog);
    start.config(config).start().await
}

fn many(metric: &str, count: usize) -> Vec<Draft> {
    vec![Draft::new(metric, "normal"); count]
}

#[tokio::test]
async fn who_missed_nothing_is_told_so_however_long_the_log_has_moved_on() {
    // So few ids are remembered that the log itself has long forgotten.
    let hub = hub("4", "[history]\ncounted_ids_max = 10").await;
    let watcher = hub.api(&token::admin("watcher"));
    let mut journal = Journal::new(&hub);
    for transport in Transport::BOTH {
        let reader = Reader::of(transport.name(), &["quiet", "calm.**"]);
        let mut session = Session::open(&hub, transport, reader).await;
        journal.publish(&many("quiet", 1)).await;
        session.read(1).await;
        session.leave(&watcher).await;
        for _ in 0..5 {
            journal.publish(&many("busy", 100)).await;
        }
        let (notice, replayed) = session.resume(&hub, transport, None).await;
        assert!(replayed.is_empty());
        assert_eq!(Counts::told(&notice), Counts::default());
        journal.publish(&many("calm", 1)).await;
        session.read_to(journal.last()).await;
    }
}

#[tokio::test]
async fn what_one_backlog_dropped_a_later_one_may_still_bring() {
    let hub = hub("2", "").await;
    let watcher = hub.api(&token::admin("watcher"));
    let mut journal = Journal::new(&hub);
    for transport in Transport::BOTH {
        let reader = Reader::of(transport.name(), &[]);
        let mut session = Session::open(&hub, transport, reader).await;
        session.leave(&watcher).await;
        for priority in ["critical", "high", "normal"] {
            journal.publish(&[Draft::new("a", priority)]).await;
        }
        let [critical, high, normal] = [3, 2, 1].map(|back| {
            let at = journal.published.len() - back;
            journal.published[at].id
        });
        let (notice, replayed) = session.resume(&hub, transport, None).await;
        assert_eq!(Counts::told(&notice).dropped, [0, 1, 0, 0]);
        assert_eq!(replayed.len(), 2);
        // Of the two that were sent, the first had arrived: there is room for what was dropped.
        let (notice, replayed) = session.resume(&hub, transport, Some(critical)).await;
        assert_eq!(Counts::told(&notice), Counts::default());
        let ids: Vec<_> = replayed.iter().map(|it| &it["messageId"]).collect();
        assert_eq!(ids, [&json!(high.to_string()), &json!(normal.to_string())]);
    }
}

#[tokio::test]
async fn counts_stay_exact_when_the_log_remembers_few_ids() {
    let hub = hub("4", "[history]\ncounted_ids_max = 20").await;
    let watcher = hub.api(&token::admin("watcher"));
    let mut journal = Journal::new(&hub);
    for transport in Transport::BOTH {
        let reader = Reader::of(transport.name(), &["a", "b"]);
        let mut session = Session::open(&hub, transport, reader).await;
        let began = session.began;
        session.leave(&watcher).await;
        for number in 0..60 {
            let priority = ["low", "normal", "high"][number % 3];
            let metric = ["a", "b", "c"][number % 7 % 3];
            let drafts = [Draft::new(metric, priority), Draft::new("c", "normal")];
            journal.publish(&drafts).await;
        }
        let missed = session.reader.missed(&journal.published, began);
        let expected = Buffer::filled(4, &missed);
        let (notice, replayed) = session.resume(&hub, transport, None).await;
        assert_eq!(Counts::told(&notice), expected.counts);
        assert_eq!(replayed.len(), expected.kept.len());

        // From a position that nobody kept count for, the truth or nothing.
        session.leave(&watcher).await;
        let token = token::admin(&session.reader.user);
        let resumed = hub.resume_from(transport, &session.reconnect_token, Some(began), &token);
        let mut client = resumed.await;
        let notice = client.next().await;
        match notice["data"]["resumed"] == true {
            true => assert_eq!(Counts::told(&notice), expected.counts),
            false => assert_eq!(client.next().await["type"], "initial_metrics"),
        }
    }
}

#[tokio::test]
async fn of_the_metrics_that_were_dropped_a_hundred_are_named_and_all_are_counted() {
    let hub = hub("3", "").await;
    let watcher = hub.api(&token::admin("watcher"));
    let mut journal = Journal::new(&hub);
    for transport in Transport::BOTH {
        let reader = Reader::of(transport.name(), &[]);
        let mut session = Session::open(&hub, transport, reader).await;
        session.leave(&watcher).await;
        let names = (0..150).map(|number| format!("m{number}"));
        let drafts: Vec<Draft> = names.map(|name| Draft::new(&name, "normal")).collect();
        journal.publish(&drafts).await;
        let (notice, _) = session.resume(&hub, transport, None).await;
        let counts = Counts::told(&notice);
        assert_eq!(counts.dropped, [0, 147, 0, 0]);
        assert_eq!(counts.metrics.len(), 100);
        let dropped = &drafts[..147];
        let known = |name: &String| dropped.iter().any(|draft| draft.metric == *name);
        assert!(counts.metrics.iter().all(known), "{:?}", counts.metrics);
    }
}
