//! MySQL and MariaDB.

use std::str::FromStr;

use serde_json::Value;
use sqlx::error::BoxDynError;
use sqlx::mysql::types::MySqlTime;
use sqlx::mysql::{MySqlConnectOptions, MySqlRow};
use sqlx::types::BigDecimal;
use sqlx::types::chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use sqlx::{ConnectOptions, MySql, MySqlPool, Row, Type, TypeInfo, ValueRef};

use super::rows::{self, Cells};
use super::{Query, SourceError};

pub(super) fn options(url: &str) -> Result<MySqlConnectOptions, sqlx::Error> {
    Ok(MySqlConnectOptions::from_str(url)?.disable_statement_logging())
}

pub(super) async fn read(pool: &MySqlPool, query: &Query) -> Result<Value, SourceError> {
    rows::read(pool, begin(query.timeout_millis()), query).await
}

/// The session is made read-only too, because a statement like DROP TABLE first commits the
/// transaction and is then judged by the session alone.
///
/// The two servers spell the time-out differently. Each runs only the comment meant for it: MySQL
/// skips `/*M!`, and MariaDB skips `/*!` with the version numbers that only MySQL has. A server
/// too old for either sets nothing, and the poller's time-out is the only one.
fn begin(timeout_millis: u128) -> String {
    let timeout_seconds = timeout_millis as f64 / 1000.0;
    format!(
        "SET SESSION TRANSACTION READ ONLY; \
         SET @statshub = 1 /*!50708 , SESSION max_execution_time = {timeout_millis} */ \
         /*M!100101 , SESSION max_statement_time = {timeout_seconds} */; \
         START TRANSACTION READ ONLY"
    )
}

impl Cells for MySql {
    const AS_TEXT: &'static str = "char";

    fn cell(row: &MySqlRow, index: usize) -> Result<Option<Value>, BoxDynError> {
        let raw = row.try_get_raw(index)?;
        if raw.is_null() {
            return Ok(Some(Value::Null));
        }
        let info = raw.type_info().into_owned();
        // Not by name: a text of a _bin collation calls itself VARBINARY.
        if <String as Type<MySql>>::compatible(&info) {
            return Ok(Some(Value::String(row.try_get(index)?)));
        }
        if <Vec<u8> as Type<MySql>>::compatible(&info) {
            return Ok(Some(rows::bytes(row.try_get(index)?)));
        }
        Ok(Some(match info.name() {
            "BOOLEAN" => Value::Bool(row.try_get(index)?),
            "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" => {
                Value::from(row.try_get::<i64, _>(index)?)
            }
            "TINYINT UNSIGNED" | "SMALLINT UNSIGNED" | "MEDIUMINT UNSIGNED" | "INT UNSIGNED"
            | "BIGINT UNSIGNED" | "YEAR" | "BIT" => Value::from(row.try_get::<u64, _>(index)?),
            "FLOAT" => rows::single(row.try_get(index)?),
            "DOUBLE" => Value::from(row.try_get::<f64, _>(index)?),
            "DECIMAL" => rows::decimal(row.try_get::<BigDecimal, _>(index)?),
            "JSON" => row.try_get(index)?,
            "TIMESTAMP" => rows::timestamp(row.try_get::<DateTime<Utc>, _>(index)?),
            "DATETIME" => rows::zoneless(row.try_get::<NaiveDateTime, _>(index)?),
            "DATE" => rows::text(row.try_get::<NaiveDate, _>(index)?),
            "TIME" => rows::text(row.try_get::<MySqlTime, _>(index)?),
            _ => return Ok(None),
        }))
    }
}
