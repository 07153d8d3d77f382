//! As much HTTP as publishers and subscribers need.

use std::net::SocketAddr;
use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

use crate::hub::SECRET;

pub const BASE: &str = "/api/admin/analytics";

/// What a server said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answers {
    Ok,
    Otherwise,
}

/// A connection that sends one request after the other, and waits for each answer.
pub struct Connection {
    stream: TcpStream,
    answer: Vec<u8>,
}

impl Connection {
    pub async fn open(hub: SocketAddr) -> Self {
        let stream = TcpStream::connect(hub).await.expect("a hub");
        stream.set_nodelay(true).expect("a socket");
        Self {
            stream,
            answer: Vec::new(),
        }
    }

    /// Publishes; until it is taken, since a replica may not be there yet.
    pub async fn publish(&mut self, request: &[u8]) {
        while self.ask(request).await != Answers::Ok {
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn ask(&mut self, request: &[u8]) -> Answers {
        self.stream.write_all(request).await.expect("a hub");
        self.answer.clear();
        loop {
            let count = self.stream.read_buf(&mut self.answer).await;
            assert!(count.expect("an answer") > 0, "the hub has hung up");
            if let Some(length) = length(&self.answer)
                && self.answer.len() >= length
            {
                break;
            }
        }
        match self.answer.starts_with(b"HTTP/1.1 2") {
            true => Answers::Ok,
            false => Answers::Otherwise,
        }
    }
}

/// How long an answer is, head and body, once its head is there.
fn length(answer: &[u8]) -> Option<usize> {
    let end = answer.windows(4).position(|it| it == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&answer[..end]).expect("text");
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let (_, length) = length.expect("a length");
    Some(end + length.parse::<usize>().expect("a number"))
}

/// Asks once, over a connection of its own.
pub async fn get(hub: SocketAddr, path: &str) -> Answers {
    let request = format!("GET {path} HTTP/1.1\r\nHost: hub\r\n\r\n");
    Connection::open(hub).await.ask(request.as_bytes()).await
}

/// A request that publishes `body`.
pub fn publication(body: &str) -> Vec<u8> {
    let (token, length) = (token("publisher"), body.len());
    let request = format!(
        "POST {BASE}/publish HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    request.into_bytes()
}

pub fn token(user: &str) -> String {
    let claims =
        serde_json::json!({"sub": user, "role": "platform_admin", "exp": 4_000_000_000_u64});
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::default(), &claims, &key).expect("a token")
}
