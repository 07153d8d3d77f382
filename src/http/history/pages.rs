//! `GET history`: messages page by page, or their numbers in buckets.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::parameters::{self, Asked, Cursor, invalid};
use super::{Shown, buckets, reader};
use crate::domain::message::MessageId;
use crate::http::access::{Admin, Caller, outcome};
use crate::http::body::QueryOf;
use crate::http::openapi::schemas;
use crate::http::reply::{self, Problem};
use crate::http::state::State;
use crate::store::{Bounds, Order, Walk};
use crate::telemetry::audit::{Action, Event};

/// Texts, so that each refusal can name its parameter. Unknown ones are refused: a misspelt one would
/// answer something else than was asked.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Wanted {
    #[param(schema_with = schemas::pattern_list)]
    pub metric: Option<String>,
    #[param(schema_with = schemas::from)]
    pub from: Option<String>,
    #[param(schema_with = schemas::to)]
    pub to: Option<String>,
    #[param(schema_with = schemas::page_limit)]
    pub limit: Option<String>,
    #[param(schema_with = schemas::cursor)]
    pub cursor: Option<String>,
    #[param(schema_with = schemas::order)]
    pub order: Option<String>,
    #[param(schema_with = schemas::step)]
    pub step: Option<String>,
    #[param(schema_with = schemas::field)]
    pub field: Option<String>,
    #[param(schema_with = schemas::aggregate)]
    pub agg: Option<String>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = MessagePage)]
pub(in crate::http) struct Page<'a> {
    messages: Vec<Shown<'a>>,
    /// `null`: there are no more.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// `GET history`.
pub(in crate::http) async fn history(
    state: web::Data<State>,
    Admin(caller): Admin,
    wanted: Result<QueryOf<Wanted>, Problem>,
) -> Result<HttpResponse, Problem> {
    let mut event = caller.event(Action::ReadHistory);
    let done = read(&state, &caller, wanted, &mut event).await;
    event.outcome = outcome(&done);
    state.audit.record(event);
    done
}

async fn read(
    state: &State,
    caller: &Caller,
    wanted: Result<QueryOf<Wanted>, Problem>,
    event: &mut Event,
) -> Result<HttpResponse, Problem> {
    let reader = reader(state)?;
    let QueryOf(wanted) = wanted?;
    event.target = wanted.metric.clone();
    event.details = Some(json!({"from": wanted.from, "to": wanted.to, "step": wanted.step}));
    match wanted.step {
        Some(_) => {
            let now_ms = state.now_ms();
            let asked = buckets::Wanted::of(&wanted, now_ms)?;
            buckets::read(reader, caller, asked).await
        }
        None => page(reader, caller, &wanted).await,
    }
}

async fn page(
    reader: &crate::store::Reader,
    caller: &Caller,
    wanted: &Wanted,
) -> Result<HttpResponse, Problem> {
    for (name, given) in [("field", &wanted.field), ("agg", &wanted.agg)] {
        if given.is_some() {
            return Err(invalid(name, "only together with `step`"));
        }
    }
    let patterns = parameters::patterns("metric", wanted.metric.as_deref())?;
    let (from, to) = parameters::times(wanted.from.as_deref(), wanted.to.as_deref())?;
    let order = parameters::order(wanted.order.as_deref())?;
    let limit = parameters::limit(wanted.limit.as_deref())?;
    let parts = [&wanted.metric, &wanted.from, &wanted.to, &wanted.order];
    let asked = Asked::of(&parts.map(|part| part.as_deref()));
    let cursor = wanted.cursor.as_deref();
    let cursor = cursor.map(|text| Cursor::read(text, asked)).transpose()?;

    let bounds = behind(cursor, parameters::bounds(from, to), order);
    let rings = reader.rings(patterns, caller.user().clone()).await?;
    let walk = Walk::new(rings, bounds, order);
    let (walk, rows) = reader.page(walk, limit).await?;
    let shown: Result<Vec<_>, _> = rows.iter().map(Shown::of).collect();
    let next = rows.last().filter(|_| !walk.is_at_end());
    Ok(reply::ok(Page {
        messages: shown.map_err(Problem::internal)?,
        next_cursor: next.map(|row| Cursor(row.id).write(asked)),
    }))
}

/// What is left of the bounds behind a page that ended there.
fn behind(cursor: Option<Cursor>, bounds: Bounds, order: Order) -> Bounds {
    let Some(Cursor(id)) = cursor else {
        return bounds;
    };
    match order {
        Order::OldestFirst => Bounds {
            from: bounds
                .from
                .max(MessageId::from_bits(id.to_bits().saturating_add(1))),
            ..bounds
        },
        Order::NewestFirst => Bounds {
            to: bounds.to.min(id),
            ..bounds
        },
    }
}
