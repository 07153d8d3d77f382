//! `websocket-info`, which clients of the original read before they connect.

use serde_json::json;

use super::fields;
use crate::support::hub::Hub;
use crate::support::token;
use crate::support::websocket::WsClient;

#[tokio::test]
async fn it_is_exactly_what_clients_know() {
    let hub = Hub::start().await;
    let answer = hub.api(&token::admin("ada")).get("/websocket-info").await;
    let info = answer.data();
    assert_eq!(
        fields(info),
        [
            "enabled",
            "endpoint",
            "features",
            "messageTypes",
            "protocols"
        ]
    );
    assert_eq!(info["enabled"], true);
    assert_eq!(info["endpoint"], "/api/admin/analytics/websocket");
    assert_eq!(info["protocols"], json!(["ws", "wss"]));
    let types = info["messageTypes"].as_array().unwrap();
    assert_eq!(types[..3], ["subscribe", "unsubscribe", "ping"]);
    assert_eq!(
        info["features"],
        json!([
            "Automatic reconnection",
            "Message buffering",
            "Priority-based message handling",
            "Connection health monitoring"
        ])
    );
}

#[tokio::test]
async fn the_endpoint_is_where_it_is_configured_to_be_and_nowhere_else() {
    let hub = Hub::with().env("WEBSOCKET_PATH", "/live/ws").start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    assert_eq!(
        api.get("/websocket-info").await.data()["endpoint"],
        "/live/ws"
    );
    let url = format!("ws://{}/live/ws?access_token={ada}", hub.address);
    let mut client = WsClient::open(&url, &[]).await.expect("an upgrade");
    client.opened().await;
    let answer = crate::support::http::send(api.upgrade("")).await;
    assert_eq!(answer.failure(), (404, "not_found"));
}
