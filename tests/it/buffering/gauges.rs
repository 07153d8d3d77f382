//! Gauges: of their updates a backlog keeps the newest, and tells what it replaced apart from what
//! it dropped.

use super::journal::{Draft, Journal};
use super::model::{Buffer, Counts, Reader};
use super::session::Session;
use super::{Seed, seeds};
use crate::support::either::Transport;
use crate::support::hub::Hub;
use crate::support::id::Id;
use crate::support::in_time;
use crate::support::rng::Rng;
use crate::support::token;

/// A session that was away while `drafts` were published comes back: what it was told and sent,
/// and what a buffer of its own would have.
async fn away_while(
    hub: &Hub,
    transport: Transport,
    journal: &mut Journal,
    drafts: &[Draft],
    backlog: usize,
) -> (Counts, Vec<Id>, Buffer) {
    let watcher = hub.api(&token::admin("watcher"));
    let user = format!("user-{}", journal.published.len());
    let mut session = Session::open(hub, transport, Reader::of(&user, &[])).await;
    session.leave(&watcher).await;
    journal.publish(drafts).await;
    let (notice, replayed) = session.resume(hub, transport, None).await;
    let missed = session.reader.missed(&journal.published, session.began);
    let ids = replayed.iter().map(|it| Id::of(&it["messageId"]));
    let expected = Buffer::filled(backlog, &missed);
    (Counts::told(&notice), ids.collect(), expected)
}

/// Updates of two gauges and other things.
fn random(rng: &mut Rng) -> Vec<Draft> {
    let count = rng.between(1, 60);
    let draft = |_| match rng.below(4) {
        0 => Draft::random(rng),
        gauge => Draft {
            metric: ["gauge.a", "gauge.b"][gauge % 2].to_owned(),
            ..Draft::random(rng)
        }
        .gauge(),
    };
    (0..count).map(draft).collect()
}

#[tokio::test]
async fn an_update_replaces_the_one_before_at_its_own_place_in_the_order() {
    let hub = Hub::start().await;
    let mut journal = Journal::new(&hub);
    let gauge = |priority| Draft::new("gauge", priority).gauge();
    let drafts = [
        gauge("normal"),
        gauge("high"),
        Draft::new("a", "normal"),
        gauge("normal"),
        gauge("normal"),
        Draft::new("a", "normal"),
    ];
    for transport in Transport::BOTH {
        let (counts, ids, _) = away_while(&hub, transport, &mut journal, &drafts, 100).await;
        let published = &journal.published[journal.published.len() - drafts.len()..];
        // Another priority is another matter, and so is a metric that is no gauge.
        let expected = [1, 2, 4, 5].map(|index: usize| published[index].id);
        assert_eq!(ids, expected);
        let expected = Counts {
            conflated: 2,
            ..Counts::default()
        };
        assert_eq!(counts, expected);
    }
}

#[tokio::test]
async fn by_configuration_a_metric_is_a_gauge_for_those_that_match() {
    let config = "[[metric]]\nname = \"gauge.**\"\nretain = \"latest\"";
    let hub = Hub::with().config(config).start().await;
    let mut journal = Journal::new(&hub);
    let names = ["gauge", "gauge.x", "gauge", "a", "a", "gauge.x", "gauge"];
    let drafts = names.map(|name| Draft::new(name, "normal"));
    for transport in Transport::BOTH {
        let (counts, ids, _) = away_while(&hub, transport, &mut journal, &drafts, 100).await;
        let published = &journal.published[journal.published.len() - drafts.len()..];
        let expected = [3, 4, 5, 6].map(|index: usize| published[index].id);
        assert_eq!((ids, counts.conflated), (expected.to_vec(), 3));
        assert_eq!(counts.dropped, [0; 4]);
    }
}

#[tokio::test]
async fn where_all_have_room_every_replaced_update_is_counted_as_that() {
    let hub = Hub::start().await;
    let mut journal = Journal::new(&hub);
    for seed in seeds(20) {
        let _shown = Seed(seed);
        let mut rng = Rng::new(seed);
        let (drafts, transport) = (random(&mut rng), rng.pick(&Transport::BOTH));
        let (counts, ids, expected) = away_while(&hub, transport, &mut journal, &drafts, 100).await;
        assert_eq!(ids, expected.ids());
        assert_eq!(counts, expected.counts);
    }
}

#[tokio::test]
async fn where_room_is_short_the_same_survive_and_nothing_is_uncounted() {
    const BACKLOG: usize = 4;
    let hub = Hub::with()
        .env("MAX_BUFFER_SIZE", &BACKLOG.to_string())
        .start()
        .await;
    let mut journal = Journal::new(&hub);
    for seed in seeds(20) {
        let _shown = Seed(seed);
        let mut rng = Rng::new(seed);
        let (drafts, transport) = (random(&mut rng), rng.pick(&Transport::BOTH));
        let (counts, ids, expected) =
            away_while(&hub, transport, &mut journal, &drafts, BACKLOG).await;
        assert_eq!(ids, expected.ids());
        // An update that was dropped and then replaced may be told as either.
        assert_eq!(counts.total(), expected.counts.total());
        let pairs = counts.dropped.iter().zip(expected.counts.dropped);
        assert!(pairs.into_iter().all(|(told, most)| *told <= most));
    }
}

#[tokio::test]
async fn who_reads_too_slowly_gets_the_newest_and_is_not_told_of_a_loss() {
    let config = "[outgoing]\nqueue_messages_max = 64";
    let hub = Hub::with().config(config).start().await;
    let watcher = hub.api(&token::admin("watcher"));
    let mut journal = Journal::new(&hub);
    for transport in Transport::BOTH {
        let reader = Reader::of(transport.name(), &[]);
        let mut session = Session::open_narrow(&hub, transport, reader).await;
        let update = Draft::new("gauge", "normal").gauge().of_bytes(4096);
        in_time("the client to fall behind", async {
            while watcher.sessions("?state=lagging").await.is_empty() {
                journal.publish(&vec![update.clone(); 20]).await;
            }
        })
        .await;
        journal.publish(&vec![update.clone(); 20]).await;
        let got = session.read_to(journal.last()).await;
        let published = session.reader.missed(&journal.published, session.began);
        let ids: Vec<Id> = got.iter().map(|it| Id::of(&it["messageId"])).collect();
        assert!(ids.is_sorted() && ids.len() < published.len(), "{ids:?}");
        // All came in their order, until there was only the newest left to come.
        let (_, before) = ids.split_last().expect("the newest at least");
        assert!(before.iter().zip(&published).all(|(id, it)| *id == it.id));
        session.part().reset();
        watcher.sessions_when("?state=away", 1).await;
        let body = serde_json::json!({"userId": transport.name()});
        assert_eq!(watcher.post("/disconnect", &body).await.status, 200);
    }
}
