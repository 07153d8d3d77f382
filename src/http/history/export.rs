//! `GET export`: all messages of a time in one answer, however many. They are read a page at a time
//! and as fast as the client takes them, so memory does not depend on how much there is.

use std::fmt::Write;

use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::{HttpResponse, web};
use bytes::Bytes;
use futures::Stream;
use futures::stream::unfold;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;
use utoipa::IntoParams;

use super::parameters::{self, invalid};
use super::{Shown, csv, reader};
use crate::domain::message::MessageId;
use crate::http::access::{Admin, Caller, outcome};
use crate::http::body::QueryOf;
use crate::http::openapi::schemas;
use crate::http::reply::Problem;
use crate::http::state::State;
use crate::store::{Order, Reader, Row, Walk};
use crate::telemetry::audit::{Action, Event};
use crate::wire::message::timestamp;

/// Messages read at a time.
const ROWS: usize = 500;

/// As in `pages`: unknown parameters are refused.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct Wanted {
    #[param(schema_with = schemas::pattern_list)]
    metric: Option<String>,
    #[param(schema_with = schemas::from)]
    from: Option<String>,
    #[param(schema_with = schemas::to)]
    to: Option<String>,
    #[param(schema_with = schemas::export_format)]
    format: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Csv,
    Json,
    Ndjson,
}

impl Format {
    fn parse(text: Option<&str>) -> Result<Self, Problem> {
        match text {
            None | Some("csv") => Ok(Self::Csv),
            Some("json") => Ok(Self::Json),
            Some("ndjson") => Ok(Self::Ndjson),
            Some(_) => Err(invalid("format", "csv, json or ndjson")),
        }
    }

    fn extension(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Json => "json",
            Self::Ndjson => "ndjson",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8; header=present",
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// `GET export`.
pub(in crate::http) async fn export(
    state: web::Data<State>,
    Admin(caller): Admin,
    wanted: Result<QueryOf<Wanted>, Problem>,
) -> Result<HttpResponse, Problem> {
    let mut event = caller.event(Action::Export);
    let done = begun(&state, &caller, wanted, &mut event).await;
    event.outcome = outcome(&done);
    state.audit.record(event);
    done
}

async fn begun(
    state: &web::Data<State>,
    caller: &Caller,
    wanted: Result<QueryOf<Wanted>, Problem>,
    event: &mut Event,
) -> Result<HttpResponse, Problem> {
    let reader = reader(state)?;
    let QueryOf(wanted) = wanted?;
    event.target = wanted.metric.clone();
    event.details = Some(json!({
        "from": wanted.from, "to": wanted.to, "format": wanted.format,
    }));
    let patterns = parameters::patterns("metric", wanted.metric.as_deref())?;
    let (from, to) = parameters::times(wanted.from.as_deref(), wanted.to.as_deref())?;
    let format = Format::parse(wanted.format.as_deref())?;
    let mut bounds = parameters::bounds(from, to);
    // What is published from now on is not of it: it has to come to an end.
    bounds.to = bounds.to.min(reader.newest().await?.next());
    let rings = reader.rings(patterns, caller.user().clone()).await?;
    let export = Export {
        state: state.clone(),
        reader: reader.clone(),
        walk: Walk::new(rings, bounds, Order::OldestFirst),
        format,
        part: Part::Head,
        is_first: true,
    };
    let name = format!(
        "attachment; filename=\"statshub-{}.{}\"",
        Timestamp::now().strftime("%Y%m%dT%H%M%SZ"),
        format.extension()
    );
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, format.media_type()))
        .insert_header((CONTENT_DISPOSITION, name))
        .streaming(export.stream()))
}

struct Export {
    state: web::Data<State>,
    reader: Reader,
    walk: Walk,
    format: Format,
    part: Part,
    /// No message has been written yet.
    is_first: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Head,
    Messages,
    End,
}

/// The answer breaks off, and its client sees that it is not whole.
#[derive(Debug, thiserror::Error)]
#[error("the export broke off: {0}")]
struct Broken(String);

impl Export {
    /// Nothing is read unless the client takes it, and nothing more when it has gone.
    fn stream(self) -> impl Stream<Item = Result<Bytes, Broken>> {
        unfold(Some(self), |export| async {
            match export?.next().await {
                Ok(Some((export, bytes))) => Some((Ok(bytes), Some(export))),
                Ok(None) => None,
                Err(broken) => {
                    log::warn!("{broken}");
                    Some((Err(broken), None))
                }
            }
        })
    }

    async fn next(mut self) -> Result<Option<(Self, Bytes)>, Broken> {
        if self.state.stage.is_draining() {
            return Err(Broken("the hub is stopping".to_owned()));
        }
        let mut text = String::new();
        match self.part {
            Part::Head => {
                text.push_str(match self.format {
                    Format::Csv => csv::HEADER,
                    Format::Json => "[",
                    Format::Ndjson => "",
                });
                self.part = Part::Messages;
            }
            Part::Messages => {}
            Part::End => return Ok(None),
        }
        let page = self.reader.page(self.walk, ROWS).await;
        let (walk, rows) = page.map_err(|error| Broken(error.to_string()))?;
        self.walk = walk;
        for row in &rows {
            let written = write(&mut text, row, self.format, self.is_first);
            written.map_err(|error| Broken(error.to_string()))?;
            self.is_first = false;
        }
        if self.walk.is_at_end() {
            self.part = Part::End;
            if self.format == Format::Json {
                text.push_str("\n]\n");
            }
        }
        match text.is_empty() {
            // An empty chunk says that the body ends, and here it does.
            true => Ok(None),
            false => Ok(Some((self, text.into()))),
        }
    }
}

fn write(
    text: &mut String,
    row: &Row,
    format: Format,
    is_first: bool,
) -> Result<(), serde_json::Error> {
    match format {
        Format::Csv => line(text, row),
        Format::Json => {
            text.push_str(if is_first { "\n" } else { ",\n" });
            text.push_str(&serde_json::to_string(&Shown::of(row)?)?);
        }
        Format::Ndjson => {
            text.push_str(&serde_json::to_string(&Shown::of(row)?)?);
            text.push('\n');
        }
    }
    Ok(())
}

fn line(text: &mut String, row: &Row) {
    let id: MessageId = row.id;
    // Into a String: it cannot fail.
    let _ = write!(text, "{id},{},", timestamp(id.millis()));
    csv::text(text, row.ring.metric.as_str());
    text.push(',');
    text.push_str(row.ring.priority.as_str());
    text.push(',');
    csv::text(
        text,
        row.ring.user.as_ref().map_or("", |user| user.as_str()),
    );
    text.push(',');
    csv::json(text, &row.data);
    text.push_str("\r\n");
}
