//! Where a request may carry a credential, and how to ask for a better one.
//!
//! The first place that has something decides, also when what it has is malformed: falling through to
//! the next would let a page that can set one place override what a client meant with another.

use actix_web::HttpRequest;
use actix_web::http::header::{
    AUTHORIZATION, HeaderValue, SEC_WEBSOCKET_PROTOCOL, TryIntoHeaderValue,
};
use actix_web::web::Query;
use actix_web_httpauth::headers::authorization::{Bearer, Scheme};
use actix_web_httpauth::headers::www_authenticate::{WwwAuthenticate, bearer};

/// The cookie that holds a JWT.
pub const COOKIE: &str = "access_token";
/// What a WebSocket client puts before its JWT in `Sec-WebSocket-Protocol`.
pub const SUBPROTOCOL_PREFIX: &str = "bearer.";

/// What a request brought along. Not yet judged.
#[derive(Clone, PartialEq, Eq)]
pub enum Credential {
    /// Something that claims to be a JWT.
    Jwt { text: String, source: Source },
    /// A one-time ticket, from the query of a stream.
    Ticket(String),
    /// A credential was meant and cannot be read: 401, never somebody else's.
    Malformed,
}

impl std::fmt::Debug for Credential {
    /// Never prints the token or the ticket.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Jwt { source, .. } => write!(f, "Jwt(***, {source:?})"),
            Self::Ticket(_) => f.write_str("Ticket(***)"),
            Self::Malformed => f.write_str("Malformed"),
        }
    }
}

/// Where a JWT was found. A browser adds cookies by itself, to requests of foreign pages too, so for
/// [`Source::Cookie`] the caller checks the origin; the others only a client's own code can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Header,
    Cookie,
    Query,
    Subprotocol,
}

/// What kind of endpoint is asked, which decides where a credential may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// Header and cookie only: a query is easily logged or shared, and only an EventSource needs it.
    Plain,
    /// Server-sent events.
    Stream,
    /// Server-sent events where `token` in the query is the reconnect token, so no credential.
    Reconnect,
    /// As a stream, and a subprotocol besides.
    WebSocket,
}

impl Endpoint {
    /// Query parameters that may hold a JWT, first choice first.
    fn jwt_parameters(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &[],
            Self::Stream | Self::WebSocket => &["access_token", "token"],
            Self::Reconnect => &["access_token"],
        }
    }
}

/// The credential of `request`, from the first place that has one; `None` when no place has.
pub fn find(request: &HttpRequest, endpoint: Endpoint) -> Option<Credential> {
    in_header(request)
        .or_else(|| in_cookie(request))
        .or_else(|| in_query(request, endpoint))
        .or_else(|| in_subprotocol(request, endpoint))
}

fn jwt(text: &str, source: Source) -> Credential {
    Credential::Jwt {
        text: text.to_owned(),
        source,
    }
}

fn in_header(request: &HttpRequest) -> Option<Credential> {
    let mut values = request.headers().get_all(AUTHORIZATION);
    let first = values.next()?;
    if values.next().is_some() {
        return Some(Credential::Malformed);
    }
    Some(bearer_token(first).map_or(Credential::Malformed, |text| jwt(&text, Source::Header)))
}

/// The token of a `Bearer` header. The scheme's name counts in any case (RFC 9110, section 11.1);
/// the parser knows it in one only.
fn bearer_token(value: &HeaderValue) -> Option<String> {
    let (scheme, rest) = value.to_str().ok()?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("bearer") {
        return None;
    }
    let canonical = HeaderValue::from_str(&format!("Bearer {}", rest.trim())).ok()?;
    let bearer = Bearer::parse(&canonical).ok()?;
    Some(bearer.token().to_owned())
}

fn in_cookie(request: &HttpRequest) -> Option<Credential> {
    let cookie = request.cookie(COOKIE)?;
    // Emptying a cookie is a common way to log out.
    (!cookie.value().is_empty()).then(|| jwt(cookie.value(), Source::Cookie))
}

fn in_query(request: &HttpRequest, endpoint: Endpoint) -> Option<Credential> {
    if endpoint == Endpoint::Plain {
        return None;
    }
    let Query(pairs) = Query::<Vec<(String, String)>>::from_query(request.query_string()).ok()?;
    let value = |wanted: &str| {
        let found = pairs
            .iter()
            .find(|(name, value)| name == wanted && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    };
    let named = endpoint
        .jwt_parameters()
        .iter()
        .find_map(|name| value(name));
    named
        .map(|text| jwt(text, Source::Query))
        .or_else(|| value("ticket").map(|text| Credential::Ticket(text.to_owned())))
}

fn in_subprotocol(request: &HttpRequest, endpoint: Endpoint) -> Option<Credential> {
    if endpoint != Endpoint::WebSocket {
        return None;
    }
    let offered = request.headers().get_all(SEC_WEBSOCKET_PROTOCOL);
    offered
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .find_map(|protocol| protocol.trim().strip_prefix(SUBPROTOCOL_PREFIX))
        .map(|text| jwt(text, Source::Subprotocol))
}

/// What to tell a client about its credential (RFC 6750, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// It brought none: no error code, as the RFC asks.
    Missing,
    /// 401: it is not good, for whatever reason.
    Invalid,
    /// 403: it is good, but for less than this.
    Forbidden,
}

/// The value of `WWW-Authenticate`. One parameter each: the builder puts no comma between two, which
/// RFC 9110 wants.
pub fn www_authenticate(problem: Problem) -> HeaderValue {
    let challenge = bearer::Bearer::build();
    let challenge = match problem {
        Problem::Missing => challenge.realm("statshub"),
        Problem::Invalid => challenge.error(bearer::Error::InvalidToken),
        Problem::Forbidden => challenge.error(bearer::Error::InsufficientScope),
    };
    WwwAuthenticate(challenge.finish())
        .try_into_value()
        .unwrap_or(HeaderValue::from_static("Bearer"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn found(
        uri: &str,
        headers: &[(&'static str, &str)],
        endpoint: Endpoint,
    ) -> Option<Credential> {
        let request = headers
            .iter()
            .fold(TestRequest::with_uri(uri), |request, header| {
                request.append_header(*header)
            });
        find(&request.to_http_request(), endpoint)
    }

    fn some(text: &str, source: Source) -> Option<Credential> {
        Some(jwt(text, source))
    }

    #[test]
    fn a_header_is_read_as_the_rfc_says() {
        let check = |value: &str, expected| {
            let got = found("/", &[("authorization", value)], Endpoint::Plain);
            assert_eq!(got, expected, "{value:?}");
        };
        for value in [
            "Bearer a.b.c",
            "bearer a.b.c",
            "BEARER a.b.c",
            "Bearer  a.b.c ",
        ] {
            check(value, some("a.b.c", Source::Header));
        }
        for value in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer   ",
            "Basic dTpw",
            "a.b.c",
            "Bearer\ta.b.c",
            "Bearerx a",
        ] {
            check(value, Some(Credential::Malformed));
        }
        assert_eq!(found("/", &[], Endpoint::Plain), None);
    }

    #[test]
    fn two_authorization_headers_are_malformed() {
        let twice = [("authorization", "Bearer a"), ("authorization", "Bearer b")];
        assert_eq!(
            found("/", &twice, Endpoint::Plain),
            Some(Credential::Malformed)
        );
    }

    /// Attack: several credentials, one of them bad, or one in the wrong place.
    #[test]
    fn the_first_place_decides_and_nothing_falls_through() {
        let all = [
            ("authorization", "Basic dTpw"),
            ("cookie", "x=1; access_token=cookie"),
            ("sec-websocket-protocol", "statshub, bearer.subprotocol"),
        ];
        let uri = "/?ticket=ticket&token=token&access_token=query";
        let expected = [
            Some(Credential::Malformed),
            some("cookie", Source::Cookie),
            some("query", Source::Query),
        ];
        for (skip, expected) in expected.into_iter().enumerate() {
            assert_eq!(found(uri, &all[skip..], Endpoint::WebSocket), expected);
        }
        let rest = &all[2..];
        for (uri, expected) in [
            ("/?ticket=ticket&token=token", some("token", Source::Query)),
            ("/?ticket=ticket", Some(Credential::Ticket("ticket".into()))),
            ("/?metrics=a", some("subprotocol", Source::Subprotocol)),
        ] {
            assert_eq!(found(uri, rest, Endpoint::WebSocket), expected, "{uri}");
        }
    }

    #[test]
    fn only_streams_look_into_the_query_and_only_websockets_at_subprotocols() {
        use Endpoint::*;
        let query = || some("q", Source::Query);
        for (uri, endpoint, expected) in [
            ("/?access_token=q", Plain, None),
            ("/?ticket=q", Plain, None),
            ("/?access_token=q", Stream, query()),
            ("/?token=q", Stream, query()),
            ("/?token=q", WebSocket, query()),
            ("/?token=q", Reconnect, None),
            ("/?token=r&access_token=q", Reconnect, query()),
            (
                "/?token=r&ticket=q",
                Reconnect,
                Some(Credential::Ticket("q".into())),
            ),
            ("/?token=&access_token=", Stream, None),
            ("/?token=%71", Stream, query()),
            ("/?t%6Fken=q", Stream, query()),
            ("/?token=q&token=other", Stream, query()),
            ("/?token=%", Stream, some("%", Source::Query)),
        ] {
            assert_eq!(found(uri, &[], endpoint), expected, "{uri} {endpoint:?}");
        }
        let subprotocol = [("sec-websocket-protocol", "statshub, bearer.a.b.c")];
        assert_eq!(found("/", &subprotocol, Stream), None);
        assert_eq!(
            found("/", &subprotocol, WebSocket),
            some("a.b.c", Source::Subprotocol)
        );
        assert_eq!(
            found("/", &[("sec-websocket-protocol", "statshub")], WebSocket),
            None
        );
    }

    #[test]
    fn a_foreign_cookie_that_is_broken_does_not_hide_ours() {
        for (cookies, expected) in [
            ("broken; access_token=t", some("t", Source::Cookie)),
            ("=; ;; access_token=t", some("t", Source::Cookie)),
            ("access_token=", None),
            ("xaccess_token=t", None),
        ] {
            assert_eq!(
                found("/", &[("cookie", cookies)], Endpoint::Plain),
                expected,
                "{cookies}"
            );
        }
    }

    #[test]
    fn the_challenge_says_what_the_rfc_asks() {
        for (problem, expected) in [
            (Problem::Missing, "Bearer realm=\"statshub\""),
            (Problem::Invalid, "Bearer error=\"invalid_token\""),
            (Problem::Forbidden, "Bearer error=\"insufficient_scope\""),
        ] {
            assert_eq!(www_authenticate(problem), expected);
        }
    }

    #[test]
    fn debug_never_prints_a_credential() {
        let credentials = [
            jwt("CANARY", Source::Query),
            Credential::Ticket("CANARY".into()),
        ];
        assert!(!format!("{credentials:?}").contains("CANARY"));
    }
}
