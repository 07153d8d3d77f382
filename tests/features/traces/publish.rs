//! A publish, from the application to the connections.

use std::collections::BTreeSet;

use opentelemetry_semantic_conventions::attribute as known;
use serde_json::json;

use super::collector::{Collector, Span, SpanKind, StatusCode};
use super::{PARENT, TRACE, hub, message, post, publish};
use crate::support::hub::Hub;
use crate::support::redis::Redis;
use crate::support::token;

/// Where a span has its parent: each says so by its id.
fn is_below(span: &Span, parent: &Span) {
    assert_eq!((&span.parent, &span.trace), (&parent.id, &parent.trace));
    assert!(span.began >= parent.began, "{span:?} {parent:?}");
}

#[actix::test]
async fn a_publish_is_below_the_span_of_whoever_publishes() {
    let collector = Collector::start();
    let hub = hub(&collector).start().await;
    let mut stream = hub.sse("/stream?metrics=a.b", &token::admin("bob")).await;
    let mut websocket = hub.websocket("", &token::admin("eve")).await;
    stream.opened().await;
    websocket.opened().await;

    let published = publish(&hub, &message("a.b"), "01").await;
    let deliver = collector.span("deliver a.b").await;
    let route = "POST /api/admin/analytics/publish";
    let request = collector.span(route).await;
    let produce = collector.span("publish a.b").await;
    let write = collector.span("write log").await;

    assert_eq!((&*request.trace, &*request.parent), (TRACE, PARENT));
    is_below(&produce, &request);
    is_below(&write, &produce);
    is_below(&deliver, &produce);
    assert!(write.ended <= deliver.began, "first the log, then delivery");

    assert_eq!(request.kind, SpanKind::Server);
    assert_eq!(request.says(known::HTTP_REQUEST_METHOD), Some("POST"));
    let template = "/api/admin/analytics/publish";
    assert_eq!(request.says(known::HTTP_ROUTE), Some(template));
    assert_eq!(request.says(known::HTTP_RESPONSE_STATUS_CODE), Some("202"));

    let id = published["messageId"].as_str();
    assert_eq!(produce.kind, SpanKind::Producer);
    for span in [&produce, &deliver] {
        assert_eq!(span.says(known::MESSAGING_SYSTEM), Some("statshub"));
        assert_eq!(span.says(known::MESSAGING_DESTINATION_NAME), Some("a.b"));
        assert_eq!(span.says(known::MESSAGING_MESSAGE_ID), id);
        assert_eq!(span.says("statshub.message.type"), Some("metrics_update"));
        assert_eq!(span.says("statshub.message.priority"), Some("high"));
        assert_eq!(span.status, StatusCode::Unset);
    }
    let operation = known::MESSAGING_OPERATION_TYPE;
    assert_eq!(produce.says(operation), Some("send"));
    assert_eq!(write.says("statshub.log.transaction.batches"), Some("1"));
    assert_eq!(deliver.says("statshub.connections.reached"), Some("2"));
    assert_eq!(deliver.says("statshub.connections.lagging"), Some("0"));
    assert_eq!(deliver.resource[known::SERVICE_NAME], "statshub");
    let version = &deliver.resource[known::SERVICE_VERSION];
    assert_eq!(version, env!("CARGO_PKG_VERSION"));

    hub.stop().await;
    // None for a connection, and nothing that is said twice.
    let of_trace = collector.spans();
    let of_trace = of_trace.iter().filter(|span| span.trace == TRACE);
    assert_eq!(of_trace.count(), 4);
}

#[actix::test]
async fn a_batch_is_one_publish_and_as_many_deliveries_as_messages() {
    let collector = Collector::start();
    let config = "[store]\ndurability = \"memory\"\n";
    let hub = hub(&collector).config(config).start().await;
    let batch = json!({"messages": [message("a"), message("b"), message("a")]});
    publish(&hub, &batch, "01").await;
    let produce = collector.span("publish").await;
    let count = known::MESSAGING_BATCH_MESSAGE_COUNT;
    assert_eq!(produce.says(count), Some("3"));
    let delivered = collector.spans_when("deliver a", 2).await;
    let delivered = delivered
        .into_iter()
        .chain([collector.span("deliver b").await]);
    delivered.for_each(|span| is_below(&span, &produce));

    let alert = json!({"severity": "high", "message": "look"});
    post(&hub, "/alerts", &alert, "01").await;
    let produce = collector.span("publish alerts").await;
    assert_eq!(produce.says("statshub.message.type"), Some("system_alert"));
    is_below(&collector.span("deliver alerts").await, &produce);

    hub.stop().await;
    let names = collector.spans().into_iter().map(|span| span.name);
    assert!(!BTreeSet::from_iter(names).contains("write log"), "no log");
}

#[actix::test]
async fn what_is_refused_is_a_failure_of_the_publish_alone() {
    let collector = Collector::start();
    let config = "[history]\nmetrics_max = 1\n";
    let hub = hub(&collector).config(config).start().await;
    publish(&hub, &message("a"), "01").await;
    let request = hub.api(&token::admin("ada"));
    let answer = request.post("/publish", &message("b")).await;
    assert_eq!(answer.status, 429);
    let failed = collector.span("publish b").await;
    assert_eq!(failed.status, StatusCode::Error);
    assert_eq!(failed.says(known::ERROR_TYPE), Some("not_published"));
    // By the conventions what a client did wrong is no error of the server's.
    let requests = collector.spans_when("POST /api/admin/analytics/publish", 2);
    assert!(
        requests
            .await
            .iter()
            .all(|it| it.status == StatusCode::Unset)
    );
    hub.stop().await;
}

/// Every hub that hands the message to its connections tells so, below one publish.
#[actix::test]
async fn several_hubs_deliver_in_one_trace() {
    let (collector, redis) = (Collector::start(), Redis::start().await);
    let url = format!("redis://{}", redis.address());
    let start = || hub(&collector).env("REDIS_URL", &url).start();
    let (one, other): (Hub, Hub) = (start().await, start().await);
    let mut stream = other.sse("/stream", &token::admin("bob")).await;
    stream.opened().await;

    publish(&one, &message("a"), "01").await;
    let produce = collector.span("publish a").await;
    let append = collector.span("append to the shared log").await;
    is_below(&append, &produce);
    let delivered = collector.spans_when("deliver a", 2).await;
    delivered.iter().for_each(|span| is_below(span, &append));
    let reached = |span: &Span| span.says("statshub.connections.reached").map(str::to_owned);
    let reached = BTreeSet::from_iter(delivered.iter().filter_map(reached));
    assert_eq!(reached, BTreeSet::from(["0".to_owned(), "1".to_owned()]));
    let hubs = delivered
        .iter()
        .map(|it| &it.resource[known::SERVICE_INSTANCE_ID]);
    assert_eq!(BTreeSet::from_iter(hubs).len(), 2);
    one.stop().await;
    other.stop().await;
}
