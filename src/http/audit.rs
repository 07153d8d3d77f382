//! `GET audit`: the newest of the audit trail in the store.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::IntoParams;

use super::access::{Admin, outcome};
use super::body::QueryOf;
use super::history::{invalid, limit, reader};
use super::openapi::schemas;
use super::reply::{self, Problem};
use super::state::State;
use crate::store::Kept;
use crate::telemetry::audit::{Action, Event};

/// Records read in one go.
const ROWS: usize = 1000;
/// Records looked through for one answer. Where few are wanted of very many, the caller goes on with the
/// cursor, rather than holding up other readers.
const LOOKED_THROUGH_MAX: usize = 20_000;
/// What `outcome` may say instead of a code.
const REFUSED: &str = "refused";

/// Unknown parameters are refused: a misspelt one would show too much.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Names of actions, separated by commas.
    action: Option<String>,
    /// Only what this user did.
    actor: Option<String>,
    /// `ok`, `refused`, or the code of a refusal.
    outcome: Option<String>,
    #[param(schema_with = schemas::page_limit)]
    limit: Option<String>,
    #[param(schema_with = schemas::audit_cursor)]
    cursor: Option<String>,
}

/// `GET audit`: the newest first.
pub(super) async fn trail(
    state: web::Data<State>,
    Admin(caller): Admin,
    wanted: Result<QueryOf<Wanted>, Problem>,
) -> Result<HttpResponse, Problem> {
    let mut event = caller.event(Action::ReadAudit);
    let done = read(&state, wanted, &mut event).await;
    event.outcome = outcome(&done);
    state.audit.record(event);
    done
}

async fn read(
    state: &State,
    wanted: Result<QueryOf<Wanted>, Problem>,
    event: &mut Event,
) -> Result<HttpResponse, Problem> {
    let reader = reader(state)?;
    let QueryOf(wanted) = wanted?;
    event.target = wanted.actor.clone();
    let limit = limit(wanted.limit.as_deref())?;
    let mut before = match wanted.cursor.as_deref() {
        Some(text) => before(text)?,
        None => i64::MAX,
    };
    let mut shown = Vec::new();
    let mut looked_through = 0;
    loop {
        let rows = reader.audit(before, ROWS).await?;
        let is_end = rows.len() < ROWS;
        looked_through += rows.len();
        for row in rows {
            if shown.len() == limit {
                return Ok(page(shown, Some(before)));
            }
            before = row.id;
            shown.extend(record(&row).filter(|it| wanted.picks(it)));
        }
        if is_end {
            return Ok(page(shown, None));
        }
        if looked_through >= LOOKED_THROUGH_MAX {
            return Ok(page(shown, Some(before)));
        }
    }
}

/// The number of a record.
fn before(text: &str) -> Result<i64, Problem> {
    let id = text.parse().ok().filter(|id| *id > 0);
    id.ok_or_else(|| invalid("cursor", "the nextCursor of the page before"))
}

fn page(events: Vec<Map<String, Value>>, next: Option<i64>) -> HttpResponse {
    reply::ok(json!({"events": events, "nextCursor": next.map(|id| id.to_string())}))
}

/// With its number in front, as `statshub audit tail` shows it; `None` where it is nothing that a hub
/// wrote, of which `audit verify` tells.
fn record(row: &Kept) -> Option<Map<String, Value>> {
    let fields: Map<String, Value> = serde_json::from_slice(&row.text).ok()?;
    let mut numbered = Map::from_iter([("id".to_owned(), json!(row.id))]);
    numbered.extend(fields);
    Some(numbered)
}

impl Wanted {
    fn picks(&self, record: &Map<String, Value>) -> bool {
        let text = |field| {
            record
                .get(field)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let is =
            |field, wanted: &Option<String>| wanted.as_ref().is_none_or(|it| text(field) == it);
        let actions = self.action.as_ref();
        actions.is_none_or(|all| all.split(',').any(|one| text("action") == one))
            && is("actor", &self.actor)
            && match self.outcome.as_deref() {
                Some(REFUSED) => text("outcome") != "ok",
                _ => is("outcome", &self.outcome),
            }
    }
}
