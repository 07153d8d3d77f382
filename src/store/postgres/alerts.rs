//! Alerts in their table. What somebody did about one is kept as JSON, for a note may hold any character
//! and a column of text may not.

use serde::{Deserialize, Serialize};
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{FromRow, Row};

use crate::domain::alert::{AlertState, Severity};
use crate::domain::message::{MessageId, UserId};
use crate::store::alerts::{Alert, AlertChange, AlertFilter, AlertStep};
use crate::store::file::{id_of, to_sql};

#[derive(Serialize, Deserialize)]
struct Step {
    by: String,
    at_ms: u64,
    note: Option<String>,
}

/// Whether it was as the change expects. Otherwise nothing is written. A second one at the same time waits
/// for the first, and then finds it otherwise.
pub(super) async fn change(
    connection: &mut PgConnection,
    change: &AlertChange,
) -> sqlx::Result<bool> {
    let text = match change.to {
        AlertState::Resolved => {
            "UPDATE statshub.alert SET state = $3, resolved = $4, resolved_ms = $5 \
             WHERE id = $1 AND state = $2"
        }
        AlertState::Open | AlertState::Acknowledged => {
            "UPDATE statshub.alert SET state = $3, acknowledged = $4 \
             WHERE id = $1 AND state = $2 AND $5 IS NOT NULL"
        }
    };
    let step = Step {
        by: change.step.by.as_str().to_owned(),
        at_ms: change.step.at_ms,
        note: change.step.note.clone(),
    };
    let changed = sqlx::query(text)
        .bind(to_sql(change.id))
        .bind(change.from.as_str())
        .bind(change.to.as_str())
        // Cannot fail: a text, a number and a text.
        .bind(serde_json::to_string(&step).unwrap_or_default())
        .bind(i64::try_from(change.step.at_ms).unwrap_or(i64::MAX));
    Ok(changed.execute(connection).await?.rows_affected() == 1)
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, severity, state, data, acknowledged, resolved FROM statshub.alert WHERE ",
            $rest
        )
    };
}

/// By which of state and severity are given: none, the state, the severity, both.
const PAGES: [&str; 4] = [
    select!("$1 IS NULL AND $2 IS NULL AND id < $3 ORDER BY id DESC LIMIT $4"),
    select!("state = $1 AND $2 IS NULL AND id < $3 ORDER BY id DESC LIMIT $4"),
    select!("$1 IS NULL AND severity = $2 AND id < $3 ORDER BY id DESC LIMIT $4"),
    select!("state = $1 AND severity = $2 AND id < $3 ORDER BY id DESC LIMIT $4"),
];

pub(super) async fn page(
    connection: &mut PgConnection,
    filter: AlertFilter,
    limit: usize,
) -> sqlx::Result<Vec<Alert>> {
    let which = usize::from(filter.state.is_some()) + 2 * usize::from(filter.severity.is_some());
    let rows: Vec<Found> = sqlx::query_as(PAGES[which])
        .bind(filter.state.map(AlertState::as_str))
        .bind(filter.severity.map(Severity::as_str))
        .bind(filter.before.map_or(i64::MAX, to_sql))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().filter_map(|found| found.0).collect())
}

pub(super) async fn one(
    connection: &mut PgConnection,
    id: MessageId,
) -> sqlx::Result<Option<Alert>> {
    let row = sqlx::query_as(select!("id = $1")).bind(to_sql(id));
    let row: Option<Found> = row.fetch_optional(connection).await?;
    Ok(row.and_then(|found| found.0))
}

/// `None` for what this program never writes.
struct Found(Option<Alert>);

impl FromRow<'_, PgRow> for Found {
    fn from_row(row: &PgRow) -> sqlx::Result<Self> {
        let (severity, state): (String, String) = (row.try_get(1)?, row.try_get(2)?);
        let (Some(severity), Some(state)) = (Severity::parse(&severity), AlertState::parse(&state))
        else {
            log::warn!("an alert in the store cannot be read and is left out");
            return Ok(Self(None));
        };
        Ok(Self(Some(Alert {
            id: id_of(row.try_get(0)?),
            severity,
            state,
            data: row.try_get(3)?,
            acknowledged: step(row.try_get(4)?),
            resolved: step(row.try_get(5)?),
        })))
    }
}

fn step(text: Option<String>) -> Option<AlertStep> {
    let step: Step = serde_json::from_str(&text?).ok()?;
    Some(AlertStep {
        by: UserId::parse(&step.by)?,
        at_ms: step.at_ms,
        note: step.note,
    })
}
