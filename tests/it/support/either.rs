//! A stream of either transport, so that what holds for both is said once.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::http::Api;
use super::hub::Hub;
use super::id::Id;
use super::sse::{Event, SseClient};
use super::websocket::WsClient;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    Sse,
    WebSocket,
}

impl Transport {
    pub const BOTH: [Self; 2] = [Self::Sse, Self::WebSocket];

    /// As the interface names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sse => "sse",
            Self::WebSocket => "websocket",
        }
    }
}

/// One open stream.
pub enum Client {
    Sse(Box<SseClient>),
    WebSocket(Box<WsClient>),
}

impl Hub {
    /// A stream for `token`; `query` as in `?metrics=a`. Nothing of it is read yet.
    pub async fn open(&self, transport: Transport, query: &str, token: &str) -> Client {
        match transport {
            Transport::Sse => {
                let path = format!("/stream{query}");
                Client::Sse(Box::new(self.sse(&path, token).await))
            }
            Transport::WebSocket => Client::WebSocket(Box::new(self.websocket(query, token).await)),
        }
    }

    /// As [`Self::open`]; its client takes hardly anything unless it reads.
    pub async fn open_narrow(&self, transport: Transport, query: &str, token: &str) -> Client {
        match transport {
            Transport::Sse => {
                let path = format!("/stream{query}");
                Client::Sse(Box::new(self.sse_narrow(&path, token).await))
            }
            Transport::WebSocket => {
                Client::WebSocket(Box::new(self.websocket_narrow(query, token).await))
            }
        }
    }

    /// The session of `reconnect_token`, by the same transport or the other one.
    pub async fn resume(&self, transport: Transport, reconnect_token: &str, token: &str) -> Client {
        self.resume_after(transport, reconnect_token, token, None)
            .await
    }

    /// As [`Self::resume`], saying which message was the last to arrive.
    pub async fn resume_after(
        &self,
        transport: Transport,
        reconnect_token: &str,
        token: &str,
        last: Option<Id>,
    ) -> Client {
        let last = last.map_or(String::new(), |id| format!("&lastEventId={id}"));
        match transport {
            Transport::Sse => {
                let path = format!("/reconnect?token={reconnect_token}{last}");
                Client::Sse(Box::new(self.sse(&path, token).await))
            }
            Transport::WebSocket => {
                let query = format!("?reconnectToken={reconnect_token}{last}");
                self.open(transport, &query, token).await
            }
        }
    }
}

impl Client {
    pub async fn next(&mut self) -> Value {
        match self {
            Self::Sse(client) => client.next().await,
            Self::WebSocket(client) => client.next().await,
        }
    }

    /// The next message of `kind`, past all others.
    pub async fn next_message(&mut self, kind: &str) -> Value {
        match self {
            Self::Sse(client) => client.next_message(kind).await,
            Self::WebSocket(client) => client.next_message(kind).await,
        }
    }

    /// Past what opens every stream. Gives the notice.
    pub async fn opened(&mut self) -> Value {
        match self {
            Self::Sse(client) => client.opened().await,
            Self::WebSocket(client) => client.opened().await,
        }
    }

    /// The messages up to the end of the stream, and the code a WebSocket was closed with.
    pub async fn ended(self) -> (Vec<Value>, Option<u16>) {
        match self {
            Self::Sse(client) => {
                let (events, finished) = client.rest().await;
                assert!(finished, "a stream ends as HTTP says it should");
                (messages(&events), None)
            }
            Self::WebSocket(client) => {
                let (messages, closed) = client.closed().await;
                (messages, closed.map(|(code, _)| code))
            }
        }
    }

    /// The messages up to the end of the stream, however that comes.
    pub async fn rest(self) -> Vec<Value> {
        match self {
            Self::Sse(client) => messages(&client.rest().await.0),
            Self::WebSocket(client) => client.closed().await.0,
        }
    }

    /// Goes as one should, over SSE by ending its side, over WebSocket with 1000. Gives what still
    /// came.
    pub async fn goodbye(self) -> Vec<Value> {
        match self {
            Self::Sse(client) => messages(&client.goodbye().await),
            Self::WebSocket(client) => client.close().await,
        }
    }

    /// Vanishes with a reset.
    pub fn reset(self) {
        match self {
            Self::Sse(client) => client.reset(),
            Self::WebSocket(client) => client.reset(),
        }
    }

    /// The metrics that came since the last message read. An alert, which everybody gets, goes
    /// after them and tells that there are no more; so nothing has to be waited for.
    pub async fn metrics_until_now(&mut self, api: &Api) -> Vec<String> {
        let marker = uuid::Uuid::new_v4().to_string();
        let alert = json!({"severity": "low", "message": marker});
        assert_eq!(api.post("/alerts", &alert).await.status, 202);
        let mut metrics = Vec::new();
        loop {
            let message = self.next().await;
            let data = message["data"].as_object();
            match message["type"].as_str() {
                Some("metrics_update") => metrics.extend(data.unwrap().keys().cloned()),
                Some("system_alert") if message["data"]["message"] == *marker => return metrics,
                _ => {}
            }
        }
    }
}

fn messages(events: &[Event]) -> Vec<Value> {
    events.iter().filter_map(Event::message).collect()
}

/// The texts of a list, in no order; a text twice is a mistake.
pub fn set_of(list: &Value) -> BTreeSet<String> {
    let list = list.as_array().unwrap_or_else(|| panic!("no list: {list}"));
    let text = |it: &Value| it.as_str().expect("a text").to_owned();
    let set: BTreeSet<String> = list.iter().map(text).collect();
    assert_eq!(set.len(), list.len(), "something is there twice: {list:?}");
    set
}
