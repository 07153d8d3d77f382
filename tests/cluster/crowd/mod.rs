//! Many clients at once, and hubs that go while somebody publishes as fast as they can be told.
//!
//! `CLUSTER_CROWD` says how many, with the times that a hub is shipped with; without it they are few and the
//! times short.

mod line;
mod member;
mod publisher;

use std::time::Duration;

use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::hubs::Hubs;
use crate::redis::Redis;
use crate::run::{AT_ONCE, number};
use crate::support::within;
use member::{Manner, Member, Seen};
use publisher::Publisher;

const HUBS: usize = 3;

/// Without [`SIZE`].
const FEW: usize = 200;
const SIZE: &str = "CLUSTER_CROWD";

/// Nothing is dropped, and positions are not written down by the way.
const SETTINGS: &str = "
[realtime]
heartbeat_interval_ms = 30000
[websocket]
ping_interval_ms = 30000
[sessions]
backlog_messages_max = 50000
";

/// As a hub is shipped.
const SHIPPED: &str = "
reconnect_spread_min_ms = 500
reconnect_spread_max_ms = 5000
sse_retry_ms = 3000
[http]
drain_timeout_ms = 10000
";

/// How long any of them may be away.
const PATIENCE: Duration = Duration::from_secs(60);

struct Crowd {
    members: Vec<Member>,
    hubs: Hubs,
    publisher: Publisher,
    _redis: Redis,
}

impl Crowd {
    async fn gather(manners: &[Manner]) -> Self {
        let size = number(SIZE).map(|it| usize::try_from(it).expect("a number of clients"));
        let redis = Redis::with().appendonly().start().await;
        let url = format!("redis://{}", redis.address());
        let mut settings = SETTINGS.to_owned();
        if size.is_some() {
            settings = settings.replace("[websocket]", &format!("{SHIPPED}[websocket]"));
        }
        let mut hubs = Hubs::start(&vec![url; HUBS], &settings).await;
        hubs.are_ready().await.expect("hubs that start");
        let addresses = hubs.addresses();
        let member = |nth: usize| {
            let manner = manners[nth / HUBS % manners.len()];
            Member::start(nth, manner, addresses.clone())
        };
        let members = (0..size.unwrap_or(FEW)).map(member).collect();
        let publisher = Publisher::start(addresses.clone());
        let this = Self {
            members,
            hubs,
            publisher,
            _redis: redis,
        };
        this.all("to be there", |seen| seen.at.is_some()).await;
        this.flows().await;
        this
    }

    fn seen(&self) -> Vec<Seen> {
        self.members.iter().map(Member::seen).collect()
    }

    /// Waits for all of them; meanwhile the publisher goes no faster than most of those who are there can follow.
    async fn all(&self, what: &str, is_so: impl Fn(&Seen) -> bool) {
        let waiting = async {
            loop {
                let seen = self.seen();
                let there = seen.iter().filter(|it| it.at.is_some());
                let mut have: Vec<u64> = there.map(|it| it.last).collect();
                have.sort_unstable();
                // There is always somebody who has just come back.
                self.publisher.most_have(have.get(have.len() / 10).copied());
                if seen.iter().all(&is_so) {
                    return;
                }
                sleep(Duration::from_millis(10)).await;
            }
        };
        within(PATIENCE, &format!("all {what}"), waiting).await;
    }

    /// For a while all get what is published.
    async fn flows(&self) {
        let until = self.publisher.published() + 100;
        self.all("to be told", |seen| seen.last >= until).await;
    }

    /// Who is at `hub`.
    fn at(&self, hub: usize) -> Vec<usize> {
        let seen = self.seen();
        (0..seen.len())
            .filter(|nth| seen[*nth].at == Some(hub))
            .collect()
    }

    /// Waits until `who` are back, and says after how long since `gone` they were.
    async fn are_back(&self, who: &[usize], gone: Instant) -> String {
        let count = |it: &Vec<Seen>| {
            let back = who.iter().filter_map(|nth| it[*nth].resumed);
            back.filter(|resumed| *resumed > gone).count()
        };
        let waiting = async {
            while count(&self.seen()) < who.len() {
                self.all("to look", |_| true).await;
                sleep(Duration::from_millis(10)).await;
            }
        };
        within(PATIENCE, "those who were there to be back", waiting).await;
        let seen = self.seen();
        let mut times: Vec<_> = who
            .iter()
            .filter_map(|nth| seen[*nth].resumed)
            .map(|resumed| (resumed - gone).as_millis())
            .collect();
        times.sort_unstable();
        let at = |share: usize| times[(times.len() - 1) * share / 100];
        format!(
            "{} clients were back after {} to {} ms, half of them after {}",
            times.len(),
            at(0),
            at(100),
            at(50)
        )
    }

    /// All have everything, and nothing was wrong on the way.
    async fn has_everything(&self) {
        let last = self.publisher.stop().await;
        let end = Instant::now();
        let seen = loop {
            let seen: Vec<Seen> = self.members.iter().map(Member::seen).collect();
            if seen.iter().all(|it| it.last == last) || end.elapsed() > PATIENCE {
                break seen;
            }
            sleep(Duration::from_millis(10)).await;
        };
        let wrong: Vec<&String> = seen.iter().flat_map(|it| &it.wrong).collect();
        assert!(
            wrong.is_empty(),
            "{} wrong: {:#?}",
            wrong.len(),
            &wrong[..wrong.len().min(10)]
        );
        let late = seen.iter().filter(|it| it.last != last).count();
        assert_eq!(late, 0, "have not got to {last}");
        eprintln!("{} clients have all of {last} messages", seen.len());
    }
}

/// Attack: everybody at once, after a restart.
#[tokio::test]
async fn hubs_are_restarted_in_turn_and_nobody_misses_anything() {
    use Manner::{SseById, SseByTokenAndId, WebSocketByToken, WebSocketByTokenAndId};
    let manners = [
        SseById,
        SseByTokenAndId,
        WebSocketByToken,
        WebSocketByTokenAndId,
    ];
    let _turn = AT_ONCE.acquire_many(2).await.expect("never closed");
    let mut crowd = Crowd::gather(&manners).await;
    for hub in 0..HUBS {
        let (who, before) = (crowd.at(hub), crowd.publisher.published());
        assert!(!who.is_empty(), "nobody is at hub {hub}");
        let gone = Instant::now();
        crowd.hubs.signal(hub, Signal::TERM);
        let times = crowd.are_back(&who, gone).await;
        crowd.hubs.ends(hub).await.expect("a good end");
        let since = crowd.publisher.published() - before;
        eprintln!("hub {hub} was asked to stop: {times}; {since} published meanwhile");
        crowd.hubs.start_again(hub);
        crowd.hubs.are_ready().await.expect("a hub that comes back");
        crowd.flows().await;
    }
    crowd.has_everything().await;
}

/// Attack: everybody at once, after a restart.
#[tokio::test]
async fn a_hub_is_killed_and_its_crowd_goes_on_at_the_others() {
    use Manner::{SseById, SseByTokenAndId, WebSocketByTokenAndId};
    let manners = [SseById, SseByTokenAndId, WebSocketByTokenAndId];
    let _turn = AT_ONCE.acquire_many(2).await.expect("never closed");
    let mut crowd = Crowd::gather(&manners).await;
    let (who, before) = (crowd.at(1), crowd.publisher.published());
    let gone = Instant::now();
    crowd.hubs.kill(1).await;
    let times = crowd.are_back(&who, gone).await;
    let since = crowd.publisher.published() - before;
    eprintln!("a hub was killed: {times}; {since} published meanwhile");
    crowd.flows().await;
    crowd.has_everything().await;
}

/// Attack: everybody at once, after a restart.
#[tokio::test]
async fn all_hubs_are_killed_and_the_herd_comes_back_at_once() {
    use Manner::{SseById, SseByTokenAndId, WebSocketByTokenAndId};
    let manners = [SseById, SseByTokenAndId, WebSocketByTokenAndId];
    let _turn = AT_ONCE.acquire_many(2).await.expect("never closed");
    let mut crowd = Crowd::gather(&manners).await;
    let (who, before) = (0..crowd.members.len(), crowd.publisher.published());
    let who: Vec<usize> = who.collect();
    eprintln!("before: {}", crowd.publisher.latencies());
    for hub in 0..HUBS {
        crowd.hubs.kill(hub).await;
    }
    let gone = Instant::now();
    for hub in 0..HUBS {
        crowd.hubs.start_again(hub);
    }
    let times = crowd.are_back(&who, gone).await;
    let since = crowd.publisher.published() - before;
    eprintln!("all hubs were killed: {times}; {since} published meanwhile");
    eprintln!("meanwhile: {}", crowd.publisher.latencies());
    crowd.hubs.are_ready().await.expect("hubs that come back");
    crowd.flows().await;
    crowd.has_everything().await;
}
