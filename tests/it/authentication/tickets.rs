//! A ticket stands in for a JWT where that would have to go into a URL: it opens one session, and
//! afterwards lets that session alone come back.

use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::Method;
use serde_json::json;

use crate::support::either::Transport;
use crate::support::eventually;
use crate::support::http::{Api, send, status_of};
use crate::support::hub::Hub;
use crate::support::sse::SseClient;
use crate::support::token;

async fn ticket(api: &Api) -> String {
    let answer = api.post("/ticket", &json!({})).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.data()["ticket"]
        .as_str()
        .expect("a ticket")
        .to_owned()
}

/// A stream by what the URL alone says.
async fn open(hub: &Hub, path: &str) -> SseClient {
    hub.sse_with(path, &[]).await
}

#[tokio::test]
async fn a_ticket_says_for_how_many_seconds_it_can_be_used() {
    for (config, seconds) in [("", 30), ("[auth]\nticket_ttl_ms = 5000", 5)] {
        let hub = Hub::with().config(config).start().await;
        let answer = hub
            .api(&token::admin("ada"))
            .post("/ticket", &json!({}))
            .await;
        assert_eq!(answer.data()["expiresIn"], seconds);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let ticket = answer.data()["ticket"].as_str().unwrap();
        let safe = |c: char| c.is_ascii_alphanumeric() || "-_.~".contains(c);
        assert!(
            ticket.len() >= 22 && ticket.chars().all(safe),
            "fit for a URL"
        );
    }
}

#[tokio::test]
async fn a_ticket_needs_no_body() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let answer = send(api.request(Method::POST, "/ticket")).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn a_ticket_opens_one_session_by_either_transport() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let anonymous = hub.anonymous();
    for transport in Transport::BOTH {
        let ticket = ticket(&api).await;
        let query = format!("?ticket={ticket}");
        match transport {
            Transport::Sse => {
                let mut client = open(&hub, &format!("/stream{query}&metrics=a")).await;
                let notice = client.opened().await;
                assert_eq!(notice["data"]["userId"], "ada");
                assert_eq!(notice["data"]["metrics"], json!(["a"]));
            }
            Transport::WebSocket => {
                let client = hub.websocket_with(&query, &[]).await;
                let notice = client.expect("an upgrade").opened().await;
                assert_eq!(notice["data"]["userId"], "ada");
            }
        }
        for request in [
            anonymous.request(Method::GET, &format!("/stream{query}")),
            anonymous.upgrade(&query),
        ] {
            assert_eq!(send(request).await.failure(), (401, "unauthenticated"));
        }
    }
}

/// Attack: a ticket used more than once, late, or for something else.
#[tokio::test]
async fn of_many_that_use_a_ticket_at_once_one_gets_in() {
    let hub = Hub::with()
        .env("MAX_CONNECTIONS_PER_USER", "100")
        .start()
        .await;
    let ticket = ticket(&hub.api(&token::admin("ada"))).await;
    let path = format!("/stream?ticket={ticket}");
    let clients = join_all((0..50).map(|_| open(&hub, &path))).await;
    let let_in = clients.iter().filter(|client| client.head.status == 200);
    assert_eq!(let_in.count(), 1);
    let refused = clients.iter().filter(|client| client.head.status == 401);
    assert_eq!(refused.count(), 49);
}

#[tokio::test]
async fn a_native_event_source_comes_back_with_the_same_url() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("ada"));
    let path = format!("/stream?metrics=a&ticket={}", ticket(&api).await);
    let mut first = open(&hub, &path).await;
    let notice = first.opened().await;
    let id = api.publish("a", json!(1)).await;
    first.next_message("metrics_update").await;
    first.reset();
    let missed = api.publish("a", json!(2)).await;

    for parameter in [false, true] {
        let mut again = match parameter {
            false => hub.sse_with(&path, &[("Last-Event-ID", &id)]).await,
            true => open(&hub, &format!("{path}&lastEventId={id}")).await,
        };
        assert_eq!(again.head.status, 200);
        let resumed = again.opened().await;
        assert_eq!(resumed["data"]["resumed"], true);
        let token = &resumed["data"]["reconnectToken"];
        assert_eq!(*token, notice["data"]["reconnectToken"], "the same session");
        let update = again.next_message("metrics_update").await;
        assert_eq!(update["messageId"], *missed);
    }
    // Without a position it is no resume.
    assert_eq!(open(&hub, &path).await.head.status, 401);
}

/// Attack: a ticket used more than once, late, or for something else.
#[tokio::test]
async fn a_used_ticket_also_admits_reconnects_of_its_own_session_and_of_no_other() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let mut other = hub.sse("/stream", &ada).await;
    other.opened().await;
    let ticket = ticket(&hub.api(&ada)).await;
    let mut own = open(&hub, &format!("/stream?ticket={ticket}")).await;
    own.opened().await;
    let path = |client: &SseClient| {
        let reconnect_token = client.reconnect_token();
        format!("/reconnect?token={reconnect_token}&ticket={ticket}")
    };
    let refused = open(&hub, &path(&other)).await;
    assert!(
        matches!(refused.head.status, 401 | 410),
        "{:?}",
        refused.head
    );
    let mut resumed = open(&hub, &path(&own)).await;
    assert_eq!(resumed.head.status, 200);
    assert_eq!(resumed.opened().await["type"], "reconnection_successful");
    own.next_message("connection_replaced").await;
}

/// Attack: a ticket used more than once, late, or for something else.
#[tokio::test]
async fn a_ticket_that_nobody_used_in_time_is_worth_nothing() {
    let hub = Hub::with()
        .config("[auth]\nticket_ttl_ms = 50")
        .start()
        .await;
    let ticket = ticket(&hub.api(&token::admin("ada"))).await;
    let issued = Instant::now();
    eventually("the ticket to expire", async || {
        (issued.elapsed() > Duration::from_millis(200)).then_some(())
    })
    .await;
    let refusal = open(&hub, &format!("/stream?ticket={ticket}")).await;
    assert_eq!(refusal.head.status, 401);
    assert_eq!(refusal.refusal().await["code"], "unauthenticated");
}

#[tokio::test]
async fn a_session_outlives_the_time_of_its_ticket() {
    let hub = Hub::with()
        .config("[auth]\nticket_ttl_ms = 1000")
        .start()
        .await;
    let api = hub.api(&token::admin("ada"));
    let path = format!("/stream?ticket={}", ticket(&api).await);
    let mut client = open(&hub, &path).await;
    client.opened().await;
    let opened = Instant::now();
    let id = api.publish("a", json!(1)).await;
    eventually("the ticket's time to pass", async || {
        (opened.elapsed() > Duration::from_millis(1200)).then_some(())
    })
    .await;
    client.next_message("metrics_update").await;
    client.reset();
    let mut again = hub.sse_with(&path, &[("Last-Event-ID", &id)]).await;
    assert_eq!(again.head.status, 200);
    assert_eq!(again.opened().await["data"]["resumed"], true);
}

#[tokio::test]
async fn a_refused_opening_leaves_the_ticket_good() {
    let hub = Hub::start().await;
    let ticket = ticket(&hub.api(&token::admin("ada"))).await;
    let refused = open(&hub, &format!("/stream?metrics=a..b&ticket={ticket}")).await;
    assert_eq!(refused.head.status, 400);
    let client = open(&hub, &format!("/stream?ticket={ticket}")).await;
    assert_eq!(client.head.status, 200);
}

/// Attack: a ticket used more than once, late, or for something else.
#[tokio::test]
async fn a_ticket_is_good_for_streams_alone() {
    let hub = Hub::start().await;
    let ticket = ticket(&hub.api(&token::admin("ada"))).await;
    let api = hub.anonymous();
    for path in [
        "/metrics",
        "/connections",
        "/connection-stats",
        "/websocket-stats",
    ] {
        let request = api.request(Method::GET, &format!("{path}?ticket={ticket}"));
        assert_eq!(status_of(request).await, 401, "{path}");
    }
    let as_token = hub.api(&ticket);
    assert_eq!(as_token.get("/metrics").await.status, 401);
    assert_eq!(status_of(as_token.upgrade("")).await, 401);
    // None of that used it up.
    assert_eq!(
        open(&hub, &format!("/stream?ticket={ticket}"))
            .await
            .head
            .status,
        200
    );
}

#[tokio::test]
async fn a_stream_opened_by_a_ticket_ends_with_the_token_the_ticket_was_got_with() {
    let hub = Hub::start().await;
    let short = token::token("ada", "platform_admin", Duration::from_secs(3));
    let ticket = ticket(&hub.api(&short)).await;
    let mut client = open(&hub, &format!("/stream?ticket={ticket}")).await;
    client.opened().await;
    let error = client.next_message("error").await;
    assert_eq!(error["data"]["code"], "token_expired");
}

/// Attack: reading credentials out of logs, errors or the trail (the canary).
#[tokio::test]
async fn a_ticket_leaves_no_trace_in_the_log() {
    let hub = Hub::with().env("RUST_LOG", "trace").start().await;
    let ticket = ticket(&hub.api(&token::admin("ada"))).await;
    let path = format!("/stream?ticket={ticket}");
    open(&hub, &path).await.opened().await;
    assert_eq!(open(&hub, &path).await.head.status, 401);
    let ended = hub.stop().await;
    assert!(!ended.stderr.contains(&ticket) && !ended.stdout.contains(&ticket));
}
