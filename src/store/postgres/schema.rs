//! The tables: made at the first start, brought forward by newer versions.

use sqlx::Connection;
use sqlx::postgres::PgConnection;

use super::connect::{Place, reason};
use super::guard::{LOCKS, TABLES};
use crate::store::error::OpenError;

/// What makes tables of version n those of version n + 1.
const MIGRATIONS: [&str; 1] = [include_str!("schema_1.sql")];
/// The newest form of the tables that this program knows; they say their own.
const VERSION: i64 = MIGRATIONS.len() as i64;

/// Brings the tables up to date. Hubs that start at once wait for each other.
///
/// # Errors
/// They are of a newer version, or cannot be made.
pub(super) async fn forward(connection: &mut PgConnection, place: &Place) -> Result<(), OpenError> {
    let failed = |error: sqlx::Error| place.unusable(reason(&error));
    if version(connection, place).await? == VERSION {
        return Ok(());
    }
    // Not within the transaction, which would not see what was made while it waited.
    let lock = sqlx::query("SELECT pg_advisory_lock($1, $2)").bind(LOCKS);
    let lock = lock.bind(TABLES).execute(&mut *connection);
    lock.await.map_err(failed)?;
    let mut transaction = connection.begin().await.map_err(failed)?;
    // Somebody else may have been quicker.
    let found = version(&mut transaction, place).await?;
    if found < VERSION {
        let made = migrate(&mut transaction, found).await;
        made.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)?;
    let unlock = sqlx::query("SELECT pg_advisory_unlock($1, $2)").bind(LOCKS);
    let unlock = unlock.bind(TABLES).execute(connection);
    unlock.await.map_err(failed)?;
    Ok(())
}

/// The form of the tables; 0 where there are none.
///
/// # Errors
/// They are of a newer version, or cannot be read.
pub(super) async fn version(
    connection: &mut PgConnection,
    place: &Place,
) -> Result<i64, OpenError> {
    let failed = |error: sqlx::Error| place.unusable(reason(&error));
    let encoding: String = sqlx::query_scalar("SELECT current_setting('server_encoding')")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    if encoding != "UTF8" {
        let reason = format!("its encoding is {encoding}, and only UTF8 holds every text");
        return Err(place.unusable(reason));
    }
    let is_there = sqlx::query_scalar("SELECT to_regclass('statshub.meta') IS NOT NULL");
    if !is_there.fetch_one(&mut *connection).await.map_err(failed)? {
        return Ok(0);
    }
    let found = sqlx::query_scalar("SELECT version FROM statshub.meta");
    let found = found.fetch_one(connection).await.map_err(failed)?;
    match found > VERSION {
        true => Err(OpenError::Newer {
            place: place.name(),
            found,
            known: VERSION,
        }),
        false => Ok(found),
    }
}

async fn migrate(connection: &mut PgConnection, found: i64) -> sqlx::Result<()> {
    if found == 0 {
        // A schema that an operator has made for us is as good; to make one takes a right on the database.
        let is_there = "SELECT to_regnamespace('statshub') IS NOT NULL";
        let is_there: bool = sqlx::query_scalar(is_there)
            .fetch_one(&mut *connection)
            .await?;
        if !is_there {
            sqlx::raw_sql("CREATE SCHEMA statshub")
                .execute(&mut *connection)
                .await?;
        }
        let meta = "CREATE TABLE statshub.meta (
            one BOOLEAN PRIMARY KEY DEFAULT true CHECK (one),
            version INT8 NOT NULL
        )";
        sqlx::raw_sql(meta).execute(&mut *connection).await?;
        let first = "INSERT INTO statshub.meta (version) VALUES (0)";
        sqlx::raw_sql(first).execute(&mut *connection).await?;
    }
    let done = usize::try_from(found).unwrap_or_default();
    for migration in MIGRATIONS.into_iter().skip(done) {
        sqlx::raw_sql(migration).execute(&mut *connection).await?;
    }
    let set = sqlx::query("UPDATE statshub.meta SET version = $1").bind(VERSION);
    set.execute(connection).await?;
    Ok(())
}
