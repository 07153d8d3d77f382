//! Traces, as a collector gets them: a real receiver of OTLP, and the program as a child.

mod away;
mod collector;
mod publish;
mod reads;
mod requests;

use serde_json::{Value, json};

use crate::support::http::send;
use crate::support::hub::{Hub, Start};
use crate::support::token;
use collector::Collector;

/// Of an application that publishes.
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// What that sends along; whether it keeps the trace is said in `flags`.
fn traceparent(flags: &str) -> String {
    format!("00-{TRACE}-{PARENT}-{flags}")
}

/// A hub whose spans go to `collector` as soon as they end.
fn hub(collector: &Collector) -> Start {
    hub_at(&collector.url())
}

fn hub_at(url: &str) -> Start {
    Hub::with()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        .env("OTEL_BSP_SCHEDULE_DELAY", "20")
}

/// Publishes as part of the application's trace. Returns what was answered.
async fn publish(hub: &Hub, body: &Value, flags: &str) -> Value {
    post(hub, "/publish", body, flags).await
}

async fn post(hub: &Hub, path: &str, body: &Value, flags: &str) -> Value {
    let request = hub
        .api(&token::admin("ada"))
        .request(reqwest::Method::POST, path)
        .header("traceparent", traceparent(flags));
    let answer = send(request.json(body)).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.data().clone()
}

fn message(metric: &str) -> Value {
    json!({"metric": metric, "data": 42, "priority": "high"})
}
