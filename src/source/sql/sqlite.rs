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
    let mut handle = connection.lock_handle().await.map_err(SourceError::database)?;
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
            ("DATETIME", _) => {
                rows::timestamp(row.try_get_unchecked::<DateTime<Utc>, _>(index)?)
            }
            (_, "INTEGER") => Value::from(row.try_get_unchecked::<i64, _>(index)?),
            (_, "REAL") => Value::from(row.try_get_unchecked::<f64, _>(index)?),
            (_, "TEXT") => Value::String(row.try_get_unchecked(index)?),
            (_, "BLOB") => rows::bytes(row.try_get_unchecked(index)?),
            _ => return Ok(None),
        }))
    }
}
