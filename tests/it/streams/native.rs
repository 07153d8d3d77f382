//! A native EventSource: it sends no headers of its own but `Last-Event-ID`, asks for the same URL
//! again after each break, and is dead for good after any answer but 200.

use serde_json::json;

use super::flood::{Flood, Reader, with_room};
use crate::support::either::{Client, Transport};
use crate::support::http::{Api, status_of};
use crate::support::hub::Hub;
use crate::support::message::text;
use crate::support::sse::{Event, SseClient};
use crate::support::{eventually, in_time, token};

async fn ticket(api: &Api) -> String {
    let answer = api.post("/ticket", &json!({})).await;
    text(&answer.data()["ticket"]).to_owned()
}

/// What a browser keeps of an EventSource.
struct EventSource {
    path: String,
    last_event_id: String,
    client: SseClient,
}

impl EventSource {
    async fn open(hub: &Hub, path: String) -> Self {
        let client = hub.sse_with(&path, &[]).await;
        assert_eq!(client.head.status, 200, "{:?}", client.head);
        Self {
            path,
            last_event_id: String::new(),
            client,
        }
    }

    /// The next event, whose id is kept, also when there is no message in it.
    async fn next(&mut self) -> Event {
        let event = self.client.next_event().await.expect("an event");
        if let Some(id) = &event.id {
            self.last_event_id.clone_from(id);
        }
        event
    }

    /// The connection breaks, and the browser asks again.
    async fn come_back(mut self, hub: &Hub) -> Self {
        self.client.reset();
        let position = [("Last-Event-ID", &*self.last_event_id)];
        self.client = hub.sse_with(&self.path, &position).await;
        assert_eq!(self.client.head.status, 200, "{:?}", self.client.head);
        self
    }
}

#[tokio::test]
async fn it_comes_back_after_every_break_and_gets_everything_once() {
    let hub = with_room().start().await;
    let flood = Flood::start(&hub).await;
    let ticket = ticket(&hub.api(&token::admin("ada"))).await;
    // The page has put in where it was, long ago by now.
    let mut path = format!("/stream?metrics=n&ticket={ticket}&lastEventId=");
    let mut client = hub.sse_with(&path, &[]).await;
    let mut reader = Reader::default();
    for round in 0..12 {
        assert_eq!(client.head.status, 200, "round {round}");
        let mut either = Client::Sse(Box::new(client));
        let notice = reader.open(&mut either).await;
        assert_eq!(notice["resumed"], round > 0);
        for _ in 0..40 {
            reader.step(&mut either).await;
        }
        either.reset();
        client = hub.sse_with(&path, &[("Last-Event-ID", &reader.id)]).await;
        if round == 0 {
            path += &reader.id;
        }
    }
    flood.stop().await;
}

#[tokio::test]
async fn it_comes_back_to_its_session_with_what_it_had_subscribed_to() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let path = format!("/stream?metrics=a&ticket={}", ticket(&api).await);
    let mut source = EventSource::open(&hub, path).await;
    let notice = source.next().await.message().expect("a notice");
    assert_eq!(notice["data"]["metrics"], json!(["a"]));
    source.next().await;
    api.post("/subscribe", &json!({"metrics": ["b"]})).await;
    let subscribed = source.next().await.message().expect("a notice");
    assert_eq!(subscribed["type"], "subscribed");
    let mut source = source.come_back(&hub).await;
    let resumed = source.next().await.message().expect("a notice");
    assert_eq!(resumed["type"], "reconnection_successful");
    assert_eq!(resumed["data"]["resumed"], true);
    assert_eq!(resumed["data"]["metrics"], json!(["a", "b"]));
    for field in ["reconnectToken", "userId"] {
        assert_eq!(resumed["data"][field], notice["data"][field]);
    }
    let sent = api.publish("b", json!(1)).await;
    assert_eq!(source.next().await.id, Some(sent));
}

#[tokio::test]
async fn on_a_quiet_stream_its_position_moves_and_its_page_hears_nothing() {
    let start = Hub::with().env("REAL_TIME_HEARTBEAT_INTERVAL", "30");
    let hub = start.start().await;
    let api = hub.api(&token::admin("ada"));
    let path = format!("/stream?metrics=a&ticket={}", ticket(&api).await);
    let mut source = EventSource::open(&hub, path).await;
    for _ in 0..2 {
        source.next().await;
    }
    let newest = api.publish("other", json!(1)).await;
    let moved = async {
        while source.last_event_id != newest {
            let event = source.next().await;
            let heard = event.message().map(|message| message["type"].clone());
            assert!(heard.is_none_or(|kind| kind == "heartbeat"), "{event:?}");
        }
    };
    in_time("its position to move", moved).await;
    let missed = api.publish("a", json!(2)).await;
    let mut source = source.come_back(&hub).await;
    let notice = source.next().await.message().expect("a notice");
    assert_eq!(notice["data"]["replayedMessagesCount"], 1);
    assert_eq!(source.next().await.id, Some(missed));
}

#[tokio::test]
async fn a_fresh_ticket_also_takes_up_an_old_session() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let mut old = hub.sse("/stream?metrics=a", &ada).await;
    old.opened().await;
    let reconnect_token = old.reconnect_token().to_owned();
    let path = format!(
        "/reconnect?token={reconnect_token}&ticket={}",
        ticket(&api).await
    );
    let mut source = EventSource::open(&hub, path).await;
    let notice = source.next().await.message().expect("a notice");
    assert_eq!(notice["type"], "reconnection_successful");
    let sent = api.publish("a", json!(1)).await;
    assert_eq!(source.next().await.id, Some(sent));
    // And from then on the same URL is good for it.
    for _ in 0..3 {
        source = source.come_back(&hub).await;
        let notice = source.next().await.message().expect("a notice");
        assert_eq!(notice["data"]["reconnectToken"], *reconnect_token);
        assert_eq!(notice["data"]["replayedMessagesCount"], 0);
    }
}

#[tokio::test]
async fn its_page_may_go_on_by_websocket_with_the_same_ticket_and_the_other_way_round() {
    for first in Transport::BOTH {
        for then in Transport::BOTH {
            let hub = Hub::start().await;
            let api = hub.api(&token::admin("ada"));
            let query = format!("?ticket={}", ticket(&api).await);
            let mut client = open(&hub, first, &format!("{query}&metrics=a")).await;
            let notice = client.opened().await["data"].clone();
            let known = api.publish("a", json!(1)).await;
            hub.lose(client, &notice).await;
            let missed = api.publish("a", json!(2)).await;
            let reconnect_token = text(&notice["reconnectToken"]);
            let mut queries = vec![format!("{query}&lastEventId={known}")];
            if then == Transport::WebSocket {
                let with_both = format!("&reconnectToken={reconnect_token}&lastEventId={known}");
                queries.push(query + &with_both);
            }
            for query in queries {
                let mut again = open(&hub, then, &query).await;
                let resumed = again.opened().await["data"].clone();
                assert_eq!(resumed["reconnectToken"], *reconnect_token, "{query}");
                assert_eq!(resumed["metrics"], json!(["a"]));
                assert_eq!(again.next().await["messageId"], *missed);
            }
        }
    }
}

/// A stream by what the URL alone says.
async fn open(hub: &Hub, transport: Transport, query: &str) -> Client {
    match transport {
        Transport::Sse => {
            let client = hub.sse_with(&format!("/stream{query}"), &[]).await;
            assert_eq!(client.head.status, 200, "{query}");
            Client::Sse(Box::new(client))
        }
        Transport::WebSocket => {
            let client = hub.websocket_with(query, &[]).await;
            Client::WebSocket(Box::new(client.expect("an upgrade")))
        }
    }
}

#[tokio::test]
async fn when_its_session_has_been_forgotten_it_needs_another_ticket() {
    let start = Hub::with().env("CONNECTION_TIMEOUT", "50");
    let hub = start.start().await;
    let api = hub.api(&token::admin("ada"));
    let path = format!("/stream?ticket={}", ticket(&api).await);
    let mut source = EventSource::open(&hub, path.clone()).await;
    source.next().await;
    source.next().await;
    let last = source.last_event_id.clone();
    source.client.reset();
    eventually("the session to expire", async || {
        let stats = api.get("/connection-stats").await;
        (stats.data()["reconnectTokensCount"] == 0).then_some(())
    })
    .await;
    let anonymous = hub.anonymous();
    let request = anonymous.request(reqwest::Method::GET, &path);
    assert_eq!(status_of(request.header("Last-Event-ID", &last)).await, 401);
    // With which it goes on from where it was.
    let path = format!("/stream?ticket={}&lastEventId={last}", ticket(&api).await);
    let mut source = EventSource::open(&hub, path).await;
    let notice = source.next().await.message().expect("a notice");
    assert_eq!(notice["data"]["resumed"], true);
}
