//! What ails, what was reloaded, how near the limits are, and what the system says of the process.

use jsonwebtoken::Algorithm::RS256;
use serde_json::json;

use super::{scrape, scraped_when};
use crate::support::exposition::Exposition;
use crate::support::hub::Hub;
use crate::support::jwks::JwksServer;
use crate::support::token::{self, jwk};

#[tokio::test]
async fn keys_that_cannot_be_fetched_are_told_and_degrade() {
    let issuer = JwksServer::start().await;
    let config = format!(
        "[auth]\njwks_url = {:?}\njwks_refresh_ms = 20\njwks_cool_down_ms = 10\n",
        issuer.url
    );
    let hub = Hub::with()
        .without_env("JWT_SECRET")
        .config(&config)
        .start()
        .await;
    let value = |it: &Exposition, name: &str| it.find(&format!("statshub_{name}"), &[]);
    let fails = |it: &Exposition| value(it, "keys_fetch_failures_total") >= Some(1.0);
    let now = scraped_when(&hub, "a failure", fails).await;
    assert_eq!(value(&now, "keys"), Some(0.0));
    assert_eq!(value(&now, "degraded"), Some(1.0));
    assert_eq!(value(&now, "keys_last_success_age_seconds"), None);
    assert_eq!(value(&now, "keys_age_max_seconds"), Some(86_400.0));

    issuer.serve(&[jwk("rsa_a", RS256, "a")]);
    let has_keys = |it: &Exposition| value(it, "degraded") == Some(0.0);
    let now = scraped_when(&hub, "keys", has_keys).await;
    assert_eq!(value(&now, "keys"), Some(1.0));
    assert!(value(&now, "keys_last_success_age_seconds") < Some(60.0));

    let failures = value(&now, "keys_fetch_failures_total");
    issuer.fail();
    let fails = |it: &Exposition| value(it, "keys_fetch_failures_total") > failures;
    let now = scraped_when(&hub, "another failure", fails).await;
    assert_eq!(value(&now, "keys"), Some(1.0), "the last good ones serve");
    assert!(value(&now, "keys_last_success_age_seconds").is_some());
    let is_degraded = |it: &Exposition| value(it, "degraded") == Some(1.0);
    scraped_when(&hub, "a word of it", is_degraded).await;
}

#[tokio::test]
async fn a_reload_that_fails_is_told_until_one_succeeds() {
    let hub = Hub::with()
        .config("[sessions]\nconnections_max = 100")
        .start()
        .await;
    let value = |it: &Exposition, name: &str| it.value(&format!("statshub_{name}"), &[]);
    let when = |it: &Exposition| value(it, "reload_last_success_timestamp_seconds");
    let last = |it: &Exposition| value(it, "reload_last_successful");
    let before = scrape(&hub).await;
    assert_eq!(
        (last(&before), value(&before, "connections_max")),
        (1.0, 100.0)
    );
    hub.reload("[sessions]\nconnections_max = \"many\"");
    let now = scraped_when(&hub, "a failure", |it| last(it) == 0.0).await;
    assert_eq!(when(&now), when(&before));
    assert_eq!(value(&now, "connections_max"), 100.0);
    hub.reload("[sessions]\nconnections_max = 200");
    let now = scraped_when(&hub, "a success", |it| last(it) == 1.0).await;
    assert!(when(&now) > when(&before));
    assert_eq!(value(&now, "connections_max"), 200.0);
}

#[tokio::test]
async fn the_process_is_told_as_the_system_sees_it() {
    let hub = Hub::start().await;
    let before = scrape(&hub).await;
    let open = before.value("process_open_fds", &[]);
    assert!(open > 0.0 && open < before.value("process_max_fds", &[]));
    assert!(before.value("process_resident_memory_bytes", &[]) > 1e6);
    let started = |it: &Exposition| it.value("process_start_time_seconds", &[]);
    assert!(started(&before) > 1.6e9);
    let mut streams = Vec::new();
    for n in 0..10 {
        let mut stream = hub.sse("/stream", &token::admin(&format!("u{n}"))).await;
        stream.opened().await;
        streams.push(stream);
    }
    let opened = |it: &Exposition| it.value("process_open_fds", &[]) >= open + 10.0;
    scraped_when(&hub, "a file for each stream", opened).await;
    let spent = |it: &Exposition| it.value("process_cpu_seconds_total", &[]);
    let api = hub.api(&token::admin("ada"));
    let works = async || {
        api.publish("m", json!(1)).await;
        scrape(&hub).await
    };
    let mut now = works().await;
    while spent(&now) <= spent(&before) {
        now = works().await;
    }
    assert_eq!(started(&now), started(&before));
}
