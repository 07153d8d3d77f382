//! One of three hubs goes: whoever asks is answered by the others.

use std::cell::Cell;
use std::time::Duration;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::dashboards::{Dashboard, END};
use super::{Kind, MANY, Site, behind_each, hubs, node};
use crate::operations::stuck;
use crate::support::either::Transport;
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::in_time;
use crate::support::message::text;
use crate::support::sse::bearer;
use crate::support::token;

/// Requests that are answered before and after a hub goes, for the test to have seen something.
const BEFORE: usize = 20;
const AFTER: usize = 100;

/// Asks again and again, until it is told to stop. Whatever is no good answer has been a failure of the
/// site's, which had two hubs left.
struct Asker {
    answered: Cell<usize>,
    stops: Cell<bool>,
}

impl Asker {
    fn new() -> Self {
        Self {
            answered: Cell::new(0),
            stops: Cell::new(false),
        }
    }

    async fn asks(&self, site: &Site) {
        let api = site.api(&token::admin("asker"));
        while !self.stops.get() {
            let answer = api.get("/metrics").await;
            assert_eq!(answer.status, 200, "{:?} {answer:?}", site.kind);
            self.answered.set(self.answered.get() + 1);
        }
    }

    /// Opens one stream after the other, as an EventSource does.
    async fn opens(&self, site: &Site) {
        let authorization = bearer(&token::admin("opener"));
        let headers = [
            ("Authorization", &*authorization),
            ("Accept", "text/event-stream"),
        ];
        while !self.stops.get() {
            let mut stream = site.sse_with("/stream?metrics=none", &headers).await;
            assert_eq!(stream.head.status, 200, "{:?} {:?}", site.kind, stream.head);
            // None where its hub was killed just then. What a proxy says when there is no hub is no notice.
            if let Some(first) = stream.next_event().await {
                let notice = first.message().unwrap_or_default();
                assert_eq!(notice["type"], "connection_established", "{:?}", site.kind);
            }
            stream.reset();
        }
    }

    async fn has_asked(&self, count: usize) {
        let before = self.answered.get();
        in_time("answers", async {
            while self.answered.get() < before + count {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

/// A publisher as the contract wants it: who is told that nothing was taken, or not told anything, sends
/// the same again with the same key.
async fn publish(api: &Api, order: i64) {
    let body = json!({"metric": "orders", "data": order});
    in_time("a publish to be taken", async {
        loop {
            let request = api.request(Method::POST, "/publish").json(&body);
            let key = format!("order-{order}");
            let answer = request.header("idempotency-key", key).send().await;
            match answer.map(|answer| answer.status().as_u16()) {
                Ok(202) => return,
                Ok(502 | 503) | Err(_) => sleep(Duration::from_millis(20)).await,
                Ok(status) => panic!("{status}"),
            }
        }
    })
    .await;
}

/// Three hubs, two dashboards on each, somebody who publishes and somebody who asks all the time; then one
/// hub `goes`. Gives that one, what `goes` gave, and the last words of its dashboards.
async fn without_one<T>(
    kind: Kind,
    goes: impl AsyncFn(&mut Hub) -> T,
) -> (Hub, T, Vec<Option<Value>>) {
    let mut hubs = hubs(3, MANY).await;
    let site = Site::of(kind, &hubs).await;
    let mut dashboards = Vec::new();
    for _ in 0..3 {
        for transport in Transport::BOTH {
            dashboards.push(Dashboard::open(&site, transport).await);
        }
    }
    let (asker, publisher) = (Asker::new(), site.api(&token::service("shop")));
    let orders = async |from: i64, until: i64| {
        for order in from..until {
            publish(&publisher, order).await;
        }
    };
    let outage = async {
        asker.has_asked(BEFORE).await;
        let mut gone = hubs.remove(0);
        let there = connections(&gone).await;
        orders(0, 10).await;
        let kept = goes(&mut gone).await;
        orders(10, 20).await;
        let mut last_words = Vec::new();
        let theirs = |it: &&mut Dashboard| there.contains(&it.connection);
        for dashboard in dashboards.iter_mut().filter(theirs) {
            last_words.push(dashboard.hears_out().await);
            dashboard.comes_back(&site).await;
        }
        orders(20, 30).await;
        asker.has_asked(AFTER).await;
        asker.stops.set(true);
        (gone, kept, last_words)
    };
    let (outcome, ..) = tokio::join!(outage, asker.asks(&site), asker.opens(&site));
    publish(&publisher, END).await;
    for dashboard in &mut dashboards {
        dashboard.hears_until(END).await;
        let all: Vec<i64> = (0..30).chain([END]).collect();
        assert_eq!(dashboard.orders, all, "{kind:?}");
    }
    outcome
}

/// Those of the dashboards that `hub` has.
async fn connections(hub: &Hub) -> Vec<String> {
    let node = node(hub).await;
    let api = hub.api(&token::admin("observer"));
    let query = format!("?state=live&user={}", Dashboard::USER);
    let sessions = api.sessions(&query).await;
    let here = sessions.iter().filter(|it| it["node"] == *node);
    here.map(|it| text(&it["connectionId"]).to_owned())
        .collect()
}

#[tokio::test]
async fn a_hub_that_is_told_to_stop_is_not_missed() {
    behind_each(async |kind| {
        // It takes its time: for as long as it stops it listens, has the fewest streams of all, and
        // takes none.
        let stops = async |hub: &mut Hub| {
            let held_up = stuck(hub, "stuck").await;
            hub.signal(Signal::TERM);
            hub.logged("stopping").await;
            held_up
        };
        let (mut hub, held_up, last_words) = without_one(kind, stops).await;
        assert_eq!(last_words.len(), 2, "{kind:?}");
        for last in last_words {
            let last = last.expect("last words");
            assert_eq!(last["type"], "server_shutdown", "{kind:?}");
        }
        assert_eq!(hub.ended().await.code, Some(0), "{kind:?}");
        drop(held_up);
    })
    .await;
}

#[tokio::test]
async fn a_hub_that_is_killed_is_not_missed() {
    behind_each(async |kind| {
        let (.., last_words) = without_one(kind, async |hub: &mut Hub| hub.crash().await).await;
        assert_eq!(last_words.len(), 2, "{kind:?}");
    })
    .await;
}

/// A WebSocket is answered with 503 there, where an EventSource is hung up on.
#[tokio::test]
async fn a_websocket_finds_its_way_round_a_hub_that_stops() {
    behind_each(async |kind| {
        if kind == Kind::Caddy {
            return;
        }
        let mut hubs = hubs(3, MANY).await;
        let site = Site::of(kind, &hubs).await;
        let held_up = stuck(&hubs[0], "stuck").await;
        hubs[0].signal(Signal::TERM);
        hubs[0].logged("stopping").await;
        for _ in 0..6 {
            let mut socket = site.websocket("", &token::admin("ada")).await;
            socket.opened().await;
        }
        assert_eq!(hubs[0].ended().await.code, Some(0), "{kind:?}");
        drop(held_up);
    })
    .await;
}

/// Its connections stand, and no answer comes: what is found out by waiting only.
#[tokio::test]
async fn a_hub_that_hangs_is_left_out_by_who_asks_hubs_how_they_are() {
    behind_each(async |kind| {
        if kind == Kind::Nginx {
            return;
        }
        let hubs = hubs(3, "").await;
        let site = Site::of(kind, &hubs).await;
        hubs[0].signal(Signal::STOP);
        let api = site.api(&token::admin("ada"));
        // As many in a row as would not be without asking the one that hangs.
        in_time("nobody to be sent there", async {
            let mut good = 0;
            while good < 12 {
                let request = api.request(Method::GET, "/metrics").send();
                let answer = tokio::time::timeout(Duration::from_secs(3), request).await;
                good = if answer.is_ok() { good + 1 } else { 0 };
            }
        })
        .await;
        hubs[0].signal(Signal::CONT);
    })
    .await;
}
