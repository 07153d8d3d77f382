//! A certificate comes to its end, and handshakes to none.

use serde_json::json;

use super::Safe;
use crate::support::certificates::{Certificates, Issued};
use crate::support::eventually;
use crate::support::exposition::Exposition;
use crate::support::http::{Api, respond};
use crate::support::token;
use crate::support::tunnel::Tunnel;

/// A hub that shows what `issue` makes.
async fn showing(issue: impl Fn(&Certificates) -> Issued, more: &str) -> Safe {
    let folder = tempfile::tempdir().unwrap();
    let authority = Certificates::make(folder.path());
    let issued = issue(&authority);
    Safe::showing(&issued, authority, folder, more).await
}

/// Clients that do not look at dates are there, as the hub's own commands on its machine are.
async fn health(safe: &Safe) -> String {
    let config = std::fs::read_to_string(safe.hub.path("config.toml")).unwrap();
    let port = safe.hub.address.port().to_string();
    let start = crate::support::hub::Hub::with()
        .config(&config)
        .env("PORT", &port);
    start.arg("health").says().await.result().to_owned()
}

#[tokio::test]
async fn one_that_has_expired_is_told_and_makes_the_hub_degraded_until_it_is_renewed() {
    let safe = showing(|authority| authority.issue_expired("hub"), "").await;
    let line = safe.hub.logged("has expired on").await;
    assert!(
        line.contains(" WARN ") && line.contains("hub.pem"),
        "{line}"
    );
    assert_eq!(health(&safe).await, "degraded");
    // Those of the tests are for two days, which is soon.
    safe.authority.issue("hub");
    safe.hub.signal(rustix::process::Signal::HUP);
    let line = safe.hub.logged("expires in less than").await;
    assert!(line.contains(" WARN "), "{line}");
    assert_eq!(health(&safe).await, "healthy");
    let tunnel = safe.tunnel().await;
    let api = Api::at(tunnel.url(), Some(token::admin("ada")));
    let answer = api.get("/api/health").await;
    let tls = &answer.data()["checks"]["tls"];
    assert_eq!(
        (&tls["ok"], &tls["lastError"]),
        (&json!(true), &json!(null))
    );
    let not_after: jiff::Timestamp = tls["notAfter"].as_str().unwrap().parse().unwrap();
    let metrics = scrape(&api).await;
    assert_eq!(
        metrics.value("statshub_tls_certificate_not_after_timestamp_seconds", &[]),
        not_after.as_second() as f64
    );
}

async fn scrape(api: &Api) -> Exposition {
    let response = respond(api.request_at(reqwest::Method::GET, "/metrics")).await;
    Exposition::parse(&response.text().await.unwrap())
}

/// Failure: the hub's certificate, or a publisher's, is not trusted.
#[tokio::test]
async fn handshakes_that_fail_are_counted_and_a_refused_certificate_is_told() {
    let config = "publisher_ca_file = \"{folder}/ca.pem\"\n[http]\nheader_timeout_ms = 2000\n";
    let safe = Safe::with(config).await;
    let tunnel = safe.tunnel().await;
    let api = Api::at(tunnel.url(), None);
    assert_eq!(api.get("/api/health").await.status, 200);
    let name = "statshub_tls_handshake_failures_total";
    assert_eq!(scrape(&api).await.value(name, &[]), 0.0);
    // One trusts another authority, and one is of another.
    let elsewhere = tempfile::tempdir().unwrap();
    let others = Certificates::make(elsewhere.path());
    let foreign = others.issue("stranger");
    for (trusts, own) in [(&others, None), (&safe.authority, Some(&foreign))] {
        let refused = Tunnel::dig(safe.hub.address, trusts, own).await;
        let mut client = crate::support::raw::RawClient::connect(refused.address).await;
        client
            .send("GET /api/health HTTP/1.1\r\nHost: hub\r\n\r\n")
            .await;
        assert_eq!(client.read_to_end().await, b"");
    }
    eventually("two failures", async || {
        (scrape(&api).await.value(name, &[]) == 2.0).then_some(())
    })
    .await;
    let line = safe.hub.logged("a client's certificate was refused").await;
    assert!(line.contains("CN=stranger"), "{line}");
}
