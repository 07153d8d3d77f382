//! One of three hubs goes: whoever asks is answered by the others.

use std::cell::Cell;
use std::time::Duration;

use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Kind, Site, behind_each, hubs};
use crate::operations::stuck;
use crate::support::either::{Client, Transport};
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::in_time;
use crate::support::sse::bearer;
use crate::support::token;

/// Requests that are answered before and after a hub goes, for the test to have seen something.
const BEFORE: usize = 20;
const AFTER: usize = 100;

/// For the one user who opens and leaves all the time.
const MANY: &str = "[sessions]\nconnections_per_user_max = 1000\n";

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
async fn publish(api: &Api, key: &str, body: &Value) {
    in_time("a publish to be taken", async {
        loop {
            let request = api.request(Method::POST, "/publish").json(body);
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

struct Dashboard {
    transport: Transport,
    client: Client,
}

impl Dashboard {
    async fn open(site: &Site, transport: Transport) -> Self {
        let token = token::admin("dashboards");
        let query = "?metrics=mark,end";
        let mut client = match transport {
            Transport::Sse => {
                let path = format!("/stream{query}");
                Client::Sse(Box::new(site.sse(&path, &token).await))
            }
            // Caddy passes on the 503 of a hub that stops, until it has asked that hub how it is.
            Transport::WebSocket if site.kind == Kind::Caddy => {
                Client::WebSocket(Box::new(site.comes_back(query, &token).await))
            }
            Transport::WebSocket => {
                Client::WebSocket(Box::new(site.websocket(query, &token).await))
            }
        };
        client.opened().await;
        Self { transport, client }
    }
}

/// Three hubs, two dashboards on each, and somebody who asks all the time; then one hub `goes`. Gives
/// that one, what `goes` gave, and what its dashboards got to the end.
async fn without_one<T>(
    kind: Kind,
    goes: impl AsyncFn(&mut Hub) -> T,
) -> (Hub, T, Vec<Vec<Value>>) {
    let mut hubs = hubs(3, MANY).await;
    let site = Site::of(kind, &hubs).await;
    let mut dashboards = Vec::new();
    for _ in 0..3 {
        for transport in Transport::BOTH {
            dashboards.push(Dashboard::open(&site, transport).await);
        }
    }
    let asker = Asker::new();
    let outage = async {
        asker.has_asked(BEFORE).await;
        let mut gone = hubs.remove(0);
        // Only its own dashboards get this.
        gone.api(&token::admin("ada"))
            .publish("mark", json!(1))
            .await;
        for hub in &hubs {
            hub.api(&token::admin("ada"))
                .publish("mark", json!(0))
                .await;
        }
        let kept = goes(&mut gone).await;
        let mut last_words = Vec::new();
        for dashboard in &mut dashboards {
            let mark = dashboard.client.next_message("metrics_update").await;
            if mark["data"]["mark"] == 1 {
                // At once, which no client would do, and which must work all the same.
                let back = Dashboard::open(&site, dashboard.transport).await;
                let ended = std::mem::replace(dashboard, back);
                last_words.push(ended.client.rest().await);
            }
        }
        let publisher = site.api(&token::service("shop"));
        for nth in 0..20 {
            let body = json!({"metric": "orders", "data": nth});
            publish(&publisher, &format!("order-{nth}"), &body).await;
        }
        asker.has_asked(AFTER).await;
        asker.stops.set(true);
        (gone, kept, last_words)
    };
    let (outcome, ..) = tokio::join!(outage, asker.asks(&site), asker.opens(&site));
    for hub in &hubs {
        hub.api(&token::admin("ada")).publish("end", json!(1)).await;
    }
    for dashboard in &mut dashboards {
        loop {
            let message = dashboard.client.next_message("metrics_update").await;
            if message["data"]["end"] == 1 {
                break;
            }
        }
    }
    outcome
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
        for messages in last_words {
            let last = messages.last().expect("last words");
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
