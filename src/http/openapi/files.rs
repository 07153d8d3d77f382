//! What browsers load: the console and the client library.

use utoipa::openapi::ResponseBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};

use super::FILES;
use super::operation::{Described, Draft, Who, in_path};
use crate::http::code::Code::{NotFound, RateLimited};

const HTML: &str = "text/html; charset=utf-8";
const ICON: &str = "image/svg+xml";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const TYPES: &str = "text/plain; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";

pub(super) fn operations() -> Vec<Described> {
    let text = || ObjectBuilder::new().schema_type(Type::String).build();
    let hash = in_path(
        "hash",
        "Of all the console's files; the page names it.",
        text(),
    );
    let name = in_path(
        "name",
        "A path within the console, as `css/parts.css`.",
        text(),
    );
    let console = [
        file("/", "console", "Open the console", &[HTML]),
        file(
            "/console",
            "consoleBesideAnApplication",
            "The same as /",
            &[HTML],
        ),
        file("/api/docs", "docs", "Read this document as a page", &[HTML]),
        file("/favicon.ico", "icon", "Get the icon", &[ICON]),
        file(
            "/console/{hash}/{name}",
            "consoleFile",
            "Get a file of the console",
            &[SCRIPT, CSS, ICON],
        )
        .parameter(hash)
        .parameter(name),
    ];
    let console = console.map(|draft| {
        draft
            .says("404 where `console.enabled` is false.")
            .refuses(&[NotFound])
    });
    let unchanged = || ResponseBuilder::new().description("The one that `If-None-Match` names.");
    let library = [
        (
            "/statshub.js",
            "library",
            "Get the client for browsers",
            SCRIPT,
        ),
        ("/statshub.d.ts", "libraryTypes", "Get its types", TYPES),
        (
            "/statshub-react.js",
            "reactLibrary",
            "Get its companion for React",
            SCRIPT,
        ),
        (
            "/statshub-react.d.ts",
            "reactLibraryTypes",
            "Get the companion's types",
            TYPES,
        ),
    ];
    let library = library
        .map(|(path, id, summary, kind)| file(path, id, summary, &[kind]).answer(304, unchanged()));
    let all = console.into_iter().chain(library);
    all.map(|draft| draft.done(FILES)).collect()
}

fn file(path: &str, id: &str, summary: &str, kinds: &[&str]) -> Draft {
    let text = || ObjectBuilder::new().schema_type(Type::String).build();
    let kinds: Vec<_> = kinds.iter().map(|kind| (*kind, text())).collect();
    Draft::get(path, id, summary)
        .by(Who::Anyone)
        .gives_plain(200, "The file.", &kinds)
        .refuses(&[RateLimited])
}
