//! Several hubs and one database.

use super::*;
use crate::domain::message::Priority;
use crate::store::AppendError;

fn refused(database: Result<Database, crate::store::OpenError>) -> String {
    database.err().expect("it is refused").to_string()
}

#[actix_rt::test]
async fn a_hub_that_writes_alone_is_alone() {
    let fixture = Fixture::new();
    let url = fixture.url();
    let alone = fixture.open();
    for error in [
        refused(Database::open(&fixture.settings, &url, now(BEGIN_MS))),
        refused(Database::join(&fixture.settings, &url)),
    ] {
        assert!(error.contains("another hub uses it"), "{error}");
        assert!(error.contains("the database postgres in "), "{error}");
    }
    drop(alone);
    let first = Database::join(&fixture.settings, &url).unwrap();
    let second = Database::join(&fixture.settings, &url).unwrap();
    refused(Database::open(&fixture.settings, &url, now(BEGIN_MS)));
    drop((first, second));
    fixture.open();
}

#[actix_rt::test]
async fn hubs_that_start_at_once_make_the_tables_once() {
    let fixture = Fixture::new();
    let url = fixture.url();
    let join = || Database::join(&fixture.settings, &url).map(|_| ());
    std::thread::scope(|scope| {
        let joining: Vec<_> = (0..6).map(|_| scope.spawn(join)).collect();
        for joined in joining {
            joined.join().unwrap().unwrap();
        }
    });
    assert_eq!(fixture.number("SELECT version FROM statshub.meta").await, 1);
}

#[actix_rt::test]
async fn tables_of_a_newer_version_are_refused_and_so_is_a_log_from_the_future() {
    let fixture = Fixture::new();
    drop(fixture.open());
    fixture
        .execute("UPDATE statshub.head SET last = last + ((50 * 3600 * 1000)::int8 << 20)")
        .await;
    let url = fixture.url();
    let open = || refused(Database::open(&fixture.settings, &url, now(BEGIN_MS)));
    let error = open();
    assert!(error.contains("50 hours ahead"), "{error}");
    fixture
        .execute("UPDATE statshub.meta SET version = 1000")
        .await;
    let error = open();
    assert!(error.contains("newer statshub (schema 1000"), "{error}");
}

#[actix_rt::test]
async fn a_hub_that_was_overtaken_writes_nothing_more() {
    let fixture = Fixture::new();
    let heard = Heard::default();
    let writer = fixture.open().start(heard.clone()).unwrap();
    fixture
        .execute("UPDATE statshub.head SET fence = fence + 1")
        .await;
    let late = batch(
        vec![message(1, metric("a"), Priority::Low)],
        vec![Some(keyed("k", "x"))],
    );
    writer.append(late).unwrap();
    writer.close().await;
    let outcomes = heard.outcomes();
    let Err(AppendError::Failed(reason)) = &outcomes[0] else {
        panic!("{outcomes:?}");
    };
    assert!(reason.contains("another hub has taken"), "{reason}");
    let left = "SELECT (SELECT count(*) FROM statshub.message) \
                + (SELECT count(*) FROM statshub.publish_key)";
    assert_eq!(fixture.number(left).await, 0);
}

#[actix_rt::test]
async fn a_database_that_cannot_be_used_says_why_without_the_password() {
    let fixture = Fixture::new();
    let folder = fixture.postgres.folder().display().to_string();
    for (url, expected) in [
        (
            format!("postgres://statshub:hunter2@localhost/none?host={folder}"),
            "there is no such database",
        ),
        (
            format!("postgres://ada:hunter2@localhost/postgres?host={folder}"),
            "refuses the login",
        ),
        (
            "postgres://ada:hunter2@127.0.0.1:1/x".to_owned(),
            "does not answer",
        ),
    ] {
        let error = refused(Database::open(&fixture.settings, &url, now(BEGIN_MS)));
        assert!(error.contains(expected), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[actix_rt::test]
async fn one_of_several_hubs_starts_without_the_database() {
    let mut fixture = Fixture::new();
    let url = fixture.url();
    fixture.postgres.stop();
    refused(Database::open(&fixture.settings, &url, now(BEGIN_MS)));
    let writer = Database::join(&fixture.settings, &url).unwrap();
    let writer = writer.start(Nobody).unwrap();
    let record = crate::store::AuditRecord {
        at_ms: 1,
        text: "{}".to_owned(),
    };
    assert_eq!(writer.audit(vec![record]), 1);
    eventually("it says so", async || writer.health().last_error.is_some()).await;
    fixture.postgres.start_again();
    eventually("it is written", async || writer.health().audit.written == 1).await;
    // Whichever other hub it is: this one made the tables.
    assert_eq!(fixture.number("SELECT version FROM statshub.meta").await, 1);
    writer.close().await;
}
