//! `GET history` and `GET export`: what the log has of some metrics, as pages, as buckets, or whole.
//!
//! A caller sees what a snapshot would show him: messages to everybody, and those to himself. Times
//! are those of the ids, which never go back with the clock.

mod buckets;
mod csv;
mod export;
#[cfg(any(test, fuzzing))]
pub(super) mod fuzz;
mod pages;
mod parameters;

pub(super) use buckets::Bucketed;
pub(super) use export::{Wanted as ExportWanted, export};
pub(super) use pages::{Page, Wanted, history};
pub(super) use parameters::{Asked, Cursor, PAGE_DEFAULT, PAGE_MAX, invalid, limit, patterns};

use std::time::Duration;

use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::openapi::schemas;
use super::reply::Problem;
use super::state::State;
use crate::domain::message::{MessageId, Priority, UserId};
use crate::domain::pattern::MetricName;
use crate::store::{Reader, Row};
use crate::wire::message::timestamp;

/// Somebody has to change the settings and start the hub anew.
const NO_STORE_RETRY_AFTER: Duration = Duration::from_secs(60);

/// The log in the store.
///
/// # Errors
/// 503 where there is none.
pub(super) fn reader(state: &State) -> Result<&Reader, Problem> {
    state.hub.reader().ok_or_else(|| {
        let text = "History needs a store, and this hub keeps everything in memory only: set \
                    store.durability to \"process\" or \"power\"";
        Problem::unavailable(text, NO_STORE_RETRY_AFTER)
            .details(json!({"setting": "store.durability"}))
    })
}

/// A message as it is shown.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = PastMessage)]
pub(super) struct Shown<'a> {
    #[serde(serialize_with = "text")]
    #[schema(schema_with = schemas::message_id)]
    message_id: MessageId,
    #[schema(schema_with = schemas::time)]
    timestamp: String,
    #[schema(schema_with = schemas::metric_name)]
    metric: &'a MetricName,
    #[schema(schema_with = schemas::priority)]
    priority: Priority,
    /// As it was published, byte for byte.
    #[schema(schema_with = schemas::any)]
    value: &'a RawValue,
    /// Whose it is, where it was not for everybody.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::user_id)]
    user_id: Option<&'a UserId>,
}

fn text<S: serde::Serializer>(id: &MessageId, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(id)
}

impl<'a> Shown<'a> {
    fn of(row: &'a Row) -> serde_json::Result<Self> {
        Ok(Self {
            message_id: row.id,
            timestamp: timestamp(row.id.millis()),
            metric: &row.ring.metric,
            priority: row.ring.priority,
            value: serde_json::from_str(&row.data)?,
            user_id: row.ring.user.as_ref(),
        })
    }
}
