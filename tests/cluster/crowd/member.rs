//! One of the crowd: it follows one metric, whose values count up by one, and so sees by itself what it
//! missed and what it got twice.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::line::{Line, NoLine};
use crate::support::message::text;
use crate::support::token;

/// Between tries where nobody is there, or nobody who takes it.
const PAUSE: Duration = Duration::from_millis(100);

/// How one comes, and comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// As a browser's EventSource: with what arrived last, in a session of its own each time.
    SseById,
    SseByTokenAndId,
    WebSocketByTokenAndId,
    /// The hub has to know what it got.
    WebSocketByToken,
}

/// What is seen of it from outside.
#[derive(Debug, Default, Clone)]
pub struct Seen {
    /// Where it is; `None`: on its way.
    pub at: Option<usize>,
    /// When it last came back.
    pub resumed: Option<Instant>,
    /// The newest value it has.
    pub last: u64,
    pub wrong: Vec<String>,
}

pub struct Member {
    seen: Arc<Mutex<Seen>>,
    task: JoinHandle<()>,
}

impl Member {
    pub fn start(nth: usize, manner: Manner, hubs: Arc<[SocketAddr]>) -> Self {
        let seen = Arc::<Mutex<Seen>>::default();
        let follower = Follower {
            nth,
            manner,
            jwt: token::admin(&format!("user-{nth}")),
            hub: nth % hubs.len(),
            hubs,
            token: None,
            position: None,
            retry: Duration::from_secs(3),
            seen: seen.clone(),
        };
        let task = tokio::spawn(follower.follow());
        Self { seen, task }
    }

    pub fn seen(&self) -> Seen {
        self.seen.lock().expect("no panic").clone()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Follower {
    nth: usize,
    manner: Manner,
    jwt: String,
    hubs: Arc<[SocketAddr]>,
    hub: usize,
    token: Option<String>,
    position: Option<String>,
    /// After how long it comes back, as the hub said.
    retry: Duration,
    seen: Arc<Mutex<Seen>>,
}

impl Follower {
    async fn follow(mut self) {
        loop {
            match self.open().await {
                Ok(line) => {
                    let pause = self.listen(line).await;
                    self.tell(|seen| seen.at = None);
                    // Those of one hub go to both others.
                    self.hub += 1 + self.nth / self.hubs.len() % 2;
                    sleep(pause).await;
                }
                Err(NoLine::Unreachable | NoLine::Refused(503)) => {
                    self.hub += 1;
                    sleep(PAUSE).await;
                }
                Err(NoLine::Refused(status)) => {
                    self.is_wrong(format!("was refused with {status}"));
                    return;
                }
            }
            self.hub %= self.hubs.len();
        }
    }

    async fn open(&self) -> Result<Line, NoLine> {
        let hub = self.hubs[self.hub];
        let mut query = "metrics=n".to_owned();
        let mut path = "/stream";
        if let Some(token) = &self.token {
            match self.manner {
                Manner::SseById => {}
                Manner::SseByTokenAndId => {
                    path = "/reconnect";
                    query = format!("token={token}");
                }
                Manner::WebSocketByTokenAndId | Manner::WebSocketByToken => {
                    query = format!("reconnectToken={token}");
                }
            }
        }
        if let Some(position) = self.position.as_ref()
            && self.manner != Manner::WebSocketByToken
        {
            query += &format!("&lastEventId={position}");
        }
        match self.manner {
            Manner::SseById | Manner::SseByTokenAndId => {
                Line::sse(hub, &format!("{path}?{query}"), &self.jwt).await
            }
            Manner::WebSocketByTokenAndId | Manner::WebSocketByToken => {
                Line::websocket(hub, &query, &self.jwt).await
            }
        }
    }

    /// To the end of the line; gives after how long to come back.
    async fn listen(&mut self, mut line: Line) -> Duration {
        let mut pause = None;
        while let Some(came) = line.next().await {
            self.retry = came.retry.map_or(self.retry, Duration::from_millis);
            if let Some(message) = came.message {
                pause = self.take(&message).or(pause);
            }
        }
        // Over WebSocket no hub says when to come back from a break.
        pause.unwrap_or(self.retry)
    }

    fn take(&mut self, message: &Value) -> Option<Duration> {
        let data = &message["data"];
        match text(&message["type"]) {
            "connection_established" | "reconnection_successful" => self.is_there(data),
            "initial_metrics" => {
                let value = data["n"].as_u64().unwrap_or_default();
                self.position = Some(text(&message["messageId"]).to_owned());
                self.tell(|seen| seen.last = value);
            }
            "metrics_update" => {
                self.position = Some(text(&message["messageId"]).to_owned());
                let value = data["n"].as_u64().expect("a number");
                let before = self.seen.lock().expect("no panic").last;
                if value != before + 1 {
                    self.is_wrong(format!("got {value} after {before}"));
                }
                self.tell(|seen| seen.last = value);
            }
            "server_shutdown" => {
                let time = data["reconnectInMs"].as_u64();
                return Some(Duration::from_millis(time.expect("a time")));
            }
            "heartbeat" => {}
            _ => self.is_wrong(format!("got {message}")),
        }
        None
    }

    fn is_there(&mut self, data: &Value) {
        let (is_back, hub) = (self.token.is_some(), self.hub);
        if is_back && (data["resumed"] == false || data["droppedMessagesCount"] != 0) {
            self.is_wrong(format!("came back to {data}"));
        }
        self.token = Some(text(&data["reconnectToken"]).to_owned());
        self.tell(|seen| {
            seen.at = Some(hub);
            seen.resumed = is_back.then(Instant::now);
        });
    }

    fn tell(&self, what: impl FnOnce(&mut Seen)) {
        what(&mut self.seen.lock().expect("no panic"));
    }

    fn is_wrong(&self, text: String) {
        let text = format!("{} {:?}: {text}", self.nth, self.manner);
        self.tell(|seen| seen.wrong.push(text));
    }
}
