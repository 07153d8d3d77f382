//! Bodies that are too large, whatever they say of themselves.

use super::{answer, ask, authorization, check_healthy, post};
use crate::support::A;
use crate::support::hub::Hub;
use crate::support::raw::RawClient;

fn head(headers: &str) -> Vec<u8> {
    let (host, kind) = ("Host: hub", "Content-Type: application/json");
    let good = authorization();
    format!("POST {A}/publish HTTP/1.1\r\n{host}\r\n{kind}\r\n{good}{headers}\r\n").into_bytes()
}

/// Attack: bodies and heads that are too large, or endless.
#[tokio::test]
async fn a_length_over_the_limit_is_refused_before_the_body_comes() {
    let hub = Hub::start().await;
    for length in [1_048_577, u64::from(u32::MAX), i64::MAX as u64, u64::MAX] {
        let answer = answer(&hub, head(&format!("Content-Length: {length}\r\n"))).await;
        assert_eq!(
            answer.failure(),
            (413, "payload_too_large".into()),
            "{length}"
        );
    }
    let expecting = head("Expect: 100-continue\r\nContent-Length: 99999999\r\n");
    let mut client = RawClient::connect(hub.address).await;
    client.send(expecting).await;
    let mut answer = client.answer().await.expect("an answer");
    if answer.status() == 100 {
        answer = client.answer().await.expect("an answer");
    }
    assert_eq!(answer.failure(), (413, "payload_too_large".into()));
    check_healthy(&hub).await;
}

/// Attack: bodies and heads that are too large, or endless.
#[tokio::test]
async fn a_body_without_end_is_refused_and_not_kept() {
    let hub = Hub::start().await;
    check_healthy(&hub).await;
    let before = hub.memory();
    let chunk = [b"40000\r\n", &*vec![b' '; 0x40000], b"\r\n"].concat();
    for headers in [
        "Transfer-Encoding: chunked\r\n",
        "Content-Length: 999999999999\r\n",
    ] {
        let mut client = RawClient::connect(hub.address).await;
        client.send(head(headers)).await;
        for _ in 0..256 {
            client.send(&chunk).await;
        }
        let grown = hub.memory().saturating_sub(before);
        assert!(grown < 16 << 20, "{headers} {grown} bytes more");
        // The hub hangs up on it, and with it the answer may be lost.
        if let Some(answer) = client.answer().await {
            assert_eq!(
                answer.failure(),
                (413, "payload_too_large".into()),
                "{headers}"
            );
        }
        client.read_to_end().await;
    }
    hub.is_at_rest().await;
}

/// Attack: a compression bomb.
#[tokio::test]
async fn a_small_body_is_never_inflated_to_a_large_one() {
    let hub = Hub::start().await;
    // Ten bytes of header, then whatever: nobody looks.
    let bomb = "\u{1f}\u{0}\u{8}\u{0}\u{0}\u{0}\u{0}\u{0}\u{0}\u{3}";
    for coding in [
        "gzip",
        "deflate",
        "br",
        "zstd",
        "x-gzip",
        "identity, gzip",
        "GZIP",
    ] {
        let headers = format!("{}Content-Encoding: {coding}\r\n", authorization());
        let answer = answer(&hub, post("/publish", &headers, bomb)).await;
        assert_eq!(
            answer.failure(),
            (415, "unsupported_media_type".into()),
            "{coding}"
        );
    }
}

#[tokio::test]
async fn a_body_cut_short_is_no_message() {
    let hub = Hub::start().await;
    let whole = post(
        "/publish",
        &authorization(),
        r#"{"metric":"m","data":1}   "#,
    );
    // What is there is a message already.
    let mut client = RawClient::connect(hub.address).await;
    client.send(&whole[..whole.len() - 1]).await;
    client.finish().await;
    let answered = String::from_utf8_lossy(&client.read_to_end().await).into_owned();
    assert!(!answered.starts_with("HTTP/1.1 202"), "{answered}");
    let request = format!(
        "GET {A}/metrics HTTP/1.1\r\nHost: hub\r\n{}\r\n",
        authorization()
    );
    let (metrics, _) = ask(&hub, request).await;
    assert_eq!(
        metrics.expect("an answer").envelope()["data"],
        serde_json::json!({})
    );
}
