//! Rows to JSON, the same for every database: one row is an object, several are an array of
//! objects, none is null.
//!
//! A column's JSON type depends on its database type and never on the value in it, so that a dashboard
//! needs no cases. That decides what is not obvious:
//! - exact decimals become JSON numbers, whole ones of up to 64 bits exactly, others as the nearest
//!   64-bit float; a query that needs every digit casts them to text;
//! - NaN and the infinities become null, as in JavaScript;
//! - timestamps become RFC 3339 in UTC; those without a time zone are taken as UTC;
//! - bytes become lower-case hex;
//! - a text column whose name ends in `:json` is parsed, and the ending cut off. That is how databases without a
//!   JSON type of their own (SQLite, MariaDB) give nested values.

use crate::wire::hex::Hex;
use futures::TryStreamExt;
use serde_json::{Map, Value};
use sqlx::error::BoxDynError;
use sqlx::types::BigDecimal;
use sqlx::types::chrono::{DateTime, NaiveDateTime, Utc};
use sqlx::{
    AssertSqlSafe, Column, ColumnIndex, Connection, Database, Either, Executor, IntoArguments,
    Pool, Row, TypeInfo,
};

use super::Query;
use crate::source::SourceError;

const JSON_SUFFIX: &str = ":json";

/// A database, as far as reading its rows goes.
pub(super) trait Cells: Database {
    /// What it calls text in a cast.
    const AS_TEXT: &'static str;

    /// One cell of a row. `Ok(None)`: a type that has no JSON form here.
    fn cell(row: &Self::Row, index: usize) -> Result<Option<Value>, BoxDynError>;
}

/// Runs the query in a transaction that `begin` opens and that is rolled back whatever happened.
pub(super) async fn read<DB>(
    pool: &Pool<DB>,
    begin: String,
    query: &Query,
) -> Result<Value, SourceError>
where
    DB: Cells,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    DB::Arguments: IntoArguments<DB>,
    usize: ColumnIndex<DB::Row>,
{
    let mut connection = pool.acquire().await.map_err(SourceError::database)?;
    let value = async {
        let begun = connection.begin_with(AssertSqlSafe(begin)).await;
        let mut transaction = begun.map_err(SourceError::database)?;
        let value = collect::<DB>(&mut transaction, query).await?;
        let ended = transaction.rollback().await;
        ended.map_err(SourceError::database)?;
        Ok(value)
    }
    .await;
    if value.is_err() {
        // Rows that nobody wants may still be under way: a new connection is cheaper.
        connection.close_on_drop();
    }
    value
}

/// Runs the query as the one statement it must be.
pub(super) async fn collect<DB>(
    connection: &mut DB::Connection,
    query: &Query,
) -> Result<Value, SourceError>
where
    DB: Cells,
    for<'c> &'c mut DB::Connection: Executor<'c, Database = DB>,
    DB::Arguments: IntoArguments<DB>,
    usize: ColumnIndex<DB::Row>,
{
    // The operator's own text from the settings: nothing is ever put into it.
    let statement = sqlx::query::<DB>(AssertSqlSafe(query.text.clone()));
    let mut results = connection.fetch_many(statement);
    let mut rows = Vec::new();
    let mut ended = false;
    while let Some(result) = results.try_next().await.map_err(SourceError::database)? {
        if ended {
            return Err(SourceError::SeveralStatements);
        }
        match result {
            Either::Left(_) => ended = true,
            Either::Right(_) if rows.len() == query.rows_max => {
                let rows_max = query.rows_max;
                return Err(SourceError::Rows { rows_max });
            }
            Either::Right(row) => rows.push(object::<DB>(&row)?),
        }
    }
    Ok(match rows.len() {
        0 | 1 => rows.pop().unwrap_or(Value::Null),
        _ => Value::Array(rows),
    })
}

fn object<DB>(row: &DB::Row) -> Result<Value, SourceError>
where
    DB: Cells,
    usize: ColumnIndex<DB::Row>,
{
    let mut object = Map::new();
    for (index, column) in row.columns().iter().enumerate() {
        let problem = match DB::cell(row, index) {
            Ok(Some(value)) => {
                let (name, value) = parsed(column.name(), value)?;
                if object.insert(name.to_owned(), value).is_some() {
                    return Err(SourceError::ColumnTwice(name.to_owned()));
                }
                continue;
            }
            Ok(None) => "has no JSON form here".to_owned(),
            Err(error) => format!("cannot be read ({error})"),
        };
        return Err(SourceError::Column {
            column: column.name().to_owned(),
            kind: column.type_info().name().to_owned(),
            problem,
            as_text: DB::AS_TEXT,
        });
    }
    Ok(Value::Object(object))
}

/// Cuts `:json` off the name and parses the text, where the name ends so.
fn parsed(column: &str, value: Value) -> Result<(&str, Value), SourceError> {
    let Some(name) = column.strip_suffix(JSON_SUFFIX) else {
        return Ok((column, value));
    };
    let Value::String(text) = value else {
        return Ok((name, value));
    };
    let value = serde_json::from_str(&text).map_err(|error| SourceError::ColumnJson {
        column: name.to_owned(),
        problem: error.to_string(),
    })?;
    Ok((name, value))
}

/// By way of its shortest text, so that 0.1 stays 0.1.
pub(super) fn single(number: f32) -> Value {
    number
        .to_string()
        .parse::<f64>()
        .map_or(Value::Null, Value::from)
}

/// Whole numbers of up to 64 bits exactly, all others as the nearest float.
pub(super) fn decimal(number: BigDecimal) -> Value {
    let text = number.normalized().to_plain_string();
    if let Ok(whole) = text.parse::<i64>() {
        Value::from(whole)
    } else if let Ok(whole) = text.parse::<u64>() {
        Value::from(whole)
    } else {
        text.parse::<f64>().map_or(Value::Null, Value::from)
    }
}

pub(super) fn timestamp(time: DateTime<Utc>) -> Value {
    text(time.format("%Y-%m-%dT%H:%M:%S%.fZ"))
}

pub(super) fn zoneless(time: NaiveDateTime) -> Value {
    timestamp(time.and_utc())
}

pub(super) fn bytes(bytes: Vec<u8>) -> Value {
    Value::String(Hex(&bytes).to_string())
}

pub(super) fn text(value: impl ToString) -> Value {
    Value::String(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn decimals_are_always_numbers() {
        for (written, expected) in [
            ("1234.50", json!(1234.5)),
            ("33.3333333333333333", json!(33.333_333_333_333_336)),
            ("5.00", json!(5)),
            ("9007199254740993", json!(9_007_199_254_740_993_i64)),
            ("18446744073709551615", json!(u64::MAX)),
            ("-0.000000000000000000000000000001", json!(-1e-30)),
            ("100000000000000000000000000000", json!(1e29)),
        ] {
            assert_eq!(decimal(written.parse().unwrap()), expected, "{written}");
        }
    }

    #[test]
    fn a_name_that_ends_in_json_asks_for_parsing() {
        let check = |column, value, expected: Option<(&str, Value)>| {
            assert_eq!(parsed(column, value).ok(), expected);
        };
        check("top:json", json!("[1]"), Some(("top", json!([1]))));
        check("top:json", json!(null), Some(("top", json!(null))));
        check("top:json", json!("{"), None);
        check("top", json!("[1]"), Some(("top", json!("[1]"))));
    }

    #[test]
    fn floats_stay_short_and_nan_is_null() {
        assert_eq!(single(0.1), json!(0.1));
        assert_eq!(single(f32::NAN), Value::Null);
        assert_eq!(Value::from(f64::INFINITY), Value::Null);
    }
}
