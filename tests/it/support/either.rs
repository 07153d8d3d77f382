//! A stream of either transport, so that what holds for both is said once.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::http::Api;
use super::hub::Hub;
use super::id::Id;
use super::message::text;
use super::sse::{Event, SseClient};
use super::websocket::WsClient;
use super::{eventually, in_time, token};

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

/// A message as it came.
#[derive(Debug)]
pub struct Came {
    pub message: Value,
    /// The JSON as it was written.
    pub text: String,
    /// The event around it; none over WebSocket.
    pub event: Option<Event>,
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

    /// As [`Self::open`], past what opens every stream, with the data of the notice.
    pub async fn opened(&self, transport: Transport, query: &str, token: &str) -> (Client, Value) {
        let mut client = self.open(transport, query, token).await;
        let notice = client.opened().await;
        (client, notice["data"].clone())
    }

    /// As [`Self::open`], by a client that takes hardly anything unless it reads.
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

    /// A stream of the session that `notice` was about vanishes, and the hub has noticed.
    pub async fn lose(&self, client: Client, notice: &Value) {
        client.reset();
        let api = self.api(&token::admin("observer"));
        let path = format!("/connections?state=away&user={}", text(&notice["userId"]));
        let away = text(&notice["connectionId"]);
        eventually("the hub to notice that a client is gone", async || {
            let list = api.get(&path).await.body.to_string();
            list.contains(away).then_some(())
        })
        .await;
    }

    /// The session of `reconnect_token`, by the same transport or the other one.
    pub async fn resume(&self, transport: Transport, reconnect_token: &str, token: &str) -> Client {
        self.resume_with(transport, reconnect_token, "", token)
            .await
    }

    /// As [`Self::resume`], by a client that says what arrived.
    pub async fn resume_after(
        &self,
        transport: Transport,
        reconnect_token: &str,
        id: &str,
        token: &str,
    ) -> Client {
        let more = format!("&lastEventId={id}");
        self.resume_with(transport, reconnect_token, &more, token)
            .await
    }

    /// As [`Self::resume`], by a client that says what arrived or says nothing.
    pub async fn resume_from(
        &self,
        transport: Transport,
        reconnect_token: &str,
        last: Option<Id>,
        token: &str,
    ) -> Client {
        let more = last.map_or(String::new(), |id| format!("&lastEventId={id}"));
        self.resume_with(transport, reconnect_token, &more, token)
            .await
    }

    /// As [`Self::resume`]; `more` of the query as in `&metrics=a`.
    pub async fn resume_with(
        &self,
        transport: Transport,
        reconnect_token: &str,
        more: &str,
        token: &str,
    ) -> Client {
        match transport {
            Transport::Sse => {
                let path = format!("/reconnect?token={reconnect_token}{more}");
                Client::Sse(Box::new(self.sse(&path, token).await))
            }
            Transport::WebSocket => {
                let query = format!("?reconnectToken={reconnect_token}{more}");
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

    /// As [`Self::next_message`], with everything around it.
    pub async fn came(&mut self, kind: &str) -> Came {
        in_time(kind, self.find(kind)).await
    }

    async fn find(&mut self, kind: &str) -> Came {
        loop {
            let (text, event) = match self {
                Self::Sse(client) => {
                    let event = client.next_event().await.expect("no end before that");
                    if event.message().is_none() {
                        continue;
                    }
                    (event.data.clone().unwrap_or_default(), Some(event))
                }
                Self::WebSocket(client) => (client.next_text().await, None),
            };
            let message: Value =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"));
            if message["type"] == kind {
                return Came {
                    message,
                    text,
                    event,
                };
            }
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
