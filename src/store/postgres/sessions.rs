//! Sessions in their table. Of several changes of one only what comes of them is written.

use std::collections::BTreeMap;

use sqlx::postgres::PgConnection;
use uuid::Uuid;

use crate::domain::message::MessageId;
use crate::store::file::{id_of, to_sql};
use crate::store::sessions::{Saved, SessionChange};

/// What is to become of a session.
enum Fate<'a> {
    Saved(&'a Saved, MessageId),
    Moved(MessageId),
    Forgotten,
}

pub(super) async fn write(
    connection: &mut PgConnection,
    changes: &[SessionChange],
) -> sqlx::Result<()> {
    let mut anew = false;
    let mut fates = BTreeMap::new();
    for change in changes {
        match change {
            SessionChange::Anew => {
                anew = true;
                fates.clear();
            }
            SessionChange::Saved(saved) => {
                fates.insert(saved.token, Fate::Saved(saved, saved.position));
            }
            SessionChange::Moved(token, to) => match fates.get_mut(token) {
                Some(Fate::Saved(_, position)) => *position = *to,
                Some(Fate::Forgotten) => {}
                Some(Fate::Moved(_)) | None => {
                    fates.insert(*token, Fate::Moved(*to));
                }
            },
            SessionChange::Forgotten(token) => {
                fates.insert(*token, Fate::Forgotten);
            }
        }
    }
    if anew {
        let all = sqlx::query("DELETE FROM statshub.session");
        all.execute(&mut *connection).await?;
    }
    forget(connection, &fates).await?;
    save(connection, &fates).await?;
    move_on(connection, &fates).await
}

async fn forget(
    connection: &mut PgConnection,
    fates: &BTreeMap<Uuid, Fate<'_>>,
) -> sqlx::Result<()> {
    let forgotten = fates
        .iter()
        .filter(|(_, fate)| matches!(fate, Fate::Forgotten));
    let forgotten: Vec<Uuid> = forgotten.map(|(token, _)| *token).collect();
    if !forgotten.is_empty() {
        let text = "DELETE FROM statshub.session WHERE token = ANY($1)";
        sqlx::query(text)
            .bind(forgotten)
            .execute(connection)
            .await?;
    }
    Ok(())
}

async fn save(connection: &mut PgConnection, fates: &BTreeMap<Uuid, Fate<'_>>) -> sqlx::Result<()> {
    let saved = fates.values().filter_map(|fate| match fate {
        Fate::Saved(saved, position) => Some((saved, *position)),
        Fate::Moved(_) | Fate::Forgotten => None,
    });
    let saved: Vec<_> = saved.collect();
    if saved.is_empty() {
        return Ok(());
    }
    let text = "INSERT INTO statshub.session (token, position, away_since_ms, record) \
                SELECT * FROM unnest($1::uuid[], $2::int8[], $3::int8[], $4::text[]) \
                ON CONFLICT (token) DO UPDATE SET position = excluded.position, \
                away_since_ms = excluded.away_since_ms, record = excluded.record";
    let away = |saved: &Saved| saved.away_since_ms.and_then(|ms| i64::try_from(ms).ok());
    sqlx::query(text)
        .bind(saved.iter().map(|it| it.0.token).collect::<Vec<_>>())
        .bind(saved.iter().map(|it| to_sql(it.1)).collect::<Vec<_>>())
        .bind(saved.iter().map(|it| away(it.0)).collect::<Vec<_>>())
        .bind(saved.iter().map(|it| it.0.text()).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}

async fn move_on(
    connection: &mut PgConnection,
    fates: &BTreeMap<Uuid, Fate<'_>>,
) -> sqlx::Result<()> {
    let moved = fates.iter().filter_map(|(token, fate)| match fate {
        Fate::Moved(to) => Some((*token, to_sql(*to))),
        Fate::Saved(..) | Fate::Forgotten => None,
    });
    let (tokens, positions): (Vec<Uuid>, Vec<i64>) = moved.unzip();
    if !tokens.is_empty() {
        let text = "UPDATE statshub.session AS it SET position = moved.position \
                    FROM unnest($1::uuid[], $2::int8[]) AS moved(token, position) \
                    WHERE it.token = moved.token AND it.position <> moved.position";
        let moved = sqlx::query(text).bind(tokens).bind(positions);
        moved.execute(connection).await?;
    }
    Ok(())
}

pub(super) async fn read(connection: &mut PgConnection) -> sqlx::Result<Vec<Saved>> {
    let text = "SELECT token, position, away_since_ms, record FROM statshub.session";
    let rows: Vec<(Uuid, i64, Option<i64>, String)> =
        sqlx::query_as(text).fetch_all(connection).await?;
    let saved = |(token, position, away, record): (_, _, Option<i64>, String)| {
        let away = away.and_then(|ms| u64::try_from(ms).ok());
        Saved::read(token, id_of(position), away, &record)
    };
    Ok(rows.into_iter().filter_map(saved).collect())
}
