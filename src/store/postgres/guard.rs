//! Who may write: a lock that goes with the connection, and a number that whoever takes over raises.
//!
//! The lock keeps a second hub from starting where one writes alone. It says nothing about a hub that
//! lost its connection and does not know yet; so every transaction names the number of its writer, and
//! comes to nothing where another has raised it.

use std::time::Duration;

use sqlx::postgres::PgConnection;
use tokio::time::{Instant, sleep};

use crate::domain::message::MessageId;
use crate::store::file::{id_of, to_sql};

/// The first half of all our advisory locks, "shub"; the second says which.
pub(super) const LOCKS: i32 = 0x7368_7562;
/// Held by a hub that writes alone, shared by those that write together.
const HUBS: i32 = 1;
/// Held while the tables are made.
pub(super) const TABLES: i32 = 2;
/// Held while the audit trail grows.
pub(super) const TRAIL: i32 = 3;

/// How long a new hub waits for the connection of one that was just killed to be noticed.
const LOCKED_FOR: Duration = Duration::from_secs(5);
const LOOKS_EVERY: Duration = Duration::from_millis(100);

/// Said where somebody else writes.
pub(super) const TAKEN: &str =
    "another hub uses it; hubs share a database where REDIS_URL joins them";
/// Said by a hub that finds out late.
pub(super) const OVERTAKEN: &str =
    "another hub has taken the database over meanwhile; this one has to be started anew";

/// In whose company a hub writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Company {
    Alone,
    Together,
}

/// Whether this connection now has the lock, for as long as it lives.
pub(super) async fn lock(connection: &mut PgConnection, company: Company) -> sqlx::Result<bool> {
    let text = match company {
        Company::Alone => "SELECT pg_try_advisory_lock($1, $2)",
        Company::Together => "SELECT pg_try_advisory_lock_shared($1, $2)",
    };
    let locked = sqlx::query_scalar(text).bind(LOCKS).bind(HUBS);
    locked.fetch_one(connection).await
}

/// The same, and waits for one that is about to be given back.
pub(super) async fn lock_soon(
    connection: &mut PgConnection,
    company: Company,
) -> sqlx::Result<bool> {
    let began = Instant::now();
    loop {
        let is_locked = lock(connection, company).await?;
        if is_locked || began.elapsed() >= LOCKED_FOR {
            return Ok(is_locked);
        }
        sleep(LOOKS_EVERY).await;
    }
}

/// From now on nobody writes who took over before. Returns the number to write with, and how far the log
/// is written.
pub(super) async fn take_over(connection: &mut PgConnection) -> sqlx::Result<(i64, MessageId)> {
    let text = "UPDATE statshub.head SET fence = fence + 1 RETURNING fence, last";
    let (fence, last): (i64, i64) = sqlx::query_as(text).fetch_one(connection).await?;
    Ok((fence, id_of(last)))
}

/// Begins a transaction of the writer with this number, which brings the log up to `last`. Returns the
/// transaction's number; `None`: another has taken over.
pub(super) async fn enter(
    connection: &mut PgConnection,
    fence: i64,
    last: MessageId,
) -> sqlx::Result<Option<i64>> {
    let text = "UPDATE statshub.head SET last = greatest(last, $2) WHERE fence = $1 \
                RETURNING txid_current()";
    let entered = sqlx::query_scalar(text).bind(fence).bind(to_sql(last));
    entered.fetch_optional(connection).await
}

/// Whether a transaction was committed; `None`: it goes on still.
pub(super) async fn was_committed(
    connection: &mut PgConnection,
    transaction: i64,
) -> sqlx::Result<Option<bool>> {
    let text = "SELECT txid_status($1)";
    let status = sqlx::query_scalar(text).bind(transaction);
    let status: Option<String> = status.fetch_one(connection).await?;
    Ok(match status.as_deref() {
        Some("in progress") => None,
        Some("committed") => Some(true),
        // One too old to tell was not ours of a moment ago.
        _ => Some(false),
    })
}
