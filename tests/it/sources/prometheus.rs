//! A source of kind `prometheus` against what the hub and a real Prometheus show of themselves.

use std::path::Path;

use actix_web::{App, HttpResponse, HttpServer, web};
use statshub::config::{Selector, SeriesAggregate};

use super::*;
use crate::support::hub::Hub;
use crate::support::prometheus::Prometheus;

fn kind(url: String, selector: &str, aggregate: Option<SeriesAggregate>) -> SourceKind {
    SourceKind::Prometheus {
        url,
        selector: Selector::parse(selector).expect(selector),
        aggregate,
        series_max: 100,
        headers: BTreeMap::new(),
        body_bytes_max: 1 << 20,
    }
}

#[actix::test]
async fn what_a_hub_shows_is_a_number_a_list_or_one_number_of_all() {
    let hub = Hub::start().await;
    let ask = async |selector: &str, aggregate| {
        read(kind(hub.url("/metrics"), selector, aggregate)).await
    };
    let up = ask("statshub_uptime_seconds", None).await.unwrap();
    assert!(up.as_f64().is_some_and(|up| up >= 0.0), "{up}");
    let sse = ask(r#"statshub_connections{transport="sse"}"#, None).await;
    assert_eq!(sse, Ok(json!(0)));
    let published = ask("statshub_messages_published_total", None)
        .await
        .unwrap();
    let labels: Vec<_> = published.as_array().expect("a list").iter().collect();
    assert!(
        labels
            .iter()
            .any(|one| one["labels"] == json!({"priority": "critical"}) && one["value"] == 0),
        "{published}"
    );
    let sum = ask(
        "statshub_messages_published_total",
        Some(SeriesAggregate::Sum),
    )
    .await;
    assert_eq!(sum, Ok(json!(0)));
    let none = ask("statshub_no_such_metric", None).await;
    assert_eq!(none, Ok(json!(null)));
}

#[actix::test]
async fn what_prometheus_shows_of_itself_is_read() {
    let hub = Hub::start().await;
    let prometheus = Prometheus::start(hub.address, Path::new("none.yml")).await;
    let ask = async |selector: &str| read(kind(prometheus.url("/metrics"), selector, None)).await;
    let version = ask(r#"prometheus_build_info{version=~".+"}"#)
        .await
        .unwrap();
    assert!(version[0]["labels"]["version"].is_string(), "{version}");
    let codes = ask(r#"prometheus_http_requests_total{code=~"2..",handler=~"/-/r.*"}"#)
        .await
        .unwrap();
    let ready = codes
        .as_array()
        .expect("a list")
        .iter()
        .find(|one| one["labels"]["handler"] == "/-/ready");
    assert!(
        ready.is_some_and(|one| one["value"].as_u64() > Some(0)),
        "{codes}"
    );
    let quantiles = ask("go_gc_duration_seconds").await.unwrap();
    assert!(
        quantiles.as_array().is_some_and(|all| all.len() >= 5),
        "{quantiles}"
    );
}

#[actix::test]
async fn what_is_no_such_text_or_too_much_of_it_is_an_error_without_credentials() {
    let server = HttpServer::new(|| {
        let body = |text: &'static str| {
            web::get().to(move || async move { HttpResponse::Ok().body(text) })
        };
        let series: &'static str = (0..101)
            .map(|n| format!("a{{n=\"{n}\"}} 1\n"))
            .collect::<String>()
            .leak();
        App::new()
            .route("/html", body("<html></html>"))
            .route("/half", body("a 1\nb{c=\"d\n"))
            .route("/many", body(series))
            .route(
                "/huge",
                body("a 1 # a comment that is not short\n".repeat(1 << 16).leak()),
            )
    });
    let server = server
        .workers(1)
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
    let address = server.addrs()[0];
    actix::spawn(server.run());
    for (path, expected) in [
        (
            "html",
            "/html answered nothing that Prometheus could read: line 1: a name is wanted",
        ),
        (
            "half",
            "/half answered nothing that Prometheus could read: line 2: a label's value has no end",
        ),
        ("many", "more than 100 series fit"),
        ("huge", "/huge answered more than 1048576 bytes"),
        ("none", "/none answered 404"),
    ] {
        let url = format!("http://me:secret@{address}/{path}?key=secret");
        let error = read(kind(url, "a", None)).await.expect_err(path);
        assert!(
            error.contains(expected) && !error.contains("secret"),
            "{error}"
        );
    }
}
