//! How far back the log goes: by age and by messages of one metric and priority; and the audit trail, by
//! an age of its own. How large it may be is the database's affair.
//!
//! Done in steps between the transactions of publishers, by the one that writes the log.

use std::time::{Duration, Instant};

use sqlx::Connection;
use sqlx::postgres::PgConnection;

use super::link::Trouble;
use super::{guard, trail};
use crate::config;
use crate::domain::message::MessageId;
use crate::store::file::to_sql;
use crate::store::retention::{millis, sql_ms};

/// Rows that go in one step: some tens of milliseconds' worth.
const ROWS_MAX: i64 = 2000;
/// How often it is looked for something that is too old.
const LOOKS_EVERY: Duration = Duration::from_secs(5);

/// What is to be kept, and when to look again.
#[derive(Debug)]
pub(super) struct Retention {
    settings: config::Retention,
    key_ttl_ms: u64,
    /// `None`: until it is said, nothing of the audit trail goes because of its age.
    audit_ms: Option<u64>,
    due: Instant,
    /// Rings are gone that somebody may remember the numbers of.
    removed_rings: bool,
}

impl Retention {
    pub fn new(settings: &config::Store) -> Self {
        Self {
            settings: settings.retention.clone(),
            key_ttl_ms: millis(settings.key_ttl),
            audit_ms: None,
            due: Instant::now(),
            removed_rings: false,
        }
    }

    pub fn set(&mut self, settings: config::Retention) {
        self.settings = settings;
        self.due = Instant::now();
    }

    pub fn set_audit(&mut self, age: Duration) {
        self.audit_ms = Some(millis(age));
        self.due = Instant::now();
    }

    pub fn is_due(&self) -> bool {
        self.due <= Instant::now()
    }

    /// Whether rings have gone since the last call.
    pub fn take_removed_rings(&mut self) -> bool {
        std::mem::take(&mut self.removed_rings)
    }

    /// One step. Returns whether there is more to do at once.
    pub async fn step(
        &mut self,
        connection: &mut PgConnection,
        fence: i64,
        now_ms: u64,
    ) -> Result<bool, Trouble> {
        let before = |ms: u64| MessageId::new(now_ms.saturating_sub(ms), 0).unwrap_or_default();
        let age = millis(self.settings.age);
        let mut transaction = connection.begin().await?;
        let entered = guard::enter(&mut transaction, fence, MessageId::ZERO).await?;
        entered.ok_or(Trouble::Overtaken)?;
        let aged = forget_aged(&mut transaction, before(age)).await?;
        let many = forget_beyond(&mut transaction, self.settings.messages_per_metric_max).await?;
        let keys = forget_keys(&mut transaction, before(self.key_ttl_ms)).await?;
        let resolved_before = sql_ms(now_ms.saturating_sub(age));
        let alerts = forget_alerts(&mut transaction, resolved_before).await?;
        let records = match self.audit_ms {
            Some(age) => {
                let before_ms = sql_ms(now_ms.saturating_sub(age));
                trail::forget(&mut transaction, before_ms, ROWS_MAX).await?
            }
            None => 0,
        };
        let rings = forget_rings(&mut transaction).await?;
        transaction.commit().await?;
        self.removed_rings |= rings > 0;
        let more = [aged, many, keys, alerts, records]
            .iter()
            .any(|gone| *gone > 0);
        if !more {
            self.due = Instant::now() + LOOKS_EVERY;
        }
        Ok(more)
    }
}

/// What goes because its ids are in `oldest`. Rings say how many they have and up to where some are gone.
macro_rules! forget {
    ($oldest:literal) => {
        concat!(
            "WITH oldest AS (",
            $oldest,
            "), gone AS (
                DELETE FROM statshub.message WHERE id IN (SELECT id FROM oldest)
                RETURNING id, ring
            ), counted AS (
                SELECT ring, count(*) AS gone, max(id) AS newest FROM gone GROUP BY ring
            ), cut AS (
                UPDATE statshub.ring SET messages = messages - gone, cut = greatest(cut, newest)
                FROM counted WHERE id = counted.ring
            )
            SELECT count(*) FROM gone"
        )
    };
}

async fn forget_aged(connection: &mut PgConnection, before: MessageId) -> sqlx::Result<i64> {
    // What parts of the hub remember (kind 4) has no age, and goes when a newer one takes its place.
    let text = forget!(
        "SELECT message.id FROM statshub.message JOIN statshub.ring ON ring.id = message.ring \
         WHERE message.id <= $1 AND ring.kind <> 4 ORDER BY message.id LIMIT $2"
    );
    let gone = sqlx::query_scalar(text).bind(to_sql(before)).bind(ROWS_MAX);
    gone.fetch_one(connection).await
}

async fn forget_beyond(connection: &mut PgConnection, max: u64) -> sqlx::Result<i64> {
    let text = forget!(
        "SELECT message.id FROM (
            SELECT id, messages - CASE kind WHEN 4 THEN 1 ELSE $1 END AS excess
            FROM statshub.ring WHERE messages > CASE kind WHEN 4 THEN 1 ELSE $1 END LIMIT 1
        ) AS full_ring
        CROSS JOIN LATERAL (
            SELECT id FROM statshub.message WHERE ring = full_ring.id
            ORDER BY id LIMIT least(full_ring.excess, $2)
        ) AS message"
    );
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    let gone = sqlx::query_scalar(text).bind(max).bind(ROWS_MAX);
    gone.fetch_one(connection).await
}

async fn forget_keys(connection: &mut PgConnection, before: MessageId) -> sqlx::Result<i64> {
    let text = "DELETE FROM statshub.publish_key WHERE message IN ( \
                SELECT message FROM statshub.publish_key WHERE message <= $1 \
                ORDER BY message LIMIT $2)";
    let gone = sqlx::query(text).bind(to_sql(before)).bind(ROWS_MAX);
    affected(gone.execute(connection).await?)
}

async fn forget_alerts(connection: &mut PgConnection, before_ms: i64) -> sqlx::Result<i64> {
    let text = "DELETE FROM statshub.alert WHERE id IN ( \
                SELECT id FROM statshub.alert WHERE resolved_ms <= $1 \
                ORDER BY resolved_ms LIMIT $2)";
    let gone = sqlx::query(text).bind(before_ms).bind(ROWS_MAX);
    affected(gone.execute(connection).await?)
}

/// Rings without messages: nobody from before can be told any more what was in them.
async fn forget_rings(connection: &mut PgConnection) -> sqlx::Result<i64> {
    let text = "WITH gone AS ( \
                    DELETE FROM statshub.ring WHERE messages = 0 RETURNING cut \
                ), head AS ( \
                    UPDATE statshub.head \
                    SET origin = greatest(origin, (SELECT max(cut) FROM gone)) \
                    WHERE EXISTS (SELECT 1 FROM gone) \
                ) \
                SELECT count(*) FROM gone";
    sqlx::query_scalar(text).fetch_one(connection).await
}

fn affected(done: sqlx::postgres::PgQueryResult) -> sqlx::Result<i64> {
    Ok(i64::try_from(done.rows_affected()).unwrap_or(i64::MAX))
}
