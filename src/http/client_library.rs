//! The browser's client: `/statshub.js` and its companion for React, with their types.
//!
//! It is written as modules in `clients/js/src` and served as the one file that `npm run build` makes
//! of them, so that a page needs one request, and the hub's build nothing of npm's. The tests of
//! `clients/js` hold the two together.

use std::fmt::Write;

use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, IF_NONE_MATCH,
};
use actix_web::{HttpRequest, HttpResponse};
use sha2::{Digest, Sha256};

use super::endpoint::Endpoint;

/// Long enough for a reload, short enough for an upgrade of the hub.
const CACHED: &str = "public, max-age=300";
/// Pages of other origins may load it; what they may ask the hub is another matter.
const CROSS_ORIGIN: (HeaderName, &str) = (
    HeaderName::from_static("cross-origin-resource-policy"),
    "cross-origin",
);

/// Path, media type, content.
const FILES: [(&str, &str, &str); 4] = [
    (
        "/statshub.js",
        SCRIPT,
        include_str!("../../clients/js/statshub.js"),
    ),
    (
        "/statshub.d.ts",
        TYPES,
        include_str!("../../clients/js/statshub.d.ts"),
    ),
    (
        "/statshub-react.js",
        SCRIPT,
        include_str!("../../clients/js/react.js"),
    ),
    (
        "/statshub-react.d.ts",
        TYPES,
        include_str!("../../clients/js/react.d.ts"),
    ),
];
const SCRIPT: &str = "text/javascript; charset=utf-8";
const TYPES: &str = "text/plain; charset=utf-8";

pub(super) fn endpoints() -> impl Iterator<Item = Endpoint> {
    FILES.into_iter().map(|(path, media_type, content)| {
        let file = File {
            media_type,
            content,
            etag: etag(content),
        };
        Endpoint::at(path)
            .get(move |request: HttpRequest| std::future::ready(file.answer(&request)))
    })
}

/// Its content's name, so that a page asks for the same bytes once.
fn etag(content: &str) -> String {
    let mut etag = String::from("\"");
    for byte in &Sha256::digest(content)[..12] {
        // Writing to a string cannot fail.
        let _ = write!(etag, "{byte:02x}");
    }
    etag.push('"');
    etag
}

#[derive(Clone)]
struct File {
    media_type: &'static str,
    content: &'static str,
    etag: String,
}

impl File {
    fn answer(&self, request: &HttpRequest) -> HttpResponse {
        let asked = request.headers().get(IF_NONE_MATCH);
        let asked = asked.and_then(|tags| tags.to_str().ok()).unwrap_or("");
        let has_it = asked.split(',').any(|tag| {
            let tag = tag.trim();
            // A proxy that compresses makes a weak one of it.
            tag.strip_prefix("W/").unwrap_or(tag) == self.etag
        });
        let mut answer = match has_it {
            true => HttpResponse::NotModified(),
            false => HttpResponse::Ok(),
        };
        answer.insert_header((CACHE_CONTROL, CACHED));
        answer.insert_header((ETAG, self.etag.as_str()));
        answer.insert_header((ACCESS_CONTROL_ALLOW_ORIGIN, "*"));
        answer.insert_header(CROSS_ORIGIN);
        if has_it {
            return answer.finish();
        }
        answer.insert_header((CONTENT_TYPE, self.media_type));
        answer.body(self.content)
    }
}
