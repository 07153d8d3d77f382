//! Webhooks: tried again, given up, signed with several secrets, and told only what they want.

use reqwest::Method;
use serde_json::{Value, json};

use super::receiver::{OTHER_SECRET, Receiver, SECRET};
use super::{HIGH, admin, alerts_when, with};
use crate::support::eventually;
use crate::support::http::{Api, send};

async fn dead_when(api: &Api, count: usize) -> Vec<Value> {
    eventually(&format!("{count} dead notifications"), async || {
        let listed = api.get("/notifications").await;
        let dead = listed.data()["dead"].as_array()?.clone();
        (dead.len() == count).then_some(dead)
    })
    .await
}

async fn status(api: &Api) -> Value {
    api.get("/api/health").await.data().clone()
}

/// Attack: a receiver that sends the hub on to somebody else. Failure: one that is down.
#[tokio::test]
async fn it_is_tried_again_and_what_is_given_up_waits_for_an_operator() {
    let receiver = Receiver::start().await;
    receiver.answers(&[
        "500 No",
        "302 Found\r\nLocation: http://127.0.0.1:1/",
        "410 Gone",
    ]);
    let hub = with(&format!("{HIGH}{}", receiver.hook(""))).start().await;
    let api = admin(&hub).await;
    api.publish("system", json!({"errorRate": 0.07})).await;
    let dead = dead_when(&api, 1).await.remove(0);
    let received = receiver.received();
    assert_eq!(received.len(), 3);
    assert!(
        received
            .iter()
            .all(|it| it.id() == received[0].id() && it.text == received[0].text)
    );
    assert_eq!(dead["attempts"], 3);
    let error = format!("http://{} answers 410", receiver.address);
    assert_eq!(dead["lastError"], *error);
    let health = status(&api).await;
    assert_eq!(health["status"], "degraded");
    assert_eq!(health["checks"]["rules"]["notificationsDead"], 1);

    let id = dead["id"].as_str().expect("an id").to_owned();
    receiver.answers(&["410 Gone"]);
    let retry = format!("/notifications/{id}/retry");
    assert_eq!(api.post(&retry, &json!({})).await.status, 200);
    receiver.received_when(4).await;
    dead_when(&api, 1).await;
    assert_eq!(api.post(&retry, &json!({})).await.status, 200);
    let received = receiver.received_when(5).await;
    assert_eq!(received[4].id(), id);
    dead_when(&api, 0).await;
    assert_eq!(
        api.post(&retry, &json!({})).await.failure(),
        (404, "not_found")
    );

    receiver.answers(&["410 Gone"]);
    api.publish("system", json!({"errorRate": 0.01})).await;
    let dead = dead_when(&api, 1).await.remove(0);
    let path = format!("/notifications/{}", dead["id"].as_str().expect("an id"));
    assert_eq!(send(api.request(Method::DELETE, &path)).await.status, 200);
    dead_when(&api, 0).await;
    let again = send(api.request(Method::DELETE, &path)).await;
    assert_eq!(again.failure(), (404, "not_found"));
    assert_eq!(status(&api).await["checks"]["rules"]["ok"], true);
    for action in ["retry_notification", "drop_notification"] {
        eventually(action, async || {
            let trail = api.get(&format!("/audit?action={action}")).await;
            (!trail.data()["events"].as_array()?.is_empty()).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_receiver_gets_what_it_wants_signed_with_every_secret_of_its_file() {
    let receiver = Receiver::start().await;
    let file = receiver
        .hook("severities = [\"critical\"]\nevents = [\"firing\", \"repeated\"]")
        .replace(
            &format!("secret = \"{SECRET}\""),
            "secret_file = \"secrets\"",
        );
    let low = HIGH
        .replace("critical", "low")
        .replace("high_error_rate", "low")
        .replace("\"system\"", "\"other\"");
    let config = format!("{HIGH}repeat_every = \"1s\"\n{low}{file}");
    let hub = with(&config)
        .file("secrets", &format!("{SECRET}\n\n{OTHER_SECRET}\n"))
        .start()
        .await;
    let api = admin(&hub).await;
    api.publish("other", json!({"errorRate": 0.07})).await;
    alerts_when(&api, "severity=low", 1).await;
    api.publish("system", json!({"errorRate": 0.07})).await;
    let received = receiver.received_when(3).await;
    let kinds: Vec<_> = received.iter().map(|it| &it.body["type"]).collect();
    assert_eq!(
        kinds[..3],
        ["alert.firing", "alert.repeated", "alert.repeated"]
    );
    for one in &received[..3] {
        assert_eq!(one.body["data"]["severity"], "critical");
        assert!(one.is_signed_with(SECRET) && one.is_signed_with(OTHER_SECRET));
    }
    assert_ne!(received[1].id(), received[2].id());
    assert_eq!(
        alerts_when(&api, "severity=critical", 1).await.len(),
        1,
        "one alert, told again"
    );
    let scraped = send_text(&api).await;
    for line in [
        "statshub_rules 2",
        "statshub_rules_firing{severity=\"critical\"} 1",
        "statshub_rules_firing{severity=\"low\"} 1",
        "statshub_rules_acting 1",
    ] {
        assert!(scraped.lines().any(|it| it == line), "{line}: {scraped}");
    }
    assert!(
        !hub.stderr().contains("s3cretpath"),
        "a path may be a secret"
    );
}

async fn send_text(api: &Api) -> String {
    let answer = crate::support::http::respond(api.request_at(Method::GET, "/metrics")).await;
    answer.text().await.expect("a text")
}

/// Attack: reading a receiver's credentials out of errors, logs and `check-config`.
#[tokio::test]
async fn secrets_of_webhooks_are_good_and_never_shown() {
    use crate::support::hub::Hub;
    let receiver = Receiver::start().await;
    let hook = receiver.hook("");
    for (config, says) in [
        (
            hook.replace(SECRET, "whsec_CANARY"),
            "webhook.1.secret is \"***\"; allowed is whsec_",
        ),
        (
            hook.replace("http://", "ftp://"),
            "webhook.1.url is \"ftp://",
        ),
        (
            format!("{hook}secret_file = \"x\""),
            "webhook.1.secret_file is set",
        ),
        (
            hook.replace("name = \"pager\"\n", ""),
            "webhook.1.name is missing",
        ),
        (format!("{hook}events = [\"fired\"]"), "webhook.1.events is"),
    ] {
        let output = Hub::with().config(&config).run().await;
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && text.contains(says),
            "{says}: {text}"
        );
        assert!(
            !text.contains("CANARY") && !text.contains("s3cretpath"),
            "{text}"
        );
    }
    let missing = hook.replace(&format!("secret = \"{SECRET}\""), "secret_file = \"none\"");
    let output = Hub::with().config(&missing).run().await;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        text.contains("webhook pager: none cannot be read"),
        "{text}"
    );
    let shown = Hub::with().config(&hook).arg("check-config").run().await;
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(
        text.contains("[[webhook]]") && text.contains("/***\""),
        "{text}"
    );
    assert!(
        !text.contains("s3cretpath") && !text.contains(SECRET),
        "{text}"
    );
}
