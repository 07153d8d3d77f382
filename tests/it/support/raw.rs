//! Bytes as they are, for requests that no decent client would send, and the head and body of an
//! answer taken apart without any help.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::http::check_envelope;
use super::in_time;

/// One connection.
pub struct RawClient {
    stream: TcpStream,
    /// Read from the socket and not yet taken.
    pub pending: Vec<u8>,
}

/// Status and headers of an answer.
#[derive(Debug, Clone)]
pub struct Head {
    pub status: u16,
    pub headers: Vec<(String, String)>,
}

impl RawClient {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::connect_from(address, TcpSocket::new_v4().expect("a socket")).await
    }

    /// With a receive buffer of about `bytes`, so that the client is soon a slow one.
    pub async fn connect_narrow(address: SocketAddr, bytes: u32) -> Self {
        Self::connect_from(address, narrow_socket(bytes)).await
    }

    /// As a client that has the address `source`.
    pub async fn connect_as(source: IpAddr, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind((source, 0).into()).expect("a loopback address");
        Self::connect_from(address, socket).await
    }

    async fn connect_from(address: SocketAddr, socket: TcpSocket) -> Self {
        let stream = in_time("a connection", socket.connect(address))
            .await
            .expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let pending = Vec::new();
        Self { stream, pending }
    }

    /// Sends what the other side takes; that it has hung up already is no failure of the client.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = in_time("bytes to be taken", self.stream.write_all(bytes.as_ref())).await;
    }

    /// One more read into `pending`; false at the end, however it came.
    pub async fn read_more(&mut self) -> bool {
        let mut buffer = [0; 16 * 1024];
        match self.stream.read(&mut buffer).await {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.pending.extend_from_slice(&buffer[..count]);
                true
            }
        }
    }

    /// Everything up to the end of the connection.
    pub async fn read_to_end(&mut self) -> Vec<u8> {
        in_time("the connection to end", async {
            while self.read_more().await {}
        })
        .await;
        std::mem::take(&mut self.pending)
    }

    /// The head of an answer; what came after it stays in `pending`. `None`: the connection ended
    /// without one.
    pub async fn head(&mut self) -> Option<Head> {
        in_time("the head of an answer", async {
            loop {
                if let Some(end) = find(&self.pending, b"\r\n\r\n") {
                    let head: Vec<u8> = self.pending.drain(..end + 4).collect();
                    return Some(Head::parse(&String::from_utf8_lossy(&head)));
                }
                if !self.read_more().await {
                    return None;
                }
            }
        })
        .await
    }

    /// The body that goes with `head`, of the length that this one names.
    pub async fn body(&mut self, head: &Head) -> Vec<u8> {
        let length = head.header("content-length").unwrap_or("0");
        let length: usize = length.parse().expect("a length");
        in_time("the body of an answer", async {
            while self.pending.len() < length && self.read_more().await {}
        })
        .await;
        assert!(self.pending.len() >= length, "a body cut short: {head:?}");
        self.pending.drain(..length).collect()
    }

    /// A whole answer that is no stream. `None`: the connection ended without one.
    pub async fn answer(&mut self) -> Option<RawAnswer> {
        let head = self.head().await?;
        let body = self.body(&head).await;
        Some(RawAnswer { head, body })
    }

    /// Says goodbye properly, half of it: the other side sees the end, and this one still reads.
    pub async fn finish(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// Vanishes with a reset.
    pub fn reset(self) {
        let linger = SockRef::from(&self.stream).set_linger(Some(Duration::ZERO));
        linger.expect("a socket");
    }
}

impl Head {
    fn parse(text: &str) -> Self {
        let mut lines = text.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.split(' ').nth(1)?.parse().ok());
        let header = |line: &str| {
            let (name, value) = line.split_once(':')?;
            Some((name.to_ascii_lowercase(), value.trim().to_owned()))
        };
        Self {
            status: status.unwrap_or_else(|| panic!("no answer: {text:?}")),
            headers: lines.filter_map(header).collect(),
        }
    }

    /// The first header of that name, which is given in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    pub fn is_chunked(&self) -> bool {
        self.header("transfer-encoding") == Some("chunked")
    }
}

/// A socket with a receive buffer of about `bytes`, which does not grow by itself.
pub fn narrow_socket(bytes: u32) -> TcpSocket {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(bytes).expect("a buffer size");
    socket
}

/// A whole answer.
#[derive(Debug)]
pub struct RawAnswer {
    pub head: Head,
    pub body: Vec<u8>,
}

impl RawAnswer {
    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The JSON in it, held to what every answer must be that is no stream.
    pub fn envelope(&self) -> Value {
        let shown = String::from_utf8_lossy(&self.body);
        let kind = self.head.header("content-type").unwrap_or_default();
        assert!(
            kind.starts_with("application/json"),
            "{:?} {shown}",
            self.head
        );
        let body = serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error} in {shown:?} of {:?}", self.head));
        check_envelope(self.status(), &body);
        body
    }

    /// Status and code of a failure.
    pub fn failure(&self) -> (u16, String) {
        let body = self.envelope();
        assert_eq!(body["success"], false, "{body}");
        (
            self.status(),
            body["code"].as_str().expect("a code").to_owned(),
        )
    }
}

/// Takes a chunked body apart as its bytes come in.
#[derive(Debug, Default)]
pub struct Dechunker {
    raw: Vec<u8>,
    /// Of the chunk that has begun, so much is still to come.
    left: Option<usize>,
    is_last: bool,
    /// The last chunk, which is empty, has come: the body ended as it should.
    pub finished: bool,
}

impl Dechunker {
    /// What `bytes` give, which may be a part of a chunk.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.raw.extend_from_slice(bytes);
        let mut body = Vec::new();
        while let Some(left) = self.left.or_else(|| self.next_size()) {
            let now = left.min(self.raw.len());
            body.extend(self.raw.drain(..now));
            self.left = Some(left - now);
            if now < left || self.raw.len() < 2 {
                break;
            }
            let end: Vec<u8> = self.raw.drain(..2).collect();
            assert_eq!(end, b"\r\n", "a chunk ends with a line break");
            self.left = None;
            self.finished |= self.is_last;
        }
        body
    }

    fn next_size(&mut self) -> Option<usize> {
        let line = find(&self.raw, b"\r\n")?;
        let size = String::from_utf8_lossy(&self.raw[..line]).into_owned();
        self.raw.drain(..line + 2);
        let size =
            usize::from_str_radix(&size, 16).unwrap_or_else(|_| panic!("no chunk size: {size:?}"));
        self.is_last = size == 0;
        Some(size)
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

#[test]
fn a_chunked_body_is_the_same_however_it_is_cut() {
    let raw = b"5\r\nhello\r\n1A\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n";
    for cut in 1..raw.len() {
        let mut dechunker = Dechunker::default();
        let mut body = dechunker.push(&raw[..cut]);
        assert!(!dechunker.finished);
        body.extend(dechunker.push(&raw[cut..]));
        assert_eq!(body, b"helloabcdefghijklmnopqrstuvwxyz");
        assert!(dechunker.finished);
    }
}

#[test]
fn a_head_is_taken_apart() {
    let head = Head::parse("HTTP/1.1 429 Too Many Requests\r\nRetry-After:  7\r\nX: a:b\r\n\r\n");
    assert_eq!(head.status, 429);
    assert_eq!(head.header("retry-after"), Some("7"));
    assert_eq!(head.header("x"), Some("a:b"));
    assert!(!head.is_chunked());
}
