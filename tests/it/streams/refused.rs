//! Tokens that resume nothing, all with one answer, and users that are somebody else.

use serde_json::json;

use crate::support::either::Transport;
use crate::support::eventually;
use crate::support::http::{Answer, Api, send};
use crate::support::hub::{Hub, Start};
use crate::support::message::text;
use crate::support::token;

const UNKNOWN: &str = "6b1f3c52-5d0e-4f0a-9c55-0d7f3f6c1a11";

/// Hubs that answer bad tokens at once, however many there are.
fn with_patience() -> Start {
    Hub::with().config("[limits]\nfailed_resumes_per_minute = 1000")
}

/// What both transports answer to a reconnect token as it stands in a query.
async fn answers(api: &Api, reconnect_token: &str) -> [Answer; 2] {
    [
        api.get(&format!("/reconnect?token={reconnect_token}"))
            .await,
        send(api.upgrade(&format!("?reconnectToken={reconnect_token}"))).await,
    ]
}

/// All of an answer but what is another one each time.
fn fingerprint(answer: &Answer) -> String {
    let mut headers = answer.headers.clone();
    for changes in ["date", "x-request-id"] {
        headers.remove(changes);
    }
    let mut lines: Vec<String> = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    lines.sort_unstable();
    format!("{} {lines:?} {}", answer.status, answer.body)
}

/// Attack: a stolen reconnect token.
#[tokio::test]
async fn unknown_expired_and_another_users_token_cannot_be_told_apart() {
    // The order of the names in one header is each worker's own.
    let config = "http.workers = 1\n[limits]\nfailed_resumes_per_minute = 1000";
    let start = Hub::with().config(config).env("CONNECTION_TIMEOUT", "50");
    let hub = start.start().await;
    let (ada, api) = (token::admin("ada"), hub.api(&token::admin("ada")));
    let (client, notice) = hub.opened(Transport::Sse, "", &ada).await;
    let known = text(&notice["reconnectToken"]);
    let other = answers(&hub.api(&token::admin("eve")), known).await;
    let unknown = answers(&api, UNKNOWN).await;
    client.reset();
    eventually("the session to expire", async || {
        let stats = api.get("/connection-stats").await;
        (stats.data()["reconnectTokensCount"] == 0).then_some(())
    })
    .await;
    let expired = answers(&api, known).await;
    for (transport, other) in other.iter().enumerate() {
        assert_eq!(other.failure(), (410, "reconnect_token_invalid"));
        for same in [&unknown[transport], &expired[transport]] {
            assert_eq!(fingerprint(same), fingerprint(other));
        }
    }
}

/// Attack: a stolen reconnect token.
#[tokio::test]
async fn somebody_elses_try_changes_nothing_for_the_session() {
    let hub = with_patience().start().await;
    let ada = token::admin("ada");
    for transport in Transport::BOTH {
        let (mut client, notice) = hub.opened(transport, "", &ada).await;
        let reconnect_token = text(&notice["reconnectToken"]);
        for answer in answers(&hub.api(&token::admin("eve")), reconnect_token).await {
            assert_eq!(answer.status, 410);
        }
        let sent = hub.api(&ada).publish("a", json!(1)).await;
        assert_eq!(client.next().await["messageId"], *sent);
        let mut again = hub.resume(transport, reconnect_token, &ada).await;
        assert_eq!(again.opened().await["data"]["resumed"], true);
    }
}

/// Attack: token fixation, and a token written in another form.
#[tokio::test]
async fn a_token_is_good_in_the_form_it_was_given_out_in_and_in_no_other() {
    let hub = with_patience().start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let (mut client, notice) = hub.opened(Transport::Sse, "", &ada).await;
    let known = text(&notice["reconnectToken"]);
    for other in [
        known.to_uppercase(),
        known.replace('-', ""),
        format!("%7B{known}%7D"),
        format!("urn:uuid:{known}"),
        format!("%20{known}"),
        format!("{known}%20"),
        format!("{known}%00"),
        format!("{known}%0A"),
        known[..35].to_owned(),
        format!("{known}0"),
        format!("%22{known}%22"),
        known.replace('-', "_"),
        // A time and an address would make one that can be guessed.
        "f81d4fae-7dec-11d0-a765-00a0c91e6bf6".into(),
        "00000000-0000-0000-0000-000000000000".into(),
        "ffffffff-ffff-ffff-ffff-ffffffffffff".into(),
        "x".repeat(4096),
    ] {
        for answer in answers(&api, &other).await {
            assert_eq!(
                answer.failure(),
                (410, "reconnect_token_invalid"),
                "{other}"
            );
        }
    }
    // None of that was a resume, and none made a session.
    let sessions = api.get("/connections").await;
    assert_eq!(sessions.data()["total"], 1);
    api.publish("a", json!(1)).await;
    assert_eq!(client.next().await["type"], "metrics_update");
    let mut again = hub.resume(Transport::Sse, known, &ada).await;
    assert_eq!(again.opened().await["data"]["resumed"], true);
}

/// Attack: reading another user's stream or messages.
#[tokio::test]
async fn a_stream_is_for_the_tokens_own_user() {
    let hub = Hub::start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let (mut client, notice) = hub.opened(Transport::Sse, "?userId=ada", &ada).await;
    let reconnect_token = text(&notice["reconnectToken"]);
    for other in ["bob", "ADA", "ada%20", "*", "ada,bob"] {
        for path in [
            format!("/stream?userId={other}"),
            format!("/reconnect?token={reconnect_token}&userId={other}"),
        ] {
            assert_eq!(api.get(&path).await.failure(), (403, "forbidden"), "{path}");
        }
        let query = format!("?reconnectToken={reconnect_token}&userId={other}");
        let answer = send(api.upgrade(&query)).await;
        assert_eq!(answer.failure(), (403, "forbidden"), "{query}");
    }
    // Nobody was replaced by that.
    api.publish("a", json!(1)).await;
    assert_eq!(client.next().await["type"], "metrics_update");
    let again = hub.resume_with(Transport::Sse, reconnect_token, "&userId=ada", &ada);
    again.await.opened().await;
}

#[tokio::test]
async fn a_session_is_kept_as_long_as_its_client_may_be_away() {
    let hub = with_patience()
        .env("CONNECTION_TIMEOUT", "3600000")
        .start()
        .await;
    let ada = token::admin("ada");
    let (client, notice) = hub.opened(Transport::Sse, "", &ada).await;
    hub.lose(client, &notice).await;
    // One that is connected is kept however long that is.
    let short = with_patience().env("CONNECTION_TIMEOUT", "1").start().await;
    let (mut stays, stays_notice) = short.opened(Transport::Sse, "", &ada).await;
    let (goes, goes_notice) = short.opened(Transport::Sse, "", &ada).await;
    goes.reset();
    eventually("the other one to expire", async || {
        let stats = short.api(&ada).get("/connection-stats").await;
        (stats.data()["reconnectTokensCount"] == 1).then_some(())
    })
    .await;
    let gone = text(&goes_notice["reconnectToken"]);
    for answer in answers(&short.api(&ada), gone).await {
        assert_eq!(answer.status, 410);
    }
    short.api(&ada).publish("a", json!(1)).await;
    assert_eq!(stays.next().await["type"], "metrics_update");
    let stays = text(&stays_notice["reconnectToken"]);
    short
        .resume(Transport::Sse, stays, &ada)
        .await
        .opened()
        .await;
    let kept = text(&notice["reconnectToken"]);
    hub.resume(Transport::Sse, kept, &ada).await.opened().await;
}
