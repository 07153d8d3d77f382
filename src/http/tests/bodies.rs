//! Bodies that are too large, too slow, or not there.

use super::*;

#[actix_rt::test]
async fn a_body_above_the_limit_is_refused_before_it_is_read() {
    let hub = Hub::start();
    let declared = post("/double", "content-length: 1001", "");
    let mut client = hub.connect().await;
    client.send(&declared).await;
    client.answer().await.refuses(413, "payload_too_large");
    assert!(client.is_closed().await);
}

#[actix_rt::test]
async fn a_client_that_sends_a_large_body_to_its_end_still_sees_the_answer() {
    let hub = Hub::start();
    let body = "x".repeat(2_000_000);
    let request = post("/double", &format!("content-length: {}", body.len()), &body);
    hub.ask(&request).await.refuses(413, "payload_too_large");
}

#[actix_rt::test]
async fn a_chunked_body_above_the_limit_is_refused_while_reading_and_not_awaited() {
    let hub = Hub::start();
    let chunk = format!("200\r\n{}\r\n", "x".repeat(0x200));
    let mut client = hub.connect().await;
    client
        .send(&post("/double", CHUNKED, &chunk.repeat(2)))
        .await;
    client.answer().await.refuses(413, "payload_too_large");
    assert!(client.is_closed().await);
}

#[actix_rt::test]
async fn a_silent_body_is_refused_after_the_time_limit() {
    for framing in [CHUNKED, "content-length: 7"] {
        let hub = Hub::start();
        let mut client = hub.connect().await;
        let begun = Instant::now();
        client.send(&post("/double", framing, "")).await;
        client.answer().await.refuses(408, "request_timeout");
        assert!(
            (BODY_TIMEOUT..BODY_TIMEOUT * 20).contains(&begun.elapsed()),
            "{framing}"
        );
        assert!(client.is_closed().await, "{framing}");
    }
}

#[actix_rt::test]
async fn a_dripping_body_gains_no_time_by_its_drops() {
    let hub = Hub::start();
    let mut client = hub.connect().await;
    let begun = Instant::now();
    client.send(&post("/double", CHUNKED, "")).await;
    let answer = loop {
        tokio::select! {
            answer = client.answer() => break answer,
            () = tokio::time::sleep(BODY_TIMEOUT / 5) => {}
        }
        client.send("1\r\n \r\n").await;
    };
    answer.refuses(408, "request_timeout");
    assert!(begun.elapsed() < BODY_TIMEOUT * 20);
    assert!(client.is_closed().await);
}

#[actix_rt::test]
async fn a_silent_body_that_nobody_wanted_does_not_hold_the_connection() {
    let hub = Hub::start();
    for framing in [CHUNKED, "content-length: 7"] {
        let mut client = hub.connect().await;
        client.send(&post("/nowhere", framing, "")).await;
        client.answer().await.refuses(404, "not_found");
        assert!(client.is_closed().await, "{framing}");
    }
}

#[actix_rt::test]
async fn a_request_behind_a_refused_one_is_answered_as_itself_or_not_at_all() {
    let hub = Hub::start();
    let next = "GET /page?n=5 HTTP/1.1\r\nhost: hub\r\n\r\n";
    // The refused body was complete: the connection goes on.
    let complete = post("/double", "content-length: 3", "{]}") + next;
    let mut client = hub.connect().await;
    client.send(&complete).await;
    client.answer().await.refuses(400, "invalid_request");
    assert_eq!(client.answer().await.body["data"], 5);
    // It was not: what follows belongs to it and must not be taken for a request.
    let incomplete = post("/double", "content-length: 5000", "") + next;
    let mut client = hub.connect().await;
    client.send(&incomplete).await;
    client.answer().await.refuses(413, "payload_too_large");
    assert!(client.is_closed().await);
}

#[actix_rt::test]
async fn a_body_that_breaks_off_is_not_taken_for_whole() {
    let hub = Hub::start();
    for (framing, body) in [
        ("content-length: 100", r#"{"n":1}"#),
        (CHUNKED, "7\r\n{\"n\":1}\r\n"),
    ] {
        let mut client = hub.connect().await;
        client.send(&post("/double", framing, body)).await;
        client.0.shutdown().await.unwrap();
        let mut rest = String::new();
        _ = client.0.read_to_string(&mut rest).await;
        assert!(!rest.contains("200 OK"), "{rest}");
    }
}
