//! The hub's own page: one dashboard that needs nothing but the hub. Its files are in the program.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};

use super::endpoint::Endpoint;

/// Nothing from elsewhere, nothing inline, and no other page may frame it.
const POLICY: &str =
    "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// Long enough for a reload, short enough for an upgrade of the hub.
const CACHED: &str = "public, max-age=300";

/// Path, media type, content.
const FILES: [(&str, &str, &str); 7] = [
    (
        "/",
        "text/html; charset=utf-8",
        include_str!("page/index.html"),
    ),
    (
        "/page.css",
        "text/css; charset=utf-8",
        include_str!("page/page.css"),
    ),
    (
        "/page.js",
        "text/javascript; charset=utf-8",
        include_str!("page/page.js"),
    ),
    (
        "/metrics.js",
        "text/javascript; charset=utf-8",
        include_str!("page/metrics.js"),
    ),
    (
        "/value.js",
        "text/javascript; charset=utf-8",
        include_str!("page/value.js"),
    ),
    ("/icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
    // Browsers ask for it whatever the page says.
    (
        "/favicon.ico",
        "image/svg+xml",
        include_str!("page/icon.svg"),
    ),
];

pub(super) fn endpoints() -> impl Iterator<Item = Endpoint> {
    FILES.into_iter().map(|(path, media_type, content)| {
        Endpoint::at(path).get(move || {
            let mut answer = HttpResponse::Ok();
            answer.insert_header((CONTENT_TYPE, media_type));
            answer.insert_header((CACHE_CONTROL, CACHED));
            answer.insert_header((CONTENT_SECURITY_POLICY, POLICY));
            std::future::ready(answer.body(content))
        })
    })
}
