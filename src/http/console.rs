//! The operators' console at `/` and `/console`, and the interface's page at `/api/docs`: pages, styles and scripts, which are in the program.
//!
//! They hold no data. Every number that the console shows comes out of the public interface and needs
//! the same role there as for anybody else, so these files are for everyone.

use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName};
use actix_web::{HttpRequest, HttpResponse, web};

use super::asset::Asset;
use super::endpoint::Endpoint;
use super::reply::Problem;
use super::state::State;

/// Nothing from elsewhere, nothing inline, no text that becomes markup, and no other page may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'";
/// Windows and pages of other origins get no hold of it.
const ISOLATION: [(&str, &str); 2] = [
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
];
/// What is named after its content never changes. A year is what caches take for that.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// Its name stays, so that a browser asks each time which files are the present ones.
const ASK_FIRST: &str = "no-cache";
/// Shown wherever the hub's origin is, also where the page does not name it.
const ICON_KEPT: &str = "public, max-age=86400";

const INDEX: &str = "index.html";
const DOCS: &str = "docs.html";
/// Served under names of their own only.
const PAGES: [&str; 2] = [INDEX, DOCS];
const ICON: &str = "icon.svg";

// `HASH` and `FILES`, as `build.rs` found them.
include!(concat!(env!("OUT_DIR"), "/console.rs"));

pub(super) fn endpoints() -> [Endpoint; 5] {
    [
        Endpoint::at("/").get(index),
        // For where a proxy gives `/` to the application.
        Endpoint::at("/console").get(index),
        Endpoint::at("/api/docs").get(docs),
        Endpoint::at("/console/{hash}/{name:.*}").get(asset),
        // Browsers ask for it whatever the page says.
        Endpoint::at("/favicon.ico").get(icon),
    ]
}

async fn index(req: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    serve(&req, &state, INDEX, ASK_FIRST)
}

/// The interface, as `/api/openapi.json` describes it.
async fn docs(req: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    serve(&req, &state, DOCS, ASK_FIRST)
}

async fn icon(req: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    serve(&req, &state, ICON, ICON_KEPT)
}

async fn asset(
    req: HttpRequest,
    state: web::Data<State>,
    path: web::Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    match &*path {
        (hash, name) if hash == HASH && !PAGES.contains(&&**name) => {
            serve(&req, &state, name, FOR_EVER)
        }
        _ => Err(Problem::not_found()),
    }
}

fn serve(
    req: &HttpRequest,
    state: &State,
    name: &str,
    cached: &'static str,
) -> Result<HttpResponse, Problem> {
    if !state.settings.load().console.enabled {
        return Err(Problem::not_found());
    }
    let file = FILES.iter().find(|file| file.name == name);
    let file = file.ok_or_else(Problem::not_found)?;
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CACHE_CONTROL, cached));
    answer.insert_header((CONTENT_SECURITY_POLICY, POLICY));
    for (name, value) in ISOLATION {
        answer.insert_header((HeaderName::from_static(name), value));
    }
    Ok(file.answer(req, answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_file_has_the_mark_left_in_it() {
        for Asset { name, plain, .. } in FILES {
            let text = std::str::from_utf8(plain).expect("a text");
            assert!(
                !text.contains("{hash}") && !text.contains("{modules}"),
                "{name}"
            );
        }
    }
}
