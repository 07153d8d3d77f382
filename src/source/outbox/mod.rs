//! A transactional outbox: a table into which an application writes in the transaction of what it tells about.
//!
//! Each row is published once and in the order of the ids, and is then gone. No mark of how far one has come is
//! kept, as a lower id may be committed later: what is there is what is to be done. Between the publishing and the
//! deletion the hub may crash; the row is then read again, and known by its key. What nobody can publish gets the
//! reason into its column `error` and is passed over from then on.

mod row;

use std::time::Instant;

use futures::future::BoxFuture;
use jiff::Timestamp;
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Executor, query, query_as};
use tokio::time::timeout;

use super::sql::postgres_options;
use super::state::{self, lock};
use super::told::{Connection, Left, Told};
use super::{NotTaken, OutboxRow, OutboxRows, PublishRows, SourceError, Surroundings};
use crate::domain::pattern::MetricName;
use row::Written;

/// Longer than the hub lets anybody wait who publishes.
const PUBLISHING_SECONDS: u64 = 10;

/// One table.
pub(super) struct Table {
    options: PgConnectOptions,
    channel: String,
    statements: Statements,
    rows_max: usize,
    data_bytes_max: usize,
    publish: PublishRows,
}

struct Statements {
    /// Takes how many rows, and how many bytes of data.
    select: String,
    delete: String,
    put_aside: String,
}

impl Statements {
    fn of(table: &str) -> Self {
        let parts = table.split('.');
        let quoted = parts.map(|part| format!("\"{}\"", part.replace('"', "\"\"")));
        let table = quoted.collect::<Vec<_>>().join(".");
        Self {
            // Locked, so that a hub of whose end the database has not heard yet is waited for; and not passed over
            // where they are, which would be another order.
            select: format!(
                "SELECT id::bigint AS id, metric::text AS metric, \
                 CASE WHEN octet_length(data::text) <= $2 THEN data::text END AS data, \
                 octet_length(data::text)::bigint AS bytes, priority::text AS priority, user_id::text AS user_id, \
                 (extract(epoch FROM created_at) * 1000000)::bigint::text AS created \
                 FROM {table} WHERE error IS NULL ORDER BY id LIMIT $1 FOR UPDATE"
            ),
            delete: format!("DELETE FROM {table} WHERE id = ANY($1)"),
            put_aside: format!("UPDATE {table} SET error = $2 WHERE id = $1"),
        }
    }
}

/// What became of a batch.
#[derive(Default)]
struct Emptied {
    /// Rows that were there.
    read: usize,
    published: Vec<i64>,
    /// With the reason.
    aside: Vec<(i64, String)>,
    /// Why not all of them are either.
    left: Option<SourceError>,
}

impl Table {
    /// # Errors
    /// The URL is none.
    pub fn new(
        url: &str,
        table: &str,
        channel: &str,
        rows_max: usize,
        surroundings: &Surroundings,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            options: postgres_options(url)?,
            channel: channel.to_owned(),
            statements: Statements::of(table),
            rows_max,
            data_bytes_max: surroundings.data_bytes_max,
            publish: surroundings.publish_rows.clone(),
        })
    }

    /// Publishes what is written into it, for ever.
    pub async fn empty(self, told: Told) {
        let live = async |connection: &mut Connection<'_>| self.live(connection).await;
        told.keep_connected(&self.options, &self.channel, live)
            .await;
    }

    async fn live(&self, connection: &mut Connection<'_>) -> Result<(), Left> {
        loop {
            while self.batch(connection).await? {}
            // Whatever was told while the batches ran is answered by the next one.
            connection.next().await?;
            while connection.listener.next_buffered().is_some() {}
        }
    }

    /// Publishes the next rows. `true`: there may be more.
    async fn batch(&self, connection: &mut Connection<'_>) -> Result<bool, Left> {
        let told = connection.told;
        let fence = told.right()?;
        let began = Instant::now();
        let done = self.transaction(connection, fence).await;
        let (emptied, result) = match done {
            Ok(mut emptied) => {
                let left = emptied.left.take().map_or(Ok(()), Err);
                (emptied, left)
            }
            Err(error) => (Emptied::default(), Err(error)),
        };
        let aside: Vec<_> = emptied.aside.iter().map(aside_line).collect();
        for line in &aside {
            log::warn!("outbox {}: {line}", told.metric);
        }
        let now = Timestamp::now();
        let record = told.record();
        let mut record = lock(&record);
        record.took_rows(emptied.published.len(), &aside, now);
        let Err(error) = result else {
            let change = record.finished(Ok(()), began.elapsed(), now);
            state::log(&told.metric, change, None);
            return Ok(emptied.read == self.rows_max);
        };
        Err(Left::Failed(error))
    }

    /// The rows are there until all of this is done.
    async fn transaction(
        &self,
        connection: &mut Connection<'_>,
        fence: Option<u64>,
    ) -> Result<Emptied, SourceError> {
        let (limit, name) = (connection.told.timeout, &connection.told.metric);
        // The database lets go of the rows also where this hub is gone and the connection does not say so.
        let millis = limit.as_millis().max(1);
        let begin = format!(
            "BEGIN; SET LOCAL statement_timeout = {millis}; \
             SET LOCAL idle_in_transaction_session_timeout = {}",
            millis + u128::from(PUBLISHING_SECONDS) * 1000
        );
        connection.run(&begin).await?;
        let listener = &mut connection.listener;
        let mut rows: Vec<Written> = Vec::new();
        within(
            limit,
            Box::pin(async {
                // The text of JSON has spaces that are not published.
                let bytes_max = 2 * self.data_bytes_max;
                let select = query_as(AssertSqlSafe(self.statements.select.clone()));
                let select = select.bind(self.rows_max as i64).bind(bytes_max as i64);
                rows = select.fetch_all(&mut *listener).await?;
                Ok(())
            }),
        )
        .await?;
        let emptied = self.publish(name, rows, fence).await;
        within(
            limit,
            Box::pin(async {
                for (id, reason) in &emptied.aside {
                    let put_aside = query(AssertSqlSafe(self.statements.put_aside.clone()));
                    put_aside
                        .bind(id)
                        .bind(reason)
                        .execute(&mut *listener)
                        .await?;
                }
                if !emptied.published.is_empty() {
                    let delete = query(AssertSqlSafe(self.statements.delete.clone()));
                    delete
                        .bind(&emptied.published)
                        .execute(&mut *listener)
                        .await?;
                }
                (&mut *listener).execute("COMMIT").await.map(drop)
            }),
        )
        .await?;
        Ok(emptied)
    }

    /// All at once; where the hub refuses them for what one of them says, one after the other.
    async fn publish(&self, name: &MetricName, rows: Vec<Written>, fence: Option<u64>) -> Emptied {
        let mut emptied = Emptied {
            read: rows.len(),
            ..Emptied::default()
        };
        let mut good: Vec<(i64, OutboxRow)> = Vec::with_capacity(rows.len());
        for row in rows {
            let id = row.id;
            match row.read(self.data_bytes_max) {
                Ok(row) => good.push((id, row)),
                Err(reason) => emptied.aside.push((id, reason)),
            }
        }
        if good.is_empty() {
            return emptied;
        }
        let publish = |rows: Vec<OutboxRow>| {
            (self.publish)(OutboxRows {
                outbox: name.clone(),
                rows,
                fence,
            })
        };
        let (ids, all): (Vec<_>, Vec<_>) = good.into_iter().unzip();
        match publish(all.clone()).await {
            Ok(()) => emptied.published = ids,
            Err(NotTaken::Later(reason)) => {
                emptied.left = Some(SourceError::NotPublished(reason));
            }
            Err(NotTaken::Refused(_)) => {
                for (id, row) in ids.into_iter().zip(all) {
                    match publish(vec![row]).await {
                        Ok(()) => emptied.published.push(id),
                        Err(NotTaken::Refused(reason)) => emptied.aside.push((id, reason)),
                        Err(NotTaken::Later(reason)) => {
                            emptied.left = Some(SourceError::NotPublished(reason));
                            break;
                        }
                    }
                }
            }
        }
        emptied
    }
}

async fn within(
    limit: std::time::Duration,
    done: BoxFuture<'_, Result<(), sqlx::Error>>,
) -> Result<(), SourceError> {
    let done = timeout(limit, done).await;
    let done = done.map_err(|_| SourceError::TimedOut(limit))?;
    done.map_err(SourceError::database)
}

fn aside_line((id, reason): &(i64, String)) -> String {
    format!("row {id} was put aside, see its column error: {reason}")
}
