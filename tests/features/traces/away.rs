//! A collector that is not there, or takes nothing, is nobody's trouble.

use actix_web::http::header::HeaderMap;
use reqwest::Method;
use serde_json::json;

use super::collector::Collector;
use super::{hub, hub_at, message, publish};
use crate::support::exposition::Exposition;
use crate::support::http::respond;
use crate::support::hub::Hub;
use crate::support::ports::{free, loopback};
use crate::support::{eventually, token};

async fn spans(hub: &Hub, outcome: &str) -> f64 {
    let scrape = respond(hub.anonymous().request_at(Method::GET, "/metrics")).await;
    let text = scrape.text().await.expect("a text");
    let labels = [("outcome", outcome)];
    Exposition::parse(&text).value("statshub_trace_spans_total", &labels)
}

/// Failure: the collector is away, and comes back.
#[actix::test]
async fn without_its_collector_a_hub_goes_on_and_counts_what_is_lost() {
    let address = loopback(free());
    let hub = hub_at(&format!("http://{address}")).start().await;
    let mut stream = hub.sse("/stream", &token::admin("bob")).await;
    stream.opened().await;
    for _ in 0..3 {
        publish(&hub, &message("a"), "01").await;
        stream.next_message("metrics_update").await;
    }
    eventually("spans to be dropped", async || {
        (spans(&hub, "dropped").await > 0.0).then_some(())
    })
    .await;
    hub.logged("traces are lost, the collector does not take them")
        .await;

    let collector = Collector::at(address);
    eventually("spans to be taken", async || {
        hub.api(&token::admin("ada")).publish("b", json!(1)).await;
        (spans(&hub, "exported").await > 0.0).then_some(())
    })
    .await;
    hub.logged("the collector takes traces again").await;
    collector.spans_when("publish b", 1).await;
    let log = hub.stop().await.stderr;
    assert_eq!(log.matches("traces are lost").count(), 1, "{log}");
}

/// Failure: the collector is away while the hub stops.
#[actix::test]
async fn a_stop_does_not_wait_for_a_collector_that_is_away() {
    let hub = hub_at(&format!("http://{}", loopback(free())))
        .start()
        .await;
    publish(&hub, &message("a"), "01").await;
    hub.stop().await;
}

/// Failure: the collector is slower than the hub.
#[actix::test]
async fn what_has_no_room_to_wait_is_dropped_and_counted() {
    let collector = Collector::start();
    let held = collector.hold().await;
    let hub = hub(&collector)
        .config("[traces]\nqueue_spans_max = 512\n")
        .env("OTEL_EXPORTER_OTLP_HEADERS", "x-key=let%20me%20in")
        .start()
        .await;
    let batch = json!({"messages": vec![message("a"); 900]});
    publish(&hub, &batch, "01").await;
    // The request, the publish, the write, and each message's delivery.
    eventually("spans to be dropped", async || {
        (spans(&hub, "dropped").await >= f64::from(903 - 512)).then_some(())
    })
    .await;
    drop(held);
    hub.stop().await;
    assert_eq!(collector.spans().len(), 512);
    let headers = collector.headers();
    let key = |it: &HeaderMap| it.get("x-key").is_some_and(|key| key == "let me in");
    assert!(headers.iter().all(key));
}

#[actix::test]
async fn an_address_that_is_none_stops_the_start() {
    for url in [
        "collector:4318",
        "http://me:pw@127.0.0.1:4318",
        "ftp://127.0.0.1",
    ] {
        let said = hub_at(url).says().await;
        let line = said.failure(2);
        assert!(line.contains("OTEL_EXPORTER_OTLP_ENDPOINT is "), "{line}");
        assert!(!line.contains("pw"), "{line}");
    }
}
