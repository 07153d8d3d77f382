//! Files for browsers that are in the program, as they are and compressed ahead of time by `build.rs`.

use actix_web::http::header::{
    AcceptEncoding, CONTENT_ENCODING, CONTENT_TYPE, Encoding, Header, VARY,
};
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};

pub(super) struct Asset {
    pub name: &'static str,
    /// Its media type.
    pub kind: &'static str,
    pub plain: &'static [u8],
    pub gzip: &'static [u8],
}

impl Asset {
    /// Fills an answer.
    pub fn answer(&self, req: &HttpRequest, mut answer: HttpResponseBuilder) -> HttpResponse {
        answer.insert_header((CONTENT_TYPE, self.kind));
        answer.insert_header((VARY, "Accept-Encoding"));
        if !takes_gzip(req) {
            return answer.body(self.plain);
        }
        answer.insert_header((CONTENT_ENCODING, "gzip"));
        answer.body(self.gzip)
    }
}

/// What cannot be read counts as a client that takes no compression.
pub(super) fn takes_gzip(req: &HttpRequest) -> bool {
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
}
