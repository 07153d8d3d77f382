//! What each number tells of.

use serde_json::json;

use super::{scrape, scraped_when};
use crate::support::either::Transport;
use crate::support::eventually;
use crate::support::exposition::Exposition;
use crate::support::hub::Hub;
use crate::support::jwks::JwksServer;
use crate::support::token;

#[tokio::test]
async fn connections_are_counted_by_transport_while_they_live_and_as_away_afterwards() {
    let hub = Hub::start().await;
    for (transport, other) in [
        (Transport::Sse, Transport::WebSocket),
        (Transport::WebSocket, Transport::Sse),
    ] {
        let count = |it: &Exposition, of: Transport| {
            it.value("statshub_connections", &[("transport", of.name())])
        };
        let away = scrape(&hub).await.value("statshub_sessions_away", &[]);
        let mut client = hub.open(transport, "", &token::admin("ada")).await;
        client.opened().await;
        let now = scrape(&hub).await;
        assert_eq!((count(&now, transport), count(&now, other)), (1.0, 0.0));
        client.reset();
        let gone = |it: &Exposition| count(it, transport) == 0.0;
        let now = scraped_when(&hub, "the connection to end", gone).await;
        assert_eq!(now.value("statshub_sessions_away", &[]), away + 1.0);
    }
}

#[tokio::test]
async fn messages_are_counted_from_publishing_to_delivery() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let mut clients = Vec::new();
    for transport in Transport::BOTH {
        let mut client = hub.open(transport, "", &token::admin("ada")).await;
        client.opened().await;
        clients.push(client);
    }
    for n in 0..3 {
        api.publish("m", json!(n)).await;
        for client in &mut clients {
            client.next_message("metrics_update").await;
        }
    }
    api.post("/alerts", &json!({"severity": "high", "message": "x"}))
        .await;
    let delivered = |it: &Exposition, transport: &str, priority: &str| {
        let labels = [("transport", transport), ("priority", priority)];
        it.value("statshub_messages_delivered_total", &labels)
    };
    let all = |it: &Exposition| {
        let both = ["sse", "websocket"].map(|transport| {
            ["low", "normal", "critical"].map(|priority| delivered(it, transport, priority))
        });
        both == [[0.0, 3.0, 1.0]; 2]
    };
    let now = scraped_when(&hub, "deliveries", all).await;
    assert_eq!(
        now.value(
            "statshub_messages_published_total",
            &[("priority", "normal")]
        ),
        3.0
    );
    assert_eq!(
        now.value("statshub_delivery_latency_seconds_count", &[]),
        8.0
    );
    assert!(now.value("statshub_delivery_latency_seconds_sum", &[]) > 0.0);
    let largest = [("le", "+Inf")];
    assert_eq!(
        now.value("statshub_delivery_latency_seconds_bucket", &largest),
        8.0
    );
    assert!(now.value("statshub_history_bytes", &[]) > 0.0);
    assert_eq!(now.value("statshub_backlog_messages", &[]), 0.0);
    assert_eq!(now.value("statshub_hub_mailbox_messages", &[]).fract(), 0.0);
}

#[tokio::test]
async fn backlogs_drops_and_resumes_are_counted() {
    let hub = Hub::with().env("MAX_BUFFER_SIZE", "2").start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let mut client = hub.sse("/stream", &ada).await;
    client.opened().await;
    let reconnect_token = client.reconnect_token().to_owned();
    client.reset();
    scraped_when(&hub, "the session to be away", |it| {
        it.value("statshub_sessions_away", &[]) == 1.0
    })
    .await;
    for priority in ["low", "normal", "normal", "high"] {
        let body = json!({"metric": "m", "data": 1, "priority": priority});
        assert_eq!(api.post("/publish", &body).await.status, 202);
    }
    assert_eq!(
        scrape(&hub).await.value("statshub_backlog_messages", &[]),
        2.0
    );
    let mut resumed = hub.resume(Transport::Sse, &reconnect_token, &ada).await;
    resumed.opened().await;
    let unknown = "/reconnect?token=6b1f3c52-5d0e-4f0a-9c55-0d7f3f6c1a11";
    assert_eq!(api.get(unknown).await.status, 410);
    let now = scrape(&hub).await;
    for (priority, count) in [
        ("low", 1.0),
        ("normal", 1.0),
        ("high", 0.0),
        ("critical", 0.0),
    ] {
        let labels = [("priority", priority)];
        let dropped = now.value("statshub_messages_dropped_total", &labels);
        assert_eq!(dropped, count, "{priority}");
    }
    assert_eq!(now.value("statshub_backlog_messages", &[]), 0.0);
    assert_eq!(now.value("statshub_resumes_attempted_total", &[]), 2.0);
    assert_eq!(now.value("statshub_resumes_succeeded_total", &[]), 1.0);
}

#[tokio::test]
async fn what_is_turned_away_is_counted_by_its_kind() {
    let limits = "[limits]\nper_user_per_second = 1\nper_user_burst = 3\n\
                  [sessions]\nconnections_per_user_max = 1\n\
                  [websocket]\nmessages_per_second = 1\nmessage_burst = 1";
    let hub = Hub::with().config(limits).start().await;
    let mut socket = hub.websocket("", &token::admin("eve")).await;
    socket.opened().await;
    for _ in 0..3 {
        socket.send(&json!({"type": "ping"})).await;
    }
    socket.next_message("error").await;
    let mut stream = hub.sse("/stream", &token::admin("ada")).await;
    stream.opened().await;
    let bob = hub.api(&token::admin("bob"));
    eventually("a refusal", async || {
        (bob.get("/metrics").await.status == 429).then_some(())
    })
    .await;
    assert_eq!(
        hub.api(&token::admin("ada")).get("/stream").await.status,
        429
    );
    let guest = token::token("gus", "guest", std::time::Duration::from_secs(60));
    hub.anonymous().get("/metrics").await;
    hub.api("no.good.token").get("/stream").await;
    hub.api(&guest).get("/metrics").await;
    let now = scrape(&hub).await;
    for kind in ["user", "websocket", "connection_limit"] {
        assert!(
            now.value("statshub_rate_limited_total", &[("kind", kind)]) >= 1.0,
            "{kind}"
        );
    }
    assert_eq!(
        now.value("statshub_rate_limited_total", &[("kind", "ip")]),
        0.0
    );
    assert_eq!(now.value("statshub_unauthenticated_total", &[]), 2.0);
    assert_eq!(now.value("statshub_forbidden_total", &[]), 1.0);
    assert_eq!(now.value("statshub_handler_panics_total", &[]), 0.0);
}

#[tokio::test]
async fn an_address_that_asks_too_often_is_counted_and_may_still_be_scraped() {
    let limits = "[limits]\nper_ip_per_second = 1\nper_ip_burst = 2";
    let hub = Hub::with().config(limits).start().await;
    let nobody = hub.anonymous();
    eventually("a refusal", async || {
        (nobody.get("/metrics").await.status == 429).then_some(())
    })
    .await;
    let labels = [("kind", "ip")];
    assert_eq!(
        scrape(&hub)
            .await
            .value("statshub_rate_limited_total", &labels),
        1.0
    );
}

#[tokio::test]
async fn each_source_has_numbers_of_its_own() {
    let server = JwksServer::start().await;
    let source = |name, url: &str| {
        format!(
            "[[source]]\nmetric = \"{name}\"\nkind = \"http\"\nurl = \"{url}\"\ninterval_ms = 20\n"
        )
    };
    let config = source("web.up", &server.url) + &source("web.down", "http://127.0.0.1:1/");
    let hub = Hub::with().config(&config).start().await;
    let of = |it: &Exposition, what: &str, source: &str| {
        it.find(&format!("statshub_source_{what}"), &[("source", source)])
    };
    let up = |it: &Exposition, what: &str| of(it, what, "web.up");
    let now = scraped_when(&hub, "failures", |it| up(it, "failures_total") > Some(1.0)).await;
    assert_eq!(
        up(&now, "last_success_age_seconds"),
        None,
        "it never succeeded"
    );
    server.serve(&[]);
    let now = scraped_when(&hub, "a success", |it| {
        up(it, "last_success_age_seconds").is_some()
    })
    .await;
    assert!(up(&now, "polls_total") > up(&now, "failures_total"));
    assert!(up(&now, "poll_duration_seconds") >= Some(0.0));
    assert!(up(&now, "last_success_age_seconds") < Some(60.0));
    let down = scraped_when(&hub, "both", |it| {
        of(it, "polls_total", "web.down") > Some(1.0)
    })
    .await;
    assert_eq!(
        of(&down, "polls_total", "web.down"),
        of(&down, "failures_total", "web.down")
    );
    assert_eq!(of(&down, "last_success_age_seconds", "web.down"), None);
}

#[tokio::test]
async fn the_audit_trail_is_counted() {
    let hub = Hub::with()
        .config("[audit]\nfile = \"audit.jsonl\"")
        .start()
        .await;
    hub.api(&token::admin("ada")).get("/metrics").await;
    let written = |it: &Exposition| it.value("statshub_audit_events_written_total", &[]) == 2.0;
    let now = scraped_when(&hub, "the start and one more", written).await;
    assert_eq!(now.value("statshub_audit_events_lost_total", &[]), 0.0);
    assert_eq!(now.value("statshub_audit_write_errors_total", &[]), 0.0);
    let hub = Hub::with()
        .config("[audit]\nfile = \"/dev/full\"")
        .start()
        .await;
    scraped_when(&hub, "a failure", |it| {
        it.value("statshub_audit_write_errors_total", &[]) >= 1.0
    })
    .await;
}
