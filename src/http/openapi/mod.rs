//! `GET /api/openapi.json`: the interface for programs, as OpenAPI 3.1.
//!
//! Schemas come from the types that are read and written, codes from the one table of them; what an
//! endpoint is for stands in a file by theme. That it names every route and no other, and that answers
//! are as it says, is held by `tests/it/documents`. It is the same for everybody and holds no data, so it
//! needs no token, and is there also where the console is switched off: programs read it.

pub mod alerting;
pub mod answers;
mod files;
mod operation;
mod operators;
mod past;
mod process;
mod publishing;
mod refusals;
pub mod rule_schemas;
pub mod schemas;
pub mod selectors;
mod streams;
mod users;

use std::sync::OnceLock;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{HttpResponse, web};
use bytes::Bytes;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, Http, HttpAuthScheme, HttpBuilder, SecurityScheme,
};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{Info, InfoBuilder, License, OpenApi, OpenApiBuilder, PathItem, Paths, Tag};

use super::reply::Problem;
use super::state::State;
use operation::Described;

/// Its name stays, so that a browser asks each time whether the hub is still of that version.
const ASK_FIRST: &str = "no-cache";

const STREAMS: &str = "Streams";
const PUBLISHING: &str = "Publishing";
const USERS: &str = "A user's own";
const PAST: &str = "History";
const ALERTING: &str = "Alerting";
const OPERATORS: &str = "Operators";
const PROCESS: &str = "The process";
const FILES: &str = "For browsers";

const ABOUT: &str = "Live statistics for dashboards, over server-sent events or WebSocket. Every answer that is no \
     stream, export or file has one of two forms: `{\"success\": true, \"data\": ...}`, or `{\"success\": false, \
     \"error\": \"<text for people>\", \"code\": \"<for programs>\"}`. What comes over the streams is described by \
     `docs/asyncapi.yaml`, every code and what to do about it by `docs/reference.md`. Any path answers 404 \
     `not_found` where it is not there, and 405 `method_not_allowed` to other methods than are named here.";

/// The document, which is put together when the first one asks for it.
pub struct Document {
    websocket_path: String,
    json: OnceLock<Bytes>,
}

impl Document {
    pub fn new(websocket_path: &str) -> Self {
        Self {
            websocket_path: websocket_path.to_owned(),
            json: OnceLock::new(),
        }
    }

    fn json(&self) -> Result<Bytes, Problem> {
        if let Some(json) = self.json.get() {
            return Ok(json.clone());
        }
        let json = document(&self.websocket_path).to_json();
        let json = Bytes::from(json.map_err(Problem::internal)?);
        Ok(self.json.get_or_init(|| json).clone())
    }
}

/// `GET /api/openapi.json`.
pub(super) async fn openapi(state: web::Data<State>) -> Result<HttpResponse, Problem> {
    let json = state.document.json()?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "application/json"))
        .insert_header((CACHE_CONTROL, ASK_FIRST))
        .body(json))
}

fn document(websocket_path: &str) -> OpenApi {
    let mut components = refusals::components();
    for (name, scheme) in credentials() {
        components.add_security_scheme(name, scheme);
    }
    let mut paths = Paths::new();
    for described in operations(websocket_path) {
        let Described {
            path,
            method,
            operation,
            schemas,
        } = described;
        components.schemas.extend(schemas);
        let item = PathItem::new(method, operation);
        match paths.paths.get_mut(&path) {
            Some(there) => there.merge_operations(item),
            None => drop(paths.paths.insert(path, item)),
        }
    }
    OpenApiBuilder::new()
        .info(info())
        .tags(Some(tags()))
        .paths(paths)
        .components(Some(components))
        .build()
}

fn operations(websocket_path: &str) -> Vec<Described> {
    [
        streams::operations(websocket_path),
        publishing::operations(),
        users::operations(),
        past::operations(),
        alerting::operations(),
        operators::operations(),
        process::operations(),
        files::operations(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn info() -> Info {
    let mut license = License::new("Apache-2.0");
    license.identifier = Some("Apache-2.0".to_owned());
    InfoBuilder::new()
        .title("statshub")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .license(Some(license))
        .build()
}

fn tags() -> Vec<Tag> {
    [
        (STREAMS, "What happens, as it happens."),
        (
            PUBLISHING,
            "For back ends: roles `platform_admin` and `service`.",
        ),
        (USERS, "What a dashboard asks besides its stream."),
        (
            PAST,
            "What there was. Only where the hub has a store (`store.durability`); else 503.",
        ),
        (
            ALERTING,
            "What the hub tells by itself: rules, silences, and notifications by webhook.",
        ),
        (
            OPERATORS,
            "Seeing and ending what others have open, and who did what.",
        ),
        (PROCESS, "Whether it lives, and how it is."),
        (FILES, "The console, and the client library for pages."),
    ]
    .map(|(name, description)| {
        TagBuilder::new()
            .name(name)
            .description(Some(description))
            .build()
    })
    .into()
}

fn credentials() -> Vec<(&'static str, SecurityScheme)> {
    let bearer = |description: &str, format: Option<&str>| {
        let http = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(description));
        let http: Http = match format {
            Some(format) => http.bearer_format(format).build(),
            None => http.build(),
        };
        SecurityScheme::Http(http)
    };
    let value = |name: &str, description: &str| ApiKeyValue::with_description(name, description);
    let query = |name: &str, description: &str| {
        SecurityScheme::ApiKey(ApiKey::Query(value(name, description)))
    };
    vec![
        (
            "bearer",
            bearer(
                "A JWT with a permitted role. `exp` and a user (`sub`, else `userId`) are wanted.",
                Some("JWT"),
            ),
        ),
        (
            "cookie",
            SecurityScheme::ApiKey(ApiKey::Cookie(value(
                "access_token",
                "The same JWT. A request that a browser says comes from a foreign page gets 403.",
            ))),
        ),
        (
            "accessToken",
            query(
                "access_token",
                "The same JWT, for an EventSource or a WebSocket of a browser.",
            ),
        ),
        ("token", query("token", "Another name of `access_token`.")),
        (
            "ticket",
            query(
                "ticket",
                "From `POST ticket`: opens one session within 30 s, and then admits its resumes.",
            ),
        ),
        (
            "subprotocol",
            SecurityScheme::ApiKey(ApiKey::Header(value(
                "Sec-WebSocket-Protocol",
                "`statshub, bearer.<jwt>`, answered with `statshub`.",
            ))),
        ),
        (
            "prometheus",
            bearer(
                "What `prometheus.token` says. Where that is not set, this machine may ask without.",
                None,
            ),
        ),
    ]
}
