//! What nobody sends who means well: requests that are none, take for ever, are too large, lie about
//! themselves, or try to write the log. The hub answers as it should and lives on.

mod bodies;
mod descriptors;
mod encoding;
mod fuzz;
mod guesses;
mod heads;
mod json;
mod logs;
mod patterns;
mod pipelining;
mod proxies;
mod slow;
mod texts;

use crate::support::hub::Hub;
use crate::support::raw::{RawAnswer, RawClient};
use crate::support::{A, token};

/// The header of somebody who may do everything, as a whole line.
fn authorization() -> String {
    format!("Authorization: Bearer {}\r\n", token::admin("ada"))
}

/// A request to `path` below the interface's base, with its body; `headers` are whole lines.
fn post(path: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let (host, kind) = ("Host: hub", "Content-Type: application/json");
    format!(
        "POST {A}{path} HTTP/1.1\r\n{host}\r\n{kind}\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}

/// Sends `bytes` over a connection of its own; the first answer, and the connection as it is then.
async fn ask(hub: &Hub, bytes: impl AsRef<[u8]>) -> (Option<RawAnswer>, RawClient) {
    let mut client = RawClient::connect(hub.address).await;
    client.send(bytes).await;
    let answer = client.answer().await;
    (answer, client)
}

/// As [`ask`], where there must be an answer.
async fn answer(hub: &Hub, bytes: impl AsRef<[u8]>) -> RawAnswer {
    ask(hub, bytes).await.0.expect("an answer")
}

/// Asserts that the hub goes on as if nothing had happened.
async fn check_healthy(hub: &Hub) {
    let health = answer(hub, "GET /api/health HTTP/1.1\r\nHost: hub\r\n\r\n").await;
    assert_eq!(health.status(), 200);
    assert_eq!(health.envelope()["data"]["status"], "healthy");
}
