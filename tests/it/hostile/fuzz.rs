//! Chance, from a seed: frames and requests that nobody thought of. Each ends as the tables say it may,
//! and the hub lives.

use futures::future::join_all;

use super::{answer, authorization, check_healthy, post};
use crate::support::frames::{
    BINARY, CLOSE, CONTINUATION, FIN, MASKED, PING, PONG, TEXT, frame, header, ping,
};
use crate::support::hub::Hub;
use crate::support::raw::RawClient;
use crate::support::rng::Rng;
use crate::support::{A, token};

/// Connections that are fuzzed, and how many of them at once.
const FRAME_SEEDS: u64 = 400;
const REQUEST_SEEDS: u64 = 400;
const AT_ONCE: usize = 20;

async fn hub() -> Hub {
    let config = "[http]\nworkers = 1\n";
    let start = Hub::with().config(config);
    start.env("MAX_CONNECTIONS_PER_USER", "1000").start().await
}

fn bytes(rng: &mut Rng, length: usize) -> Vec<u8> {
    (0..length).map(|_| rng.below(256) as u8).collect()
}

fn payload(rng: &mut Rng, opcode: u8) -> Vec<u8> {
    let length = match opcode {
        CLOSE | PING | PONG => rng.pick(&[0, 1, 2, 3, 20, 125]),
        _ => rng.pick(&[0, 1, 5, 125, 126, 1000, 66_000]),
    };
    match rng.below(4) {
        0 => bytes(rng, length),
        1 => rng
            .pick(&[
                &br#"{"type":"ping"}"#[..],
                br#"{"type":"subscribe","data":{"metrics":["a"]}}"#,
                b"\xf0\x9f\xa6",
                b"\x03\xe8bye",
                b"\x03\xee",
            ])
            .to_vec(),
        _ => vec![b'x'; length],
    }
}

/// Mostly a lawful frame.
fn any_frame(rng: &mut Rng) -> Vec<u8> {
    let opcode = rng.pick(&[
        TEXT,
        TEXT,
        TEXT,
        CONTINUATION,
        CONTINUATION,
        BINARY,
        PING,
        PONG,
        PONG,
        CLOSE,
    ]);
    let fin = if rng.per_mille(700) { FIN } else { 0 };
    let payload = payload(rng, opcode);
    let mut bytes = match rng.per_mille(20) {
        // Announced, and not there.
        true => header(fin | opcode, 1 << rng.between(17, 62)),
        false => frame(fin | opcode, payload),
    };
    match rng.below(20) {
        0 => bytes[0] = rng.below(256) as u8,
        1 => bytes[1] &= !MASKED,
        _ => {}
    }
    bytes
}

/// What one connection sends, and with what it is closed; `None`: it is not.
async fn fuzz_frames(hub: &Hub, seed: u64) -> Option<u16> {
    let rng = &mut Rng::new(seed);
    let mut client = hub
        .raw_websocket("?metrics=none", &token::admin("ada"))
        .await;
    client.opened().await;
    for _ in 0..rng.between(1, 12) {
        let frame = any_frame(rng);
        let cut = rng.below(frame.len() + 1);
        client.send(&frame[..cut]).await;
        client.send(&frame[cut..]).await;
    }
    client.send(ping("the end")).await;
    // No frame swallows the ping: so it is answered, or the connection ends before.
    let mut end = None;
    while end.is_none() {
        match client.next_frame().await {
            Some(frame) if frame.opcode == CLOSE => end = Some(frame.code()),
            Some(frame) if frame.payload == b"the end" => return None,
            Some(_) => {}
            None => panic!("seed {seed}: an end without a code"),
        }
    }
    let known = [1002, 1003, 1007, 1009];
    // What a client gives as its own code is repeated.
    let own = |code: u16| code == 1000 || (3000..5000).contains(&code);
    assert!(
        end.is_none_or(|code| known.contains(&code) || own(code)),
        "seed {seed}: {end:?}"
    );
    end
}

/// Attack: anything at all, by chance.
#[tokio::test]
async fn any_frames_at_all_end_in_a_code_of_the_table_or_not_at_all() {
    let hub = hub().await;
    let mut codes = Vec::new();
    let seeds: Vec<u64> = (0..FRAME_SEEDS).collect();
    for seeds in seeds.chunks(AT_ONCE) {
        codes.extend(join_all(seeds.iter().map(|seed| fuzz_frames(&hub, *seed))).await);
    }
    // A fuzz that finds the same door each time proves nothing.
    for code in [Some(1002), Some(1003), Some(1007), Some(1009), None] {
        let count = codes.iter().filter(|it| **it == code).count();
        assert!(count >= 5, "{code:?} came {count} times only");
    }
    hub.is_at_rest().await;
    check_healthy(&hub).await;
    hub.stop().await;
}

fn requests() -> Vec<Vec<u8>> {
    let good = authorization();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: hub\r\n{good}\r\n").into_bytes();
    let chunked = format!(
        "POST {A}/publish HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\n{good}\
         Transfer-Encoding: chunked\r\n\r\n17\r\n{{\"metric\":\"m\",\"data\":1}}\r\n0\r\n\r\n"
    );
    vec![
        get("/api/health"),
        get(&format!("{A}/connections?user=ada&limit=1")),
        get(&format!("{A}/stream?metrics=a,b.*&lastEventId=1-0")),
        post(
            "/publish",
            &good,
            r#"{"messages":[{"metric":"m","data":{"a":[1,null]}}]}"#,
        ),
        post("/subscribe", &good, r#"{"metrics":["a","b.**"]}"#),
        chunked.into_bytes(),
        crate::support::frames::upgrade("?metrics=a", &good).into_bytes(),
    ]
}

/// A request with a few accidents.
fn any_request(rng: &mut Rng) -> Vec<u8> {
    let all = requests();
    let mut request = all[rng.below(all.len())].clone();
    for _ in 0..rng.between(1, 6) {
        let at = rng.below(request.len());
        let until = at + rng.below(request.len() - at).min(30);
        match rng.below(6) {
            0 => request[at] = rng.below(256) as u8,
            1 => request.insert(at, rng.pick(b"\r\n\0 :;%,\"{}[]\x80\xff")),
            2 => _ = request.drain(at..until),
            3 => {
                let again = request[at..until].to_vec();
                request.splice(at..at, again);
            }
            4 => request[at] ^= 1 << rng.below(8),
            _ => request.extend_from_slice(&all[rng.below(all.len())]),
        }
        if request.is_empty() {
            request.push(b'\r');
        }
    }
    request
}

/// Sends it, says goodbye, and holds the first answer to what an answer must be.
async fn fuzz_request(hub: &Hub, seed: u64) -> Option<u16> {
    let request = any_request(&mut Rng::new(seed));
    let mut client = RawClient::connect(hub.address).await;
    client.send(&request).await;
    let head = tokio::time::timeout(std::time::Duration::from_millis(100), client.head()).await;
    client.finish().await;
    let head = match head {
        Ok(head) => head?,
        Err(_) => client.head().await?,
    };
    let shown = String::from_utf8_lossy(&request).into_owned();
    let is_json = |kind: &str| kind.starts_with("application/json");
    match head.status {
        100 | 101 => {}
        200 if head.is_chunked() => {}
        // Refused before there was a request.
        400 | 408 | 431 if head.header("content-type").is_none() => {
            assert_eq!(
                head.header("content-length").unwrap_or("0"),
                "0",
                "seed {seed}: {shown}"
            );
        }
        status => {
            let kind = head.header("content-type").unwrap_or_default();
            assert!(
                is_json(kind) && status < 500,
                "seed {seed}: {head:?} to {shown}"
            );
        }
    }
    client.read_to_end().await;
    Some(head.status)
}

/// Attack: anything at all, by chance.
#[tokio::test]
async fn any_bytes_at_all_are_answered_as_requests_are_or_not_at_all() {
    let hub = hub().await;
    let mut statuses = Vec::new();
    let seeds: Vec<u64> = (0..REQUEST_SEEDS).collect();
    for seeds in seeds.chunks(AT_ONCE) {
        statuses.extend(join_all(seeds.iter().map(|seed| fuzz_request(&hub, *seed))).await);
    }
    for status in [200, 202, 400, 401, 404] {
        let count = statuses.iter().filter(|it| **it == Some(status)).count();
        assert!(count >= 3, "{status} came {count} times only: {statuses:?}");
    }
    check_healthy(&hub).await;
    let request = format!(
        "GET {A}/metrics HTTP/1.1\r\nHost: hub\r\n{}\r\n",
        authorization()
    );
    answer(&hub, request).await.envelope();
    hub.is_at_rest().await;
    hub.stop().await;
}
