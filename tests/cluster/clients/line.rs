//! One connection of a client, over either transport: opened, refused, or gone, but never a panic.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt;
use reqwest::{Client, Response};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::support::A;
use crate::support::either::Transport;
use crate::support::id::Id;
use crate::support::sse::{Parser, bearer};

/// A hub may let a stream wait for its turn for two seconds; after this nobody answers.
const ANSWER_PATIENCE: Duration = Duration::from_secs(4);

/// Several heartbeats must have come by then.
const SILENCE_MAX: Duration = Duration::from_secs(3);

pub enum Line {
    Sse {
        response: Response,
        parser: Parser,
        waiting: VecDeque<Came>,
    },
    WebSocket(Box<WebSocketStream<TcpStream>>),
}

#[derive(Debug)]
pub enum Came {
    Message(Value),
    Cursor(Id),
    Ended(String),
}

#[derive(Debug)]
pub enum NoLine {
    Refused {
        status: u16,
        code: String,
        retry_after: Option<Duration>,
    },
    Unreachable(String),
}

/// What is asked for.
pub struct Wish<'a> {
    pub hub: SocketAddr,
    pub jwt: &'a str,
    pub patterns: &'a [String],
    pub token: Option<&'a str>,
    pub position: Option<Id>,
}

impl Line {
    pub async fn open(transport: Transport, wish: &Wish<'_>) -> Result<Self, NoLine> {
        let opening = async {
            match transport {
                Transport::Sse => Self::open_sse(wish).await,
                Transport::WebSocket => Self::open_websocket(wish).await,
            }
        };
        let late = |_| NoLine::Unreachable(format!("no answer within {ANSWER_PATIENCE:?}"));
        timeout(ANSWER_PATIENCE, opening).await.map_err(late)?
    }

    async fn open_sse(wish: &Wish<'_>) -> Result<Self, NoLine> {
        // A connection of its own each time, as nothing else goes over a stream's.
        let client = Client::builder().no_proxy().build().expect("a client");
        let (path, query) = match wish.token {
            Some(token) => ("reconnect", format!("token={token}")),
            None => ("stream", metrics(wish.patterns)),
        };
        let mut request = client.get(format!("http://{}{A}/{path}?{query}", wish.hub));
        if let Some(position) = wish.position {
            request = request.header("Last-Event-ID", position.to_string());
        }
        let answer = request.bearer_auth(wish.jwt).send().await;
        let response = answer.map_err(|error| NoLine::Unreachable(format!("{error:?}")))?;
        match response.status().as_u16() {
            200 => Ok(Self::Sse {
                response,
                parser: Parser::default(),
                waiting: VecDeque::new(),
            }),
            status => {
                let retry_after = response.headers().get("retry-after").cloned();
                let body = response.bytes().await.unwrap_or_default();
                Err(NoLine::refused(status, &body, retry_after.as_ref()))
            }
        }
    }

    async fn open_websocket(wish: &Wish<'_>) -> Result<Self, NoLine> {
        let mut query = match wish.token {
            Some(token) => format!("reconnectToken={token}"),
            None => metrics(wish.patterns),
        };
        if let Some(position) = wish.position {
            query += &format!("&lastEventId={position}");
        }
        let url = format!("ws://{}{A}/websocket?{query}", wish.hub);
        let mut request = url.into_client_request().expect("a URL");
        let bearer = HeaderValue::from_str(&bearer(wish.jwt)).expect("a header");
        request.headers_mut().insert("authorization", bearer);
        let stream = TcpStream::connect(wish.hub).await;
        let stream = stream.map_err(|error| NoLine::Unreachable(error.to_string()))?;
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self::WebSocket(Box::new(socket))),
            Err(Error::Http(answer)) => {
                let body = answer.body().as_deref().unwrap_or_default();
                let retry_after = answer.headers().get("retry-after");
                Err(NoLine::refused(answer.status().as_u16(), body, retry_after))
            }
            Err(error) => Err(NoLine::Unreachable(error.to_string())),
        }
    }

    /// The next thing that means something. May be dropped before it is there.
    pub async fn next(&mut self) -> Came {
        loop {
            let silent = |_| Some(Came::Ended(format!("silent for {SILENCE_MAX:?}")));
            let came = timeout(SILENCE_MAX, self.next_piece()).await;
            if let Some(came) = came.unwrap_or_else(silent) {
                return came;
            }
        }
    }

    /// `None`: a sign of life.
    async fn next_piece(&mut self) -> Option<Came> {
        match self {
            Self::Sse {
                response,
                parser,
                waiting,
            } => {
                if waiting.is_empty() {
                    match response.chunk().await {
                        Ok(Some(bytes)) => {
                            waiting.extend(parser.push(&bytes).iter().filter_map(came))
                        }
                        Ok(None) => return Some(Came::Ended("goodbye".into())),
                        Err(error) => return Some(Came::Ended(format!("{error:?}"))),
                    }
                }
                waiting.pop_front()
            }
            Self::WebSocket(socket) => match socket.next().await {
                Some(Ok(Message::Text(text))) => {
                    Some(Came::Message(serde_json::from_str(&text).expect("JSON")))
                }
                Some(Ok(Message::Close(frame))) => {
                    let code = frame.map(|frame| u16::from(frame.code));
                    Some(Came::Ended(format!("closed with {code:?}")))
                }
                Some(Ok(_)) => None,
                Some(Err(error)) => Some(Came::Ended(error.to_string())),
                None => Some(Came::Ended("no goodbye".into())),
            },
        }
    }
}

fn came(event: &crate::support::sse::Event) -> Option<Came> {
    match event.event.as_deref() {
        Some("cursor") => event.id.as_deref().and_then(Id::parse).map(Came::Cursor),
        _ => event.message().map(Came::Message),
    }
}

fn metrics(patterns: &[String]) -> String {
    match patterns {
        [] => String::new(),
        patterns => format!("metrics={}", patterns.join(",")),
    }
}

impl NoLine {
    fn refused(status: u16, body: &[u8], retry_after: Option<&HeaderValue>) -> Self {
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        let code = body["code"].as_str().unwrap_or_default().to_owned();
        let seconds = retry_after.and_then(|it| it.to_str().ok()?.parse().ok());
        let retry_after = seconds.map(Duration::from_secs);
        Self::Refused {
            status,
            code,
            retry_after,
        }
    }
}
