//! The only hub stops and comes back. Its clients ask the proxy meanwhile, and go on where they were.

use serde_json::{Value, json};

use super::{Site, behind_each, hubs};
use crate::support::eventually;
use crate::support::hub::Hub;
use crate::support::message::text;
use crate::support::sse::{Event, SseClient};
use crate::support::token;
use rustix::process::Signal;

/// What a browser does with one URL: it asks again and again, as long as the answer is 200.
struct EventSource {
    path: String,
    last_event_id: String,
    client: SseClient,
}

impl EventSource {
    async fn open(site: &Site, path: String) -> Self {
        let client = ask(site, &path, "").await;
        Self {
            path,
            last_event_id: String::new(),
            client,
        }
    }

    async fn next(&mut self) -> Event {
        let event = self.client.next_event().await.expect("an event");
        if let Some(id) = &event.id {
            self.last_event_id.clone_from(id);
        }
        event
    }

    /// The next message of `kind`.
    async fn message(&mut self, kind: &str) -> Value {
        loop {
            let message = self.next().await.message();
            if let Some(message) = message.filter(|message| message["type"] == kind) {
                return message;
            }
        }
    }

    async fn asks_again(&mut self, site: &Site) {
        self.client = ask(site, &self.path, &self.last_event_id).await;
    }
}

async fn ask(site: &Site, path: &str, last_event_id: &str) -> SseClient {
    let position = ("Last-Event-ID", last_event_id);
    let headers: &[_] = if last_event_id.is_empty() {
        &[]
    } else {
        &[position]
    };
    let client = site.sse_with(path, headers).await;
    let head = &client.head;
    assert_eq!(head.status, 200, "dead for good: {:?} {head:?}", site.kind);
    let media_type = head.header("content-type");
    assert_eq!(media_type, Some("text/event-stream"), "{:?}", site.kind);
    client
}

async fn stopped(mut hub: Hub) -> Hub {
    hub.signal(Signal::TERM);
    assert_eq!(hub.ended().await.code, Some(0));
    hub
}

#[tokio::test]
async fn an_event_source_lives_through_a_time_without_any_hub() {
    behind_each(async |kind| {
        let mut hub = hubs(1, "").await.remove(0);
        let site = Site::of(kind, std::slice::from_ref(&hub)).await;
        let api = site.api(&token::admin("ada"));
        let answer = api.post("/ticket", &json!({})).await;
        let ticket = text(&answer.data()["ticket"]).to_owned();
        let path = format!("/stream?metrics=m&ticket={ticket}");
        let mut source = EventSource::open(&site, path).await;
        source.message("initial_metrics").await;
        api.publish("m", json!(1)).await;
        assert_eq!(source.message("metrics_update").await["data"]["m"], 1);

        hub = stopped(hub).await;
        source.message("server_shutdown").await;
        for _ in 0..2 {
            source.asks_again(&site).await;
            let event = source.next().await;
            assert_eq!(event.retry, Some(3000), "{kind:?} {event:?}");
            assert_eq!(event.message(), None, "{kind:?}");
            assert_eq!(source.client.next_event().await, None, "{kind:?}");
        }

        hub = hub.again().await;
        hub.api(&token::admin("ada")).publish("m", json!(2)).await;
        let notice = eventually("a hub to be found again", async || {
            let mut client = ask(&site, &source.path, &source.last_event_id).await;
            let notice = client
                .next_event()
                .await
                .and_then(|event| event.message())?;
            Some((notice, client))
        });
        let (notice, client) = notice.await;
        source.client = client;
        assert_eq!(notice["data"]["resumed"], true, "{kind:?} {notice}");
        assert_eq!(notice["data"]["replayedMessagesCount"], 1, "{kind:?}");
        assert_eq!(source.message("metrics_update").await["data"]["m"], 2);
    })
    .await;
}

#[tokio::test]
async fn a_websocket_resumes_its_session_through_the_proxy() {
    behind_each(async |kind| {
        let mut hub = hubs(1, "").await.remove(0);
        let site = Site::of(kind, std::slice::from_ref(&hub)).await;
        let ada = token::admin("ada");
        let mut client = site.websocket("?metrics=m", &ada).await;
        let notice = client.opened().await;
        let reconnect_token = text(&notice["data"]["reconnectToken"]).to_owned();
        site.api(&ada).publish("m", json!(1)).await;
        let last = client.next_message("metrics_update").await;

        hub = stopped(hub).await;
        let (messages, closed) = client.closed().await;
        assert_eq!(messages.last().expect("words")["type"], "server_shutdown");
        assert_eq!(closed.map(|(code, _)| code), Some(1001), "{kind:?}");

        hub = hub.again().await;
        hub.api(&ada).publish("m", json!(2)).await;
        let id = text(&last["messageId"]);
        let query = format!("?reconnectToken={reconnect_token}&lastEventId={id}");
        let mut client = site.comes_back(&query, &ada).await;
        assert_eq!(client.opened().await["type"], "reconnection_successful");
        let message = client.next_message("metrics_update").await;
        assert_eq!(message["data"]["m"], 2, "{kind:?}");
    })
    .await;
}
