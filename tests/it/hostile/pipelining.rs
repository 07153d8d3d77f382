//! Several requests on one connection, sent before any is answered, and bodies that look like one.

use super::{answer, ask, authorization, post};
use crate::support::A;
use crate::support::hub::Hub;
use crate::support::raw::RawClient;

fn get(path: &str, id: usize) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: hub\r\nX-Request-Id: {id}\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn each_of_many_requests_is_answered_in_its_turn() {
    let hub = Hub::start().await;
    let requests = (0..100).flat_map(|id| match id % 4 {
        0 => {
            let headers = format!("{}X-Request-Id: {id}\r\n", authorization());
            post(
                "/publish",
                &headers,
                &format!(r#"{{"metric":"m","data":{id}}}"#),
            )
        }
        1 => get("/nowhere", id),
        2 => get(&format!("{A}/metrics"), id),
        _ => get("/api/health", id),
    });
    let mut client = RawClient::connect(hub.address).await;
    client.send(requests.collect::<Vec<u8>>()).await;
    for id in 0..100 {
        let answer = client.answer().await.expect("an answer");
        assert_eq!(answer.head.header("x-request-id"), Some(&*id.to_string()));
        assert_eq!(answer.status(), [202, 404, 401, 200][id % 4], "{id}");
        answer.envelope();
    }
    hub.stop().await;
}

/// A whole request to be found in the body of another.
const INNER: &str = "GET /api/health HTTP/1.1\r\nHost: hub\r\n\r\n";

/// Attack: request smuggling.
#[tokio::test]
async fn a_body_is_never_taken_for_a_request_whatever_becomes_of_its_own() {
    let hub = Hub::start().await;
    let good = authorization();
    for (path, headers, status) in [
        ("/publish", String::new(), 401),
        ("/publish", good.clone(), 400),
        ("/nowhere", good.clone(), 404),
        ("/metrics", good.clone(), 405),
        (
            "/subscribe",
            format!("{good}Content-Encoding: gzip\r\n"),
            415,
        ),
    ] {
        let close = format!("{headers}Connection: close\r\n");
        let (answer, mut client) = ask(&hub, post(path, &close, INNER)).await;
        let answer = answer.expect("an answer");
        assert_eq!(answer.status(), status, "{path}");
        answer.envelope();
        assert_eq!(client.read_to_end().await, b"", "{path}");
        // The same, with the body behind the answer to its head.
        let request = post(path, &headers, INNER);
        let (head, body) = request.split_at(request.len() - INNER.len());
        let mut client = RawClient::connect(hub.address).await;
        client.send(head).await;
        if matches!(status, 401 | 404 | 405) {
            assert_eq!(client.answer().await.expect("an answer").status(), status);
        }
        client.send(body).await;
        client.finish().await;
        let rest = String::from_utf8_lossy(&client.read_to_end().await).into_owned();
        assert!(!rest.contains("200 OK"), "{path}: {rest}");
    }
}

#[tokio::test]
async fn what_follows_a_body_is_the_next_request_however_the_body_was_sent() {
    let hub = Hub::start().await;
    let message = r#"{"metric":"m","data":1}"#;
    let size = message.len();
    let chunked = |body: &str| {
        let (host, kind) = ("Host: hub", "Content-Type: application/json");
        let head = format!(
            "POST {A}/publish HTTP/1.1\r\n{host}\r\n{kind}\r\n{}",
            authorization()
        );
        format!("{head}Transfer-Encoding: chunked\r\n\r\n{body}").into_bytes()
    };
    for request in [
        post("/publish", &authorization(), message),
        chunked(&format!("{size:x}\r\n{message}\r\n0\r\n\r\n")),
        chunked(&format!("{size:X};name=value\r\n{message}\r\n0\r\n\r\n")),
        chunked(&format!(
            "000{size:x}\r\n{message}\r\n0\r\nTrailer: x\r\n\r\n"
        )),
        chunked(
            &message
                .chars()
                .map(|c| format!("1\r\n{c}\r\n"))
                .chain(["0\r\n\r\n".into()])
                .collect::<String>(),
        ),
    ] {
        let (first, mut client) = ask(&hub, [&*request, INNER.as_bytes()].concat()).await;
        let shown = String::from_utf8_lossy(&request).into_owned();
        assert_eq!(first.expect("an answer").status(), 202, "{shown}");
        let second = client.answer().await.expect("a second answer");
        assert_eq!(second.status(), 200, "{shown}");
    }
}

/// Attack: request smuggling.
#[tokio::test]
async fn chunks_that_are_none_are_refused() {
    let hub = Hub::start().await;
    for body in [
        "xyz\r\n{}\r\n0\r\n\r\n",
        "-1\r\n{}",
        "0x2\r\n{}\r\n0\r\n\r\n",
        "fffffffffffffffff\r\n{}",
        "2\r\n{}}}\r\n0\r\n\r\n",
        "2 2\r\n{}\r\n0\r\n\r\n",
        "\r\n{}\r\n0\r\n\r\n",
    ] {
        let head = format!(
            "POST {A}/publish HTTP/1.1\r\nHost: hub\r\nContent-Type: application/json\r\n\
             {}Transfer-Encoding: chunked\r\n\r\n",
            authorization()
        );
        let answer = answer(&hub, head + body).await;
        assert_eq!(
            answer.failure(),
            (400, "invalid_request".into()),
            "{body:?}"
        );
    }
    hub.stop().await;
}
