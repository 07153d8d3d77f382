//! An SSE client over a bare socket, so that every byte, pause and hang-up is under control.

use std::io::Write;
use std::time::{Duration, Instant};

use flate2::write::GzDecoder;
use serde_json::Value;

use super::hub::Hub;
use super::raw::{Dechunker, Head, RawAnswer, RawClient};
use super::{A, PATIENCE, in_time};

/// One stream, or the refusal of one.
pub struct SseClient {
    pub head: Head,
    /// Of the body, as they came.
    pub came_bytes: usize,
    connection: RawClient,
    dechunker: Option<Dechunker>,
    /// Where the stream is compressed.
    gzip: Option<GzDecoder<Vec<u8>>>,
    /// Of a body whose length was named, as a proxy's own answers are, so much is still to come.
    left: Option<usize>,
    parser: Parser,
    /// Taken out of the stream and not yet asked for.
    events: std::collections::VecDeque<Event>,
    /// Types of the messages that were passed over, for when the wanted one never comes.
    passed: Vec<String>,
}

/// One block of the stream. A block of comments alone is one too.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Event {
    pub id: Option<String>,
    pub event: Option<String>,
    pub data: Option<String>,
    pub retry: Option<u64>,
    pub comments: Vec<String>,
    /// The block as it came, with its empty line.
    pub raw: String,
}

impl Event {
    /// The message in it; `None` for comments and the cursor.
    pub fn message(&self) -> Option<Value> {
        let data = self.data.as_deref().filter(|_| self.event.is_none())?;
        Some(serde_json::from_str(data).unwrap_or_else(|error| panic!("{error} in {data:?}")))
    }
}

impl Hub {
    /// A stream for `token`, for which the hub must open one; `path` as in `/stream?metrics=a`.
    pub async fn sse(&self, path: &str, token: &str) -> SseClient {
        let client = self
            .sse_with(path, &[("Authorization", &bearer(token))])
            .await;
        assert_eq!(client.head.status, 200, "{:?}", client.head);
        client
    }

    /// As [`Self::sse`], from after `id`.
    pub async fn sse_after(&self, path: &str, token: &str, id: &str) -> SseClient {
        let headers = [("Authorization", &*bearer(token)), ("Last-Event-ID", id)];
        let client = self.sse_with(path, &headers).await;
        assert_eq!(client.head.status, 200, "{:?}", client.head);
        client
    }

    /// Whatever the hub answers to these headers.
    pub async fn sse_with(&self, path: &str, headers: &[(&str, &str)]) -> SseClient {
        SseClient::open(RawClient::connect(self.address).await, path, headers).await
    }

    /// A stream whose client takes hardly anything unless it reads.
    pub async fn sse_narrow(&self, path: &str, token: &str) -> SseClient {
        let connection = RawClient::connect_narrow(self.address, 4096).await;
        SseClient::open(connection, path, &[("Authorization", &bearer(token))]).await
    }
}

pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

impl SseClient {
    /// Asks for `path` below the interface's base over `connection`.
    pub async fn open(mut connection: RawClient, path: &str, headers: &[(&str, &str)]) -> Self {
        let mut request =
            format!("GET {A}{path} HTTP/1.1\r\nHost: hub\r\nAccept: text/event-stream\r\n");
        let named = |name: &str| headers.iter().any(|(it, _)| it.eq_ignore_ascii_case(name));
        if std::env::var_os("IT_GZIP").is_some() && !named("Accept-Encoding") {
            request += "Accept-Encoding: gzip\r\n";
        }
        for (name, value) in headers {
            request += &format!("{name}: {value}\r\n");
        }
        connection.send(request + "\r\n").await;
        let head = connection.head().await.expect("an answer");
        let dechunker = head.is_chunked().then(Dechunker::default);
        let is_gzip = head.header("content-encoding") == Some("gzip");
        let left = head.header("content-length");
        let left = left.map(|bytes| bytes.parse().expect("a length"));
        Self {
            head,
            came_bytes: 0,
            connection,
            dechunker,
            gzip: is_gzip.then(|| GzDecoder::new(Vec::new())),
            left,
            parser: Parser::default(),
            events: Default::default(),
            passed: Vec::new(),
        }
    }

    /// The envelope of a refusal.
    pub async fn refusal(mut self) -> Value {
        let body = self.connection.body(&self.head).await;
        RawAnswer {
            head: self.head,
            body,
        }
        .envelope()
    }

    pub fn reconnect_token(&self) -> &str {
        self.head
            .header("x-reconnect-token")
            .expect("a reconnect token")
    }

    /// The next block, whatever it is; `None` at the end of the stream.
    pub async fn next_event(&mut self) -> Option<Event> {
        let passed = format!("an event, after {:?}", self.passed);
        let event = in_time(&passed, self.read_event()).await?;
        if let Some(message) = event.message() {
            let kind = message["type"].as_str().unwrap_or("?");
            self.passed.push(kind.to_owned());
        }
        Some(event)
    }

    async fn read_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            let over =
                self.left == Some(0) || self.dechunker.as_ref().is_some_and(|it| it.finished);
            let pending = !self.connection.pending.is_empty();
            if over || !pending && !self.connection.read_more().await {
                return None;
            }
            let bytes = std::mem::take(&mut self.connection.pending);
            self.came_bytes += bytes.len();
            self.left = self.left.map(|left| left.saturating_sub(bytes.len()));
            let body = match &mut self.dechunker {
                Some(dechunker) => dechunker.push(&bytes),
                None => bytes,
            };
            let body = self.unpacked(body);
            self.events.extend(self.parser.push(&body));
        }
    }

    /// What a client knows that reads on at once, as those of browsers do.
    fn unpacked(&mut self, body: Vec<u8>) -> Vec<u8> {
        let Some(gzip) = &mut self.gzip else {
            return body;
        };
        gzip.write_all(&body).expect("gzip");
        gzip.flush().expect("gzip");
        std::mem::take(gzip.get_mut())
    }

    /// The next message, past comments and cursors.
    pub async fn next(&mut self) -> Value {
        loop {
            let event = self.next_event().await;
            let event = event.unwrap_or_else(|| panic!("the stream ended after {:?}", self.passed));
            if let Some(message) = event.message() {
                return message;
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

    /// Past what opens every stream: the notice and, on a new one, the snapshot. Gives the notice.
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

    /// Asserts that no message comes for `time`, which is below [`super::PATIENCE`]; comments and
    /// cursors may.
    pub async fn stays_quiet(&mut self, time: Duration) {
        let message = tokio::time::timeout(time, self.next()).await;
        assert!(message.is_err(), "unexpected {message:?}");
    }

    /// Everything up to the end of the stream, and whether it ended as HTTP says it should.
    pub async fn rest(mut self) -> (Vec<Event>, bool) {
        let mut events = Vec::new();
        while let Some(event) = self.next_event().await {
            events.push(event);
        }
        let mut finished = self.dechunker.is_none_or(|dechunker| dechunker.finished);
        if let Some(gzip) = self.gzip {
            // Length and check are those of all that came.
            finished &= gzip.finish().is_ok();
        }
        (events, finished)
    }

    /// Ends its own side, and gives what still came.
    pub async fn goodbye(mut self) -> Vec<Event> {
        self.connection.finish().await;
        self.rest().await.0
    }

    /// Vanishes with a reset.
    pub fn reset(self) {
        self.connection.reset();
    }

    /// Says that it sends nothing more, as a client does that closes its socket, and stays to hear
    /// what comes.
    pub async fn finish(&mut self) {
        self.connection.finish().await;
    }
}

/// The format of `text/event-stream`, with everything kept that a browser throws away.
#[derive(Debug, Default)]
pub struct Parser {
    /// Bytes of a block that is not complete.
    open: Vec<u8>,
}

impl Parser {
    /// The blocks that `bytes` complete. Lines end with LF, as ours all do: a carriage return in a
    /// stream of the hub's is a mistake and is found here.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        self.open.extend_from_slice(bytes);
        let mut events = Vec::new();
        while let Some(end) = self.open.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.open.drain(..end + 2).collect();
            let text = String::from_utf8(block).expect("a stream in UTF-8");
            events.push(parse_block(text));
        }
        events
    }
}

fn parse_block(raw: String) -> Event {
    assert!(!raw.contains('\r'), "a carriage return in {raw:?}");
    let mut event = Event::default();
    for line in raw.lines().filter(|line| !line.is_empty()) {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        match field {
            "" => event.comments.push(value),
            "id" => event.id = Some(value),
            "event" => event.event = Some(value),
            "retry" => event.retry = Some(value.parse().expect("a retry in milliseconds")),
            "data" => match &mut event.data {
                Some(data) => *data += &format!("\n{value}"),
                None => event.data = Some(value),
            },
            _ => panic!("an unknown field in {raw:?}"),
        }
    }
    event.raw = raw;
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "retry: 3000\ndata: {\"type\":\"a\"}\n\n: quiet\n\nevent: cursor\nid: 1-0\ndata:\n\n\
                          id: 2-0\ndata: {\"type\":\"ü\"}\n\ndata: torn";

    #[test]
    fn a_stream_is_the_same_however_it_is_cut() {
        let whole = Parser::default().push(STREAM.as_bytes());
        assert_eq!(whole.len(), 4, "what is torn is no event");
        for cut in 0..STREAM.len() {
            let mut parser = Parser::default();
            let mut events = parser.push(&STREAM.as_bytes()[..cut]);
            events.extend(parser.push(&STREAM.as_bytes()[cut..]));
            assert_eq!(events, whole, "cut at {cut}");
        }
    }

    #[test]
    fn every_field_is_kept() {
        let events = Parser::default().push(STREAM.as_bytes());
        assert_eq!(events[0].retry, Some(3000));
        assert_eq!(events[0].message().unwrap()["type"], "a");
        assert_eq!(events[1].comments, ["quiet"]);
        assert_eq!(events[1].message(), None);
        assert_eq!(events[2].event.as_deref(), Some("cursor"));
        assert_eq!(events[2].data.as_deref(), Some(""));
        assert_eq!(events[2].message(), None, "a cursor carries no message");
        assert_eq!(events[3].id.as_deref(), Some("2-0"));
        assert_eq!(events[3].raw, "id: 2-0\ndata: {\"type\":\"ü\"}\n\n");
    }

    /// A server that answers one request with `answer` and hangs up.
    async fn served(answer: &'static str) -> SseClient {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.read(&mut [0; 4096]).await;
            socket.write_all(answer.as_bytes()).await.unwrap();
        });
        let connection = RawClient::connect(address).await;
        SseClient::open(connection, "/stream", &[("Authorization", "Bearer x")]).await
    }

    const HEAD: &str = "HTTP/1.1 200 OK\r\nX-Reconnect-Token: t\r\n";

    #[tokio::test]
    async fn messages_are_read_over_chunks_and_a_clean_end_is_told_from_a_torn_one() {
        for (end, clean) in [("0\r\n\r\n", true), ("", false)] {
            let answer = format!(
                "{HEAD}Transfer-Encoding: chunked\r\n\r\n\
                 14\r\ndata: {{\"type\":\"a\"}}\n\n\r\n8\r\n: quiet\n\r\n1\r\n\n\r\n\
                 14\r\ndata: {{\"type\":\"b\"}}\n\n\r\n{end}"
            );
            let mut client = served(answer.leak()).await;
            assert_eq!(client.reconnect_token(), "t");
            assert_eq!(client.next_message("b").await["type"], "b");
            assert_eq!(client.passed, ["a", "b"]);
            let (rest, finished) = client.rest().await;
            assert_eq!((rest.len(), finished), (0, clean));
        }
    }

    #[tokio::test]
    async fn a_refusal_is_read_as_an_envelope() {
        let body = r#"{"success":false,"error":"No","code":"forbidden"}"#;
        let answer = format!(
            "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let client = served(answer.leak()).await;
        assert_eq!(client.head.status, 403);
        assert_eq!(client.refusal().await["code"], "forbidden");
    }
}
