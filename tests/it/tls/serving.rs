//! What holds over plain connections holds over TLS.

use serde_json::json;

use super::Safe;
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::message::text;
use crate::support::raw::RawClient;
use crate::support::sse::{SseClient, bearer};
use crate::support::websocket::WsClient;
use crate::support::{A, token};

#[tokio::test]
async fn both_streams_carry_what_is_published_and_are_resumed() {
    let safe = Safe::start().await;
    let tunnel = safe.tunnel().await;
    let ada = token::admin("ada");
    let api = Api::at(tunnel.url(), Some(ada.clone()));
    let header = bearer(&ada);
    let headers = [("Authorization", &*header)];
    let open = async || {
        let connection = RawClient::connect(tunnel.address).await;
        SseClient::open(connection, "/stream", &headers).await
    };
    let mut sse = open().await;
    let notice = sse.opened().await;
    let reconnect_token = text(&notice["data"]["reconnectToken"]);
    let url = format!("ws://{}{A}/websocket", tunnel.address);
    let headers_ws = [("authorization", &*header)];
    let mut websocket = WsClient::open(&url, &headers_ws).await.expect("an upgrade");
    websocket.opened().await;
    api.publish("m", json!(1)).await;
    assert_eq!(sse.next_message("metrics_update").await["data"]["m"], 1);
    assert_eq!(
        websocket.next_message("metrics_update").await["data"]["m"],
        1
    );
    drop(sse);
    api.sessions_when("?state=away", 1).await;
    api.publish("m", json!(2)).await;
    let path = format!("/reconnect?token={reconnect_token}");
    let connection = RawClient::connect(tunnel.address).await;
    let mut sse = SseClient::open(connection, &path, &headers).await;
    assert_eq!(sse.opened().await["data"]["resumed"], true);
    assert_eq!(sse.next_message("metrics_update").await["data"]["m"], 2);
}

#[tokio::test]
async fn the_hub_says_that_it_speaks_tls_and_its_own_commands_find_it() {
    let safe = Safe::start().await;
    let address = safe.hub.address;
    assert!(
        safe.hub
            .stdout()
            .starts_with(&format!("listening on https://{address}\n"))
    );
    let config = std::fs::read_to_string(safe.hub.path("config.toml")).unwrap();
    let command = |word: &str| {
        let port = address.port().to_string();
        Hub::with().config(&config).env("PORT", &port).arg(word)
    };
    assert_eq!(command("health").says().await.result(), "healthy");
    let said = command("publish").arg("orders").arg("5").says().await;
    said.result();
    let values = Api::at(safe.tunnel().await.url(), Some(token::admin("ada")));
    assert_eq!(values.get("/metrics").await.data()["orders"]["value"], 5);
}

/// Attack: connections that begin no handshake, more than the HTTP server takes on at once by itself.
#[tokio::test]
async fn hundreds_that_say_nothing_keep_nobody_out() {
    let safe = Safe::with("[http]\nworkers = 1\nheader_timeout_ms = 600000\n").await;
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(RawClient::connect(safe.hub.address).await);
    }
    let tunnel = safe.tunnel().await;
    for _ in 0..2 {
        let api = Api::at(tunnel.url(), None);
        assert_eq!(api.get("/api/health").await.status, 200);
    }
    // Here who comes again need not be asked for everything again.
    assert!(tunnel.seen().iter().any(|it| it.is_resumed));
    drop(silent);
}

/// A scanner, a browser that was given http://, and one who only holds the door open.
/// Attack: getting by without TLS, or without the certificate.
#[tokio::test]
async fn who_speaks_no_tls_gets_nothing_and_harms_nobody() {
    let safe = Safe::with("[http]\nheader_timeout_ms = 200\n").await;
    let mut plain = RawClient::connect(safe.hub.address).await;
    plain
        .send("GET /api/health HTTP/1.1\r\nHost: hub\r\n\r\n")
        .await;
    let mut noise = RawClient::connect(safe.hub.address).await;
    noise.send([0u8; 4096]).await;
    let mut silent = RawClient::connect(safe.hub.address).await;
    for client in [&mut plain, &mut noise, &mut silent] {
        let said = client.read_to_end().await;
        assert!(!said.starts_with(b"HTTP"), "{said:?}");
    }
    let api = Api::at(safe.tunnel().await.url(), None);
    assert_eq!(api.get("/api/health").await.status, 200);
}
