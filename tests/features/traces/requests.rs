//! Which requests are traced, and what is not told about them.

use opentelemetry_semantic_conventions::attribute as known;
use reqwest::Method;
use serde_json::json;

use super::collector::{Collector, SpanKind};
use super::{TRACE, hub, message, publish, traceparent};
use crate::support::http::{respond, send, status_of};
use crate::support::token;

#[actix::test]
async fn what_whoever_publishes_does_not_keep_is_not_kept_here() {
    let collector = Collector::start();
    let hub = hub(&collector).start().await;
    publish(&hub, &message("let.go"), "00").await;
    publish(&hub, &message("kept"), "01").await;
    hub.stop().await;
    let spans = collector.spans();
    assert!(spans.iter().all(|span| !span.name.contains("let.go")));
    assert_eq!(spans.len(), 4, "{spans:#?}");
}

#[actix::test]
async fn of_those_that_begin_here_the_ratio_is_kept() {
    let collector = Collector::start();
    let start = hub(&collector).config("[traces]\nratio = 0\n");
    let hub = start.env("OTEL_SERVICE_NAME", "hub of one").start().await;
    for _ in 0..20 {
        hub.api(&token::admin("ada"))
            .publish("let.go", json!(1))
            .await;
    }
    publish(&hub, &message("kept"), "01").await;
    hub.stop().await;
    let spans = collector.spans();
    assert!(spans.iter().all(|span| span.trace == TRACE), "{spans:#?}");
    let name = |span: &super::collector::Span| span.resource[known::SERVICE_NAME] == "hub of one";
    assert!(spans.iter().all(name));
}

#[actix::test]
async fn a_stream_is_its_opening_and_probes_are_nothing() {
    let collector = Collector::start();
    let hub = hub(&collector).start().await;
    let anybody = hub.anonymous();
    for path in ["/health/live", "/api/health", "/metrics", "/favicon.ico"] {
        respond(anybody.request_at(Method::GET, path)).await;
    }
    let mut stream = hub.sse("/stream", &token::admin("bob")).await;
    let mut websocket = hub.websocket("", &token::admin("eve")).await;
    stream.opened().await;
    websocket.opened().await;
    for path in ["stream", "websocket"] {
        let name = format!("GET /api/admin/analytics/{path}");
        let opening = collector.span(&name).await;
        assert_eq!((opening.kind, &*opening.parent), (SpanKind::Server, ""));
    }
    // Both still live; and nothing else has come.
    hub.api(&token::admin("ada")).publish("a", json!(1)).await;
    stream.next_message("metrics_update").await;
    websocket.next_message("metrics_update").await;
    collector.span("POST /api/admin/analytics/publish").await;
    let requests = collector.spans();
    let requests = requests.iter().filter(|it| it.kind == SpanKind::Server);
    assert_eq!(requests.count(), 3);
    hub.stop().await;
}

/// Attack: reading credentials out of traces (the canary), and filling a collector with names.
#[actix::test]
async fn no_path_no_query_no_body_and_no_user_gets_into_a_trace() {
    let collector = Collector::start();
    let hub = hub(&collector).start().await;
    let (canary, ada) = (hub.api(&token::admin("CANARY")), hub.anonymous());
    let open = [
        "/api/admin/analytics/stream?access_token=CANARY&metrics=CANARY",
        "/api/admin/analytics/CANARY",
        "/api/admin/analytics/alerts/CANARY/resolve",
    ];
    for path in open {
        let request = ada.request_at(Method::GET, path);
        assert!(status_of(request.header("traceparent", traceparent("01"))).await >= 400);
    }
    let strange = Method::from_bytes(b"CANARY").expect("a method");
    let request = ada.request_at(strange, "/api/admin/analytics/publish");
    assert_eq!(send(request).await.status, 405);
    let body = json!({"metric": "a", "data": "CANARY", "userId": "CANARY"});
    let published = canary.post("/publish", &body).await;
    assert_eq!(published.status, 202);
    collector.span("deliver a").await;
    hub.stop().await;
    let all = format!("{:?}", collector.spans());
    assert!(!all.contains("CANARY"), "{all}");
    let spans = collector.spans();
    let other = spans.iter().find(|it| it.name.starts_with("HTTP"));
    let method = other.and_then(|it| it.says(known::HTTP_REQUEST_METHOD));
    assert_eq!(method, Some("_OTHER"));
}
