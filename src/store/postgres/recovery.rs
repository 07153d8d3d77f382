//! What a hub that writes alone finds at its start.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnection;

use super::sessions;
use crate::domain::history::RestoredRing;
use crate::domain::message::{Json, Message, MessageId, Priority, Topic};
use crate::domain::time::Now;
use crate::store::append;
use crate::store::file::{id_of, to_sql};
use crate::store::recovery::Wanted;
use crate::store::sessions::Saved;
use crate::wire::message::{Publication, encode};

/// Rings that one question is about.
const RINGS: usize = 200;
/// How often a long start says how far it is.
const SAYS_EVERY: Duration = Duration::from_secs(1);

struct Ring {
    number: i64,
    topic: Topic,
    priority: Priority,
    cut: MessageId,
}

/// The newest messages, the ids of those before, the sessions. However long that takes.
pub(super) async fn read(
    connection: &mut PgConnection,
    wanted: Wanted,
) -> sqlx::Result<(Vec<RestoredRing>, Vec<Saved>)> {
    let patience = sqlx::raw_sql("SET statement_timeout = 0");
    patience.execute(&mut *connection).await?;
    let floor = id_floor(connection, wanted.ids).await?;
    let rings = rings(connection).await?;
    let mut restored = Vec::with_capacity(rings.len());
    let mut said = Instant::now();
    for some in rings.chunks(RINGS) {
        restored.extend(restore(connection, some, wanted, floor).await?);
        if said.elapsed() >= SAYS_EVERY {
            said = Instant::now();
            log::info!(
                "reading the log: {} of {} metrics",
                restored.len(),
                rings.len()
            );
        }
    }
    let sessions = sessions::read(connection).await?;
    let as_ever = sqlx::raw_sql("SET statement_timeout = 3500");
    as_ever.execute(connection).await?;
    Ok((restored, sessions))
}

/// Ids up to here need not be read: there are enough above.
async fn id_floor(connection: &mut PgConnection, ids: usize) -> sqlx::Result<i64> {
    let text = "SELECT id FROM statshub.message ORDER BY id DESC OFFSET $1 LIMIT 1";
    let ids = i64::try_from(ids).unwrap_or(i64::MAX);
    let floor = sqlx::query_scalar(text)
        .bind(ids)
        .fetch_optional(connection);
    Ok(floor.await?.unwrap_or_default())
}

async fn rings(connection: &mut PgConnection) -> sqlx::Result<Vec<Ring>> {
    let text = "SELECT id, kind, metric, owner, priority, cut FROM statshub.ring ORDER BY id";
    let rows: Vec<(i64, i64, String, String, i64, i64)> =
        sqlx::query_as(text).fetch_all(connection).await?;
    let ring = |(number, kind, metric, owner, priority, cut): (_, _, String, String, _, _)| {
        let topic = append::topic(kind, &metric, &owner);
        let Some((topic, priority)) = topic.zip(append::priority(priority)) else {
            log::warn!("a metric in the store cannot be read and is left out: {metric:?}");
            return None;
        };
        Some(Ring {
            number,
            topic,
            priority,
            cut: id_of(cut),
        })
    };
    Ok(rows.into_iter().filter_map(ring).collect())
}

async fn restore(
    connection: &mut PgConnection,
    rings: &[Ring],
    wanted: Wanted,
    floor: i64,
) -> sqlx::Result<Vec<RestoredRing>> {
    let kept = newest(connection, rings, wanted.messages_per_ring).await?;
    let first = |kept: &Vec<Arc<Message>>| kept.first().map_or(0, |message| to_sql(message.id));
    let before: Vec<i64> = kept.iter().map(first).collect();
    let gone = gone(connection, rings, &before, floor).await?;
    let unread = unread(connection, rings, &before, floor).await?;
    let all = rings.iter().zip(kept).zip(gone).zip(unread);
    let restored = |(((ring, kept), gone), unread): (((&Ring, _), _), MessageId)| RestoredRing {
        topic: ring.topic.clone(),
        priority: ring.priority,
        gone,
        cut: ring.cut.max(unread),
        kept,
    };
    Ok(all.map(restored).collect())
}

fn numbers(rings: &[Ring]) -> Vec<i64> {
    rings.iter().map(|ring| ring.number).collect()
}

/// The newest messages of each ring, the oldest first.
async fn newest(
    connection: &mut PgConnection,
    rings: &[Ring],
    max: usize,
) -> sqlx::Result<Vec<Vec<Arc<Message>>>> {
    let text = "SELECT place, it.id, it.retain, it.wall_ms, it.data \
                FROM unnest($1::int8[]) WITH ORDINALITY AS wanted(ring, place) \
                CROSS JOIN LATERAL ( \
                    SELECT id, retain, wall_ms, data FROM statshub.message \
                    WHERE ring = wanted.ring ORDER BY id DESC LIMIT $2) AS it \
                ORDER BY place, it.id";
    let rows: Vec<(i64, i64, bool, i64, String)> = sqlx::query_as(text)
        .bind(numbers(rings))
        .bind(i64::try_from(max).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    let mut kept = vec![Vec::new(); rings.len()];
    for (place, id, is_latest, wall_ms, data) in rows {
        let place = usize::try_from(place - 1).unwrap_or(usize::MAX);
        let Some((ring, kept)) = rings.get(place).zip(kept.get_mut(place)) else {
            continue;
        };
        let Some(data) = Json::kept(data) else {
            log::warn!(
                "message {} in the store cannot be read and is left out",
                id_of(id)
            );
            continue;
        };
        let publication = Publication {
            topic: ring.topic.clone(),
            data,
            priority: ring.priority,
            retain: append::retain(is_latest),
        };
        let now = Now {
            wall_ms: u64::try_from(wall_ms).unwrap_or_default(),
            mono: Duration::ZERO,
        };
        kept.push(Arc::new(encode(id_of(id), publication, now)));
    }
    Ok(kept)
}

/// The ids of each ring above `floor` and before the messages that are read.
async fn gone(
    connection: &mut PgConnection,
    rings: &[Ring],
    before: &[i64],
    floor: i64,
) -> sqlx::Result<Vec<Vec<MessageId>>> {
    let text = "SELECT place, it.id \
                FROM unnest($1::int8[], $2::int8[]) WITH ORDINALITY AS wanted(ring, before, place) \
                CROSS JOIN LATERAL ( \
                    SELECT id FROM statshub.message \
                    WHERE ring = wanted.ring AND id > $3 AND id < wanted.before) AS it \
                ORDER BY place, it.id";
    let rows: Vec<(i64, i64)> = sqlx::query_as(text)
        .bind(numbers(rings))
        .bind(before)
        .bind(floor)
        .fetch_all(connection)
        .await?;
    let mut gone = vec![Vec::new(); rings.len()];
    for (place, id) in rows {
        let place = usize::try_from(place - 1).unwrap_or(usize::MAX);
        if let Some(gone) = gone.get_mut(place) {
            gone.push(id_of(id));
        }
    }
    Ok(gone)
}

/// The newest id of each ring among those that are not read.
async fn unread(
    connection: &mut PgConnection,
    rings: &[Ring],
    before: &[i64],
    floor: i64,
) -> sqlx::Result<Vec<MessageId>> {
    let text = "SELECT (SELECT max(id) FROM statshub.message \
                    WHERE ring = wanted.ring AND id <= $3 AND id < wanted.before) \
                FROM unnest($1::int8[], $2::int8[]) WITH ORDINALITY AS wanted(ring, before, place) \
                ORDER BY place";
    let rows: Vec<Option<i64>> = sqlx::query_scalar(text)
        .bind(numbers(rings))
        .bind(before)
        .bind(floor)
        .fetch_all(connection)
        .await?;
    let id = |id: Option<i64>| id.map(id_of).unwrap_or_default();
    Ok(rows.into_iter().map(id).collect())
}
