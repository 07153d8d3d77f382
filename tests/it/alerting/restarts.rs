//! The hub ends at any moment, and goes on.

use serde_json::{Value, json};

use super::receiver::Receiver;
use super::{HIGH, admin, alerts, alerts_when, lives_when, stage_when, with};
use crate::support::either::Transport::Sse;
use crate::support::{eventually, token};

#[tokio::test]
async fn pending_firing_and_acknowledged_survive_a_crash_and_nothing_is_told_twice() {
    let receiver = Receiver::start().await;
    let config = format!("{HIGH}for = \"4s\"\n{}", receiver.hook(""));
    let mut hub = with(&config).start().await;
    let api = admin(&hub).await;
    api.publish("system", json!({"errorRate": 0.07})).await;
    let pending = stage_when(&api, "high_error_rate", "pending").await;
    // It is remembered with the next tick, and in any case the value itself is.
    hub.crash().await;
    let mut hub = hub.again().await;
    let api = admin(&hub).await;
    let firing = stage_when(&api, "high_error_rate", "firing").await;
    assert_eq!(
        firing["since"].as_str().map(|it| &it[..19]),
        pending["since"].as_str().map(|it| &it[..19])
    );
    let open = alerts_when(&api, "state=open", 1).await;
    let id = open[0]["alertId"].as_str().expect("an id").to_owned();
    receiver.received_when(1).await;

    for round in 0..3 {
        hub.crash().await;
        hub = hub.again().await;
        let api = admin(&hub).await;
        let (mut client, _) = hub.opened(Sse, "", &token::admin("eve")).await;
        api.publish(
            "system",
            json!({"errorRate": 0.08 + f64::from(round) / 100.0}),
        )
        .await;
        client.next_message("metrics_update").await;
        let stage = if round == 0 { "firing" } else { "acknowledged" };
        let life = stage_when(&api, "high_error_rate", stage).await;
        assert_eq!(life["alertId"], *id);
        if round == 0 {
            api.post(&format!("/alerts/{id}/acknowledge"), &json!({}))
                .await;
            stage_when(&api, "high_error_rate", "acknowledged").await;
        }
        assert_eq!(alerts(&api, "").await.len(), 1);
    }
    let api = admin(&hub).await;
    api.publish("system", json!({"errorRate": 0.0})).await;
    alerts_when(&api, "state=resolved", 1).await;
    // What was sent just before a crash may come twice: then with the id that it had.
    let received = eventually("two notifications", async || {
        let mut received = receiver.received();
        received.dedup_by_key(|it| it.id().to_owned());
        (received.len() >= 2).then_some(received)
    })
    .await;
    let kinds: Vec<_> = received.iter().map(|it| &it.body["type"]).collect();
    assert_eq!(kinds, ["alert.firing", "alert.resolved"]);
}

/// Whatever it was about to do when it ended, everything is done once.
#[tokio::test]
async fn a_crash_at_any_moment_neither_loses_nor_repeats_an_alert() {
    let mut hub = with(HIGH).start().await;
    for round in 0..6u64 {
        let api = admin(&hub).await;
        api.publish("system", json!({"errorRate": 0.07})).await;
        // Somewhere between the message and what its tick does.
        tokio::time::sleep(std::time::Duration::from_millis(round * 130)).await;
        hub.crash().await;
        hub = hub.again().await;
        let api = admin(&hub).await;
        alerts_when(&api, "state=open", 1).await;
        api.publish("system", json!({"errorRate": 0.01})).await;
        let is_known = async || {
            let health = api.get("/api/health").await;
            (health.data()["checks"]["rules"]["firing"] == 0).then_some(())
        };
        eventually("the rule to see that it is over", is_known).await;
        hub.crash().await;
        hub = hub.again().await;
        let api = admin(&hub).await;
        let resolved = usize::try_from(round + 1).expect("a few");
        alerts_when(&api, "state=resolved", resolved).await;
        lives_when(&api, "high_error_rate", <[Value]>::is_empty).await;
        assert_eq!(alerts(&api, "").await.len(), resolved);
    }
}

#[tokio::test]
async fn what_could_not_be_sent_is_sent_after_a_restart() {
    let receiver = Receiver::start().await;
    // Nobody listens there yet.
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = gone.local_addr().expect("an address");
    drop(gone);
    let hook = receiver
        .hook("")
        .replace(&receiver.address.to_string(), &address.to_string());
    let mut hub = with(&format!("{HIGH}{hook}")).start().await;
    let api = admin(&hub).await;
    api.publish("system", json!({"errorRate": 0.07})).await;
    let failed = eventually("a failed attempt", async || {
        let listed = api.get("/notifications").await;
        let pending = listed.data()["pending"][0].clone();
        (pending["attempts"] == 1).then_some(pending)
    })
    .await;
    assert_eq!(
        failed["lastError"],
        format!("nobody answers at http://{address}")
    );
    assert_eq!(
        (&failed["webhook"], &failed["event"]),
        (&json!("pager"), &json!("firing"))
    );
    hub.crash().await;
    let receiver = Receiver::at(address).await;
    let hub = hub.again().await;
    let received = receiver.received_when(1).await;
    assert_eq!(received[0].id(), failed["id"].as_str().expect("an id"));
    let api = admin(&hub).await;
    eventually("it to be among those delivered", async || {
        let listed = api.get("/notifications").await;
        let is = &listed.data()["recent"][0];
        (is["id"] == failed["id"] && is["attempts"] == 2).then_some(())
    })
    .await;
}
