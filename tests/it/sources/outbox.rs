//! An outbox in a real PostgreSQL, with the table that the documents have.

use std::collections::HashSet;
use std::sync::Mutex;

use statshub::source::{OutboxRow, OutboxRows};

use super::*;

/// The statements of the documents, but for the one that names a user of the reader's.
pub fn table() -> String {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/back-end.md");
    let text = std::fs::read_to_string(document).expect("the document");
    let chapter = text.split_once("\n## Outbox\n").expect("the chapter").1;
    let (_, block) = chapter.split_once("```sql\n").expect("a block");
    let (block, _) = block.split_once("```").expect("its end");
    let is_for_all = |line: &&str| !line.starts_with("GRANT ");
    block
        .lines()
        .filter(is_for_all)
        .map(|line| format!("{line}\n"))
        .collect()
}

fn outbox(url: &str, rows_max: usize) -> config::Source {
    let name = "statshub_outbox".to_owned();
    let kind = SourceKind::PostgresOutbox {
        url: url.to_owned(),
        table: name.clone(),
        channel: name,
        rows_max,
    };
    source("outbox", kind, TIMEOUT)
}

/// A hub that takes what it is given, and knows by its keys what it has.
#[derive(Default)]
struct Taken {
    rows: Vec<OutboxRow>,
    keys: HashSet<String>,
    /// Batches that were tried.
    tries: usize,
    away: bool,
}

type Shared = Arc<Mutex<Taken>>;

fn hub(taken: &Shared) -> PublishRows {
    let taken = taken.clone();
    Arc::new(move |rows: OutboxRows| {
        let taken = taken.clone();
        async move {
            let mut taken = taken.lock().unwrap();
            taken.tries += 1;
            if taken.away {
                return Err(NotTaken::Later("the log is away".to_owned()));
            }
            if rows
                .rows
                .iter()
                .any(|row| row.draft.metric.as_str() == "too.many")
            {
                return Err(NotTaken::Refused("there are too many metrics".to_owned()));
            }
            for row in rows.rows {
                if taken.keys.insert(row.key.clone()) {
                    taken.rows.push(row);
                }
            }
            Ok(())
        }
        .boxed()
    })
}

fn values(taken: &Shared) -> Vec<String> {
    let taken = taken.lock().unwrap();
    let value = |row: &OutboxRow| row.draft.data.as_str().to_owned();
    taken.rows.iter().map(value).collect()
}

async fn rows_left(admin: &mut PgConnection) -> i64 {
    let count = sqlx::query_scalar("SELECT count(*) FROM statshub_outbox");
    count.fetch_one(admin).await.unwrap()
}

async fn database() -> (postgres::Postgres, PgConnection) {
    let postgres = postgres::Postgres::start();
    let mut admin = PgConnection::connect(&postgres.url()).await.unwrap();
    admin.execute(sqlx::AssertSqlSafe(table())).await.unwrap();
    (postgres, admin)
}

const INSERT: &str = "INSERT INTO statshub_outbox (metric, data) VALUES ('m', '%')";

async fn insert(connection: &mut PgConnection, number: usize) {
    let text = INSERT.replace('%', &number.to_string());
    connection.execute(sqlx::AssertSqlSafe(text)).await.unwrap();
}

#[actix::test]
async fn rows_are_published_when_they_are_committed_in_their_order_and_are_gone() {
    let (postgres, mut admin) = database().await;
    for number in 0..7 {
        insert(&mut admin, number).await;
    }
    let taken = Shared::default();
    let settings = [outbox(&postgres.url(), 3)];
    let (sources, _readings) = start_with(&settings, Duration::from_secs(3600), hub(&taken));
    until(|| Some(()).filter(|()| values(&taken).len() == 7)).await;
    assert_eq!(values(&taken), ["0", "1", "2", "3", "4", "5", "6"]);

    let all = "INSERT INTO statshub_outbox (metric, data, priority, user_id) VALUES ('orders.new', '{\"id\": 1}', 'high', 'ada')";
    admin.execute("BEGIN").await.unwrap();
    admin.execute(all).await.unwrap();
    admin.execute("ROLLBACK; BEGIN").await.unwrap();
    admin.execute(all).await.unwrap();
    admin.execute("COMMIT").await.unwrap();
    until(|| Some(()).filter(|()| values(&taken).len() == 8)).await;
    let row = taken.lock().unwrap().rows[7].draft.clone();
    assert_eq!(
        (row.metric.as_str(), row.data.as_str()),
        ("orders.new", r#"{"id":1}"#)
    );
    assert_eq!(row.priority, Some(Priority::High));
    assert_eq!(row.user.unwrap().as_str(), "ada");
    let state = until(|| sources.states().pop().filter(|state| state.rows == Some(8))).await;
    assert_eq!(
        (state.kind, state.rows_aside, state.failures),
        ("postgres_outbox", Some(0), 0)
    );
    assert_eq!(
        (state.metric.as_str(), state.connected),
        ("outbox", Some(true))
    );
    assert_eq!(rows_left(&mut admin).await, 0);
}

#[actix::test]
async fn a_lower_id_that_is_committed_later_is_not_passed_over() {
    let (postgres, mut admin) = database().await;
    let mut late = PgConnection::connect(&postgres.url()).await.unwrap();
    let taken = Shared::default();
    let settings = [outbox(&postgres.url(), 10)];
    let (_sources, _readings) = start_with(&settings, Duration::from_secs(3600), hub(&taken));
    late.execute("BEGIN").await.unwrap();
    insert(&mut late, 1).await;
    insert(&mut admin, 2).await;
    until(|| Some(()).filter(|()| values(&taken) == ["2"])).await;
    late.execute("COMMIT").await.unwrap();
    until(|| Some(()).filter(|()| values(&taken) == ["2", "1"])).await;
}

#[actix::test]
async fn without_the_trigger_rows_wait_for_the_interval() {
    let (postgres, mut admin) = database().await;
    admin
        .execute("DROP TRIGGER statshub_outbox_wake ON statshub_outbox")
        .await
        .unwrap();
    let taken = Shared::default();
    let mut setting = outbox(&postgres.url(), 10);
    setting.interval = Some(Duration::from_millis(50));
    let (sources, _readings) = start_with(&[setting], Duration::from_secs(3600), hub(&taken));
    until(|| sources.states().pop().filter(|state| state.polls > 1)).await;
    insert(&mut admin, 1).await;
    until(|| Some(()).filter(|()| values(&taken) == ["1"])).await;
}

/// What can never be published must not stand in the way of all that comes after it.
#[actix::test]
async fn what_can_never_be_published_is_put_aside_with_the_reason() {
    let (postgres, mut admin) = database().await;
    let bad = "INSERT INTO statshub_outbox (metric, data, priority) VALUES \
        ('m', '1', NULL), ('no name', '2', NULL), ('m', to_jsonb(repeat('x', 1001)), NULL), \
        ('m', to_jsonb(repeat('x', 100000)), NULL), ('m', '3', 'urgent'), ('too.many', '4', NULL), ('m', '5', 'low')";
    admin.execute(bad).await.unwrap();
    let taken = Shared::default();
    let settings = [outbox(&postgres.url(), 100)];
    let (sources, _readings) = start_with(&settings, Duration::from_secs(3600), hub(&taken));
    let state = until(|| {
        sources
            .states()
            .pop()
            .filter(|state| state.rows_aside == Some(5))
    })
    .await;
    assert_eq!(values(&taken), ["1", "5"]);
    assert_eq!((state.rows, state.failures), (Some(2), 5));
    assert!(state.last_error.unwrap().contains("was put aside"));
    assert!(
        state.last_success >= state.last_error_at,
        "the source itself is well"
    );
    let reasons = "SELECT error FROM statshub_outbox ORDER BY id";
    let reasons: Vec<String> = sqlx::query_scalar(reasons)
        .fetch_all(&mut admin)
        .await
        .unwrap();
    let expected = [
        "metric: ",
        "data is larger than 1000 bytes",
        "data is larger than 1000 bytes",
        "priority is none of critical, high, normal, low",
        "there are too many metrics",
    ];
    assert_eq!(reasons.len(), expected.len());
    for (reason, expected) in reasons.iter().zip(expected) {
        assert!(reason.starts_with(expected), "{reason}");
    }
    let mended = "UPDATE statshub_outbox SET metric = 'm', error = NULL WHERE metric = 'no name'; NOTIFY statshub_outbox";
    admin.execute(mended).await.unwrap();
    until(|| Some(()).filter(|()| values(&taken) == ["1", "5", "2"])).await;
}

#[actix::test]
async fn while_the_hub_takes_nothing_the_rows_stay_and_then_each_comes_once() {
    let (postgres, mut admin) = database().await;
    let taken = Shared::default();
    taken.lock().unwrap().away = true;
    let settings = [outbox(&postgres.url(), 2)];
    let (sources, _readings) = start_with(&settings, Duration::from_secs(3600), hub(&taken));
    for number in 0..5 {
        insert(&mut admin, number).await;
    }
    let state = until(|| sources.states().pop().filter(|state| state.failures > 1)).await;
    let error = "the rows cannot be published now: the log is away";
    assert_eq!(state.last_error.as_deref(), Some(error));
    assert_eq!(rows_left(&mut admin).await, 5);
    taken.lock().unwrap().away = false;
    until(|| Some(()).filter(|()| values(&taken).len() == 5)).await;
    assert_eq!(values(&taken), ["0", "1", "2", "3", "4"]);
}

/// Failure: the process is killed.
#[actix::test]
async fn rows_that_were_published_and_not_yet_deleted_are_known_again() {
    let (postgres, mut admin) = database().await;
    let never = "CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not now'; END $$; \
        CREATE TRIGGER never BEFORE DELETE ON statshub_outbox EXECUTE FUNCTION never()";
    admin.execute(never).await.unwrap();
    for number in 0..3 {
        insert(&mut admin, number).await;
    }
    let taken = Shared::default();
    let settings = [outbox(&postgres.url(), 2)];
    let (sources, _readings) = start_with(&settings, Duration::from_secs(3600), hub(&taken));
    let state = until(|| sources.states().pop().filter(|state| state.failures > 2)).await;
    assert_eq!(state.last_error.as_deref(), Some("not now"));
    assert!(taken.lock().unwrap().tries > 2);
    assert_eq!(
        values(&taken),
        ["0", "1"],
        "no others before these are gone"
    );
    admin
        .execute("DROP TRIGGER never ON statshub_outbox")
        .await
        .unwrap();
    until(|| Some(()).filter(|()| values(&taken) == ["0", "1", "2"])).await;

    // The same ids once more are other rows.
    admin
        .execute("TRUNCATE statshub_outbox RESTART IDENTITY")
        .await
        .unwrap();
    insert(&mut admin, 0).await;
    until(|| Some(()).filter(|()| values(&taken) == ["0", "1", "2", "0"])).await;
}
