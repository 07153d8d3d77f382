//! Alert rules: what the hub tells by itself, to its clients and to webhooks.

mod hooks;
mod live;
pub mod receiver;
mod restarts;
mod rules;

use serde_json::Value;

use crate::support::http::Api;
use crate::support::hub::{Hub, Start};
use crate::support::{eventually, token};

/// A condition with hysteresis.
const HIGH: &str = r#"
[[alert]]
name = "high_error_rate"
on = "system"
when = "data.errorRate > 0.05"
resolve = "data.errorRate < 0.03"
severity = "critical"
message = "Error rate is {data.errorRate}"
"#;

/// A hub with these settings and a store.
fn with(config: &str) -> Start {
    Hub::with().config(&format!("[store]\ndurability = \"process\"\n{config}"))
}

async fn admin(hub: &Hub) -> Api {
    hub.api(&token::admin("ada"))
}

/// What a rule says of its metrics, once that is as wanted.
async fn lives_when(api: &Api, rule: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    eventually(&format!("rule {rule} to be as wanted"), async || {
        let answer = api.get(&format!("/rules/{rule}")).await;
        let lives = answer.data()["alerts"].as_array()?.clone();
        wanted(&lives).then_some(lives)
    })
    .await
}

async fn stage_when(api: &Api, rule: &str, stage: &str) -> Value {
    let is = |lives: &[Value]| lives.len() == 1 && lives[0]["state"] == stage;
    lives_when(api, rule, is).await.remove(0)
}

async fn alerts(api: &Api, query: &str) -> Vec<Value> {
    let answer = api.get(&format!("/alerts?{query}")).await;
    answer.data()["alerts"].as_array().expect("alerts").clone()
}

/// Waits until so many alerts are in that state.
async fn alerts_when(api: &Api, query: &str, count: usize) -> Vec<Value> {
    eventually(&format!("{count} alerts of {query}"), async || {
        let alerts = alerts(api, query).await;
        (alerts.len() == count).then_some(alerts)
    })
    .await
}
