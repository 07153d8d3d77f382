//! What is summed up of metrics and raw events, by the real program.

mod bodies;
mod restarts;
mod results;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::http::{Answer, Api, send};
use crate::support::hub::Hub;
use crate::support::{eventually, token};

/// A window that no test outlasts, and a result soon after each event.
const COUNT: &str = r#"
[[aggregate]]
metric = "sales.sum"
from = "sale"
op = "sum"
field = "/amount"
window = "5m"
every = "500ms"
grace = "500ms"
"#;

async fn hub(config: &str) -> (Hub, Api) {
    let hub = Hub::with().config(config).start().await;
    let api = hub.api(&token::service("shop"));
    (hub, api)
}

async fn lines(api: &Api, lines: &str) -> Answer {
    let request = api.request(Method::POST, "/events").body(lines.to_owned());
    send(request.header("content-type", "application/x-ndjson")).await
}

fn sale(amount: i64) -> Value {
    json!({"event": "sale", "data": {"amount": amount}})
}

/// Waits for a result of so many events, and for none of more.
async fn result_of(hub: &Hub, metric: &str, count: u64) -> Value {
    let api = hub.api(&token::admin("ada"));
    eventually(&format!("{count} events in {metric}"), async || {
        let values = api.get(&format!("/metrics?metrics={metric}")).await;
        let value = values.data()[metric]["value"].clone();
        let counted = value["count"].as_u64().unwrap_or(0);
        assert!(counted <= count, "{value} of {count} events");
        (counted == count).then_some(value)
    })
    .await
}
