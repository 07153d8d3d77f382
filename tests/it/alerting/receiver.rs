//! A receiver of webhooks, and what it makes of signatures: HMAC as RFC 2104 has it, and not the hub's.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::support::eventually;

pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
pub const OTHER_SECRET: &str = "whsec_1eQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwx";

/// What came.
#[derive(Debug, Clone)]
pub struct Received {
    pub headers: BTreeMap<String, String>,
    pub text: String,
    pub body: Value,
}

impl Received {
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    /// Whether one of its signatures is that of `secret`, and it is of now.
    pub fn is_signed_with(&self, secret: &str) -> bool {
        let timestamp = &self.headers["webhook-timestamp"];
        let now = jiff::Timestamp::now().as_second();
        let age = now - timestamp.parse::<i64>().expect("seconds");
        assert!((-5..300).contains(&age), "{age} s old");
        let key = BASE64_STANDARD.decode(secret.strip_prefix("whsec_").expect("a prefix"));
        let signed = format!("{}.{timestamp}.{}", self.id(), self.text);
        let expected = hmac(&key.expect("base64"), signed.as_bytes());
        let expected = format!("v1,{}", BASE64_STANDARD.encode(expected));
        let mut signatures = self.headers["webhook-signature"].split(' ');
        signatures.any(|it| it == expected)
    }
}

fn hmac(key: &[u8], text: &[u8]) -> [u8; 32] {
    let padded = |with: u8| {
        let key = key.iter().copied().chain(std::iter::repeat(0));
        key.take(64).map(|byte| byte ^ with).collect::<Vec<_>>()
    };
    let inner = Sha256::digest([&padded(0x36), text].concat());
    Sha256::digest([padded(0x5c), inner.to_vec()].concat()).into()
}

/// Answers with what it is told to, and 200 after that.
#[derive(Clone)]
pub struct Receiver {
    pub address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    answers: Arc<Mutex<VecDeque<&'static str>>>,
}

impl Receiver {
    pub async fn start() -> Self {
        Self::at("127.0.0.1:0".parse().expect("an address")).await
    }

    pub async fn at(address: SocketAddr) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let receiver = Self {
            address: listener.local_addr().expect("an address"),
            received: Arc::default(),
            answers: Arc::default(),
        };
        let of = receiver.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(of.clone().serve(socket));
            }
        });
        receiver
    }

    /// The next answers: status lines, perhaps with headers behind.
    pub fn answers(&self, answers: &[&'static str]) {
        self.answers.lock().unwrap().extend(answers);
    }

    pub fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// Waits until as many have come.
    pub async fn received_when(&self, count: usize) -> Vec<Received> {
        let what = format!("{count} notifications");
        eventually(&what, async || {
            let received = self.received();
            (received.len() >= count).then_some(received)
        })
        .await
    }

    /// A webhook of the settings.
    pub fn hook(&self, more: &str) -> String {
        format!(
            "[[webhook]]\nname = \"pager\"\nurl = \"http://{}/hook/s3cretpath\"\nsecret = \"{SECRET}\"\n{more}\n",
            self.address
        )
    }

    async fn serve(self, socket: TcpStream) {
        let mut socket = BufReader::new(socket);
        while let Some(request) = read(&mut socket).await {
            self.received.lock().unwrap().push(request);
            let answer = self.answers.lock().unwrap().pop_front();
            let answer = answer.unwrap_or("200 OK");
            let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n");
            if socket.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

async fn read(socket: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut headers = BTreeMap::new();
    let mut line = String::new();
    socket
        .read_line(&mut line)
        .await
        .ok()
        .filter(|it| *it > 0)?;
    assert!(line.starts_with("POST /hook/s3cretpath HTTP/1.1"), "{line}");
    loop {
        line.clear();
        socket.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers["content-length"].parse().expect("a length");
    let mut body = vec![0; length];
    socket.read_exact(&mut body).await.ok()?;
    let text = String::from_utf8(body).expect("UTF-8");
    Some(Received {
        headers,
        body: serde_json::from_str(&text).expect("JSON"),
        text,
    })
}

#[test]
fn its_hmac_is_that_of_the_rfc() {
    // RFC 4231, test case 2.
    let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    let is = hmac(b"Jefe", b"what do ya want for nothing?");
    let is: String = is.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(is, expected);
}
