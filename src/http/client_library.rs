//! The browser's client: `/statshub.js` and its companion for React, with their types.
//!
//! It is written as modules in `clients/js/src` and served as the one file that `npm run build` makes
//! of them, so that a page needs one request, and the hub's build nothing of npm's. The tests of
//! `clients/js` hold the two together.

use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, ETAG, HeaderName, IF_NONE_MATCH, VARY,
};
use actix_web::{HttpRequest, HttpResponse};

use super::asset::Asset;
use super::endpoint::Endpoint;

/// Long enough for a reload, short enough for an upgrade of the hub.
const CACHED: &str = "public, max-age=300";
/// Pages of other origins may load it; what they may ask the hub is another matter.
const CROSS_ORIGIN: (HeaderName, &str) = (
    HeaderName::from_static("cross-origin-resource-policy"),
    "cross-origin",
);

// `HASH` of all of them, and `FILES`, as `build.rs` found them.
include!(concat!(env!("OUT_DIR"), "/library.rs"));

pub(super) fn endpoints() -> impl Iterator<Item = Endpoint> {
    FILES.iter().map(|file| {
        Endpoint::at(&format!("/{}", file.name))
            .get(move |request: HttpRequest| std::future::ready(answer(file, &request)))
    })
}

fn answer(file: &Asset, request: &HttpRequest) -> HttpResponse {
    let tag = format!("\"{HASH}\"");
    let asked = request.headers().get(IF_NONE_MATCH);
    let asked = asked.and_then(|tags| tags.to_str().ok()).unwrap_or("");
    let mut asked = asked.split(',').map(str::trim);
    let has_it = asked.any(|asked| asked.strip_prefix("W/").unwrap_or(asked) == tag);
    let mut answer = match has_it {
        true => HttpResponse::NotModified(),
        false => HttpResponse::Ok(),
    };
    answer.insert_header((CACHE_CONTROL, CACHED));
    // A weak one, since it is that of the compressed file too.
    answer.insert_header((ETAG, format!("W/{tag}")));
    answer.insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"));
    answer.insert_header(CROSS_ORIGIN);
    if has_it {
        answer.insert_header((VARY, "Accept-Encoding"));
        return answer.finish();
    }
    file.answer(request, answer)
}
