//! Who is at the other end: address, request id, user agent.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use actix_web::http::header::{HeaderMap, HeaderName, USER_AGENT};
use actix_web::{HttpMessage, HttpRequest};
use ipnet::IpNet;
use uuid::Uuid;

use crate::domain::message::UserId;
use crate::trace;

pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Longest request id taken over from a client, in bytes.
const REQUEST_ID_BYTES_MAX: usize = 128;
/// Longest user agent kept, in characters.
const USER_AGENT_CHARS_MAX: usize = 256;

/// What the outermost middleware found out, kept in the request's extensions.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub request_id: Arc<str>,
    pub remote: IpAddr,
    /// Of the request's own span.
    pub trace: trace::Context,
}

impl Client {
    pub(super) fn of(req: &HttpRequest, trusted_proxies: &[IpNet]) -> Self {
        Self {
            request_id: given_request_id(req.headers())
                .unwrap_or_else(|| Uuid::new_v4().to_string().into()),
            remote: remote_ip(req, trusted_proxies),
            trace: trace::Context::default(),
        }
    }
}

/// The id that ties this request to its log lines; the client finds it in `X-Request-Id`. `-` for
/// a request that did not come through [`super::middleware::outermost`].
pub fn request_id(req: &HttpRequest) -> Arc<str> {
    let extensions = req.extensions();
    let client = extensions.get::<Client>();
    client.map_or_else(|| "-".into(), |client| client.request_id.clone())
}

/// The client's address as [`remote_ip`] found it when the request came in.
pub fn remote(req: &HttpRequest) -> IpAddr {
    let extensions = req.extensions();
    let client = extensions.get::<Client>();
    client.map_or_else(|| peer_ip(req), |client| client.remote)
}

/// What this request's part of its trace is below.
pub fn trace(req: &HttpRequest) -> trace::Context {
    let extensions = req.extensions();
    let client = extensions.get::<Client>();
    client.map_or_else(Default::default, |client| client.trace.clone())
}

/// What the client says of the trace that the request is part of.
pub(super) fn incoming(headers: &HeaderMap) -> trace::Incoming<'_> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    trace::Incoming {
        parent: text("traceparent"),
        state: text("tracestate"),
    }
}

/// Lets the access log name the user. Whoever has checked the credentials calls this.
pub fn remember_user(req: &HttpRequest, user: UserId) {
    req.extensions_mut().insert(user);
}

/// Whom [`remember_user`] named.
pub fn user(req: &HttpRequest) -> Option<UserId> {
    req.extensions().get::<UserId>().cloned()
}

/// The address of the client: the peer, unless that is a trusted proxy; then the last hop of
/// `X-Forwarded-For` that is none. Everything left of that hop was written by strangers.
///
/// An entry that is no address ends the search, and the last hop that could be read counts.
pub fn remote_ip(req: &HttpRequest, trusted_proxies: &[IpNet]) -> IpAddr {
    let trusted = |ip: IpAddr| trusted_proxies.iter().any(|net| net.contains(&ip));
    let mut nearest = peer_ip(req);
    for hop in hops_from_the_right(req.headers()) {
        match hop {
            Some(hop) if trusted(nearest) => nearest = hop,
            _ => break,
        }
    }
    nearest
}

/// `0.0.0.0` where there is no peer, as in a test or behind a Unix socket.
fn peer_ip(req: &HttpRequest) -> IpAddr {
    let peer = req.peer_addr().map(|peer| peer.ip().to_canonical());
    peer.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

/// Several headers are one list (RFC 9110, 5.3), the nearest hop at its end.
fn hops_from_the_right(headers: &HeaderMap) -> impl Iterator<Item = Option<IpAddr>> {
    let lines: Vec<_> = headers.get_all(X_FORWARDED_FOR).collect();
    let texts = lines
        .into_iter()
        .rev()
        .map(|line| line.to_str().unwrap_or("?"));
    texts.flat_map(|line| line.rsplit(',').map(parse_hop))
}

/// An address with or without a port; IPv6 with or without brackets.
fn parse_hop(text: &str) -> Option<IpAddr> {
    let text = text.trim().trim_matches('"');
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let with_port = || text.parse::<SocketAddr>().ok().map(|hop| hop.ip());
    let ip = bare.unwrap_or(text).parse().ok().or_else(with_port)?;
    Some(IpAddr::to_canonical(&ip))
}

/// A client's own id is taken over when it is an RFC 9110 token, which can break no log line.
fn given_request_id(headers: &HeaderMap) -> Option<Arc<str>> {
    let id = headers.get(X_REQUEST_ID)?.to_str().ok()?;
    let fits = (1..=REQUEST_ID_BYTES_MAX).contains(&id.len());
    let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    (fits && id.bytes().all(is_token)).then(|| id.into())
}

/// The user agent for people to read: cut to 256 characters, everything but printable ASCII
/// replaced, so that it can neither break a line nor turn the text around. Empty when not sent.
pub fn user_agent(req: &HttpRequest) -> String {
    let bytes = req
        .headers()
        .get(USER_AGENT)
        .map_or(&b""[..], |v| v.as_bytes());
    let clean = |&b: &u8| {
        if matches!(b, b' '..=b'~') {
            b as char
        } else {
            '?'
        }
    };
    bytes.iter().take(USER_AGENT_CHARS_MAX).map(clean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    fn remote_of(peer: &str, forwarded: &[&str]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()];
        let mut req = TestRequest::default().peer_addr(peer.parse().unwrap());
        for line in forwarded {
            req = req.append_header((X_FORWARDED_FOR, *line));
        }
        remote_ip(&req.to_http_request(), &trusted).to_string()
    }

    #[test]
    fn a_forwarded_address_counts_only_behind_a_trusted_proxy() {
        let check = |peer: &str, forwarded: &[&str], expected: &str| {
            assert_eq!(remote_of(peer, forwarded), expected, "{peer} {forwarded:?}");
        };
        check("192.0.2.1:5", &[], "192.0.2.1");
        check("192.0.2.1:5", &["198.51.100.7"], "192.0.2.1");
        check("10.0.0.1:5", &[], "10.0.0.1");
        check("10.0.0.1:5", &["198.51.100.7"], "198.51.100.7");
        check("10.0.0.1:5", &["1.1.1.1, 198.51.100.7"], "198.51.100.7");
        check(
            "10.0.0.1:5",
            &["1.1.1.1, 198.51.100.7, 10.2.2.2"],
            "198.51.100.7",
        );
        check(
            "10.0.0.1:5",
            &["1.1.1.1", "198.51.100.7", "10.2.2.2"],
            "198.51.100.7",
        );
        check("10.0.0.1:5", &["10.9.9.9, 10.8.8.8"], "10.9.9.9");
        check("10.0.0.1:5", &["198.51.100.7:4711"], "198.51.100.7");
        check("10.0.0.1:5", &["[2001:db8::1]:443"], "2001:db8::1");
        check("10.0.0.1:5", &["[2001:db8::1]"], "2001:db8::1");
        check("10.0.0.1:5", &["2001:db8::1"], "2001:db8::1");
        check("10.0.0.1:5", &["\"198.51.100.7\""], "198.51.100.7");
        check("10.0.0.1:5", &["::ffff:198.51.100.7"], "198.51.100.7");
        check("[::ffff:10.0.0.1]:5", &["198.51.100.7"], "198.51.100.7");
        check("[fd00::1]:5", &["2001:db8::9"], "2001:db8::9");
    }

    #[test]
    fn garbage_in_the_list_ends_the_search() {
        for garbage in [
            "",
            ",",
            "unknown",
            "_hidden",
            "1.2.3",
            "[::1",
            "évil",
            "1.1.1.1, unknown",
        ] {
            assert_eq!(remote_of("10.0.0.1:5", &[garbage]), "10.0.0.1", "{garbage}");
        }
        assert_eq!(remote_of("10.0.0.1:5", &["x, 10.0.0.2"]), "10.0.0.2");
    }

    #[test]
    fn a_request_id_is_taken_over_only_when_it_is_a_token() {
        let taken = |id: &[u8]| {
            let value = actix_web::http::header::HeaderValue::from_bytes(id).unwrap();
            let req = TestRequest::default().insert_header((X_REQUEST_ID, value));
            &*Client::of(&req.to_http_request(), &[]).request_id == str::from_utf8(id).unwrap_or("")
        };
        assert!(taken(b"a-B_9.~"));
        assert!(taken(&[b'x'; 128]));
        for bad in [
            &b""[..],
            b"a b",
            b"a\"b",
            b"a\tb",
            "é".as_bytes(),
            &[b'x'; 129],
        ] {
            assert!(!taken(bad), "{bad:?}");
        }
    }

    #[test]
    fn a_request_without_an_id_gets_a_random_uuid() {
        let req = TestRequest::default().to_http_request();
        let id = Client::of(&req, &[]).request_id;
        assert_eq!(Uuid::parse_str(&id).unwrap().get_version_num(), 4);
        assert_ne!(id, Client::of(&req, &[]).request_id);
    }

    #[test]
    fn a_user_agent_is_cut_and_cleaned() {
        let check = |sent: &[u8], expected: &str| {
            let value = actix_web::http::header::HeaderValue::from_bytes(sent).unwrap();
            let req = TestRequest::default().insert_header((USER_AGENT, value));
            assert_eq!(user_agent(&req.to_http_request()), expected);
        };
        check(b"curl/8", "curl/8");
        check(b"a\tb\xe2\x80\xaec", "a?b???c");
        check(&[b'x'; 300], &"x".repeat(256));
        assert_eq!(user_agent(&TestRequest::default().to_http_request()), "");
    }
}
