//! Publishers that need a certificate.

use serde_json::json;

use super::Safe;
use crate::support::certificates::Certificates;
use crate::support::http::Api;
use crate::support::raw::RawClient;
use crate::support::tunnel::Tunnel;
use crate::support::{A, token};

/// Attack: getting by without TLS, or without the certificate.
#[tokio::test]
async fn a_token_is_not_enough_and_a_certificate_alone_is_not_either() {
    let safe = Safe::with("publisher_ca_file = \"{folder}/ca.pem\"\n").await;
    let admin = Some(token::admin("ada"));
    let anybody = Api::at(safe.tunnel().await.url(), admin.clone());
    let body = json!({"metric": "m", "data": 1});
    let refused = anybody.post("/publish", &body).await;
    assert_eq!(
        (refused.status, &refused.body["code"]),
        (403, &json!("forbidden"))
    );
    let alert = json!({"severity": "high", "message": "x"});
    assert_eq!(anybody.post("/alerts", &alert).await.status, 403);
    assert_eq!(
        anybody.get("/metrics").await.status,
        200,
        "dashboards need none"
    );
    let own = safe.authority.issue("publisher");
    let tunnel = Tunnel::dig(safe.hub.address, &safe.authority, Some(&own)).await;
    let publisher = Api::at(tunnel.url(), admin);
    assert_eq!(publisher.post("/publish", &body).await.status, 202);
    assert_eq!(publisher.post("/alerts", &alert).await.status, 202);
    let nobody = Api::at(tunnel.url(), None);
    assert_eq!(nobody.post("/publish", &body).await.status, 401);
    // Attack: a certificate that has run out lives on in sessions that are resumed.
    let seen = tunnel.seen();
    assert!(seen.len() >= 2 && seen.iter().all(|it| !it.is_resumed));
}

/// Attack: getting by without TLS, or without the certificate.
#[tokio::test]
async fn a_certificate_of_another_authority_gets_no_connection() {
    let safe = Safe::with("publisher_ca_file = \"{folder}/ca.pem\"\n").await;
    let elsewhere = tempfile::tempdir().unwrap();
    let foreign = Certificates::make(elsewhere.path()).issue("publisher");
    let tunnel = Tunnel::dig(safe.hub.address, &safe.authority, Some(&foreign)).await;
    let mut client = RawClient::connect(tunnel.address).await;
    client
        .send(format!("GET {A}/metrics HTTP/1.1\r\nHost: hub\r\n\r\n"))
        .await;
    assert_eq!(client.read_to_end().await, b"");
}
