//! Publishers that ask for more than there is.

use futures::future::join_all;
use serde_json::json;

use crate::support::either::Transport;
use crate::support::eventually;
use crate::support::http::{Answer, Api};
use crate::support::hub::Hub;
use crate::support::token;

/// Publishes so many at once.
async fn flood(api: &Api, messages: usize, data: &str) -> Vec<Answer> {
    let body = json!({"metric": "a", "data": data});
    join_all((0..messages).map(|_| api.post("/publish", &body))).await
}

fn taken(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| answer.status == 202).count()
}

/// Attack: a publisher that floods.
#[tokio::test]
async fn a_publisher_over_its_rate_is_refused_for_a_while_and_what_was_taken_arrives() {
    let config = "[limits]\nper_user_per_second = 1\nper_user_burst = 20";
    let hub = Hub::with().config(config).start().await;
    let watcher = hub.api(&token::admin("watcher"));
    for transport in Transport::BOTH {
        let user = format!("publisher-{}", transport.name());
        let publisher = hub.api(&token::service(&user));
        let reader = token::admin(&format!("reader-{}", transport.name()));
        let mut client = hub.open(transport, "", &reader).await;
        client.opened().await;
        let answers = flood(&publisher, 100, "x").await;
        let refused = answers.iter().filter(|answer| answer.status != 202);
        for answer in refused {
            assert_eq!(answer.failure(), (429, "rate_limited"));
            assert!(answer.retry_after() >= 1);
        }
        assert!((20..100).contains(&taken(&answers)), "{}", taken(&answers));
        let arrived = client.metrics_until_now(&watcher).await;
        assert_eq!(
            arrived.len(),
            taken(&answers),
            "all that was taken, no more"
        );
        // It lasts no longer than it must.
        eventually("the publisher to be heard again", async || {
            let answer = publisher
                .post("/publish", &json!({"metric": "a", "data": 1}))
                .await;
            (answer.status == 202).then_some(())
        })
        .await;
    }
}

/// Attack: a publisher that floods.
#[tokio::test]
async fn publishers_wait_for_a_hub_that_is_behind_and_what_was_taken_arrives() {
    let config = "[outgoing]\nworker_backlog_bytes_max = 1024\nqueue_messages_max = 10000\nqueue_bytes_max = 100000000";
    let hub = Hub::with().config(config).start().await;
    let watcher = hub.api(&token::admin("watcher"));
    let publisher = hub.api(&token::service("publisher"));
    let mut clients = Vec::new();
    for transport in Transport::BOTH {
        let mut client = hub.open(transport, "", &token::admin("reader")).await;
        client.opened().await;
        clients.push(client);
    }
    let answers = flood(&publisher, 200, &"x".repeat(10_000)).await;
    for answer in answers.iter().filter(|answer| answer.status != 202) {
        assert_eq!(answer.failure(), (503, "unavailable"));
        assert!(answer.retry_after() >= 1);
    }
    assert!(taken(&answers) > 0);
    for client in &mut clients {
        let arrived = client.metrics_until_now(&watcher).await;
        assert_eq!(arrived.len(), taken(&answers));
    }
}
