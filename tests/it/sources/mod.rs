//! Sources against what they are for: a real PostgreSQL, a real MariaDB, a real Redis, real HTTP servers.

mod http;
mod hubs;
mod notify;
mod outbox;
mod prometheus;
mod redis;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use serde_json::{Value, json};
use sqlx::{Connection, Executor, MySqlConnection, PgConnection};
use statshub::config::{self, SourceKind};
use statshub::domain::message::Priority;
use statshub::domain::pattern::MetricName;
use statshub::source::{
    HubStats, NotTaken, PublishRows, Reading, SourceState, Sources, Surroundings,
};
use tokio::sync::mpsc;

use crate::support::{mariadb, postgres};

const ROWS_MAX: usize = 100;
const DATA_BYTES_MAX: usize = 1000;
const TIMEOUT: Duration = Duration::from_secs(5);

fn source(metric: &str, kind: SourceKind, timeout: Duration) -> config::Source {
    config::Source {
        metric: MetricName::parse(metric).unwrap(),
        priority: Priority::Normal,
        kind,
        interval: None,
        timeout,
    }
}

fn sql(url: &str, query: &str) -> SourceKind {
    SourceKind::Sql {
        url: url.to_owned(),
        query: query.to_owned(),
        rows_max: ROWS_MAX,
    }
}

fn start(settings: &[config::Source], interval: Duration) -> (Sources, mpsc::Receiver<Reading>) {
    let nowhere: PublishRows =
        Arc::new(|_| async { Err(NotTaken::Later("nobody is there".to_owned())) }.boxed());
    start_with(settings, interval, nowhere)
}

fn start_with(
    settings: &[config::Source],
    interval: Duration,
    publish_rows: PublishRows,
) -> (Sources, mpsc::Receiver<Reading>) {
    let hub_stats: HubStats = Arc::new(|| async { Ok(json!({"connections": 3})) }.boxed());
    let (sink, drafts) = mpsc::channel(64);
    let surroundings = Surroundings {
        sink,
        hub_stats,
        turns: None,
        publish_rows,
        data_bytes_max: DATA_BYTES_MAX,
    };
    let sources = Sources::start(settings, interval, surroundings).unwrap();
    (sources, drafts)
}

async fn until<T>(mut found: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(began.elapsed() < Duration::from_secs(30), "nothing came");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What one read gives: the value published, or the error noted.
async fn read_within(kind: SourceKind, timeout: Duration) -> Result<Value, String> {
    let settings = [source("m", kind, timeout)];
    let (sources, mut drafts) = start(&settings, Duration::from_secs(3600));
    let state = until(|| sources.states().into_iter().find(|state| state.polls > 0)).await;
    match drafts.try_recv() {
        Ok(read) => Ok(serde_json::from_str(read.draft.data.as_str()).unwrap()),
        Err(_) => Err(state.last_error.unwrap()),
    }
}

async fn read(kind: SourceKind) -> Result<Value, String> {
    read_within(kind, TIMEOUT).await
}

/// Each query has one column, `v`.
async fn gives(url: &str, cases: Vec<(&str, Value)>) {
    for (query, expected) in cases {
        let value = read(sql(url, &format!("SELECT {query} AS v"))).await;
        assert_eq!(value, Ok(json!({ "v": expected })), "{query}");
    }
}

async fn fails(url: &str, cases: &[(&str, &str)]) {
    for (query, expected) in cases {
        let error = read(sql(url, query)).await.expect_err(query);
        assert!(error.contains(expected), "{query}: {error}");
    }
}

#[actix::test]
async fn postgres_types_become_json() {
    let postgres = postgres::Postgres::start();
    let mut admin = PgConnection::connect(&postgres.url()).await.unwrap();
    let types =
        "CREATE TYPE plan AS ENUM ('free', 'pro'); CREATE DOMAIN cents AS int CHECK (VALUE >= 0)";
    admin.execute(types).await.unwrap();
    let cases = vec![
        ("true", json!(true)),
        ("1::int2", json!(1)),
        ("-2::int4", json!(-2)),
        ("9007199254740993::int8", json!(9_007_199_254_740_993_i64)),
        ("7::oid", json!(7)),
        ("0.1::float4", json!(0.1)),
        ("0.1::float8", json!(0.1)),
        ("'NaN'::float8", json!(null)),
        ("1234.50::numeric(10, 2)", json!(1234.5)),
        ("1 / 1e20::numeric", json!(1e-20)),
        (
            "(SELECT sum(n) FROM generate_series(1, 3::int8) n)",
            json!(6),
        ),
        ("(SELECT avg(n) FROM generate_series(1, 2) n)", json!(1.5)),
        ("'zoë'::text", json!("zoë")),
        ("'a'::varchar(5)", json!("a")),
        ("'a'::char(3)", json!("a  ")),
        ("current_database()", json!("postgres")),
        ("'pro'::plan", json!("pro")),
        ("5::cents", json!(5)),
        ("'{\"a\": [1, null]}'::json", json!({"a": [1, null]})),
        ("'{\"a\": 1}'::jsonb", json!({"a": 1})),
        (
            "'00000000-0000-0000-0000-00000000000f'::uuid",
            json!("00000000-0000-0000-0000-00000000000f"),
        ),
        ("'\\x00ff'::bytea", json!("00ff")),
        (
            "'2024-05-01 12:00:00.25+02'::timestamptz",
            json!("2024-05-01T10:00:00.250Z"),
        ),
        (
            "'2024-05-01 10:00:00'::timestamp",
            json!("2024-05-01T10:00:00Z"),
        ),
        ("'2024-05-01'::date", json!("2024-05-01")),
        ("'10:00'::time", json!("10:00:00")),
        ("NULL::interval", json!(null)),
        ("ARRAY[1, NULL, 3]", json!([1, null, 3])),
        ("'{}'::text[]", json!([])),
        ("ARRAY['a', 'b']", json!(["a", "b"])),
        ("ARRAY[1.5, 2]::numeric[]", json!([1.5, 2])),
        ("ARRAY[true]", json!([true])),
        ("ARRAY['free', 'pro']::plan[]", json!(["free", "pro"])),
        ("ARRAY[5]::cents[]", json!([5])),
        ("ARRAY['{\"a\": 1}'::jsonb]", json!([{"a": 1}])),
        (
            "ARRAY['2024-05-01 10:00:00+00'::timestamptz]",
            json!(["2024-05-01T10:00:00Z"]),
        ),
        ("pg_sleep(0)", json!(null)),
    ];
    gives(&postgres.url(), cases).await;
    let cases = [
        (
            "SELECT interval '1 day' AS took",
            r#"column "took" of type INTERVAL has no JSON form here; cast it, for example CAST(... AS text)"#,
        ),
        (
            "SELECT ARRAY[[1], [2]] AS grid",
            r#"column "grid" of type INT4[] cannot be read"#,
        ),
        (
            "SELECT 'NaN'::numeric AS n",
            r#"column "n" of type NUMERIC cannot be read"#,
        ),
        (
            "SELECT * FROM missing",
            "relation \"missing\" does not exist",
        ),
    ];
    fails(&postgres.url(), &cases).await;
}

/// Failure: a source's database is down, slow, or answers without end.
#[actix::test]
async fn postgres_is_only_read_one_bounded_statement_at_a_time() {
    let postgres = postgres::Postgres::start();
    let mut admin = PgConnection::connect(&postgres.url()).await.unwrap();
    let table = "CREATE TABLE users (id int); INSERT INTO users SELECT generate_series(1, 3)";
    admin.execute(table).await.unwrap();
    let cases = [
        ("UPDATE users SET id = 0", "read-only transaction"),
        ("DELETE FROM users RETURNING id", "read-only transaction"),
        (
            "WITH gone AS (DELETE FROM users RETURNING id) SELECT * FROM gone",
            "read-only transaction",
        ),
        (
            "SELECT set_config('transaction_read_only', 'off', false)",
            "must be set before any query",
        ),
        (
            "DO 'BEGIN SET TRANSACTION READ WRITE; DELETE FROM users; END'",
            "must be set before any query",
        ),
        ("SELECT 1; SELECT 2", "cannot insert multiple commands"),
        ("SELECT generate_series(1, 101) AS n", "more than 100 rows"),
        ("SELECT 1 AS a, 2 AS a", "two columns are called \"a\""),
    ];
    fails(&postgres.url(), &cases).await;
    let users = sql(&postgres.url(), "SELECT id FROM users ORDER BY id");
    assert_eq!(
        read(users).await,
        Ok(json!([{"id": 1}, {"id": 2}, {"id": 3}]))
    );
    let none = sql(&postgres.url(), "SELECT id FROM users WHERE id > 9");
    assert_eq!(read(none).await, Ok(json!(null)));
}

/// Failure: a source's database is down, slow, or answers without end.
#[actix::test]
async fn a_time_out_ends_the_statement_on_the_postgres_server_too() {
    let postgres = postgres::Postgres::start();
    let mut admin = PgConnection::connect(&postgres.url()).await.unwrap();
    let sleep = sql(&postgres.url(), "SELECT pg_sleep(60)");
    let began = Instant::now();
    let error = read_within(sleep, Duration::from_millis(500))
        .await
        .unwrap_err();
    assert!(
        error.contains("no answer within 500ms") || error.contains("statement timeout"),
        "{error}"
    );
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND state = 'active' AND pid <> pg_backend_pid()";
    while sqlx::query_scalar::<_, i64>(sleeping)
        .fetch_one(&mut admin)
        .await
        .unwrap()
        > 0
    {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "the server sleeps on"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Failure: a source's database is down, slow, or answers without end.
#[actix::test]
async fn a_database_that_is_down_is_told_and_recovers_and_delays_no_other_source() {
    let postgres = postgres::Postgres::start();
    let url = postgres.url();
    let settings = [
        source(
            "slow",
            sql(&url, "SELECT pg_sleep(60)"),
            Duration::from_secs(60),
        ),
        source("users", sql(&url, "SELECT 1 AS n"), TIMEOUT),
        source(
            "down",
            sql("postgres://u:secret@127.0.0.1:1/db", "SELECT 1"),
            Duration::from_secs(1),
        ),
        source("hub", SourceKind::Hub, TIMEOUT),
    ];
    let (sources, mut drafts) = start(&settings, Duration::from_millis(50));
    let state = |name: &str| -> SourceState {
        let states = sources.states();
        states
            .into_iter()
            .find(|state| state.metric.as_str() == name)
            .unwrap()
    };
    until(|| (state("users").polls > 5 && state("hub").polls > 5).then_some(())).await;
    until(|| (state("slow").skipped > 0).then_some(())).await;
    let down = until(|| Some(state("down")).filter(|state| state.failures > 0)).await;
    let error = down.last_error.unwrap();
    assert!(
        error.starts_with("no connection") && !error.contains("secret"),
        "{error}"
    );
    assert_eq!(state("users").failures, 0);

    let mut admin = PgConnection::connect(&url).await.unwrap();
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'statshub' AND query NOT LIKE '%sleep%'";
    admin.execute(others).await.unwrap();
    let polls = state("users").polls;
    until(|| Some(state("users")).filter(|state| state.polls > polls + 5)).await;
    assert!(
        state("users").failures <= 1,
        "a lost connection costs one read at most"
    );

    while drafts.try_recv().is_ok() {}
    sources
        .reload(&settings[3..], Duration::from_millis(50))
        .unwrap();
    assert_eq!(sources.states().len(), 1);
    let unusable = [source("bad", sql("nodb:", "SELECT 1"), TIMEOUT)];
    assert!(sources.reload(&unusable, TIMEOUT).is_err());
    until(|| (state("hub").polls > 1).then_some(())).await;
    sources.stop();
    assert_eq!(sources.states(), []);
}

#[actix::test]
async fn mariadb_types_become_json_and_nothing_is_written() {
    let mariadb = mariadb::MariaDb::start();
    let url = mariadb.url();
    let mut admin = MySqlConnection::connect(&url).await.unwrap();
    let table = "CREATE TABLE users (id INT UNSIGNED, active BOOLEAN, tiny TINYINT, big BIGINT UNSIGNED, \
        spent DECIMAL(10, 2), rate FLOAT, name VARCHAR(20) COLLATE utf8mb4_bin, plan ENUM('free', 'pro'), \
        doc JSON, raw VARBINARY(4), joined DATETIME(3), seen TIMESTAMP NULL, born DATE, lasted TIME, year YEAR, bits BIT(8))";
    let row = "INSERT INTO users VALUES (1, true, -5, 18446744073709551615, 1234.50, 0.1, 'zoë', 'pro', '{\"a\": 1}', \
        x'00ff', '2024-05-01 10:00:00.25', '2024-05-01 10:00:00', '2024-05-01', '-30:00:00', 2024, b'101')";
    admin.execute(table).await.unwrap();
    admin.execute(row).await.unwrap();
    let all = "SELECT id, active, tiny, big, spent, rate, name, plan, doc AS `doc:json`, raw, joined, seen, born, lasted, year, bits, \
        count(*) AS n, sum(spent) AS total, avg(id) AS mean, NULL AS none, 1e0 AS d FROM users";
    let expected = json!({
        "id": 1, "active": true, "tiny": -5, "big": u64::MAX, "spent": 1234.5, "rate": 0.1, "name": "zoë",
        "plan": "pro", "doc": {"a": 1}, "raw": "00ff", "joined": "2024-05-01T10:00:00.250Z",
        "seen": "2024-05-01T10:00:00Z", "born": "2024-05-01", "lasted": "-30:00:00", "year": 2024, "bits": 5,
        "n": 1, "total": 1234.5, "mean": 1, "none": null, "d": 1.0,
    });
    assert_eq!(read(sql(&url, all)).await, Ok(expected));
    let cases = [
        ("UPDATE users SET id = 0", "READ ONLY transaction"),
        ("DELETE FROM users RETURNING id", "READ ONLY transaction"),
        ("DROP TABLE users", "READ ONLY transaction"),
        ("SELECT 1; SELECT 2", "syntax"),
        ("SELECT seq FROM seq_1_to_101", "more than 100 rows"),
        (
            "SELECT POINT(1, 2) AS place",
            "column \"place\" of type GEOMETRY has no JSON form here; cast it, for example CAST(... AS char)",
        ),
    ];
    fails(&url, &cases).await;

    let endless = sql(&url, "SELECT SLEEP(60)");
    read_within(endless, Duration::from_millis(500))
        .await
        .unwrap_err();
    let running =
        "SELECT COUNT(*) FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'";
    let began = Instant::now();
    while sqlx::query_scalar::<_, i64>(running)
        .fetch_one(&mut admin)
        .await
        .unwrap()
        > 0
    {
        assert!(
            began.elapsed() < Duration::from_secs(10),
            "the server sleeps on"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
