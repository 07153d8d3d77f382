//! A client that comes back by itself whatever happens to the hub, and remembers all it got.

use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use serde_json::Value;
use tokio::time::sleep;
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::support::either::Transport;
use crate::support::sse::bearer;
use crate::support::{A, token};

const AGAIN_AFTER: Duration = Duration::from_millis(20);

/// How it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ComesBack {
    /// By its reconnect token, and says what has arrived.
    ByToken,
    /// As a new session that goes on after what has arrived.
    ByPosition,
}

pub struct Follower {
    user: String,
    transport: Transport,
    comes_back: ComesBack,
    reconnect_token: Option<String>,
    last: Option<String>,
    /// Updates: id and value.
    pub seen: Vec<(String, Value)>,
    /// Notices that told of a loss or of a snapshot in the place of a resume.
    pub told: Vec<Value>,
    /// Streams that went on from a position.
    pub resumes: usize,
}

/// What ended a stream.
enum End {
    Seen,
    Broke,
}

impl Follower {
    pub fn new(number: usize) -> Self {
        let transport = Transport::BOTH[number % 2];
        let comes_back = match number / 2 % 2 {
            0 => ComesBack::ByToken,
            _ => ComesBack::ByPosition,
        };
        Self {
            user: format!("follower-{number}"),
            transport,
            comes_back,
            reconnect_token: None,
            last: None,
            seen: Vec::new(),
            told: Vec::new(),
            resumes: 0,
        }
    }

    /// Follows until it has a position.
    pub async fn begins(&mut self, hub: SocketAddr) {
        self.follow(hub, |follower| follower.last.is_some()).await;
    }

    /// Follows until an update has this value.
    pub async fn follows_to(mut self, hub: SocketAddr, value: &Value) -> Self {
        let is_there = |follower: &Self| follower.seen.last().is_some_and(|(_, it)| it == value);
        self.follow(hub, is_there).await;
        self
    }

    async fn follow(&mut self, hub: SocketAddr, is_enough: impl Fn(&Self) -> bool) {
        loop {
            let ended = match self.transport {
                Transport::Sse => self.sse(hub, &is_enough).await,
                Transport::WebSocket => self.websocket(hub, &is_enough).await,
            };
            match ended {
                Some(End::Seen) => return,
                Some(End::Broke) | None => sleep(AGAIN_AFTER).await,
            }
        }
    }

    fn path(&self, of_new: &str, of_resume: &str, token_name: &str) -> String {
        let after = self.last.as_ref().map(|id| format!("&lastEventId={id}"));
        let after = after.unwrap_or_default();
        match (&self.reconnect_token, self.comes_back) {
            (Some(token), ComesBack::ByToken) => {
                format!("{A}{of_resume}?{token_name}={token}{after}")
            }
            _ => format!("{A}{of_new}?metrics=m.*{after}"),
        }
    }

    async fn sse(&mut self, hub: SocketAddr, is_enough: &impl Fn(&Self) -> bool) -> Option<End> {
        let path = self.path("/stream", "/reconnect", "token");
        let client = reqwest::Client::new().get(format!("http://{hub}{path}"));
        let authorization = bearer(&token::admin(&self.user));
        let answer = client.header("authorization", authorization).send().await;
        let answer = answer.ok()?;
        if !self.is_admitted(answer.status().as_u16()) {
            return None;
        }
        let mut body = answer.bytes_stream();
        let mut text = String::new();
        while let Some(Ok(bytes)) = body.next().await {
            text += std::str::from_utf8(&bytes).expect("ASCII");
            while let Some((event, rest)) = text.split_once("\n\n") {
                let data = event.lines().find_map(|line| line.strip_prefix("data: "));
                if let Some(data) = data {
                    let is_seen = self.take(data, is_enough);
                    if is_seen {
                        return Some(End::Seen);
                    }
                }
                text = rest.to_owned();
            }
        }
        Some(End::Broke)
    }

    async fn websocket(
        &mut self,
        hub: SocketAddr,
        is_enough: &impl Fn(&Self) -> bool,
    ) -> Option<End> {
        let path = self.path("/websocket", "/websocket", "reconnectToken");
        let mut request = format!("ws://{hub}{path}").into_client_request().ok()?;
        let authorization = bearer(&token::admin(&self.user));
        let authorization = authorization.parse().expect("a header");
        request.headers_mut().insert("authorization", authorization);
        let mut stream = match connect_async(request).await {
            Ok((stream, _)) => stream,
            Err(tokio_tungstenite::tungstenite::Error::Http(answer)) => {
                self.is_admitted(answer.status().as_u16());
                return None;
            }
            Err(_) => return None,
        };
        while let Some(Ok(frame)) = stream.next().await {
            if let Message::Text(text) = frame
                && self.take(&text, is_enough)
            {
                return Some(End::Seen);
            }
        }
        Some(End::Broke)
    }

    /// A session that the hub had no time to write down is unknown; then the position serves.
    fn is_admitted(&mut self, status: u16) -> bool {
        if status == 410 {
            self.reconnect_token = None;
        }
        status == 200
    }

    fn take(&mut self, text: &str, is_enough: &impl Fn(&Self) -> bool) -> bool {
        let message: Value = serde_json::from_str(text).expect("JSON");
        let id = message["messageId"].as_str().expect("an id").to_owned();
        let data = &message["data"];
        match message["type"].as_str().expect("a type") {
            "connection_established" | "reconnection_successful" => {
                let reconnect_token = data["reconnectToken"].as_str();
                self.reconnect_token = reconnect_token.map(str::to_owned);
                let is_resumed = data["resumed"] == true;
                self.resumes += usize::from(is_resumed);
                if data["droppedMessagesCount"] != 0 || (self.last.is_some() && !is_resumed) {
                    self.told.push(message);
                }
            }
            "initial_metrics" => self.last = Some(id),
            "metrics_update" => {
                let value = data.as_object().and_then(|values| values.values().next());
                self.seen
                    .push((id.clone(), value.expect("a value").clone()));
                self.last = Some(id);
            }
            "messages_dropped" => self.told.push(message),
            _ => {}
        }
        is_enough(self)
    }
}
