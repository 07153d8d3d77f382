//! The operators' console at `/`: pages, styles and scripts, which are in the program.
//!
//! They hold no data. Every number that the console shows comes out of the public interface and needs
//! the same role there as for anybody else, so these files are for everyone.

use actix_web::http::header::{
    AcceptEncoding, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    Encoding, Header, HeaderName, VARY,
};
use actix_web::{HttpRequest, HttpResponse, web};

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
const ICON: &str = "icon.svg";

struct File {
    /// Below the folder that is named after the hash.
    name: &'static str,
    kind: &'static str,
    plain: &'static [u8],
    gzip: &'static [u8],
}

// `HASH` and `FILES`, as `build.rs` found them.
include!(concat!(env!("OUT_DIR"), "/console.rs"));

pub(super) fn endpoints() -> [Endpoint; 3] {
    [
        Endpoint::at("/").get(index),
        Endpoint::at("/console/{hash}/{name:.*}").get(asset),
        // Browsers ask for it whatever the page says.
        Endpoint::at("/favicon.ico").get(icon),
    ]
}

async fn index(req: HttpRequest, state: web::Data<State>) -> Result<HttpResponse, Problem> {
    serve(&req, &state, INDEX, ASK_FIRST)
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
        (hash, name) if hash == HASH && name != INDEX => serve(&req, &state, name, FOR_EVER),
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
    answer.insert_header((CONTENT_TYPE, file.kind));
    answer.insert_header((CACHE_CONTROL, cached));
    answer.insert_header((CONTENT_SECURITY_POLICY, POLICY));
    for (name, value) in ISOLATION {
        answer.insert_header((HeaderName::from_static(name), value));
    }
    answer.insert_header((VARY, "Accept-Encoding"));
    if !takes_gzip(req) {
        return Ok(answer.body(file.plain));
    }
    answer.insert_header((CONTENT_ENCODING, "gzip"));
    Ok(answer.body(file.gzip))
}

/// What cannot be read counts as a client that takes no compression.
fn takes_gzip(req: &HttpRequest) -> bool {
    let known = [Encoding::gzip(), Encoding::identity()];
    let accepted = AcceptEncoding::parse(req);
    accepted.is_ok_and(|it| it.negotiate(known.iter()) == Some(Encoding::gzip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::ACCEPT_ENCODING;
    use actix_web::test::TestRequest;

    #[test]
    fn gzip_goes_to_those_who_take_it() {
        for (accepts, expected) in [
            (None, false),
            (Some("gzip"), true),
            (Some("br, gzip;q=0.5"), true),
            (Some("gzip, deflate, br, zstd"), true),
            (Some("gzip;q=0"), false),
            (Some("identity"), false),
            (Some("br"), false),
            (Some("x y z"), false),
        ] {
            let mut request = TestRequest::get();
            if let Some(accepts) = accepts {
                request = request.insert_header((ACCEPT_ENCODING, accepts));
            }
            assert_eq!(
                takes_gzip(&request.to_http_request()),
                expected,
                "{accepts:?}"
            );
        }
    }

    #[test]
    fn no_file_has_the_mark_left_in_it() {
        for File { name, plain, .. } in FILES {
            let text = std::str::from_utf8(plain).expect("a text");
            assert!(
                !text.contains("{hash}") && !text.contains("{modules}"),
                "{name}"
            );
        }
    }
}
