//! Whether a browser that sent a cookie did so for a page of ours.
//!
//! A cookie goes with every request, whichever page made it, and neither a WebSocket upgrade nor a
//! plain GET asks CORS first. So where the credential was a cookie, and only there, the request must
//! show that it comes from the hub's own host or from an origin the operator listed. Programs that
//! are no browsers send neither header and pass.

use actix_web::HttpRequest;
use actix_web::dev::RequestHead;
use actix_web::http::Uri;
use actix_web::http::header::{HOST, HeaderMap, HeaderName, ORIGIN};

use super::reply::Problem;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What a browser says about where a request comes from.
#[derive(Debug, Clone, Copy)]
pub struct Claimed<'a> {
    pub origin: Option<&'a str>,
    pub fetch_site: Option<&'a str>,
    /// The authority the browser asked for, from the `Host` header.
    pub host: &'a str,
}

impl Claimed<'_> {
    /// Whether a cookie may count. `null`, the origin of sandboxed frames and local files, never
    /// may: every page can take it on.
    pub fn is_ours(self, allowed_origins: &[String]) -> bool {
        let listed = |origin: &str| allowed_origins.iter().any(|allowed| allowed == origin);
        let cross_site = self.fetch_site == Some("cross-site");
        match self.origin {
            Some("null") => false,
            Some(origin) => listed(origin) || (!cross_site && is_same_host(origin, self.host)),
            None => !cross_site,
        }
    }
}

/// Compares without the scheme: a proxy that ends TLS hides it. A port that the origin's scheme
/// implies may be named on either side.
fn is_same_host(origin: &str, host: &str) -> bool {
    let (authority, port) = match origin.split_once("://") {
        Some(("https", authority)) => (authority, ":443"),
        Some(("http", authority)) => (authority, ":80"),
        _ => return false,
    };
    let bare = |authority: &str| {
        let authority = authority.to_ascii_lowercase();
        authority
            .strip_suffix(port)
            .map(str::to_owned)
            .unwrap_or(authority)
    };
    !host.is_empty() && bare(authority) == bare(host)
}

/// For a request whose credential was a cookie.
///
/// The `Host` header is compared, not what a proxy claims it was: one that rewrites it needs the
/// public origin listed.
///
/// # Errors
/// 403 when it comes from a foreign page.
pub fn check(req: &HttpRequest, allowed_origins: &[String]) -> Result<(), Problem> {
    match claimed(req.headers(), req.uri()).is_ours(allowed_origins) {
        true => Ok(()),
        false => Err(Problem::forbidden("This origin may not use cookies here")),
    }
}

/// Whether a browser says that a page of somebody else made the request.
pub(super) fn is_foreign(head: &RequestHead, allowed_origins: &[String]) -> bool {
    !claimed(head.headers(), &head.uri).is_ours(allowed_origins)
}

fn claimed<'a>(headers: &'a HeaderMap, target: &'a Uri) -> Claimed<'a> {
    Claimed {
        origin: only(headers, &ORIGIN),
        fetch_site: only(headers, &SEC_FETCH_SITE),
        host: host_of(headers, target),
    }
}

/// HTTP/2 has the host in the request's target.
pub(super) fn host(req: &HttpRequest) -> &str {
    host_of(req.headers(), req.uri())
}

fn host_of<'a>(headers: &'a HeaderMap, target: &'a Uri) -> &'a str {
    let target = target.authority().map(|authority| authority.as_str());
    only(headers, &HOST).or(target).unwrap_or("")
}

/// One readable value. Anything else a header may hold reads as the empty text, which matches
/// nothing, so that an odd `Origin` is refused and not taken for an absent one.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name);
    let first = values.next()?;
    match values.next() {
        Some(_) => Some(""),
        None => Some(first.to_str().unwrap_or("")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    const HUB: &str = "hub.example:3001";

    /// Attack: cross-site WebSocket hijacking, and its like over SSE and POST.
    #[test]
    fn a_cookie_counts_for_our_own_pages_and_listed_ones() {
        let listed = ["https://admin.example".to_owned(), "null".to_owned()];
        let check = |origin, fetch_site, host, expected| {
            let claimed = Claimed {
                origin,
                fetch_site,
                host,
            };
            assert_eq!(claimed.is_ours(&listed), expected, "{claimed:?}");
        };
        // Programs that are no browsers.
        check(None, None, HUB, true);
        check(None, None, "", true);
        // Our own pages.
        check(Some("http://hub.example:3001"), None, HUB, true);
        check(
            Some("https://hub.example:3001"),
            Some("same-origin"),
            HUB,
            true,
        );
        check(
            Some("http://hub.example:3001"),
            None,
            "HUB.example:3001",
            true,
        );
        check(Some("https://hub.example"), None, "hub.example", true);
        check(Some("https://hub.example"), None, "hub.example:443", true);
        check(Some("http://hub.example:80"), None, "hub.example", true);
        check(Some("http://[::1]:3001"), None, "[::1]:3001", true);
        check(None, Some("same-origin"), HUB, true);
        check(None, Some("none"), HUB, true);
        // Listed ones.
        check(Some("https://admin.example"), Some("cross-site"), HUB, true);
        check(Some("https://admin.example"), None, HUB, true);
        // Foreign ones.
        check(Some("https://evil.example"), None, HUB, false);
        check(
            Some("https://evil.example"),
            Some("same-origin"),
            HUB,
            false,
        );
        check(Some("http://admin.example"), None, HUB, false);
        check(Some("https://admin.example.evil"), None, HUB, false);
        check(Some("https://hub.example:3001.evil"), None, HUB, false);
        check(Some("https://hub.example:3002"), None, HUB, false);
        check(Some("https://hub.example:80"), None, "hub.example", false);
        check(
            Some("https://hub.example:3001"),
            Some("cross-site"),
            HUB,
            false,
        );
        check(None, Some("cross-site"), HUB, false);
        // What is no origin.
        check(Some("null"), None, HUB, false);
        check(Some("null"), Some("same-origin"), HUB, false);
        check(Some(""), None, "", false);
        check(Some("http://"), None, "", false);
        check(Some("hub.example:3001"), None, HUB, false);
        check(Some("file://hub.example:3001"), None, HUB, false);
    }

    /// Attack: cross-site WebSocket hijacking, and its like over SSE and POST.
    #[test]
    fn the_headers_are_read_with_suspicion() {
        let check_headers = |headers: &[(HeaderName, &str)], expected| {
            let mut req = TestRequest::default();
            for header in headers {
                req = req.append_header(header.clone());
            }
            let answer = check(&req.to_http_request(), &[]);
            assert_eq!(answer.is_ok(), expected, "{headers:?}");
        };
        let own = "http://hub.example:3001";
        check_headers(&[(HOST, HUB)], true);
        check_headers(&[(HOST, HUB), (ORIGIN, own)], true);
        check_headers(&[(HOST, HUB), (ORIGIN, "http://evil.example")], false);
        check_headers(&[(HOST, HUB), (ORIGIN, own), (ORIGIN, own)], false);
        check_headers(&[(HOST, HUB), (ORIGIN, "http://évil")], false);
        check_headers(&[(ORIGIN, own)], false);
        check_headers(&[(HOST, HUB), (SEC_FETCH_SITE, "cross-site")], false);
    }
}
