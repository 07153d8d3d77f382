//! Requests that take for ever: a head, a second head, a body. Nobody is kept waiting by them, and none
//! of them keeps a connection.

use std::time::Duration;

use futures::future::join_all;

use super::{authorization, check_healthy, post};
use crate::support::hub::Hub;
use crate::support::raw::RawClient;
use crate::support::witness::Witness;
use crate::support::{A, eventually, in_time};

/// Everybody on one thread, with little patience.
const IMPATIENT: &str = "[http]\nworkers = 1\nheader_timeout_ms = 400\nbody_timeout_ms = 300\n\
                         keep_alive_ms = 400\n";

/// Pauses between the bytes of somebody who sends them one by one.
const DRIP: Duration = Duration::from_millis(20);

async fn hub() -> Hub {
    Hub::with().config(IMPATIENT).start().await
}

/// Sends `begin`, then `rest` byte by byte for as long as it is taken, over and over, and gives what was
/// answered up to the end of the connection, which the hub must bring about.
async fn drip(hub: &Hub, begin: &[u8], rest: &[u8]) -> String {
    let mut client = RawClient::connect(hub.address).await;
    client.send(begin).await;
    in_time("the hub to hang up", async {
        let mut rest = rest.iter().cycle();
        loop {
            if let Some(byte) = rest.next() {
                client.send([*byte]).await;
            }
            if let Ok(false) = tokio::time::timeout(DRIP, client.read_more()).await {
                break;
            }
        }
    })
    .await;
    String::from_utf8_lossy(&client.pending).into_owned()
}

/// Refused for being late, or cut.
fn check_late(answered: &str) {
    assert!(
        answered.is_empty() || answered.starts_with("HTTP/1.1 408 "),
        "{answered}"
    );
}

const GOOD: &[u8] = b"GET /api/health HTTP/1.1\r\nHost: hub\r\n\r\n";

/// Attack: slowloris: heads and bodies that never come to an end.
#[tokio::test]
async fn a_head_that_does_not_come_to_its_end_is_not_waited_for() {
    let hub = hub().await;
    let headers = b"GET /api/health HTTP/1.1\r\nHost: hub\r\n";
    let tried: [(&[u8], &[u8]); 5] = [
        (b"", b""),
        (b"G", b""),
        (&GOOD[..GOOD.len() - 1], b""),
        (b"GET /", b"x"),
        (headers, b"X: y\r\n"),
    ];
    let tried = tried.map(|(begin, rest)| drip(&hub, begin, rest));
    for answered in join_all(tried).await {
        check_late(&answered);
    }
    check_healthy(&hub).await;
}

/// Attack: slowloris: heads and bodies that never come to an end.
#[tokio::test]
async fn neither_is_the_next_head_on_a_connection_that_has_been_used() {
    let hub = hub().await;
    let half = [GOOD, &GOOD[..GOOD.len() - 1]].concat();
    let tried: [(&[u8], &[u8]); 4] = [
        (GOOD, b""),
        (&half, b""),
        (&half[..half.len() / 2 + 1], b""),
        (GOOD, b"x"),
    ];
    let tried = tried.map(|(begin, rest)| drip(&hub, begin, rest));
    for answered in join_all(tried).await {
        assert_eq!(answered.matches("HTTP/1.1 200 OK").count(), 1, "{answered}");
        assert_eq!(answered.matches("HTTP/1.1").count(), 1, "{answered}");
    }
    // The first byte comes once the connection has been at rest.
    let mut client = RawClient::connect(hub.address).await;
    client.send(GOOD).await;
    assert_eq!(client.answer().await.expect("an answer").status(), 200);
    client.send(b"G").await;
    client.read_to_end().await;
    check_healthy(&hub).await;
}

#[tokio::test]
async fn a_connection_whose_requests_come_one_after_the_other_stays() {
    let hub = hub().await;
    let mut client = RawClient::connect(hub.address).await;
    // For longer than a connection at rest, or half a head, may stay.
    for _ in 0..20 {
        client.send(GOOD).await;
        assert_eq!(client.answer().await.expect("an answer").status(), 200);
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
}

#[tokio::test]
async fn a_stream_stays_though_its_connection_has_seen_no_request_for_long() {
    let hub = hub().await;
    let ada = crate::support::token::admin("ada");
    let mut stream = hub.sse("/stream", &ada).await;
    stream.opened().await;
    let mut witness = Witness::of(&hub).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    witness.is_undisturbed().await;
    assert_eq!(stream.next().await["type"], "metrics_update");
}

/// The head of a request whose body is yet to come.
fn head(path: &str, headers: &str) -> Vec<u8> {
    let (host, kind) = ("Host: hub", "Content-Type: application/json");
    format!("POST {A}{path} HTTP/1.1\r\n{host}\r\n{kind}\r\n{headers}\r\n").into_bytes()
}

/// Attack: slowloris: heads and bodies that never come to an end.
#[tokio::test]
async fn a_body_that_does_not_come_to_its_end_is_answered_408_and_hung_up_on() {
    let hub = hub().await;
    let good = authorization();
    let length = format!("{good}Content-Length: 1000\r\n");
    let chunked = format!("{good}Transfer-Encoding: chunked\r\n");
    let upgrade = format!("{good}Upgrade: websocket\r\nContent-Length: 2\r\n");
    let kinds = |path: &str| -> [(Vec<u8>, &'static [u8]); 7] {
        [
            (head(path, &length), b" "),
            (head(path, &length), b""),
            ([head(path, &length), b"{".to_vec()].concat(), b""),
            (head(path, &chunked), b""),
            (head(path, &chunked), b"1\r\n \r\n"),
            (head(path, &chunked), b"0"),
            // Such a body has no end.
            (head(path, &upgrade), b""),
        ]
    };
    let tried = ["/publish", "/subscribe", "/ticket"]
        .into_iter()
        .flat_map(kinds);
    let tried = tried.map(async |(begin, rest)| {
        let answered = drip(&hub, &begin, rest).await;
        let shown = format!("{answered:?} to {}", String::from_utf8_lossy(&begin));
        assert!(answered.starts_with("HTTP/1.1 408 "), "{shown}");
        assert!(answered.contains(r#""code":"request_timeout""#), "{shown}");
    });
    join_all(tried).await;
    check_healthy(&hub).await;
}

#[tokio::test]
async fn a_body_that_nobody_wants_is_not_waited_for() {
    let hub = hub().await;
    let length = "Content-Length: 1000\r\n";
    let chunked = "Transfer-Encoding: chunked\r\n";
    let get = |headers: &str| [&GOOD[..GOOD.len() - 2], headers.as_bytes(), b"\r\n"].concat();
    let tried: [(Vec<u8>, &[u8], u16); 8] = [
        (head("/publish", length), b"0", 401),
        (head("/publish", chunked), b"0", 401),
        (head("/publish", chunked), b"1\r\n \r\n", 401),
        (head("/publish", length), b"", 401),
        (head("/nowhere", length), b"0", 404),
        (head("/nowhere", chunked), b"", 404),
        (get(length), b"0", 200),
        (get(chunked), b"", 200),
    ];
    let tried = tried.iter().map(async |(begin, rest, status)| {
        let answered = drip(&hub, begin, rest).await;
        let begun = format!("HTTP/1.1 {status} ");
        assert!(
            answered.starts_with(&begun),
            "{answered:?} to {}",
            String::from_utf8_lossy(begin)
        );
    });
    join_all(tried).await;
}

#[tokio::test]
async fn a_client_that_asks_before_it_sends_is_told_to_go_on_and_waited_for_no_longer() {
    let hub = hub().await;
    let body = r#"{"metric":"m","data":1}"#;
    let expect = format!("{}Expect: 100-continue\r\n", authorization());
    let request = post("/publish", &expect, body);
    let (head, body) = request.split_at(request.len() - body.len());
    let mut client = RawClient::connect(hub.address).await;
    client.send(head).await;
    assert_eq!(client.head().await.expect("a word").status, 100);
    client.send(body).await;
    assert_eq!(client.answer().await.expect("an answer").status(), 202);
    let answered = drip(&hub, head, b"").await;
    assert!(answered.contains("HTTP/1.1 408 "), "{answered}");
}

/// Attack: connections that ask once and then keep all the sockets there are for doing nothing.
#[tokio::test]
async fn who_is_idle_makes_room_for_who_asks() {
    let config = "[http]\nworkers = 1\nsockets_max = 20\n";
    let hub = Hub::with().config(config).start().await;
    let mut witness = Witness::of(&hub).await;
    let before = hub.descriptors();
    let mut idle = Vec::new();
    while idle.len() < 17 {
        let mut client = RawClient::connect(hub.address).await;
        client.send(GOOD).await;
        assert_eq!(client.answer().await.expect("an answer").status(), 200);
        idle.push(client);
    }
    for _ in 0..10 {
        let newcomer = eventually("room", async || {
            let mut client = RawClient::connect(hub.address).await;
            client.send(GOOD).await;
            let answer = client.answer().await?;
            (answer.status() == 200).then_some(client)
        });
        idle.push(newcomer.await);
    }
    drop(idle);
    eventually("the crowd to be gone", async || {
        (hub.descriptors() <= before).then_some(())
    })
    .await;
    witness.is_undisturbed().await;
}

/// Attack: slowloris: heads and bodies that never come to an end.
#[tokio::test]
async fn a_hundred_slow_ones_hold_up_nobody() {
    let hub = hub().await;
    let mut witness = Witness::of(&hub).await;
    let body = head(
        "/publish",
        &format!("{}Content-Length: 9\r\n", authorization()),
    );
    let slow = (0..100).map(async |nth| {
        let begin = [&b"GET /"[..], GOOD, &body][nth % 3];
        drip(&hub, begin, b" ").await
    });
    let others = async {
        for _ in 0..10 {
            witness.is_undisturbed().await;
            check_healthy(&hub).await;
        }
    };
    futures::join!(join_all(slow), others);
    hub.is_at_rest().await;
    hub.stop().await;
}
