//! Publishers that each wait for one answer before they send the next.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use jsonwebtoken::{EncodingKey, Header, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::hub::SECRET;

/// Begun and not counted.
const WARM_UP: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, Copy)]
pub struct Figures {
    pub per_second: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
}

impl Figures {
    pub fn median(all: &[Self]) -> Self {
        let median = |of: fn(&Self) -> f64| {
            let mut values: Vec<f64> = all.iter().map(of).collect();
            values.sort_unstable_by(f64::total_cmp);
            values[values.len() / 2]
        };
        Self {
            per_second: median(|it| it.per_second),
            p50_ms: median(|it| it.p50_ms),
            p99_ms: median(|it| it.p99_ms),
        }
    }
}

pub async fn run(hub: SocketAddr, publishers: usize, time: Duration) -> Figures {
    let began = Instant::now() + WARM_UP;
    let end = began + time;
    let publishers = (0..publishers).map(|number| tokio::spawn(publish(hub, number, began, end)));
    let mut latencies = Vec::new();
    for publisher in publishers.collect::<Vec<_>>() {
        latencies.extend(publisher.await.expect("a publisher"));
    }
    latencies.sort_unstable();
    let at = |share: f64| {
        let index = (latencies.len() as f64 * share) as usize;
        latencies[index.min(latencies.len() - 1)].as_secs_f64() * 1e3
    };
    Figures {
        per_second: latencies.len() as f64 / time.as_secs_f64(),
        p50_ms: at(0.5),
        p99_ms: at(0.99),
    }
}

async fn publish(hub: SocketAddr, number: usize, began: Instant, end: Instant) -> Vec<Duration> {
    let body = format!(r#"{{"metric":"orders.shop-{number}","data":{{"count":12,"total":99.5}}}}"#);
    let mut connection = Connection::open(hub, &body).await;
    let mut latencies = Vec::new();
    while Instant::now() < end {
        let sent = Instant::now();
        connection.ask().await;
        if sent >= began {
            latencies.push(sent.elapsed());
        }
    }
    latencies
}

/// Batches of small messages on ten metrics.
pub async fn fill(hub: SocketAddr, batches: u64, batch: usize) {
    let message = |n| {
        format!(
            r#"{{"metric":"orders.shop-{}","data":{{"count":{n}}}}}"#,
            n % 10
        )
    };
    let messages: Vec<String> = (0..batch).map(message).collect();
    let body = format!(r#"{{"messages":[{}]}}"#, messages.join(","));
    let mut connection = Connection::open(hub, &body).await;
    for _ in 0..batches {
        connection.ask().await;
    }
}

struct Connection {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Connection {
    async fn open(hub: SocketAddr, body: &str) -> Self {
        let stream = TcpStream::connect(hub).await.expect("a hub");
        stream.set_nodelay(true).expect("a socket");
        let request = format!(
            "POST /api/admin/analytics/publish HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer {}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            token(),
            body.len()
        );
        Self {
            stream,
            request: request.into_bytes(),
            answer: vec![0; 256 * 1024],
        }
    }

    async fn ask(&mut self) {
        self.stream.write_all(&self.request).await.expect("a hub");
        let mut length = 0;
        loop {
            let count = self.stream.read(&mut self.answer[length..]).await;
            length += count.expect("an answer");
            let answer = std::str::from_utf8(&self.answer[..length]).expect("text");
            assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
            // The envelope is one object.
            if answer.ends_with("}}") {
                return;
            }
        }
    }
}

pub fn token() -> String {
    let claims =
        serde_json::json!({"sub": "bench", "role": "platform_admin", "exp": 4_000_000_000_u64});
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::default(), &claims, &key).expect("a token")
}
