//! PostgreSQL.

use std::str::FromStr;

use serde_json::Value;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgConnectOptions, PgRow, PgTypeInfo, PgTypeKind, PgValueRef};
use sqlx::types::chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use sqlx::types::{BigDecimal, Uuid};
use sqlx::{ConnectOptions, Decode, PgPool, Postgres, Row, Type, TypeInfo, ValueRef};

use super::rows::{self, Cells};
use super::{Query, SourceError};

/// How a database is connected to.
///
/// # Errors
/// The URL is none; it is not in the text.
pub(in crate::source) fn options(url: &str) -> Result<PgConnectOptions, sqlx::Error> {
    let options = PgConnectOptions::from_str(url)?.application_name("statshub");
    Ok(options.disable_statement_logging())
}

/// Both guards belong to the transaction and not to the connection, so that they also hold behind a
/// pooler, and each sharer of the pool has its own time-out.
pub(super) async fn read(pool: &PgPool, query: &Query) -> Result<Value, SourceError> {
    let begin = format!(
        "BEGIN READ ONLY; SET LOCAL statement_timeout = {}",
        query.timeout_millis()
    );
    rows::read(pool, begin, query).await
}

impl Cells for Postgres {
    const AS_TEXT: &'static str = "text";

    fn cell(row: &PgRow, index: usize) -> Result<Option<Value>, BoxDynError> {
        let raw = row.try_get_raw(index)?;
        if raw.is_null() {
            return Ok(Some(Value::Null));
        }
        let info = raw.type_info().into_owned();
        let (element, array) = element(&info);
        if matches!(element.kind(), PgTypeKind::Enum(_)) {
            return decode::<String>(raw, array, Value::String);
        }
        scalar(element.name(), raw, array)
    }
}

fn scalar(kind: &str, raw: PgValueRef<'_>, array: bool) -> Result<Option<Value>, BoxDynError> {
    match kind {
        "BOOL" => decode::<bool>(raw, array, Value::Bool),
        "INT2" => decode::<i16>(raw, array, Value::from),
        "INT4" => decode::<i32>(raw, array, Value::from),
        "INT8" => decode::<i64>(raw, array, Value::from),
        "OID" => decode::<Oid>(raw, array, |oid| Value::from(oid.0)),
        "FLOAT4" => decode::<f32>(raw, array, rows::single),
        "FLOAT8" => decode::<f64>(raw, array, Value::from),
        "NUMERIC" => decode::<BigDecimal>(raw, array, rows::decimal),
        "TEXT" | "VARCHAR" | "CHAR" | "NAME" | "UNKNOWN" | "citext" => {
            decode::<String>(raw, array, Value::String)
        }
        "UUID" => decode::<Uuid>(raw, array, rows::text),
        "JSON" | "JSONB" => decode::<Value>(raw, array, |value| value),
        "BYTEA" => decode::<Vec<u8>>(raw, array, rows::bytes),
        "TIMESTAMPTZ" => decode::<DateTime<Utc>>(raw, array, rows::timestamp),
        "TIMESTAMP" => decode::<NaiveDateTime>(raw, array, rows::zoneless),
        "DATE" => decode::<NaiveDate>(raw, array, rows::text),
        "TIME" => decode::<NaiveTime>(raw, array, rows::text),
        "VOID" => Ok(Some(Value::Null)),
        _ => Ok(None),
    }
}

/// The type to decode, and whether the value is an array of it. A domain is what it is made of.
fn element(info: &PgTypeInfo) -> (&PgTypeInfo, bool) {
    match info.kind() {
        PgTypeKind::Domain(base) => element(base),
        PgTypeKind::Array(of) => (element(of).0, true),
        _ => (info, false),
    }
}

fn decode<T>(
    raw: PgValueRef<'_>,
    array: bool,
    json: fn(T) -> Value,
) -> Result<Option<Value>, BoxDynError>
where
    T: for<'r> Decode<'r, Postgres> + Type<Postgres>,
{
    if !array {
        return T::decode(raw).map(|value| Some(json(value)));
    }
    let items = Vec::<Option<T>>::decode(raw)?;
    let items = items.into_iter().map(|item| item.map_or(Value::Null, json));
    Ok(Some(items.collect()))
}
