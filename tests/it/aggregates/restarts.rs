//! What has been counted is there again, and counts once.

use rustix::process::Signal;
use serde_json::json;

use super::{COUNT, hub, lines, result_of, sale};
use crate::support::eventually;
use crate::support::hub::Hub;
use crate::support::token;

/// Failure: the process is killed, again and again, at any moment between two writes.
#[tokio::test]
async fn messages_count_once_over_crashes() {
    let (mut hub, _) = hub(COUNT).await;
    let mut total = 0;
    for round in 0..5 {
        let api = hub.api(&token::service("shop"));
        for amount in 0..40 + round {
            api.publish("sale", json!({"amount": amount})).await;
            total += 1;
        }
        // In some rounds after something was written down, in others before.
        if round % 2 == 0 {
            result_of(&hub, "sales.sum", total).await;
        }
        hub.crash().await;
        hub = hub.again().await;
    }
    let value = result_of(&hub, "sales.sum", total).await;
    let sum: i64 = (0..5).map(|round| (0..40 + round).sum::<i64>()).sum();
    assert_eq!(value["value"], sum);
}

#[tokio::test]
async fn events_are_there_again_after_a_stop() {
    let (mut hub, api) = hub(COUNT).await;
    assert_eq!(lines(&api, &sale(5).to_string()).await.status, 202);
    hub.signal(Signal::TERM);
    assert_eq!(hub.ended().await.code, Some(0));
    let hub = hub.again().await;
    let api = hub.api(&token::service("shop"));
    assert_eq!(lines(&api, &sale(7).to_string()).await.status, 202);
    assert_eq!(result_of(&hub, "sales.sum", 2).await["value"], 12);
}

/// Failure: the process is killed. What was written down counts once, and no more is claimed.
#[tokio::test]
async fn events_that_were_written_down_are_there_again_after_a_crash() {
    let (mut hub, api) = hub(COUNT).await;
    let body = format!("{}\n", sale(3)).repeat(100);
    assert_eq!(lines(&api, &body).await.status, 202);
    // Two results later they have been written down.
    result_of(&hub, "sales.sum", 100).await;
    let results = async |hub: &Hub| {
        let health = hub.api(&token::admin("ada")).get("/api/health").await;
        let check = &health.data()["checks"]["aggregates"][0];
        check["results"].as_u64().unwrap()
    };
    let seen = results(&hub).await;
    eventually("two more results", async || {
        (results(&hub).await >= seen + 2).then_some(())
    })
    .await;
    for _ in 0..2 {
        hub.crash().await;
        hub = hub.again().await;
        assert_eq!(result_of(&hub, "sales.sum", 100).await["value"], 300);
    }
}
