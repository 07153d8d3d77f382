//! The audit trail: one chain of all hubs, which grows under a lock.

use std::sync::{Mutex, PoisonError};

use futures::future::BoxFuture;
use sqlx::Connection;
use sqlx::postgres::PgConnection;

use super::connect::{Place, reason, unread};
use super::guard::{LOCKS, TRAIL};
use super::link::{OwnRuntime, Trouble, aside};
use super::schema;
use crate::store::append::Outcome;
use crate::store::audit::{GENESIS, Hash, Link, Waiting};
use crate::store::chain::{Kept, Records};
use crate::store::error::{OpenError, ReadError};

/// Adds what waits to the chain, in a transaction of its own. The number of that is in `committing` before
/// it is committed.
pub(super) async fn append(
    connection: &mut PgConnection,
    audit: &mut Waiting,
    committing: &mut Option<(i64, Vec<Outcome>)>,
) -> Result<Vec<Outcome>, Trouble> {
    let mut transaction = connection.begin().await?;
    let lock = sqlx::query_scalar("SELECT txid_current(), pg_advisory_xact_lock($1, $2)");
    let lock = lock.bind(LOCKS).bind(TRAIL);
    let number: i64 = lock.fetch_one(&mut *transaction).await?;
    let newest = newest(&mut transaction).await?;
    let chained = audit.chained(newest);
    let text = "INSERT INTO statshub.audit (id, at_ms, record, hash) \
                SELECT * FROM unnest($1::int8[], $2::int8[], $3::text[], $4::bytea[])";
    let texts = chained.iter().map(|(_, record)| record.text.as_str());
    sqlx::query(text)
        .bind(chained.iter().map(|it| it.0.id).collect::<Vec<_>>())
        .bind(chained.iter().map(|it| it.1.at_ms).collect::<Vec<_>>())
        .bind(texts.collect::<Vec<_>>())
        .bind(chained.iter().map(|it| &it.0.hash[..]).collect::<Vec<_>>())
        .execute(&mut *transaction)
        .await?;
    *committing = Some((number, Vec::new()));
    transaction.commit().await?;
    Ok(Vec::new())
}

/// What the next record is to be chained to.
async fn newest(connection: &mut PgConnection) -> sqlx::Result<Link> {
    let text = "SELECT id, hash FROM statshub.audit ORDER BY id DESC LIMIT 1";
    let newest = sqlx::query_as(text)
        .fetch_optional(&mut *connection)
        .await?;
    match newest {
        Some(found) => Ok(link(found)),
        None => cut(connection).await,
    }
}

/// What the oldest record that is left is chained to.
async fn cut(connection: &mut PgConnection) -> sqlx::Result<Link> {
    let cut = sqlx::query_as("SELECT id, hash FROM statshub.audit_cut");
    let cut = cut.fetch_optional(connection).await?;
    Ok(cut.map_or(Link::BEGIN, link))
}

/// A hash that somebody else wrote may be of any length; verifying tells of it.
fn link((id, hash): (i64, Vec<u8>)) -> Link {
    let hash = Hash::try_from(hash).unwrap_or(GENESIS);
    Link { id, hash }
}

/// Takes away up to `rows_max` of the oldest records, those from before `before_ms`, and keeps what the next
/// one is chained to. Returns how many.
pub(super) async fn forget(
    connection: &mut PgConnection,
    before_ms: i64,
    rows_max: i64,
) -> sqlx::Result<i64> {
    // Up to the first that is young enough, should times have gone back.
    let text = "WITH oldest AS (
            SELECT id, at_ms, hash FROM statshub.audit ORDER BY id LIMIT $2
        ), gone AS (
            DELETE FROM statshub.audit WHERE id IN (
                SELECT id FROM oldest
                WHERE id < coalesce((SELECT min(id) FROM oldest WHERE at_ms >= $1), $3))
            RETURNING id, hash
        )
        INSERT INTO statshub.audit_cut (id, hash)
        SELECT id, hash FROM gone ORDER BY id DESC LIMIT 1
        ON CONFLICT (one) DO UPDATE SET id = excluded.id, hash = excluded.hash
        RETURNING (SELECT count(*) FROM gone)";
    let gone: Option<i64> = sqlx::query_scalar(text)
        .bind(before_ms)
        .bind(rows_max)
        .bind(i64::MAX)
        .fetch_optional(connection)
        .await?;
    Ok(gone.unwrap_or_default())
}

/// The trail as whoever checks it reads it, also while hubs write it. Every call blocks.
pub(in crate::store) struct Trail {
    connection: Mutex<PgConnection>,
    runtime: OwnRuntime,
}

impl Trail {
    /// # Errors
    /// The database cannot be reached, has no trail, or is of a newer version.
    pub fn open(url: &str) -> Result<Self, OpenError> {
        let place = Place::of(url)?;
        let failed = |error: sqlx::Error| place.unusable(reason(&error));
        let runtime = OwnRuntime::new().map_err(|error| place.unusable(error.to_string()))?;
        let opening = async {
            let mut connection = place.connect().await.map_err(failed)?;
            match schema::version(&mut connection, &place).await? {
                0 => Err(place.unusable("no hub has kept anything in it")),
                _ => Ok(connection),
            }
        };
        let connection = aside(|| runtime.run(opening))?;
        Ok(Self {
            connection: Mutex::new(connection),
            runtime,
        })
    }

    fn read<T: Send>(
        &self,
        read: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<T>> + Send,
    ) -> Result<T, ReadError> {
        let read = aside(|| {
            let connection = self.connection.lock();
            let mut connection = connection.unwrap_or_else(PoisonError::into_inner);
            self.runtime.run(read(&mut connection))
        });
        read.map_err(|error| unread(&error))
    }
}

const COLUMNS: &str = "SELECT id, at_ms, convert_to(record, 'UTF8'), hash FROM statshub.audit";

async fn rows(
    connection: &mut PgConnection,
    rest: &str,
    id: i64,
    max: usize,
) -> sqlx::Result<Vec<Kept>> {
    let text = sqlx::AssertSqlSafe(format!("{COLUMNS} {rest}"));
    let rows: Vec<(i64, i64, Vec<u8>, Vec<u8>)> = sqlx::query_as(text)
        .bind(id)
        .bind(i64::try_from(max).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    let kept = |(id, at_ms, text, hash)| Kept::new(id, at_ms, text, hash);
    Ok(rows.into_iter().map(kept).collect())
}

/// Up to `max` records before the one numbered `id`, newest first.
pub(super) async fn before(
    connection: &mut PgConnection,
    id: i64,
    max: usize,
) -> sqlx::Result<Vec<Kept>> {
    rows(connection, BEFORE, id, max).await
}

const AFTER: &str = "WHERE id > $1 ORDER BY id LIMIT $2";
const BEFORE: &str = "WHERE id < $1 ORDER BY id DESC LIMIT $2";

impl Records for Trail {
    fn cut(&self) -> Result<Link, ReadError> {
        self.read(|connection| Box::pin(cut(connection)))
    }

    fn some_after(&self, at: Link, max: usize) -> Result<(Link, Vec<Kept>), ReadError> {
        self.read(move |connection| {
            Box::pin(async move {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
                let mut transaction = connection.begin_with(begin).await?;
                let cut = cut(&mut transaction).await?;
                let first = sqlx::query_scalar("SELECT min(id) FROM statshub.audit");
                let first: Option<i64> = first.fetch_one(&mut *transaction).await?;
                let after = at.after(cut, first);
                let rows = rows(&mut transaction, AFTER, after, max).await?;
                transaction.rollback().await?;
                Ok((cut, rows))
            })
        })
    }

    fn after(&self, id: i64, max: usize) -> Result<Vec<Kept>, ReadError> {
        self.read(move |connection| Box::pin(rows(connection, AFTER, id, max)))
    }

    fn before(&self, id: i64, max: usize) -> Result<Vec<Kept>, ReadError> {
        self.read(move |connection| Box::pin(before(connection, id, max)))
    }

    fn newest_id(&self) -> Result<i64, ReadError> {
        self.read(|connection| Box::pin(async move { Ok(newest(connection).await?.id) }))
    }
}
