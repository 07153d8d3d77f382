//! Connections that break again and again, at any moment, while publishing goes on at full speed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;
use tokio::task::JoinHandle;

use super::journal::{Draft, Journal};
use super::model::{Published, Reader};
use super::session::Session;
use super::trail::{self, Episode, Start};
use super::{Seed, seeds};
use crate::support::either::{Client, Transport};
use crate::support::eventually;
use crate::support::hub::Hub;
use crate::support::id::Id;
use crate::support::rng::Rng;
use crate::support::token;

const DROPS: usize = 20;
/// More than is ever published here.
const LARGE: usize = 100_000;
const SMALL: usize = 8;

/// A publisher at full speed, until it is told to stop.
struct Press {
    stop: Arc<AtomicBool>,
    published: Arc<AtomicUsize>,
    task: JoinHandle<Journal>,
}

impl Press {
    fn start(mut journal: Journal, mut rng: Rng) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let published = Arc::new(AtomicUsize::new(0));
        let (stopped, count) = (stop.clone(), published.clone());
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                let batch = rng.between(1, 8);
                let drafts: Vec<Draft> = (0..batch).map(|_| Draft::random(&mut rng)).collect();
                journal.publish(&drafts).await;
                count.fetch_add(batch, Ordering::Relaxed);
            }
            // Nothing displaces it: whoever waits for the end will get it.
            journal.alert().await;
            journal
        });
        Self {
            stop,
            published,
            task,
        }
    }

    /// Waits until `more` have been published.
    async fn goes_on(&self, more: usize) {
        let wanted = self.published.load(Ordering::Relaxed) + more;
        eventually("more to be published", async || {
            (self.published.load(Ordering::Relaxed) >= wanted).then_some(())
        })
        .await;
    }

    async fn stop(self) -> Vec<Published> {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("a publisher").published
    }
}

/// How a stream ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Reset,
    Goodbye,
    /// The session is resumed while the stream is still there.
    Elsewhere,
}

impl Way {
    /// What still comes, and whether that is everything that was sent.
    async fn end(self, client: Client, transport: Transport) -> (Vec<Value>, bool, Option<Client>) {
        match self {
            Self::Reset => {
                client.reset();
                (Vec::new(), false, None)
            }
            // An SSE client's goodbye is the end of its connection. A WebSocket has a handshake
            // for it, after which both know.
            Self::Goodbye => {
                let rest = client.goodbye().await;
                (rest, transport == Transport::WebSocket, None)
            }
            Self::Elsewhere => (Vec::new(), false, Some(client)),
        }
    }
}

/// One client, and all the streams it has.
struct Life<'a> {
    hub: &'a Hub,
    transport: Transport,
    names_last: bool,
    session: Session,
    last: Id,
    episodes: Vec<Episode>,
}

impl<'a> Life<'a> {
    async fn begin(hub: &'a Hub, transport: Transport, names_last: bool) -> Self {
        let reader = Reader::of(transport.name(), &[]);
        let session = Session::open(hub, transport, reader).await;
        let last = session.began;
        let first = Episode {
            start: Start::After(last),
            notice: None,
            items: Vec::new(),
        };
        Self {
            hub,
            transport,
            names_last,
            session,
            last,
            episodes: vec![first],
        }
    }

    fn took(&mut self, items: Vec<Value>) {
        let ids = items.iter().filter_map(|it| Id::read(&it["messageId"]));
        for id in ids {
            assert!(id > self.last, "{id} after {}", self.last);
            self.last = id;
        }
        let episode = self.episodes.last_mut().expect("a stream");
        episode.items.extend(items);
    }

    async fn read(&mut self, count: usize) {
        let items = self.session.read(count).await;
        self.took(items);
    }

    /// Goes in one way, and comes back when `gap` more have been published.
    async fn breaks_off(&mut self, way: Way, press: &Press, gap: usize) {
        let client = self.session.part();
        let (rest, all, old) = way.end(client, self.transport).await;
        self.took(rest);
        press.goes_on(gap).await;
        let last = self.names_last.then_some(self.last);
        let token = token::admin(&self.session.reader.user);
        let reconnect_token = &self.session.reconnect_token;
        let client = self
            .hub
            .resume_from(self.transport, reconnect_token, last, &token);
        let mut client = client.await;
        let notice = client.next().await;
        assert_eq!(notice["type"], "reconnection_successful");
        assert_eq!(notice["data"]["resumed"], true);
        self.session.stay(client);
        drop(old);
        self.episodes.push(Episode {
            start: match (self.names_last, all) {
                (true, _) => Start::After(self.last),
                (false, true) => Start::Ended,
                (false, false) => Start::Beyond(self.last),
            },
            notice: Some(notice),
            items: Vec::new(),
        });
    }

    /// Reads up to the end of all that was published.
    async fn ends(&mut self, end: Id) {
        if self.last < end {
            let items = self.session.read_to(end).await;
            self.took(items);
        }
    }
}

/// A life with twenty breaks, and all that was published for it.
async fn live(
    hub: &Hub,
    transport: Transport,
    names_last: bool,
    ways: &[Way],
    seed: u64,
) -> (Vec<Episode>, Vec<Published>) {
    let mut rng = Rng::new(seed);
    let mut life = Life::begin(hub, transport, names_last).await;
    let press = Press::start(Journal::new(hub), Rng::new(seed + 1_000_000));
    for number in 0..DROPS {
        let count = rng.below(40);
        life.read(count).await;
        // Each way in turn, so that none is left out.
        let way = ways[number % ways.len()];
        let gap = rng.below(60);
        life.breaks_off(way, &press, gap).await;
    }
    let published = press.stop().await;
    let end = published.last().expect("something published").id;
    life.ends(end).await;
    let all = life.session.reader.missed(&published, life.session.began);
    (life.episodes, all)
}

async fn hub(backlog: usize) -> Hub {
    let config = format!("[outgoing]\nqueue_messages_max = {LARGE}");
    let start = Hub::with().env("MAX_BUFFER_SIZE", &backlog.to_string());
    start.config(&config).start().await
}

fn ids(items: &[Value]) -> impl Iterator<Item = Id> {
    items.iter().filter_map(|it| Id::read(&it["messageId"]))
}

const ALL_WAYS: [Way; 3] = [Way::Reset, Way::Goodbye, Way::Elsewhere];

#[tokio::test]
async fn who_says_what_arrived_gets_everything_once_and_in_order() {
    for (transport, seed) in Transport::BOTH.into_iter().zip(seeds(2)) {
        let _shown = Seed(seed);
        let hub = hub(LARGE).await;
        let (episodes, all) = live(&hub, transport, true, &ALL_WAYS, seed).await;
        let got: Vec<Id> = episodes.iter().flat_map(|it| ids(&it.items)).collect();
        let all_ids: Vec<Id> = all.iter().map(|it| it.id).collect();
        assert_eq!(got, all_ids);
        assert_eq!(trail::account(&all, LARGE, &episodes), (all.len(), 0));
    }
}

#[tokio::test]
async fn where_the_backlog_is_small_all_that_is_missing_was_counted() {
    for (transport, seed) in Transport::BOTH.into_iter().zip(seeds(2)) {
        let _shown = Seed(seed);
        let hub = hub(SMALL).await;
        let (episodes, all) = live(&hub, transport, true, &ALL_WAYS, seed).await;
        let (_, counted) = trail::account(&all, SMALL, &episodes);
        assert!(counted > 0, "there was something to count");
    }
}

#[tokio::test]
async fn by_the_token_alone_nothing_comes_twice_and_only_what_was_under_way_is_lost() {
    for (backlog, seed) in [LARGE, SMALL].into_iter().zip(seeds(2)) {
        let _shown = Seed(seed);
        for transport in Transport::BOTH {
            let hub = hub(backlog).await;
            let (episodes, all) = live(&hub, transport, false, &ALL_WAYS, seed).await;
            trail::account(&all, backlog, &episodes);
        }
    }
}

/// A WebSocket has a handshake for its end, after which both know what arrived.
#[tokio::test]
async fn by_the_token_alone_nothing_is_lost_after_a_proper_goodbye() {
    for seed in seeds(1) {
        let _shown = Seed(seed);
        let hub = hub(SMALL).await;
        let ways = [Way::Goodbye];
        let (episodes, all) = live(&hub, Transport::WebSocket, false, &ways, seed).await;
        let (came, counted) = trail::account(&all, SMALL, &episodes);
        assert_eq!(came + counted, all.len());
        assert!(counted > 0, "there was something to count");
    }
}

/// What a client loses by the token alone the hub has at least sent: by its own books it has sent
/// each message once.
#[tokio::test]
async fn by_the_token_alone_everything_is_sent_once() {
    for (transport, seed) in Transport::BOTH.into_iter().zip(seeds(2)) {
        let _shown = Seed(seed);
        let hub = hub(LARGE).await;
        let ways = [Way::Reset, Way::Goodbye];
        let (_, all) = live(&hub, transport, false, &ways, seed).await;
        let watcher = hub.api(&token::admin("watcher"));
        let session = watcher.sessions("").await.remove(0);
        assert_eq!(session["sent"], all.len());
        assert!(
            session["dropped"]
                .as_object()
                .is_some_and(|it| it.values().all(|it| *it == 0))
        );
    }
}
