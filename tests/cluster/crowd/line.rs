//! One connection of a member of the crowd: no more than is needed to read what comes.

use std::collections::VecDeque;
use std::net::SocketAddr;

use futures::StreamExt;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use crate::support::A;
use crate::support::raw::Dechunker;
use crate::support::sse::{Event, Parser, bearer};

pub enum Line {
    Sse {
        stream: TcpStream,
        dechunker: Dechunker,
        parser: Parser,
        waiting: VecDeque<Event>,
    },
    WebSocket(Box<WebSocketStream<TcpStream>>),
}

/// What came: a message, or nothing but a time after which to come back.
pub struct Came {
    pub message: Option<Value>,
    pub retry: Option<u64>,
}

/// Why there is no line.
pub enum NoLine {
    Unreachable,
    Refused(u16),
}

impl Line {
    /// `path` with its query, below the interface's base.
    pub async fn sse(hub: SocketAddr, path: &str, jwt: &str) -> Result<Self, NoLine> {
        let request = format!(
            "GET {A}{path} HTTP/1.1\r\nHost: hub\r\nAccept: text/event-stream\r\nAuthorization: {}\r\n\r\n",
            bearer(jwt)
        );
        let gone = |_| NoLine::Unreachable;
        let mut stream = TcpStream::connect(hub).await.map_err(gone)?;
        stream.write_all(request.as_bytes()).await.map_err(gone)?;
        let mut bytes = Vec::new();
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut bytes).await.map_err(gone)? == 0 {
                return Err(NoLine::Unreachable);
            }
        };
        let status = std::str::from_utf8(&bytes[9..12]).expect("a status");
        if status != "200" {
            return Err(NoLine::Refused(status.parse().expect("a status")));
        }
        let mut dechunker = Dechunker::default();
        let mut parser = Parser::default();
        let waiting = parser.push(&dechunker.push(&bytes[end..])).into();
        Ok(Self::Sse {
            stream,
            dechunker,
            parser,
            waiting,
        })
    }

    pub async fn websocket(hub: SocketAddr, query: &str, jwt: &str) -> Result<Self, NoLine> {
        let url = format!("ws://{hub}{A}/websocket?{query}");
        let mut request = url.into_client_request().expect("a URL");
        let bearer = HeaderValue::from_str(&bearer(jwt)).expect("a header");
        request.headers_mut().insert("authorization", bearer);
        let stream = TcpStream::connect(hub).await;
        let stream = stream.map_err(|_| NoLine::Unreachable)?;
        match client_async(request, stream).await {
            Ok((socket, _)) => Ok(Self::WebSocket(socket.into())),
            Err(Error::Http(answer)) => Err(NoLine::Refused(answer.status().as_u16())),
            Err(_) => Err(NoLine::Unreachable),
        }
    }

    /// `None`: it is over.
    pub async fn next(&mut self) -> Option<Came> {
        match self {
            Self::Sse {
                stream,
                dechunker,
                parser,
                waiting,
            } => loop {
                if let Some(event) = waiting.pop_front() {
                    let (message, retry) = (event.message(), event.retry);
                    return Some(Came { message, retry });
                }
                let mut bytes = Vec::with_capacity(16 * 1024);
                match stream.read_buf(&mut bytes).await {
                    Ok(0) | Err(_) => return None,
                    Ok(_) => waiting.extend(parser.push(&dechunker.push(&bytes))),
                }
            },
            Self::WebSocket(socket) => loop {
                if let Message::Text(text) = socket.next().await?.ok()? {
                    let message = serde_json::from_str(&text).expect("JSON");
                    return Some(Came {
                        message: Some(message),
                        retry: None,
                    });
                }
            },
        }
    }
}
