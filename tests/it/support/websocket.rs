//! A WebSocket client that speaks JSON, or whatever a test wants.

use std::time::{Duration, Instant};

use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::{HeaderMap, HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async};

use super::http::check_envelope;
use super::hub::Hub;
use super::raw::narrow_socket;
use super::sse::bearer;
use super::{A, PATIENCE, in_time};

pub struct WsClient {
    socket: WebSocketStream<TcpStream>,
    /// Headers of the answer to the upgrade.
    pub headers: HeaderMap,
    passed: Vec<String>,
}

/// An upgrade that was refused.
#[derive(Debug)]
pub struct Refused {
    pub status: u16,
    pub headers: HeaderMap,
    /// The envelope; null where the body did not come with the head.
    pub body: Value,
}

impl Hub {
    /// A connection for `token`; `query` as in `?metrics=a`.
    pub async fn websocket(&self, query: &str, token: &str) -> WsClient {
        let headers = [("authorization", &*bearer(token))];
        self.websocket_with(query, &headers)
            .await
            .expect("an upgrade")
    }

    /// A connection whose token comes as the second subprotocol, as browsers have to send it.
    pub async fn websocket_by_subprotocol(&self, query: &str, token: &str) -> WsClient {
        let offered = format!("statshub, bearer.{token}");
        let headers = [("sec-websocket-protocol", &*offered)];
        let client = self
            .websocket_with(query, &headers)
            .await
            .expect("an upgrade");
        assert_eq!(client.headers["sec-websocket-protocol"], "statshub");
        client
    }

    /// Whatever the hub answers to these headers.
    pub async fn websocket_with(
        &self,
        query: &str,
        headers: &[(&str, &str)],
    ) -> Result<WsClient, Refused> {
        WsClient::open(&self.websocket_url(query), headers).await
    }

    /// A connection whose client takes hardly anything unless it reads.
    pub async fn websocket_narrow(&self, query: &str, token: &str) -> WsClient {
        let headers = [("authorization", &*bearer(token))];
        let socket = narrow_socket(4096);
        let client = WsClient::open_from(socket, &self.websocket_url(query), &headers).await;
        client.expect("an upgrade")
    }

    fn websocket_url(&self, query: &str) -> String {
        format!("ws://{}{A}/websocket{query}", self.address)
    }
}

/// The head of a handshake, for a client that afterwards does as it likes.
pub fn upgrade(token: &str) -> String {
    format!(
        "GET {A}/websocket HTTP/1.1\r\nHost: hub\r\nAuthorization: {}\r\n\
         Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        bearer(token)
    )
}

impl WsClient {
    /// # Errors
    /// The answer was not 101.
    pub async fn open(url: &str, headers: &[(&str, &str)]) -> Result<Self, Refused> {
        Self::open_from(TcpSocket::new_v4().expect("a socket"), url, headers).await
    }

    /// As [`Self::open`], from a socket that is not yet connected.
    async fn open_from(
        socket: TcpSocket,
        url: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, Refused> {
        let mut request = url.into_client_request().expect("a URL");
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header name");
            request
                .headers_mut()
                .insert(name, HeaderValue::from_str(value).expect("a header value"));
        }
        let address = request.uri().authority().expect("a host").as_str();
        let address = address.parse().expect("an address");
        let stream = in_time("a connection", socket.connect(address))
            .await
            .expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        match in_time("an answer to the upgrade", client_async(request, stream)).await {
            Ok((socket, answer)) => Ok(Self {
                socket,
                headers: answer.headers().clone(),
                passed: Vec::new(),
            }),
            Err(Error::Http(answer)) => Err(Refused::read(&answer)),
            Err(error) => panic!("no answer to the upgrade: {error}"),
        }
    }

    pub async fn send(&mut self, message: &Value) {
        self.send_frame(Message::text(message.to_string())).await;
    }

    pub async fn subscribe(&mut self, metrics: &[&str]) -> Value {
        self.send(&json!({"type": "subscribe", "data": {"metrics": metrics}}))
            .await;
        self.next_message("subscribed").await
    }

    /// Anything at all; that the hub has hung up already is for the test to see when it reads.
    pub async fn send_frame(&mut self, frame: Message) {
        let _ = in_time("a frame to be taken", self.socket.send(frame)).await;
    }

    /// The next frame, control frames included (the library answers pings by itself while it is
    /// read from); `None` at the end.
    pub async fn next_frame(&mut self) -> Option<Message> {
        let what = format!("a frame, after {:?}", self.passed);
        in_time(&what, self.socket.next()).await?.ok()
    }

    /// The next message, past pings.
    pub async fn next(&mut self) -> Value {
        let text = self.next_text().await;
        let message: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"));
        self.passed
            .push(message["type"].as_str().unwrap_or("?").to_owned());
        message
    }

    /// As [`Self::next`], as it was written.
    pub async fn next_text(&mut self) -> String {
        loop {
            match self.next_frame().await {
                Some(Message::Text(text)) => return text.to_string(),
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("no message but {other:?}, after {:?}", self.passed),
            }
        }
    }

    /// The next message of `kind`, past all others.
    pub async fn next_message(&mut self, kind: &str) -> Value {
        let began = Instant::now();
        loop {
            let message = self.next().await;
            if message["type"] == kind {
                return message;
            }
            // Heartbeats may come for ever.
            let passed = &self.passed;
            assert!(began.elapsed() < PATIENCE, "no {kind} among {passed:?}");
        }
    }

    /// Past what opens every connection: the notice and, on a new session, the snapshot. Gives the
    /// notice.
    pub async fn opened(&mut self) -> Value {
        let notice = self.next().await;
        let resumed =
            notice["type"] == "reconnection_successful" || notice["data"]["resumed"] == true;
        if !resumed {
            assert_eq!(notice["type"], "connection_established");
            assert_eq!(self.next().await["type"], "initial_metrics");
        }
        notice
    }

    /// Asserts that no message comes for `time`, which is below [`super::PATIENCE`]; pings may.
    pub async fn stays_quiet(&mut self, time: Duration) {
        let message = tokio::time::timeout(time, self.next()).await;
        assert!(message.is_err(), "unexpected {message:?}");
    }

    /// Reads to the end: the messages before it, and the code and reason it was closed with; `None`
    /// when there was no close frame.
    pub async fn closed(mut self) -> (Vec<Value>, Option<(u16, String)>) {
        let mut messages = Vec::new();
        loop {
            match self.next_frame().await {
                Some(Message::Text(text)) => {
                    messages.push(serde_json::from_str(&text).expect("JSON"))
                }
                Some(Message::Close(Some(CloseFrame { code, reason }))) => {
                    // Reading on completes the closing handshake.
                    while self.next_frame().await.is_some() {}
                    return (messages, Some((code.into(), reason.to_string())));
                }
                Some(Message::Close(None)) | None => return (messages, None),
                Some(_) => {}
            }
        }
    }

    /// Says goodbye with 1000 and waits for the answer. Gives the messages that came before it.
    pub async fn close(mut self) -> Vec<Value> {
        let goodbye = CloseFrame {
            code: 1000.into(),
            reason: "".into(),
        };
        let _ = self.socket.close(Some(goodbye)).await;
        let (messages, closed) = self.closed().await;
        assert_eq!(closed.map(|(code, _)| code), Some(1000), "no answer");
        messages
    }

    /// Vanishes with a reset.
    pub fn reset(self) {
        let linger = SockRef::from(self.socket.get_ref()).set_linger(Some(Duration::ZERO));
        linger.expect("a socket");
    }
}

impl Refused {
    fn read(answer: &tokio_tungstenite::tungstenite::http::Response<Option<Vec<u8>>>) -> Self {
        let status = answer.status().as_u16();
        let body = answer.body().as_deref().unwrap_or_default();
        let body = serde_json::from_slice(body).unwrap_or_default();
        if body != Value::Null {
            check_envelope(status, &body);
        }
        let headers = answer.headers().clone();
        Self {
            status,
            headers,
            body,
        }
    }

    pub fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_tungstenite::accept_async;

    /// A server that sends `frames` over the first connection and reads on until its end.
    async fn serving(frames: Vec<Message>) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut socket = accept_async(stream).await.unwrap();
            for frame in frames {
                socket.send(frame).await.unwrap();
            }
            while let Some(Ok(_)) = socket.next().await {}
        });
        format!("ws://{address}/")
    }

    #[tokio::test]
    async fn messages_are_read_past_pings_up_to_the_close_code() {
        let close = CloseFrame {
            code: 4001.into(),
            reason: "elsewhere".into(),
        };
        let url = serving(vec![
            Message::Ping("p".into()),
            Message::text(r#"{"type":"a"}"#),
            Message::text(r#"{"type":"b"}"#),
            Message::text(r#"{"type":"c"}"#),
            Message::Close(Some(close)),
        ]);
        let mut client = WsClient::open(&url.await, &[]).await.unwrap();
        assert_eq!(client.next_message("b").await["type"], "b");
        let (messages, closed) = client.closed().await;
        assert_eq!(messages, [json!({"type": "c"})]);
        assert_eq!(closed, Some((4001, "elsewhere".into())));
    }

    #[tokio::test]
    async fn a_refused_upgrade_gives_status_and_envelope() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.read(&mut [0; 4096]).await;
            let body = r#"{"success":false,"error":"Gone","code":"reconnect_token_invalid"}"#;
            let answer = format!(
                "HTTP/1.1 410 Gone\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            socket.write_all(answer.as_bytes()).await.unwrap();
        });
        let refused = WsClient::open(&url, &[]).await.err().unwrap();
        assert_eq!(
            (refused.status, refused.code()),
            (410, "reconnect_token_invalid")
        );
    }
}
