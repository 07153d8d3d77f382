//! Health tells of what ails, to everybody that something does and to an admin what.

use serde_json::Value;

use crate::support::eventually;
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::jwks::JwksServer;
use crate::support::token;

/// The health as soon as it is `status`.
async fn health_when(api: &Api, status: &str) -> Value {
    eventually(status, async || {
        let answer = api.get("/api/health").await;
        assert_eq!(answer.status, 200, "it serves: {answer:?}");
        let health = answer.data().clone();
        (health["status"] == status).then_some(health)
    })
    .await
}

fn source<'a>(health: &'a Value, metric: &str) -> &'a Value {
    let sources = health["checks"]["sources"].as_array().expect("a list");
    let source = sources.iter().find(|source| source["metric"] == metric);
    source.unwrap_or_else(|| panic!("no {metric} in {health}"))
}

#[tokio::test]
async fn a_source_that_fails_degrades_until_it_works_again() {
    let server = JwksServer::start().await;
    let config = format!(
        "[[source]]\nmetric = \"web\"\nkind = \"http\"\nurl = \"{}\"\ninterval_ms = 20\n\
         [[source]]\nmetric = \"hub\"\nkind = \"hub\"\ninterval_ms = 20\n",
        server.url
    );
    let hub = Hub::with().config(&config).start().await;
    let (ada, nobody) = (hub.api(&token::admin("ada")), hub.anonymous());
    let health = health_when(&ada, "degraded").await;
    let web = source(&health, "web");
    assert!(
        web["lastError"]
            .as_str()
            .is_some_and(|it| it.contains("500")),
        "{web}"
    );
    assert!(
        web["lastErrorAt"].is_string() && web["lastSuccess"].is_null(),
        "{web}"
    );
    assert!(
        web["durationMs"].is_u64() && web["failures"].as_u64() >= Some(1),
        "{web}"
    );
    assert_eq!(
        source(&health, "hub")["failures"],
        0,
        "its own problem only"
    );
    assert!(
        health_when(&nobody, "degraded")
            .await
            .get("checks")
            .is_none()
    );

    server.serve(&[]);
    let health = health_when(&ada, "healthy").await;
    let web = source(&health, "web");
    assert!(web["lastSuccess"].is_string(), "{web}");
    assert!(
        web["lastError"].is_string(),
        "the last one, however long ago: {web}"
    );
    health_when(&nobody, "healthy").await;

    server.fail();
    let health = health_when(&ada, "degraded").await;
    assert!(source(&health, "web")["lastSuccess"].is_string());
    let ended = hub.stop().await;
    let told = |text: &str| {
        ended
            .stderr
            .lines()
            .filter(|line| line.contains(text))
            .count()
    };
    assert_eq!(
        told("source web fails"),
        2,
        "a line for each change: {}",
        ended.stderr
    );
    assert_eq!(told("source web works again"), 1);
}

#[tokio::test]
async fn a_source_that_does_not_answer_degrades_too() {
    // It takes connections, and that is all.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = silent.local_addr().expect("an address");
    let config = format!(
        "[[source]]\nmetric = \"web\"\nkind = \"http\"\nurl = \"http://{address}/\"\n\
         interval_ms = 20\ntimeout_ms = 50\n"
    );
    let hub = Hub::with().config(&config).start().await;
    let health = health_when(&hub.api(&token::admin("ada")), "degraded").await;
    let web = source(&health, "web");
    assert!(
        web["failures"].as_u64() >= Some(1) || web["stale"] == true,
        "{web}"
    );
}
