//! What a transaction adds to the tables, gathered so that it goes there in a few statements however many
//! messages there are.

use std::collections::HashMap;
use std::sync::Arc;

use sqlx::postgres::PgConnection;

use crate::domain::alert::{AlertState, Severity};
use crate::domain::message::{Message, MessageId, Priority, Retain, Topic};
use crate::store::append::columns;
use crate::store::file::to_sql;
use crate::store::keys::Keyed;

/// The numbers that rings have in the database.
#[derive(Debug, Default)]
pub(super) struct Rings(HashMap<(Topic, Priority), i64>);

impl Rings {
    /// After a transaction that came to nothing, or rings that are gone.
    pub fn forget(&mut self) {
        self.0.clear();
    }

    fn number(&self, message: &Message) -> i64 {
        let known = self.0.get(&(message.topic.clone(), message.priority));
        known.copied().unwrap_or_default()
    }

    /// Makes those that are not there yet.
    async fn find(
        &mut self,
        connection: &mut PgConnection,
        messages: &[(Arc<Message>, i64)],
    ) -> sqlx::Result<()> {
        let ring = |message: &Arc<Message>| (message.topic.clone(), message.priority);
        let mut unknown: Vec<_> = messages.iter().map(|(message, _)| ring(message)).collect();
        unknown.retain(|ring| !self.0.contains_key(ring));
        let unknown: HashMap<_, _> = unknown.into_iter().map(|ring| (ring, ())).collect();
        if unknown.is_empty() {
            return Ok(());
        }
        let unknown: Vec<_> = unknown.into_keys().collect();
        let parts = unknown.iter().map(|(topic, _)| columns(topic));
        let parts: Vec<_> = parts.collect();
        let found: Vec<(i64, i64)> = sqlx::query_as(FIND)
            .bind(parts.iter().map(|part| part.0).collect::<Vec<_>>())
            .bind(parts.iter().map(|part| part.1).collect::<Vec<_>>())
            .bind(parts.iter().map(|part| part.2).collect::<Vec<_>>())
            .bind(unknown.iter().map(|ring| ring.1 as i64).collect::<Vec<_>>())
            .fetch_all(connection)
            .await?;
        for (place, number) in found {
            let place = usize::try_from(place - 1).unwrap_or(usize::MAX);
            if let Some(ring) = unknown.get(place) {
                self.0.insert(ring.clone(), number);
            }
        }
        Ok(())
    }
}

const FIND: &str = "
    WITH wanted AS (
        SELECT * FROM unnest($1::int8[], $2::text[], $3::text[], $4::int8[])
            WITH ORDINALITY AS wanted(kind, metric, owner, priority, place)
    ), made AS (
        INSERT INTO statshub.ring (kind, metric, owner, priority)
        SELECT kind, metric, owner, priority FROM wanted
        ON CONFLICT (metric, kind, owner, priority) DO NOTHING
        RETURNING id, kind, metric, owner, priority
    )
    SELECT place, id FROM wanted JOIN made USING (kind, metric, owner, priority)
    UNION ALL
    SELECT place, id FROM wanted JOIN statshub.ring USING (kind, metric, owner, priority)";

/// What is to be added.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// With the time of publishing.
    messages: Vec<(Arc<Message>, i64)>,
    keys: Vec<(MessageId, Keyed)>,
    alerts: Vec<(Arc<Message>, Severity)>,
}

impl Rows {
    pub fn message(&mut self, message: &Arc<Message>, wall_ms: u64) {
        let wall_ms = i64::try_from(wall_ms).unwrap_or(i64::MAX);
        self.messages.push((message.clone(), wall_ms));
    }

    pub fn key(&mut self, id: MessageId, keyed: Keyed) {
        self.keys.push((id, keyed));
    }

    pub fn alert(&mut self, message: &Arc<Message>, severity: Severity) {
        self.alerts.push((message.clone(), severity));
    }

    /// Adds it. What is there already stays as it is.
    pub async fn add(&self, connection: &mut PgConnection, rings: &mut Rings) -> sqlx::Result<()> {
        if !self.messages.is_empty() {
            rings.find(connection, &self.messages).await?;
            self.add_messages(connection, rings).await?;
        }
        if !self.keys.is_empty() {
            self.add_keys(connection).await?;
        }
        if !self.alerts.is_empty() {
            self.add_alerts(connection).await?;
        }
        Ok(())
    }

    async fn add_messages(&self, connection: &mut PgConnection, rings: &Rings) -> sqlx::Result<()> {
        let text = "
            WITH added AS (
                INSERT INTO statshub.message (id, ring, retain, wall_ms, data)
                SELECT * FROM unnest($1::int8[], $2::int8[], $3::bool[], $4::int8[], $5::text[])
                ON CONFLICT (id) DO NOTHING
                RETURNING ring
            ), counted AS (
                SELECT ring, count(*) AS added FROM added GROUP BY ring
            )
            UPDATE statshub.ring SET messages = messages + added
            FROM counted WHERE id = counted.ring";
        let messages = || self.messages.iter().map(|(message, _)| message);
        let is_latest = |message: &Arc<Message>| message.retain == Retain::Latest;
        sqlx::query(text)
            .bind(messages().map(|it| to_sql(it.id)).collect::<Vec<_>>())
            .bind(messages().map(|it| rings.number(it)).collect::<Vec<_>>())
            .bind(messages().map(is_latest).collect::<Vec<_>>())
            .bind(self.messages.iter().map(|it| it.1).collect::<Vec<_>>())
            .bind(messages().map(|it| value(it)).collect::<Vec<_>>())
            .execute(connection)
            .await?;
        Ok(())
    }

    async fn add_keys(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        let text = "INSERT INTO statshub.publish_key (message, key, hash) \
                    SELECT * FROM unnest($1::int8[], $2::bytea[], $3::bytea[]) \
                    ON CONFLICT DO NOTHING";
        let ids = self.keys.iter().map(|(id, _)| to_sql(*id));
        let keys = self.keys.iter().map(|(_, keyed)| &keyed.key.0[..]);
        let hashes = self.keys.iter().map(|(_, keyed)| &keyed.of.0[..]);
        sqlx::query(text)
            .bind(ids.collect::<Vec<_>>())
            .bind(keys.collect::<Vec<_>>())
            .bind(hashes.collect::<Vec<_>>())
            .execute(connection)
            .await?;
        Ok(())
    }

    async fn add_alerts(&self, connection: &mut PgConnection) -> sqlx::Result<()> {
        let text = "INSERT INTO statshub.alert (id, severity, data, state) \
                    SELECT id, severity, data, $4 \
                    FROM unnest($1::int8[], $2::text[], $3::text[]) AS new(id, severity, data) \
                    ON CONFLICT (id) DO NOTHING";
        let ids = self.alerts.iter().map(|(message, _)| to_sql(message.id));
        let severities = self.alerts.iter().map(|(_, severity)| severity.as_str());
        let data = self.alerts.iter().map(|(message, _)| value(message));
        sqlx::query(text)
            .bind(ids.collect::<Vec<_>>())
            .bind(severities.collect::<Vec<_>>())
            .bind(data.collect::<Vec<_>>())
            .bind(AlertState::Open.as_str())
            .execute(connection)
            .await?;
        Ok(())
    }
}

/// It was text when it came in, and is a part of it.
fn value(message: &Message) -> String {
    String::from_utf8_lossy(&message.value()).into_owned()
}
