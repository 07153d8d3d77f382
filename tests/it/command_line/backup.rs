//! `backup`: a copy made under a hub that is at work, and a hub on the copy.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use super::command;
use crate::support::command::Said;
use crate::support::either::Transport;
use crate::support::hub::{Hub, Start};
use crate::support::{eventually, token};

/// A command or a hub whose store is `file`.
fn on(start: Start, file: &Path) -> Start {
    start.config(&format!(
        "[store]\nfile = {:?}\n",
        file.display().to_string()
    ))
}

async fn backup(hub: &Hub, copy: &Path, words: &[&str]) -> Said {
    let copy = copy.display().to_string();
    let words = [&["backup", &*copy], words].concat();
    on(command(&words), &hub.path("statshub.db")).says().await
}

#[tokio::test]
async fn a_hub_on_a_copy_made_under_load_serves_what_there_was_and_resumes_who_was_there() {
    let hub = Hub::start().await;
    let (ada, bob) = (token::admin("ada"), token::admin("bob"));
    let api = hub.api(&ada);
    let mut stream = hub.sse("/stream?metrics=m", &ada).await;
    stream.opened().await;
    let seen = api.publish("m", json!("seen")).await;
    assert_eq!(
        stream.next_message("metrics_update").await["messageId"],
        *seen
    );
    let reconnect_token = stream.reconnect_token().to_owned();
    stream.reset();
    api.sessions_when("?state=away", 1).await;
    let missed = api.publish("m", json!("missed")).await;

    // That the session is away is written soon after, as everything is that is published now.
    let directory = tempfile::tempdir().expect("a directory");
    let copy = directory.path().join("copy.db");
    let load = async {
        loop {
            let batch = vec![json!({"metric": "load", "data": "x".repeat(1000)}); 100];
            api.post("/publish", &json!({"messages": batch})).await;
        }
    };
    for _ in 0..20 {
        api.publish("load", json!(0)).await;
    }
    let said = tokio::select! {
        said = backup(&hub, &copy, &[]) => said,
        () = load => unreachable!(),
    };
    let metadata = std::fs::metadata(&copy).expect("a copy");
    assert_eq!(
        said.result(),
        format!("{}: {} bytes", copy.display(), metadata.len())
    );
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    let mut ahead = hub.sse("/stream?metrics=m", &bob).await;
    ahead.opened().await;
    let later = api.publish("m", json!("later")).await;
    assert_eq!(
        ahead.next_message("metrics_update").await["messageId"],
        *later
    );
    drop(ahead);
    assert_eq!(hub.stop().await.code, Some(0));

    let restored = on(Hub::with(), &copy).start().await;
    let api = restored.api(&ada);
    let metrics = api.get("/metrics").await;
    assert_eq!(metrics.data()["metrics"]["m"], "missed", "{metrics:?}");
    let mut back = restored
        .resume_after(Transport::Sse, &reconnect_token, &seen, &ada)
        .await;
    let notice = back.next().await;
    assert_eq!(notice["data"]["resumed"], true, "{notice}");
    assert_eq!(back.next().await["messageId"], *missed);
    // Whoever is ahead of the copy is told so, and not only until the log has caught up.
    for _ in 0..2 {
        let query = format!("/stream?metrics=m&lastEventId={later}");
        let mut stream = restored.sse(&query, &bob).await;
        let notice = stream.next().await;
        assert_eq!(notice["data"]["resumed"], false, "{notice}");
        let new = api.publish("m", json!("new")).await;
        assert!(new > later, "{new} {later}");
    }
    let ended = restored.stop().await;
    assert!(
        ended.stderr.contains("the store is a backup made at"),
        "{}",
        ended.stderr
    );
    assert!(
        !ended.stderr.contains("machine went down"),
        "{}",
        ended.stderr
    );
    let file = copy.display().to_string();
    let said = command(&["audit", "verify", &file]).says().await;
    assert!(
        said.result().starts_with("whole: "),
        "the trail goes on: {said:?}"
    );
}

#[tokio::test]
async fn what_is_there_is_not_overwritten_by_mistake() {
    let hub = Hub::start().await;
    hub.api(&token::admin("ada")).publish("m", json!(1)).await;
    let copy = hub.path("copy.db");
    std::fs::write(&copy, "precious").expect("a file");
    let said = backup(&hub, &copy, &[]).await;
    assert!(said.failure(1).contains("--force"), "{said:?}");
    assert_eq!(std::fs::read(&copy).expect("a file"), b"precious");
    backup(&hub, &copy, &["--force"]).await.result();
    let said = backup(&hub, &hub.path("statshub.db"), &["--force"]).await;
    assert!(said.failure(1).contains("is the store itself"), "{said:?}");
    let said = backup(&hub, &hub.path("no/such/copy.db"), &[]).await;
    assert!(said.failure(1).contains("cannot be written"), "{said:?}");
    assert_eq!(hub.stop().await.code, Some(0));
}

#[tokio::test]
async fn the_store_and_its_trail_show_in_metrics_and_health() {
    let hub = Hub::start().await;
    let ada = hub.api(&token::admin("ada"));
    ada.publish("m", json!(1)).await;
    let health = eventually("the events to be written", async || {
        let health = ada.get("/api/health").await.data().clone();
        (health["checks"]["audit"]["store"]["written"] == 2).then_some(health)
    })
    .await;
    let store = &health["checks"]["audit"]["store"];
    assert_eq!((&store["ok"], &store["lost"]), (&json!(true), &json!(0)));
    assert_eq!(store["lastError"], Value::Null);
    let text = reqwest::get(hub.url("/metrics")).await.expect("metrics");
    let text = text.text().await.expect("text");
    for line in [
        "statshub_store_batches_total 1",
        "statshub_store_failures_total 0",
        "statshub_store_audit_events_written_total 2",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}
