//! An issuer's JWKS document behind a URL, for a test to rotate and to take away.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// Serves as long as its test runs.
pub struct JwksServer {
    pub url: String,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// `None`: the server is in trouble and answers 500.
    document: Mutex<Option<String>>,
    requests: AtomicUsize,
}

impl JwksServer {
    /// In trouble until it is given keys.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let serving = shared.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(answer(socket, serving.clone()));
            }
        });
        let url = format!("http://{address}/jwks.json");
        Self { url, shared }
    }

    /// What it serves from now on.
    pub fn serve(&self, keys: &[Value]) {
        self.set(Some(json!({"keys": keys}).to_string()));
    }

    /// From now on it answers 500.
    pub fn fail(&self) {
        self.set(None);
    }

    fn set(&self, document: Option<String>) {
        *self.shared.document.lock().expect("no panic") = document;
    }

    /// How often it was asked.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(SeqCst)
    }
}

/// Reads one request's head, which has no body, and answers it.
async fn answer(mut socket: TcpStream, shared: Arc<Shared>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = socket.read_u8().await else {
            return;
        };
        head.push(byte);
    }
    shared.requests.fetch_add(1, SeqCst);
    let document = shared.document.lock().expect("no panic").clone();
    let (status, body) = match document {
        Some(document) => ("200 OK", document),
        None => ("500 Internal Server Error", "<html>sorry</html>".to_owned()),
    };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\n\
         Content-Length: {length}\r\nConnection: close\r\n\r\n{body}"
    );
    let _ = socket.write_all(answer.as_bytes()).await;
}

#[tokio::test]
async fn the_keys_can_be_changed_and_taken_away() {
    let server = JwksServer::start().await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let ask = async || client.get(&server.url).send().await.unwrap();
    assert_eq!(ask().await.status(), 500);
    server.serve(&[json!({"kid": "a"})]);
    let document: Value = ask().await.json().await.unwrap();
    assert_eq!(document["keys"][0]["kid"], "a");
    server.fail();
    assert_eq!(ask().await.status(), 500);
    assert_eq!(server.requests(), 3);
}
