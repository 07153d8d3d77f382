//! What a running hub answers, to good requests and to bad ones, is as its document says.

use std::cell::RefCell;
use std::collections::BTreeSet;

use jsonschema::Draft;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::alerting::{gone, told};
use super::openapi::{document, followed, operations};
use super::schema::{hold, validator};
use crate::support::either::Transport::{Sse, WebSocket};
use crate::support::http::{Api, respond};
use crate::support::hub::Hub;
use crate::support::{A, token};

/// The document, and which of its operations were asked well and badly.
pub struct Held {
    document: Value,
    good: RefCell<BTreeSet<String>>,
    bad: RefCell<BTreeSet<String>>,
}

impl Held {
    /// Sends a request to `route`, and holds status, kind and body to what the document says of it.
    pub async fn answer(&self, route: &str, method: Method, request: RequestBuilder) -> Value {
        let what = format!("{method} {route}");
        let operation = &self.document["paths"][route][method.as_str().to_lowercase()];
        assert!(operation.is_object(), "{what} is not described");
        let response = respond(request).await;
        let status = response.status();
        let what = format!("{what}: {status}");
        let described = &operation["responses"][status.as_str()];
        assert!(described.is_object(), "{what} is not described");
        let described = followed(&self.document, described);
        self.check_headers(described, response.headers(), &what);
        let kind = response.headers().get("content-type");
        let kind = kind.map(|kind| kind.to_str().expect("a text").to_owned());
        let text = response.text().await.expect("a body");
        let id = operation["operationId"].as_str().expect("an id").to_owned();
        match status.is_success() || status.is_redirection() {
            true => self.good.borrow_mut().insert(id),
            false => self.bad.borrow_mut().insert(id),
        };
        let Some(content) = described.get("content").filter(|_| method != Method::HEAD) else {
            assert!(text.is_empty(), "{what}: {text}");
            return Value::Null;
        };
        let kind = kind.expect("a kind");
        let content = content.get(&kind);
        let content = content.unwrap_or_else(|| panic!("{what}: {kind} is not described"));
        let body = match kind.as_str() {
            "application/json" => serde_json::from_str(&text).expect("JSON"),
            _ => Value::from(text),
        };
        let validator = validator(&self.document, Draft::Draft202012, &content["schema"]);
        hold(&validator, &body, &what);
        body["data"].clone()
    }

    fn check_headers(&self, described: &Value, headers: &reqwest::header::HeaderMap, what: &str) {
        for (name, _) in described["headers"].as_object().into_iter().flatten() {
            // Of two codes of one status, or of 403, not all have it.
            assert!(
                headers.contains_key(name) || name == "Retry-After",
                "{what} has no {name}"
            );
        }
    }

    pub async fn get(&self, api: &Api, route: &str, query: &str) -> Value {
        let request = api.request_at(Method::GET, &format!("{route}{query}"));
        self.answer(route, Method::GET, request).await
    }

    pub async fn post(&self, api: &Api, route: &str, path: &str, body: Value) -> Value {
        let request = api.request_at(Method::POST, path).json(&body);
        self.answer(route, Method::POST, request).await
    }
}

#[tokio::test]
async fn every_operation_answers_as_described_to_good_requests_and_bad_ones() {
    let hub = Hub::with()
        .config(&format!(
            "[store]\ndurability = \"process\"\n{}",
            gone().await
        ))
        .start()
        .await;
    let held = Held {
        document: document(&hub).await,
        good: RefCell::default(),
        bad: RefCell::default(),
    };
    // One for all: a stream is not renewed by a token that ends before its own.
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let (sse, notice) = hub.opened(Sse, "?metrics=users.*", &ada).await;
    let (websocket, _) = hub.opened(WebSocket, "", &ada).await;
    let session = notice["reconnectToken"].clone();
    published(&held, &api).await;
    own(&held, &api, &session).await;
    past(&held, &api).await;
    told(&held, &api).await;
    managed(&held, &api, &notice["connectionId"]).await;
    process(&held, &hub, &api).await;
    refused_streams(&held, &hub).await;
    drop((sse, websocket));

    let streams = ["stream", "reconnect", "websocket"];
    let all: BTreeSet<_> = operations(&held.document)
        .into_iter()
        .map(|(_, _, operation)| operation["operationId"].as_str().expect("an id"))
        .collect();
    let good = held.good.borrow();
    let missing: Vec<_> = all
        .iter()
        .filter(|id| !good.contains(**id) && !streams.contains(id))
        .collect();
    assert!(missing.is_empty(), "not asked well: {missing:?}");
    // What anybody may ask without saying anything cannot be asked badly.
    let secured = operations(&held.document)
        .into_iter()
        .filter(|(_, _, operation)| {
            let ways = operation["security"].as_array().expect("ways");
            !ways.contains(&json!({}))
        });
    let bad = held.bad.borrow();
    let missing: Vec<_> = secured
        .map(|(_, _, operation)| operation["operationId"].as_str().expect("an id"))
        .filter(|id| !bad.contains(*id))
        .collect();
    assert!(missing.is_empty(), "not asked badly: {missing:?}");
}

async fn published(held: &Held, api: &Api) {
    let route = &format!("{A}/publish");
    for body in [
        json!({"metric": "users.active", "data": 5}),
        json!({"metric": "users.active", "data": null, "priority": "high", "retain": "latest", "userId": "ada"}),
        json!({"messages": [{"metric": "a", "data": 1, "key": "k1"}, {"metric": "b", "data": {"c": []}}]}),
        json!({"messages": [{"metric": "a", "data": 2}]}),
        json!({"metric": "", "data": 5}),
        json!({"messages": []}),
        json!({"metric": "big", "data": "x".repeat(70_000)}),
    ] {
        held.post(api, route, route, body).await;
    }
    let plain = api.request_at(Method::POST, route).body("{}");
    held.answer(
        route,
        Method::POST,
        plain.header("content-type", "text/plain"),
    )
    .await;
    let route = &format!("{A}/write");
    for (query, body) in [
        ("", "cpu,host=web1 idle=98.5,n=1i 1769860800000000000"),
        (
            "?precision=s&tags=host",
            "cpu,host=web1 idle=98.5 1769860800\ncpu,host=web2 idle=1 5",
        ),
        ("?precision=weeks", "cpu idle=1"),
        ("", "cpu idle="),
    ] {
        let request = api.request_at(Method::POST, &format!("{route}{query}"));
        let request = request.header("content-type", "text/plain").body(body);
        held.answer(route, Method::POST, request).await;
    }
    let route = &format!("{A}/events");
    for body in [
        json!({"events": [{"event": "signup", "data": {"plan": "pro"}, "timestamp": 1_769_860_800_000u64}]}),
        json!([{"event": "signup", "timestamp": "2026-01-31T12:00:00Z"}, {"event": "login"}]),
        json!([]),
    ] {
        held.post(api, route, route, body).await;
    }
    let lines = api
        .request_at(Method::POST, route)
        .body("{\"event\":\"a\"}\n");
    let lines = lines.header("content-type", "application/x-ndjson");
    held.answer(route, Method::POST, lines).await;
    let route = &format!("{A}/alerts");
    held.post(
        api,
        route,
        route,
        json!({"severity": "high", "message": "full", "host": "db1"}),
    )
    .await;
    held.post(
        api,
        route,
        route,
        json!({"severity": "bad", "message": "full"}),
    )
    .await;
}

async fn own(held: &Held, api: &Api, session: &Value) {
    let post = async |path: &str, body: Value| {
        let route = &format!("{A}/{path}");
        held.post(api, route, route, body).await
    };
    post("ticket", json!({})).await;
    post("ticket", json!([])).await;
    post("refresh", json!({"reconnectToken": session})).await;
    post("refresh", json!({})).await;
    post("refresh", json!({"reconnectToken": uuid::Uuid::new_v4()})).await;
    for path in ["subscribe", "unsubscribe"] {
        post(path, json!({"metrics": ["users.*", "**"]})).await;
        post(path, json!({"metrics": ["a"], "reconnectToken": session})).await;
        post(path, json!({"metrics": "a"})).await;
        post(path, json!({"metrics": ["a..b"]})).await;
    }
    for kind in ["sse", "websocket", "pigeon"] {
        post("test-connection", json!({"connectionType": kind})).await;
    }
    for (path, query) in [
        ("metrics", ""),
        ("metrics", "?metrics=users.*"),
        ("metrics", "?metrics=a..b"),
        ("websocket-info", ""),
        ("websocket-stats", ""),
        ("connection-stats", ""),
    ] {
        held.get(api, &format!("{A}/{path}"), query).await;
    }
}

async fn past(held: &Held, api: &Api) {
    let (history, export, alerts) = (
        &format!("{A}/history"),
        &format!("{A}/export"),
        &format!("{A}/alerts"),
    );
    for query in [
        "",
        "?metric=users.active&limit=1&order=asc",
        "?metric=users.active&from=0&to=99999999999999",
        "?metric=users.active&from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z&step=10m&agg=count",
        "?from=2026-01-01T00:00:00Z&to=2026-01-01T01:00:00Z&step=30m",
        "?limit=0",
        "?nonsense=1",
    ] {
        held.get(api, history, query).await;
    }
    for query in [
        "",
        "?format=csv",
        "?format=json",
        "?format=ndjson",
        "?format=xml",
    ] {
        held.get(api, export, query).await;
    }
    let listed = held.get(api, alerts, "?limit=1").await;
    held.get(api, alerts, "?state=lost").await;
    let id = listed["alerts"][0]["alertId"].as_str().expect("an alert");
    for verb in ["acknowledge", "resolve"] {
        let route = &format!("{A}/alerts/{{id}}/{verb}");
        let path = &format!("{A}/alerts/{id}/{verb}");
        held.post(api, route, path, json!({"note": "I am on it"}))
            .await;
        held.post(api, route, path, json!({})).await;
        held.post(api, route, path, json!({"note": ""})).await;
        held.post(api, route, &format!("{A}/alerts/1-0/{verb}"), json!({}))
            .await;
    }
    held.get(api, alerts, "?state=resolved").await;
}

async fn managed(held: &Held, api: &Api, connection: &Value) {
    let connections = &format!("{A}/connections");
    for query in [
        "",
        "?state=live&transport=sse&limit=1",
        "?user=ada&offset=1",
        "?state=lost",
    ] {
        held.get(api, connections, query).await;
    }
    let disconnect = &format!("{A}/disconnect");
    for body in [
        json!({"connectionId": connection}),
        json!({"userId": "ada"}),
        json!({"tokenId": "t"}),
        json!({"issuedBefore": 1}),
        json!({}),
        json!({"user": "ada"}),
    ] {
        held.post(api, disconnect, disconnect, body).await;
    }
    let explain = &format!("{A}/explain");
    for query in ["?messageId=1-0&userId=ada", "?messageId=x&userId=ada"] {
        held.get(api, explain, query).await;
    }
    let reload = &format!("{A}/reload");
    for body in [json!({}), json!({"what": "all"})] {
        held.post(api, reload, reload, body).await;
    }
    let audit = &format!("{A}/audit");
    for query in [
        "",
        "?action=publish&outcome=refused",
        "?actor=ada&limit=2",
        "?cursor=x",
    ] {
        held.get(api, audit, query).await;
    }
}

async fn process(held: &Held, hub: &Hub, api: &Api) {
    let nobody = &hub.anonymous();
    let service = &hub.api(&token::service("backend"));
    for (route, method, operation) in operations(&held.document) {
        let tag = &operation["tags"][0];
        if tag == "The process" || tag == "For browsers" && !route.contains('{') {
            for api in [nobody, api] {
                held.answer(route, method.clone(), api.request_at(method.clone(), route))
                    .await;
            }
        } else if route.starts_with(A) && !route.ends_with("/websocket") {
            // Without a token, and with one that may only publish.
            let path = route.replace("{id}", "1-0").replace("{name}", "x");
            for api in [nobody, service] {
                held.answer(route, method.clone(), api.request_at(method.clone(), &path))
                    .await;
            }
        }
    }
    let forwarded = nobody
        .request_at(Method::GET, "/metrics")
        .header("via", "1.1 proxy");
    held.answer("/metrics", Method::GET, forwarded).await;
    let page = nobody.request_at(Method::GET, "/");
    let page = respond(page).await.text().await.expect("a page");
    let route = "/console/{hash}/{name}";
    let files = page
        .split("\"console/")
        .skip(1)
        .filter_map(|rest| rest.split('"').next());
    for file in files.chain(["0/main.js"]) {
        let path = format!("/console/{file}");
        held.answer(route, Method::GET, nobody.request_at(Method::GET, &path))
            .await;
    }
}

async fn refused_streams(held: &Held, hub: &Hub) {
    let api = hub.api(&token::admin("ada"));
    for query in ["?token=x", ""] {
        held.get(&api, &format!("{A}/reconnect"), query).await;
    }
    held.get(&api, &format!("{A}/stream"), "?metrics=a..b")
        .await;
    let route = &format!("{A}/websocket");
    for query in ["?userId=bob", "?reconnectToken=x", "?metrics=a..b"] {
        held.answer(route, Method::GET, api.upgrade(query)).await;
    }
    held.get(&api, route, "").await;
    let old = api.upgrade("").header("sec-websocket-version", "12");
    held.answer(route, Method::GET, old).await;
}
