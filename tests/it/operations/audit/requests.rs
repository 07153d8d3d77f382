//! What is asked for in a request, by whom, and what became of it.

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::{audited, find, lines_of};
use crate::support::http::{Api, status_of};
use crate::support::hub::Hub;
use crate::support::{A, token};

/// Requests of one caller, each with an id by which its line is found.
struct Caller<'a> {
    api: Api,
    user: Option<&'a str>,
    role: Option<&'a str>,
}

/// What was asked for, and what its line must say.
struct Case {
    id: String,
    actor: Value,
    role: Value,
    action: &'static str,
    target: Value,
    outcome: &'static str,
}

impl<'a> Caller<'a> {
    fn new(hub: &Hub, user: &'a str, role: &'a str) -> Self {
        let hour = std::time::Duration::from_secs(3600);
        Self {
            api: hub.api(&token::token(user, role, hour)),
            user: Some(user),
            role: Some(role),
        }
    }

    fn nobody(api: Api) -> Self {
        let (user, role) = (None, None);
        Self { api, user, role }
    }

    /// Sends `request` under an id of its own; its line is to tell the rest.
    async fn does(
        &self,
        request: RequestBuilder,
        (action, target, outcome): (&'static str, Value, &'static str),
    ) -> Case {
        let id = uuid::Uuid::new_v4().to_string();
        status_of(request.header("x-request-id", &id)).await;
        let (actor, role) = (json!(self.user), json!(self.role));
        Case {
            id,
            actor,
            role,
            action,
            target,
            outcome,
        }
    }

    async fn gets(&self, path: &str, line: (&'static str, Value, &'static str)) -> Case {
        self.does(self.api.request(Method::GET, path), line).await
    }

    async fn posts(
        &self,
        path: &str,
        body: Value,
        line: (&'static str, Value, &'static str),
    ) -> Case {
        let request = self.api.request(Method::POST, path).json(&body);
        self.does(request, line).await
    }
}

/// Holds the trail to have exactly one line for each case, with nothing missing in it.
fn check(trail: &[Value], cases: &[Case]) {
    for case in cases {
        let lines: Vec<_> = find(trail, "requestId", &case.id).collect();
        let [line] = lines[..] else {
            panic!("{} lines of {}: {lines:?}", lines.len(), case.action);
        };
        for (field, expected) in [
            ("actor", &case.actor),
            ("role", &case.role),
            ("action", &json!(case.action)),
            ("target", &case.target),
            ("outcome", &json!(case.outcome)),
            ("remote", &json!("127.0.0.1")),
        ] {
            assert_eq!(&line[field], expected, "{field} in {line}");
        }
    }
}

#[tokio::test]
async fn whatever_an_operator_reads_or_does_is_a_line() {
    let hub = audited("").await;
    let ada = Caller::new(&hub, "ada", "platform_admin");
    let none = Value::Null;
    let unknown = "6b1f3c52-5d0e-4f0a-9c55-0d7f3f6c1a11";
    let all = "read_connections";
    let cases = [
        ada.gets("/connections", (all, none.clone(), "ok")).await,
        ada.gets("/connections?user=bob", (all, json!("bob"), "ok"))
            .await,
        ada.gets("/connection-stats", ("read_stats", none.clone(), "ok"))
            .await,
        ada.gets("/websocket-stats", ("read_stats", none.clone(), "ok"))
            .await,
        ada.gets("/metrics", ("read_metrics", none.clone(), "ok"))
            .await,
        ada.gets("/history?metric=a", ("read_history", json!("a"), "ok"))
            .await,
        ada.gets(
            "/history?step=x",
            ("read_history", none.clone(), "invalid_request"),
        )
        .await,
        ada.gets("/export?metric=a.*", ("export", json!("a.*"), "ok"))
            .await,
        ada.gets("/alerts", ("read_alerts", none.clone(), "ok"))
            .await,
        ada.gets("/audit?actor=bob", ("read_audit", json!("bob"), "ok"))
            .await,
        ada.gets(
            "/explain?messageId=1-0&userId=bob",
            ("explain", json!("bob"), "ok"),
        )
        .await,
        ada.posts(
            "/alerts/1-0/acknowledge",
            json!({}),
            ("acknowledge_alert", json!("1-0"), "not_found"),
        )
        .await,
        ada.posts(
            "/alerts/1-0/resolve",
            json!({}),
            ("resolve_alert", json!("1-0"), "not_found"),
        )
        .await,
        ada.posts("/ticket", json!({}), ("ticket", none.clone(), "ok"))
            .await,
        ada.posts(
            "/test-connection",
            json!({}),
            ("test_connection", json!("ada"), "ok"),
        )
        .await,
        ada.posts(
            "/refresh",
            json!({"reconnectToken": unknown}),
            ("refresh", json!("ada"), "reconnect_token_invalid"),
        )
        .await,
        ada.posts(
            "/disconnect",
            json!({"userId": "bob"}),
            ("operator_disconnect", json!("user bob"), "ok"),
        )
        .await,
        ada.posts(
            "/disconnect",
            json!({}),
            ("operator_disconnect", none.clone(), "invalid_request"),
        )
        .await,
    ];
    check(&lines_of(hub).await, &cases);
}

#[tokio::test]
async fn whatever_is_published_or_subscribed_to_is_a_line() {
    let hub = audited("").await;
    let ada = Caller::new(&hub, "ada", "platform_admin");
    let job = Caller::new(&hub, "job", "service");
    let metrics = json!({"metrics": ["a", "b.*"]});
    let batch = json!({"messages": [{"metric": "b", "data": 1}, {"metric": "a", "data": 2}]});
    let cases = [
        job.posts(
            "/publish",
            json!({"metric": "m", "data": 1}),
            ("publish", json!("m"), "ok"),
        )
        .await,
        job.posts("/publish", batch, ("publish", json!("a,b"), "ok"))
            .await,
        job.posts(
            "/publish",
            json!({"metric": "m..n", "data": 1}),
            ("publish", Value::Null, "invalid_request"),
        )
        .await,
        job.posts(
            "/alerts",
            json!({"severity": "high", "message": "slow"}),
            ("alert", json!("high"), "ok"),
        )
        .await,
        ada.posts(
            "/subscribe",
            metrics.clone(),
            ("subscribe", json!("ada"), "ok"),
        )
        .await,
        ada.posts("/unsubscribe", metrics, ("unsubscribe", json!("ada"), "ok"))
            .await,
        ada.posts(
            "/subscribe",
            json!({"metrics": 1}),
            ("subscribe", json!("ada"), "invalid_request"),
        )
        .await,
    ];
    check(&lines_of(hub).await, &cases);
}

#[tokio::test]
async fn who_is_turned_away_is_a_line() {
    let hub =
        audited("[http]\nallowed_origins = []\n[prometheus]\ntoken = \"0123456789abcdef\"").await;
    let nobody = Caller::nobody(hub.anonymous());
    let forger = Caller::nobody(hub.api("no.good.token"));
    let gus = Caller::new(&hub, "gus", "guest");
    let job = Caller::new(&hub, "job", "service");
    let ada = Caller::new(&hub, "ada", "platform_admin");
    let at = |path: &str, outcome| ("denied", json!(format!("{}{path}", A)), outcome);
    let anonymous = hub.anonymous();
    let cookie = format!("access_token={}", token::admin("ada"));
    let foreign = anonymous
        .request(Method::GET, "/stream")
        .header("cookie", cookie)
        .header("origin", "https://evil.example");
    let cases = [
        nobody
            .gets("/metrics", at("/metrics", "unauthenticated"))
            .await,
        forger
            .gets("/stream", at("/stream", "unauthenticated"))
            .await,
        forger
            .does(forger.api.upgrade(""), at("/websocket", "unauthenticated"))
            .await,
        gus.gets("/connections", at("/connections", "forbidden"))
            .await,
        job.gets("/stream", at("/stream", "forbidden")).await,
        nobody.does(foreign, at("/stream", "forbidden")).await,
        ada.does(
            ada.api.upgrade("?userId=bob"),
            at("/websocket", "forbidden"),
        )
        .await,
        nobody
            .gets("/stream?ticket=unknown", at("/stream", "unauthenticated"))
            .await,
        nobody
            .does(
                anonymous.request_at(Method::GET, "/metrics"),
                ("denied", json!("/metrics"), "unauthenticated"),
            )
            .await,
    ];
    check(&lines_of(hub).await, &cases);
}

#[tokio::test]
async fn a_stream_that_is_refused_is_a_line() {
    let hub = audited("[sessions]\nconnections_per_user_max = 1").await;
    let ada = Caller::new(&hub, "ada", "platform_admin");
    let unknown = "/reconnect?token=6b1f3c52-5d0e-4f0a-9c55-0d7f3f6c1a11";
    let ticket = ada.api.post("/ticket", &json!({})).await;
    let ticket = ticket.data()["ticket"]
        .as_str()
        .expect("a ticket")
        .to_owned();
    let live = hub.sse_with(&format!("/stream?ticket={ticket}"), &[]).await;
    assert_eq!(live.head.status, 200);
    let nobody = Caller::nobody(hub.anonymous());
    // A ticket that has been used is nobody's, and good for its own session only.
    let spent = |token: &str| format!("/reconnect?token={token}&ticket={ticket}");
    let at_reconnect = json!(format!("{A}/reconnect"));
    let gone = |action| (action, Value::Null, "reconnect_token_invalid");
    let cases = [
        ada.gets(unknown, gone("resume")).await,
        nobody.gets(&spent("garbage"), gone("resume")).await,
        nobody
            .gets(
                &spent("6b1f3c52-5d0e-4f0a-9c55-0d7f3f6c1a11"),
                ("denied", at_reconnect, "unauthenticated"),
            )
            .await,
        ada.gets("/stream", ("connect", Value::Null, "connection_limit"))
            .await,
    ];
    check(&lines_of(hub).await, &cases);
}
