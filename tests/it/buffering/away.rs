//! How long sessions that are away are kept, how many of them, and that they take nobody's place.

use serde_json::json;

use super::model::Reader;
use super::session::Session;
use crate::support::either::{Client, Transport};
use crate::support::http::{Answer, Api, send};
use crate::support::hub::Hub;
use crate::support::token;

/// What a resume by either transport is refused with.
async fn refusals(hub: &Hub, user: &str, reconnect_token: &str) -> [Answer; 2] {
    let api = hub.api(&token::admin(user));
    let query = format!("?reconnectToken={reconnect_token}");
    [
        api.get(&format!("/reconnect?token={reconnect_token}"))
            .await,
        send(api.upgrade(&query)).await,
    ]
}

async fn assert_forgotten(hub: &Hub, session: &Session) {
    for answer in refusals(hub, &session.reader.user, &session.reconnect_token).await {
        assert_eq!(answer.failure(), (410, "reconnect_token_invalid"));
    }
}

async fn opened(hub: &Hub, transport: Transport, user: &str) -> Session {
    Session::open(hub, transport, Reader::of(user, &[])).await
}

/// It goes; the `count` that are away then are waited for.
async fn leaves(watcher: &Api, session: &mut Session, count: usize) {
    session.part().reset();
    let query = format!("?state=away&user={}", session.reader.user);
    watcher.sessions_when(&query, count).await;
}

/// Both transports in turn.
fn alternating(number: usize) -> Transport {
    Transport::BOTH[number % 2]
}

#[tokio::test]
async fn a_session_is_forgotten_when_it_was_away_for_too_long_and_not_while_it_is_here() {
    let hub = Hub::with().env("CONNECTION_TIMEOUT", "300").start().await;
    let watcher = hub.api(&token::admin("watcher"));
    for transport in Transport::BOTH {
        let mut here = opened(&hub, transport, "here").await;
        let mut gone = opened(&hub, transport, "gone").await;
        gone.part().reset();
        watcher.sessions_when("?user=gone", 0).await;
        assert_forgotten(&hub, &gone).await;
        let stats = watcher.get("/connection-stats").await;
        assert_eq!(stats.data()["reconnectTokensCount"], 1);

        watcher.publish("a", json!(1)).await;
        assert_eq!(here.read(1).await[0]["data"], json!({"a": 1}));
        let (notice, _) = here.resume(&hub, transport, None).await;
        assert_eq!(notice["data"]["resumed"], true);
        here.part().reset();
        watcher.sessions_when("", 0).await;
    }
}

#[tokio::test]
async fn each_resume_renews_the_time() {
    let hub = Hub::with().env("CONNECTION_TIMEOUT", "2000").start().await;
    let watcher = hub.api(&token::admin("watcher"));
    let mut session = opened(&hub, Transport::Sse, "ada").await;
    // Once this one is forgotten, the other would be too, had its time not begun anew.
    let mut witness = opened(&hub, Transport::Sse, "witness").await;
    session.leave(&watcher).await;
    witness.leave(&watcher).await;
    session.resume(&hub, Transport::WebSocket, None).await;
    watcher.sessions_when("?user=witness", 0).await;
    session.leave(&watcher).await;
    session.resume(&hub, Transport::Sse, None).await;
}

/// Attack: filling the hub with sessions that are away.
#[tokio::test]
async fn a_user_has_so_many_away_and_the_one_away_longest_is_forgotten_first() {
    let hub = Hub::with()
        .env("MAX_CONNECTIONS_PER_USER", "3")
        .start()
        .await;
    let watcher = hub.api(&token::admin("watcher"));
    let mut other = opened(&hub, Transport::Sse, "bob").await;
    other.leave(&watcher).await;
    let mut sessions = Vec::new();
    for _ in 0..2 {
        let first = sessions.len();
        for number in first..first + 3 {
            sessions.push(opened(&hub, alternating(number), "ada").await);
        }
        // Not in the order in which they came.
        for (count, number) in [first + 2, first, first + 1].into_iter().enumerate() {
            leaves(&watcher, &mut sessions[number], first + count + 1).await;
        }
    }
    // Away since: 2, 0, 1, 5, 3, 4. One more, and the first of these goes.
    sessions.push(opened(&hub, alternating(6), "ada").await);
    leaves(&watcher, &mut sessions[6], 6).await;
    assert_forgotten(&hub, &sessions[2]).await;
    // One that comes back and goes again is now the last: 1, 5, 3, 4, 6, 0.
    sessions[0].resume(&hub, alternating(0), None).await;
    leaves(&watcher, &mut sessions[0], 6).await;
    sessions.push(opened(&hub, alternating(7), "ada").await);
    leaves(&watcher, &mut sessions[7], 6).await;
    assert_forgotten(&hub, &sessions[1]).await;
    for number in [5, 3, 4] {
        sessions[number]
            .resume(&hub, alternating(number), None)
            .await;
    }
    other.resume(&hub, Transport::WebSocket, None).await;
}

/// Attack: filling the hub with sessions that are away.
#[tokio::test]
async fn over_all_users_too_the_one_away_longest_is_forgotten_first() {
    let config = "[sessions]\naway_max = 2";
    let hub = Hub::with().config(config).start().await;
    let watcher = hub.api(&token::admin("watcher"));
    let mut sessions = Vec::new();
    for (number, user) in ["ada", "bob", "eve"].into_iter().enumerate() {
        let mut session = opened(&hub, alternating(number), user).await;
        session.leave(&watcher).await;
        sessions.push(session);
    }
    assert_forgotten(&hub, &sessions[0]).await;
    for session in &mut sessions[1..] {
        session.resume(&hub, Transport::Sse, None).await;
    }
}

#[tokio::test]
async fn neither_who_is_away_nor_who_was_refused_takes_a_place() {
    let hub = Hub::with()
        .env("MAX_CONNECTIONS_PER_USER", "2")
        .start()
        .await;
    let watcher = hub.api(&token::admin("watcher"));
    let ada = hub.api(&token::admin("ada"));
    let mut away = Vec::new();
    for number in 0..4 {
        let mut session = opened(&hub, alternating(number), "ada").await;
        leaves(&watcher, &mut session, number + 1).await;
        away.push(session);
    }
    let mut here = Vec::new();
    for number in 0..2 {
        here.push(opened(&hub, alternating(number), "ada").await);
    }
    for _ in 0..2 {
        for answer in [ada.get("/stream").await, send(ada.upgrade("")).await] {
            assert_eq!(answer.failure(), (429, "connection_limit"));
            assert!(answer.retry_after() >= 1);
        }
    }
    // Coming back needs a place as well, and what is refused it stays as it was.
    for answer in refusals(&hub, "ada", &away[0].reconnect_token).await {
        assert_eq!(answer.failure(), (429, "connection_limit"));
    }
    assert_eq!(watcher.sessions("?user=ada").await.len(), 6);
    // A session that is here comes back in its own place.
    let old = here[0].part();
    here[0].resume(&hub, Transport::WebSocket, None).await;
    drop(old);
    // A place that an operator has cleared is free when he has his answer.
    let ids = watcher.sessions("?user=ada&state=live").await;
    let body = json!({"connectionId": ids[1]["connectionId"]});
    let answer = watcher.post("/disconnect", &body).await;
    assert_eq!(answer.data()["connections"], 1);
    away[0].resume(&hub, Transport::Sse, None).await;
}

/// Attack: more connections than allowed.
#[tokio::test]
async fn a_place_is_free_at_once_when_its_client_has_gone() {
    let hub = Hub::with()
        .env("MAX_CONNECTIONS_PER_USER", "1")
        .start()
        .await;
    let ada = token::admin("ada");
    for number in 0..20 {
        let mut client: Client = hub.open(alternating(number), "", &ada).await;
        client.opened().await;
        match number / 2 % 2 {
            0 => client.reset(),
            _ => {
                client.goodbye().await;
            }
        }
    }
    let watcher = hub.api(&token::admin("watcher"));
    watcher.sessions_when("?state=away", 2).await;
    assert_eq!(watcher.sessions("").await.len(), 2, "twice the limit");
}

/// Attack: more connections than allowed.
#[tokio::test]
async fn the_hub_as_a_whole_has_a_limit_and_who_is_away_is_not_within_it() {
    let config = "[sessions]\nconnections_max = 2";
    let hub = Hub::with().config(config).start().await;
    let watcher = hub.api(&token::admin("watcher"));
    let mut first = opened(&hub, Transport::Sse, "ada").await;
    first.leave(&watcher).await;
    let mut second = opened(&hub, Transport::WebSocket, "ada").await;
    opened(&hub, Transport::Sse, "bob")
        .await
        .leave(&watcher)
        .await;
    let _third = opened(&hub, Transport::Sse, "eve").await;
    let dan = hub.api(&token::admin("dan"));
    for answer in [dan.get("/stream").await, send(dan.upgrade("")).await] {
        assert_eq!(answer.failure(), (429, "connection_limit"));
        assert!(answer.retry_after() >= 1);
    }
    second.part().reset();
    watcher.sessions_when("?state=live", 1).await;
    first.resume(&hub, Transport::Sse, None).await;
}
