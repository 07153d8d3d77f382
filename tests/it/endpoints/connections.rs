//! `connections`: every session, for an operator's eyes.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::{Value, json};

use super::{assert_has, assert_is_time, opened, opened_with_notice};
use crate::support::either::Transport::{Sse, WebSocket};
use crate::support::http::send;
use crate::support::hub::Hub;
use crate::support::token;

fn ids(connections: &[Value]) -> BTreeSet<String> {
    let id = |it: &Value| it["connectionId"].as_str().expect("an id").to_owned();
    connections.iter().map(id).collect()
}

#[tokio::test]
async fn a_session_is_shown_with_all_that_an_operator_asks_for() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let bearer = format!("Bearer {ada}");
    let headers = [
        ("Authorization", &*bearer),
        ("User-Agent", "<b>dash</b>/1.0"),
    ];
    let mut client = hub.sse_with("/stream?metrics=a,b.*", &headers).await;
    let notice = client.opened().await;
    api.publish("a", json!(1)).await;
    client.next_message("metrics_update").await;

    let sessions = api.sessions("").await;
    let [session] = sessions.as_slice() else {
        panic!("{sessions:?}")
    };
    assert_has(
        session,
        &[
            "backlog",
            "connectionId",
            "dropped",
            "lastWrite",
            "remoteAddress",
            "sent",
            "since",
            "state",
            "subscription",
            "transport",
            "user",
            "userAgent",
        ],
    );
    assert_eq!(session["connectionId"], notice["data"]["connectionId"]);
    assert_eq!(session["user"], "ada");
    assert_eq!(session["transport"], "sse");
    assert_eq!(session["state"], "live");
    assert_is_time(&session["since"]);
    assert_eq!(session["remoteAddress"], "127.0.0.1");
    assert_eq!(session["userAgent"], "<b>dash</b>/1.0");
    assert_eq!(session["subscription"], json!(["a", "b.*"]));
    assert_eq!(
        session["backlog"],
        json!({"critical": 0, "high": 0, "normal": 0, "low": 0})
    );
    assert!(
        session["sent"].as_u64().is_some_and(|sent| sent >= 1),
        "{session}"
    );
    assert_is_time(&session["lastWrite"]);
}

#[tokio::test]
async fn a_session_that_is_away_is_shown_with_its_backlog() {
    let hub = Hub::with().env("MAX_BUFFER_SIZE", "3").start().await;
    let api = hub.api(&token::admin("ada"));
    let (client, notice) = opened_with_notice(&hub, WebSocket, "", "bob").await;
    client.reset();
    api.sessions_when("?state=away", 1).await;
    for priority in ["low", "normal", "normal", "high"] {
        let body = json!({"metric": "a", "data": 1, "priority": priority});
        assert_eq!(api.post("/publish", &body).await.status, 202);
    }
    let session = api.sessions("").await.remove(0);
    assert_eq!(session["connectionId"], notice["connectionId"]);
    assert_eq!(
        (&session["transport"], &session["state"]),
        (&json!("websocket"), &json!("away"))
    );
    assert_eq!(
        session["backlog"],
        json!({"critical": 0, "high": 1, "normal": 2, "low": 0})
    );
    assert_eq!(session["subscription"], json!(["**"]));
    let dropped = &session["dropped"];
    assert!(*dropped == 1 || dropped["low"] == 1, "{dropped}");
}

#[tokio::test]
async fn sessions_are_filtered_by_user_transport_and_state() {
    let hub = Hub::start().await;
    let api = hub.api(&token::admin("watcher"));
    let (gone, away_notice) = opened_with_notice(&hub, Sse, "", "ada").await;
    gone.reset();
    api.sessions_when("?state=away", 1).await;
    let (_a, sse_notice) = opened_with_notice(&hub, Sse, "", "ada").await;
    let (_b, websocket_notice) = opened_with_notice(&hub, WebSocket, "", "ada").await;
    let (_c, bob_notice) = opened_with_notice(&hub, WebSocket, "", "bob").await;
    let [gone, sse, websocket, bob] = [&away_notice, &sse_notice, &websocket_notice, &bob_notice]
        .map(|notice| notice["connectionId"].as_str().unwrap());
    let check = async |query: &str, expected: &[&str]| {
        let wanted: BTreeSet<String> = expected.iter().map(|it| (*it).to_owned()).collect();
        assert_eq!(ids(&api.sessions(query).await), wanted, "{query}");
    };
    check("", &[gone, sse, websocket, bob]).await;
    check("?user=ada", &[gone, sse, websocket]).await;
    check("?user=nobody", &[]).await;
    check("?transport=sse", &[gone, sse]).await;
    check("?transport=websocket", &[websocket, bob]).await;
    check("?state=away", &[gone]).await;
    check("?state=live", &[sse, websocket, bob]).await;
    check("?state=lagging", &[]).await;
    check("?user=ada&transport=websocket&state=live", &[websocket]).await;
    check("?user=bob&transport=sse", &[]).await;
}

#[tokio::test]
async fn many_sessions_come_in_pages() {
    let hub = Hub::with()
        .env("MAX_CONNECTIONS_PER_USER", "10")
        .start()
        .await;
    let api = hub.api(&token::admin("ada"));
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(opened(&hub, Sse, "", "ada").await);
    }
    let all = api.sessions("").await;
    let mut seen = Vec::new();
    for (offset, count) in [(0, 2), (2, 2), (4, 1), (6, 0)] {
        let query = format!("?limit=2&offset={offset}");
        let page = api.sessions(&query).await;
        assert_eq!(page.len(), count, "{query}");
        let total = &api.get(&format!("/connections{query}")).await.data()["total"].clone();
        assert_eq!(*total, 5, "{query}");
        seen.extend(page);
    }
    let id = |it: &Value| it["connectionId"].clone();
    let order = |list: &[Value]| list.iter().map(id).collect::<Vec<_>>();
    assert_eq!(order(&seen), order(&all), "in one order, nothing twice");
}

/// Attack: a forged address.
#[tokio::test]
async fn a_proxy_is_believed_only_where_it_is_trusted() {
    for (config, shown) in [
        ("", "127.0.0.1"),
        ("[http]\ntrusted_proxies = [\"127.0.0.1\"]", "203.0.113.9"),
    ] {
        let hub = Hub::with().config(config).start().await;
        let ada = token::admin("ada");
        let bearer = format!("Bearer {ada}");
        let headers = [
            ("Authorization", &*bearer),
            ("X-Forwarded-For", "198.51.100.1, 203.0.113.9"),
        ];
        let mut client = hub.sse_with("/stream", &headers).await;
        client.opened().await;
        let sessions = hub.api(&ada).sessions("").await;
        assert_eq!(sessions[0]["remoteAddress"], shown);
    }
}

#[tokio::test]
async fn the_list_is_for_admins() {
    let hub = Hub::start().await;
    for token in [
        token::service("job"),
        token::token("gus", "guest", std::time::Duration::from_secs(60)),
    ] {
        let answer = send(hub.api(&token).request(Method::GET, "/connections")).await;
        assert_eq!(answer.failure(), (403, "forbidden"));
    }
}
