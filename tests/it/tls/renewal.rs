//! A certificate is renewed while the hub runs.

use std::fs;

use rustix::process::Signal;
use serde_json::json;

use super::Safe;
use crate::support::http::Api;
use crate::support::raw::RawClient;
use crate::support::sse::{SseClient, bearer};
use crate::support::token;

#[tokio::test]
async fn connections_to_come_see_the_new_one_and_streams_live_on() {
    let safe = Safe::start().await;
    let tunnel = safe.tunnel().await;
    let ada = token::admin("ada");
    let header = bearer(&ada);
    let connection = RawClient::connect(tunnel.address).await;
    let mut stream = SseClient::open(connection, "/stream", &[("Authorization", &*header)]).await;
    stream.opened().await;
    safe.authority.issue("hub");
    safe.hub.signal(Signal::HUP);
    safe.hub.logged("settings read again").await;
    // A client that has been here before goes on with what it has seen.
    let later = safe.tunnel().await;
    let api = Api::at(later.url(), Some(ada));
    api.publish("m", json!(1)).await;
    assert_eq!(stream.next_message("metrics_update").await["data"]["m"], 1);
    assert_ne!(tunnel.seen()[0].certificate, later.seen()[0].certificate);
    // Who renews it sees that it was taken over.
    let line = safe.hub.logged("settings read again").await;
    assert!(line.ends_with("changed: tls.certificate_file"), "{line}");
}

#[tokio::test]
async fn one_that_cannot_be_read_changes_nothing_and_is_told() {
    let safe = Safe::start().await;
    let tunnel = safe.tunnel().await;
    let api = Api::at(tunnel.url(), Some(token::admin("ada")));
    let folder = safe.authority.authority();
    let folder = folder.parent().unwrap();
    fs::copy(folder.join("ca.key"), folder.join("hub.key")).unwrap();
    let answer = api.post("/reload", &json!({})).await;
    assert_eq!(
        (answer.status, &answer.body["code"]),
        (400, &json!("invalid_request"))
    );
    let error = answer.body["error"].as_str().unwrap();
    assert!(
        error.starts_with("The settings stay as they were: the key in tls.key_file"),
        "{error}"
    );
    let other = safe.tunnel().await;
    let api = Api::at(other.url(), None);
    assert_eq!(api.get("/api/health").await.status, 200);
    assert_eq!(tunnel.seen()[0].certificate, other.seen()[0].certificate);
}
