//! SQLite.

use std::str::FromStr;
use std::time::Instant;

use serde_json::Value;
use sqlx::error::BoxDynError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::types::chrono::{DateTime, Utc};
use sqlx::{Column, ConnectOptions, Row, Sqlite, SqlitePool, TypeInfo, ValueRef};

use super::rows::{self, Cells};
use super::{Query, SourceError};

/// Steps of SQLite's virtual machine between two looks at the clock: some ten microseconds.
const STEPS_PER_LOOK: i32 = 1000;

pub(super) fn options(url: &str) -> Result<SqliteConnectOptions, sqlx::Error> {
    let options = SqliteConnectOptions::from_str(url)?;
    Ok(options.read_only(true).disable_statement_logging())
}

/// No transaction here: a single statement sees one state of the database anyway, and the file is opened to read.
pub(super) async fn read(pool: &SqlitePool, query: &Query) -> Result<Value, SourceError> {
    let mut connection = pool.acquire().await.map_err(SourceError::database)?;
    let until = Instant::now() + query.timeout;
    let mut handle = connection
        .lock_handle()
        .await
        .map_err(SourceError::database)?;
    // Dropping a read does not stop SQLite within a row; this does, and so frees the connection.
    handle.set_progress_handler(STEPS_PER_LOOK, move || Instant::now() < until);
    drop(handle);
    rows::collect::<Sqlite>(&mut connection, query).await
}

impl Cells for Sqlite {
    const AS_TEXT: &'static str = "text";

    /// By what the value is, since in SQLite any column can hold anything, but for the two declared types
    /// that have no storage of their own: booleans are integers, and timestamps text or numbers.
    fn cell(row: &SqliteRow, index: usize) -> Result<Option<Value>, BoxDynError> {
        let raw = row.try_get_raw(index)?;
        let stored = raw.type_info();
        let declared = row.column(index).type_info();
        Ok(Some(match (declared.name(), stored.name()) {
            _ if raw.is_null() => Value::Null,
            ("BOOLEAN", "INTEGER") => Value::Bool(row.try_get(index)?),
            ("DATETIME", _) => rows::timestamp(row.try_get_unchecked::<DateTime<Utc>, _>(index)?),
            (_, "INTEGER") => Value::from(row.try_get_unchecked::<i64, _>(index)?),
            (_, "REAL") => Value::from(row.try_get_unchecked::<f64, _>(index)?),
            (_, "TEXT") => Value::String(row.try_get_unchecked(index)?),
            (_, "BLOB") => rows::bytes(row.try_get_unchecked(index)?),
            _ => return Ok(None),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;
    use sqlx::{Connection, Executor, SqliteConnection};

    use super::*;
    use crate::source::Source;
    use crate::source::sql::Pool;
    use crate::source::sql::Sql;
    use crate::trace::Span;

    const ENDLESS: &str =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n";

    struct Database {
        folder: tempfile::TempDir,
        /// Stays open: a writer beside the reader, as in life.
        writer: SqliteConnection,
    }

    impl Database {
        async fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("school.db");
            let options = SqliteConnectOptions::new().filename(path);
            let writer = options.create_if_missing(true);
            let mut writer = SqliteConnection::connect_with(&writer).await.unwrap();
            writer
                .execute(
                    "PRAGMA journal_mode = wal;
                     CREATE TABLE users (id INTEGER, active BOOLEAN, joined DATETIME, note);
                     INSERT INTO users VALUES (1, 1, '2024-05-01 10:00:00', x'00ff'), (2, 0, 1714557600, 1.5)",
                )
                .await
                .unwrap();
            Self { folder, writer }
        }

        fn source(&self, query: &str) -> Sql {
            let url = format!("sqlite:{}", self.folder.path().join("school.db").display());
            let pool = sqlx::SqlitePool::connect_lazy_with(options(&url).unwrap());
            let query = Query {
                text: query.into(),
                rows_max: 3,
                timeout: Duration::from_millis(200),
            };
            let pool = Pool::Sqlite(pool);
            Sql { pool, query }
        }

        async fn ask(&self, query: &str) -> Result<Value, SourceError> {
            self.source(query).read(&mut Span::default()).await
        }

        async fn fails(&self, query: &str, expected: &str) {
            let error = self.ask(query).await.expect_err(query).to_string();
            assert!(error.contains(expected), "{query}: {error}");
        }
    }

    #[actix::test]
    async fn rows_become_null_an_object_or_an_array() {
        let database = Database::new().await;
        for (query, expected) in [
            ("SELECT 1 AS n WHERE 0", json!(null)),
            (
                "SELECT count(*) AS total, NULL AS none FROM users;",
                json!({"total": 2, "none": null}),
            ),
            (
                "SELECT id, active FROM users ORDER BY id -- all",
                json!([{"id": 1, "active": true}, {"id": 2, "active": false}]),
            ),
            (
                "SELECT joined FROM users",
                json!([{"joined": "2024-05-01T10:00:00Z"}, {"joined": "2024-05-01T10:00:00Z"}]),
            ),
            (
                "SELECT note FROM users ORDER BY id",
                json!([{"note": "00ff"}, {"note": 1.5}]),
            ),
            (
                "SELECT json_group_array(id) AS 'ids:json', 'é' AS text FROM users",
                json!({"ids": [1, 2], "text": "é"}),
            ),
        ] {
            assert_eq!(database.ask(query).await.unwrap(), expected, "{query}");
        }
    }

    /// Failure: a source's database is down, slow, or answers without end.
    #[actix::test]
    async fn nothing_can_be_written() {
        let database = Database::new().await;
        for write in [
            "UPDATE users SET id = 9",
            "DELETE FROM users RETURNING id",
            "DROP TABLE users",
            "PRAGMA user_version = 7",
        ] {
            database.fails(write, "readonly").await;
        }
    }

    #[actix::test]
    async fn one_statement_one_name_a_column_and_a_limit_on_rows() {
        let database = Database::new().await;
        let several = "one statement";
        database
            .fails("SELECT 1 AS a; SELECT 2 AS a", several)
            .await;
        database.fails("SELECT 1 AS a, 2 AS a", "two columns").await;
        let four = "SELECT value FROM generate_series(1, 4)";
        let four = four.replace("generate_series(1, 4)", "json_each('[1,2,3,4]')");
        database.fails(&four, "more than 3 rows").await;
        let bad = "SELECT joined FROM (SELECT joined FROM users LIMIT 0) UNION ALL SELECT 'x'";
        database
            .fails(bad, "column \"joined\" of type DATETIME cannot be read")
            .await;
        let bad = "SELECT '[' AS 'top:json'";
        database
            .fails(bad, "column \"top\" is declared to hold JSON")
            .await;
    }

    /// Failure: a source's database is down, slow, or answers without end.
    #[actix::test]
    async fn a_statement_without_end_is_interrupted() {
        let database = Database::new().await;
        database.fails(ENDLESS, "interrupted").await;
    }

    #[test]
    fn a_read_may_be_given_up_where_there_is_no_runtime_any_more() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().unwrap();
        let within = runtime.enter();
        let database = runtime.block_on(Database::new());
        let sql = database.source(ENDLESS);
        let mut span = Span::default();
        let mut read = sql.read(&mut span);
        drop(within);
        let waited = runtime
            .block_on(async { tokio::time::timeout(Duration::from_millis(50), &mut read).await });
        assert!(waited.is_err(), "it is under way");
        drop(read);
    }

    #[actix::test]
    async fn a_reader_works_while_a_writer_is_in_the_middle_of_it() {
        let mut database = Database::new().await;
        database
            .writer
            .execute("BEGIN IMMEDIATE; INSERT INTO users (id) VALUES (3)")
            .await
            .unwrap();
        let count = "SELECT count(*) AS n FROM users";
        assert_eq!(database.ask(count).await.unwrap(), json!({"n": 2}));
        database.writer.execute("COMMIT").await.unwrap();
        assert_eq!(database.ask(count).await.unwrap(), json!({"n": 3}));
    }

    #[actix::test]
    async fn a_missing_file_is_not_created() {
        let database = Database::new().await;
        let path = database.folder.path().join("none.db");
        let pool = sqlx::SqlitePool::connect_lazy_with(
            options(&format!("sqlite:{}", path.display())).unwrap(),
        );
        let query = Query {
            text: "SELECT 1".into(),
            rows_max: 1,
            timeout: Duration::from_secs(1),
        };
        assert!(read(&pool, &query).await.is_err());
        assert!(!path.exists());
    }
}
