//! A store in PostgreSQL.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::command::Said;
use crate::support::database::{self, with_url};
use crate::support::either::Transport;
use crate::support::http::{Answer, Api};
use crate::support::hub::{Hub, Start};
use crate::support::id::Id;
use crate::support::message::text;
use crate::support::postgres::Postgres;
use crate::support::{eventually, token};

fn start(url: &str) -> Start {
    Hub::with().config(&with_url("", url))
}

async fn store_check(hub: &Hub) -> Value {
    let health = hub.api(&token::admin("ada")).get("/api/health").await;
    health.data()["checks"]["store"].clone()
}

async fn is_well(hub: &Hub) {
    eventually("a store that is well", async || {
        store_check(hub).await["ok"].as_bool().filter(|ok| *ok)
    })
    .await;
}

async fn refused(api: &Api) -> Answer {
    let body = json!({"metric": "m", "data": "refused"});
    let answer = api.post("/publish", &body).await;
    assert_eq!(answer.failure(), (503, "unavailable"));
    assert!(answer.retry_after() > 0);
    answer
}

/// Does something in the hub's database.
async fn execute(url: &str, text: &str) {
    use sqlx::{AssertSqlSafe, Connection, PgConnection};
    let mut connection = PgConnection::connect(url).await.expect("a connection");
    let done = sqlx::raw_sql(AssertSqlSafe(text.to_owned()));
    done.execute(&mut connection).await.expect(text);
}

#[tokio::test]
async fn a_hub_goes_on_where_it_was_however_it_ended() {
    for in_order in [true, false] {
        let mut hub = start(&database::new()).start().await;
        let ada = token::admin("ada");
        let api = hub.api(&ada);
        let first = json!({"metric": "b", "data": 0});
        let answer = api.post("/publish", &first).await;
        assert_eq!(answer.data()["durability"], "power");
        let mut sessions = Vec::new();
        for transport in Transport::BOTH {
            let (client, notice) = hub.opened(transport, "?metrics=a.*", &ada).await;
            sessions.push((transport, client, notice["reconnectToken"].clone()));
        }
        let mut ids = Vec::new();
        for n in 0..5 {
            ids.push(api.publish("a.x", json!(n)).await);
        }
        for (_, client, _) in &mut sessions {
            for id in &ids {
                assert_eq!(client.next().await["messageId"], *id);
            }
        }
        match in_order {
            true => {
                hub.signal(Signal::TERM);
                assert_eq!(hub.ended().await.code, Some(0));
            }
            false => hub.crash().await,
        }
        hub = hub.again().await;
        let api = hub.api(&ada);
        assert_eq!(api.get("/metrics").await.data()["a.x"]["messageId"], ids[4]);
        let next = api.publish("a.x", json!(5)).await;
        for (transport, _, reconnect_token) in sessions {
            let last = Id::of(&json!(ids[2]));
            let token = text(&reconnect_token);
            let mut client = hub.resume_from(transport, token, Some(last), &ada).await;
            let notice = client.next().await;
            assert_eq!(notice["type"], "reconnection_successful");
            assert_eq!(notice["data"]["resumed"], true);
            assert_eq!(notice["data"]["replayedMessagesCount"], 3);
            for id in ids[3..].iter().chain([&next]) {
                assert_eq!(client.next().await["messageId"], *id);
            }
        }
    }
}

#[tokio::test]
async fn a_database_that_went_back_to_a_dump_leaves_no_silent_gap() {
    let url = database::new();
    let mut hub = start(&url).start().await;
    let ada = token::admin("ada");
    let old = hub.api(&ada).publish("m", json!(1)).await;
    hub.signal(Signal::TERM);
    assert_eq!(hub.ended().await.code, Some(0));
    let copy = "CREATE TABLE dumped AS SELECT * FROM statshub.message; \
                CREATE TABLE dumped_head AS SELECT * FROM statshub.head";
    execute(&url, copy).await;
    let mut hub = hub.again().await;
    let lost = hub.api(&ada).publish("m", json!(2)).await;
    hub.signal(Signal::TERM);
    assert_eq!(hub.ended().await.code, Some(0));
    let restore = "DELETE FROM statshub.message; INSERT INTO statshub.message SELECT * FROM dumped; \
                   UPDATE statshub.head SET last = dumped_head.last FROM dumped_head; \
                   DELETE FROM statshub.hole";
    execute(&url, restore).await;
    let hub = hub.again().await;
    let resumed = async |from: &str| {
        let query = format!("?lastEventId={from}");
        let mut client = hub.open(Transport::Sse, &query, &ada).await;
        client.next().await["data"]["resumed"].clone()
    };
    assert_eq!(resumed(&old).await, true);
    assert_eq!(resumed(&lost).await, false);
}

#[tokio::test]
async fn while_the_database_is_away_publishing_is_refused_and_the_rest_goes_on() {
    let mut postgres = Postgres::start();
    let hub = start(&postgres.url()).start().await;
    let ada = token::admin("ada");
    let api = hub.api(&ada);
    let (mut client, _) = hub.opened(Transport::Sse, "", &ada).await;
    let first = api.publish("m", json!(1)).await;
    assert_eq!(client.next().await["messageId"], first);
    for _ in 0..2 {
        postgres.stop();
        let answer = refused(&api).await;
        assert!(answer.error().contains("database"), "{}", answer.error());
        let check = store_check(&hub).await;
        assert_eq!(check["ok"], false, "{check}");
        let history = api.get("/history?metric=m").await;
        assert_eq!(history.failure(), (503, "unavailable"));
        assert!(history.error().contains("database"), "{}", history.error());
        let (other, _) = hub.opened(Transport::WebSocket, "", &ada).await;
        assert_eq!(api.get("/metrics").await.data()["m"]["value"], 1);
        drop(other);
        postgres.start_again();
        is_well(&hub).await;
        let next = api.publish("m", json!(1)).await;
        assert_eq!(
            client.next().await["messageId"],
            next,
            "and none of the refused"
        );
    }
    let history = api.get("/history?metric=m").await;
    assert_eq!(history.data()["messages"].as_array().unwrap().len(), 3);
    hub.stop().await;
}

#[tokio::test]
async fn a_database_that_may_only_be_read_or_is_slow_heals() {
    use sqlx::{Connection, PgConnection};
    let postgres = Postgres::start();
    let url = postgres.url();
    let hub = start(&url).start().await;
    let api = hub.api(&token::admin("ada"));
    api.publish("m", json!(1)).await;
    let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
               WHERE application_name = 'statshub'";
    execute(
        &url,
        "ALTER DATABASE postgres SET default_transaction_read_only = on",
    )
    .await;
    execute(&url, cut).await;
    eventually("it says why", async || {
        let answer = refused(&api).await;
        answer.error().contains("may only be read").then_some(())
    })
    .await;
    let again = "ALTER DATABASE postgres RESET default_transaction_read_only";
    execute(
        &format!("{url}&options=-c default_transaction_read_only=off"),
        again,
    )
    .await;
    execute(&url, cut).await;
    is_well(&hub).await;
    api.publish("m", json!(2)).await;

    // Somebody holds what the hub has to write to.
    let mut other = PgConnection::connect(&url).await.expect("a connection");
    let mut held = other.begin().await.expect("a transaction");
    let lock = sqlx::raw_sql("SELECT 1 FROM statshub.head FOR UPDATE");
    lock.execute(&mut *held).await.expect("the lock");
    let began = std::time::Instant::now();
    refused(&api).await;
    assert!(began.elapsed().as_secs() < 6, "{:?}", began.elapsed());
    held.rollback().await.expect("no lock");
    is_well(&hub).await;
    api.publish("m", json!(3)).await;
    hub.stop().await;
}

/// The one line of a hub that does not start.
async fn says(start: Start) -> String {
    start.says().await.failure(1).to_owned()
}

#[tokio::test]
async fn two_hubs_alone_do_not_share_a_database() {
    let url = database::new();
    let config = |url: &str| with_url("[audit]\nenabled = false", url);
    let mut first = Hub::with().config(&config(&url)).start().await;
    let line = says(Hub::with().config(&config(&url))).await;
    assert!(line.contains("another hub uses it"), "{line}");
    first.crash().await;
    // Its connection is noticed to be gone.
    let second = Hub::with().config(&config(&url)).start().await;
    second.stop().await;
    let away = "postgres://ada:CANARY@127.0.0.1:1/x";
    let line = says(Hub::with().config(&config(away))).await;
    assert!(line.contains("the database x on 127.0.0.1:1"), "{line}");
    assert!(!line.contains("CANARY"), "{line}");
}

#[tokio::test]
async fn the_audit_trail_in_a_database_is_verified_and_shown() {
    let url = database::new();
    let hub = start(&url).start().await;
    let api = hub.api(&token::admin("ada"));
    api.publish("m", json!(1)).await;
    hub.stop().await;
    let config = with_url("", &url);
    let by_settings = async |words: &[&str]| -> Said {
        let start = words
            .iter()
            .fold(Hub::with(), |start, word| start.arg(word));
        start.config(&config).says().await
    };
    let verified = by_settings(&["audit", "verify"]).await;
    let line = verified.result();
    assert!(line.starts_with("whole: "), "{line}");
    let named = by_settings(&["audit", "verify", "--url", &url]).await;
    assert_eq!(named.result(), line);
    let shown = by_settings(&["audit", "tail", "--action", "publish"]).await;
    let shown: Value = serde_json::from_str(shown.result()).expect("one record");
    assert_eq!((&shown["actor"], &shown["id"]), (&json!("ada"), &json!(2)));
    let backup = by_settings(&["backup", "copy.db"]).await;
    assert!(backup.failure(1).contains("pg_dump"), "{backup:?}");

    // Whoever checks it need not be able to write it.
    let auditor = "CREATE ROLE auditor LOGIN; GRANT USAGE ON SCHEMA statshub TO auditor; \
                   GRANT SELECT ON statshub.meta, statshub.audit, statshub.audit_cut TO auditor";
    execute(&url, auditor).await;
    let as_auditor = url.replace("//statshub@", "//auditor@");
    let checked = by_settings(&["audit", "verify", "--url", &as_auditor]).await;
    assert_eq!(checked.result(), line);

    execute(&url, "DELETE FROM statshub.audit WHERE id = 2").await;
    let verified = by_settings(&["audit", "verify"]).await;
    assert_eq!(verified.code, Some(1));
    assert!(
        verified.stdout.starts_with("broken: record 2 is missing"),
        "{verified:?}"
    );
}
