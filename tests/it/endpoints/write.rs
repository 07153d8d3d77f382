//! `write`: points in InfluxDB's line protocol, and what comes of them on a stream.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use super::{fields, opened};
use crate::support::either::Transport::{Sse, WebSocket};
use crate::support::http::{Answer, Api, send};
use crate::support::hub::Hub;
use crate::support::token;

/// As `outputs.http` of Telegraf sends it.
async fn write(api: &Api, query: &str, body: &str) -> Answer {
    let request = api.request(Method::POST, &format!("/write{query}"));
    let request = request
        .header("Content-Type", "text/plain; charset=utf-8")
        .header("User-Agent", "Telegraf/1.33.0 Go/1.23.4");
    send(request.body(body.to_owned())).await
}

/// Of a Telegraf with its usual inputs.
const TELEGRAF: &str = "\
cpu,cpu=cpu0,host=web1 usage_user=1.5,usage_system=0.25,usage_idle=98.25 1769860800000000000
mem,host=web1 total=16384i,used_percent=41.2,free=18446744073709551615u 1769860800000000000
system,host=web1 uptime_format=\"3 days, 1:02\",n_users=2i 1769860800000000000
docker_container_health,container_image=nginx:1.27,host=web1 healthy=true 1769860800000000000
";

#[tokio::test]
async fn what_telegraf_sends_is_a_metric_for_each_series() {
    let hub = Hub::start().await;
    let telegraf = hub.api(&token::service("telegraf"));
    let mut clients = [
        opened(
            &hub,
            Sse,
            "?metrics=cpu.*.web1,mem.**,system.**,docker_container_health.**",
            "ada",
        )
        .await,
        opened(&hub, WebSocket, "", "ada").await,
    ];
    let answer = write(&telegraf, "", TELEGRAF).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(fields(answer.data()), ["durability", "messageIds"]);
    let time = "2026-01-31T12:00:00Z";
    let expected = [
        json!({"cpu.cpu0.web1": {"time": time, "cpu": "cpu0", "host": "web1", "usage_user": 1.5, "usage_system": 0.25, "usage_idle": 98.25}}),
        json!({"mem.web1": {"time": time, "host": "web1", "total": 16384, "used_percent": 41.2, "free": u64::MAX}}),
        json!({"system.web1": {"time": time, "host": "web1", "uptime_format": "3 days, 1:02", "n_users": 2}}),
        json!({"docker_container_health.nginx_1_27.web1": {"time": time, "container_image": "nginx:1.27", "host": "web1", "healthy": true}}),
    ];
    for client in &mut clients {
        for (index, data) in expected.iter().enumerate() {
            let message = client.next().await;
            assert_eq!(message["type"], "metrics_update");
            assert_eq!(&message["data"], data);
            assert_eq!(message["messageId"], answer.data()["messageIds"][index]);
        }
    }
}

#[tokio::test]
async fn parameters_say_what_is_in_the_name_and_what_timestamps_count() {
    let hub = Hub::start().await;
    let ada = hub.api(&token::admin("ada"));
    let body = "cpu,cpu=cpu0,host=web1 v=1 1769860800";
    let answer = write(&ada, "?db=telegraf&precision=s&tags=host", body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let latest = ada.get("/metrics").await;
    let value = &latest.data()["cpu.web1"]["value"];
    let expected = json!({"time": "2026-01-31T12:00:00Z", "cpu": "cpu0", "host": "web1", "v": 1.0});
    assert_eq!(value, &expected);
}

#[tokio::test]
async fn a_body_with_one_bad_line_is_refused_whole_and_says_where() {
    let hub = Hub::start().await;
    let ada = hub.api(&token::admin("ada"));
    let check = async |query: &str, body: &str, error: &str, details: Value| {
        let refused = write(&ada, query, body).await;
        assert_eq!(refused.failure(), (400, "invalid_request"), "{body}");
        assert!(refused.error().starts_with(error), "{}", refused.error());
        assert_eq!(refused.body["details"], details, "{body}");
    };
    let bad = "Malformed line protocol at line 2, column 9: a field is a number";
    check(
        "",
        "a v=1\na v=1,w=yes 5\n",
        bad,
        json!({"line": 2, "column": 9}),
    )
    .await;
    let long = format!("a v=1\n\nb,t={} v=1", "x".repeat(128));
    check(
        "",
        &long,
        "Invalid body at line 3: measurement and tags make no name",
        json!({"line": 3}),
    )
    .await;
    let large = format!("a v=1\nb v=\"{}\"", "x".repeat(70_000));
    let refused = write(&ada, "", &large).await;
    assert_eq!(refused.failure(), (413, "payload_too_large"));
    assert!(
        refused.error().starts_with("line 2: data is larger"),
        "{}",
        refused.error()
    );
    let many = "a v=1\n".repeat(1001);
    check("", &many, "Invalid body: 1 to 1000 points", Value::Null).await;
    let wrong = write(&ada, "?precision=weeks", "a v=1").await;
    assert_eq!(wrong.failure(), (400, "invalid_request"));
    assert_eq!(
        ada.get("/metrics").await.data(),
        &json!({}),
        "nothing of all that was taken"
    );
}

#[tokio::test]
async fn only_text_of_who_may_publish_is_taken() {
    let hub = Hub::start().await;
    let nobody = write(&hub.anonymous(), "", "a v=1").await;
    assert_eq!(nobody.failure(), (401, "unauthenticated"));
    let viewer = write(
        &hub.api(&token::token("eve", "viewer", Duration::from_secs(60))),
        "",
        "a v=1",
    )
    .await;
    assert_eq!(viewer.failure(), (403, "forbidden"));
    let ada = hub.api(&token::admin("ada"));
    let json = ada.post("/write", &json!({"metric": "a", "data": 1})).await;
    assert_eq!(json.failure(), (415, "unsupported_media_type"));
    let zipped = ada
        .request(Method::POST, "/write")
        .header("Content-Type", "text/plain");
    let zipped = send(zipped.header("Content-Encoding", "gzip").body("a v=1")).await;
    assert_eq!(zipped.failure(), (415, "unsupported_media_type"));
    let binary = ada
        .request(Method::POST, "/write")
        .header("Content-Type", "text/plain");
    let binary = send(binary.body(b"a v=\"\xff\"".to_vec())).await;
    assert_eq!(binary.failure(), (400, "invalid_request"));
    // A form of another site can send text and our cookie, and its origin.
    let form = hub.anonymous().request(Method::POST, "/write");
    let form = form
        .header("Content-Type", "text/plain")
        .header("Cookie", format!("access_token={}", token::admin("ada")))
        .header("Origin", "https://evil.example");
    assert_eq!(send(form.body("a v=1")).await.failure(), (403, "forbidden"));
}

#[tokio::test]
async fn the_same_key_is_the_same_points() {
    let hub = Hub::start().await;
    let ada = hub.api(&token::admin("ada"));
    let sent = async |body: &'static str| {
        let request = ada.request(Method::POST, "/write");
        let request = request.header("Content-Type", "text/plain");
        send(request.header("Idempotency-Key", "a").body(body)).await
    };
    let first = sent("a v=1 5\nb v=2 5").await;
    let again = sent("a v=1 5\nb v=2 5").await;
    assert_eq!((first.status, first.data()), (202, again.data()));
    assert_eq!(
        sent("a v=1 5\nb v=3 5").await.failure(),
        (400, "invalid_request")
    );
}
