//! The opening handshake (RFC 6455, section 4.2.1), more strictly than `actix-web-actors` takes it.
//!
//! That crate also takes versions 7 and 8, which are drafts with other close codes, a key of any
//! form, and any `Upgrade` that has the word in it. Where actix-http itself sees no WebSocket in
//! that header, what follows on the socket is not handed over, and a 101 would be a lie.

use actix_http::ws::HandshakeError;
use actix_web::HttpRequest;
use actix_web::http::header::{
    HeaderMap, HeaderName, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, TRANSFER_ENCODING, UPGRADE,
};

/// The only version there is.
const VERSION: &[u8] = b"13";

/// # Errors
/// It is no handshake, or one for another version.
pub fn check(request: &HttpRequest) -> Result<(), HandshakeError> {
    let headers = request.headers();
    let is_websocket = |value: &[u8]| value.trim_ascii().eq_ignore_ascii_case(b"websocket");
    let mut upgrades = headers.get_all(UPGRADE);
    // A body in chunks is read as one, whatever else is said.
    if !upgrades.any(|value| is_websocket(value.as_bytes()))
        || headers.contains_key(TRANSFER_ENCODING)
    {
        return Err(HandshakeError::NoWebsocketUpgrade);
    }
    if !request.head().upgrade() {
        return Err(HandshakeError::NoConnectionUpgrade);
    }
    match only(headers, &SEC_WEBSOCKET_VERSION) {
        None => Err(HandshakeError::NoVersionHeader),
        Some(version) if version != VERSION => Err(HandshakeError::UnsupportedVersion),
        Some(_) if !only(headers, &SEC_WEBSOCKET_KEY).is_some_and(is_key) => {
            Err(HandshakeError::BadWebsocketKey)
        }
        Some(_) => Ok(()),
    }
}

/// Empty where there are several, which is no value that counts.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name);
    let first = values.next()?;
    Some(values.next().map_or(first.as_bytes(), |_| b""))
}

/// 16 bytes in base64.
fn is_key(key: &[u8]) -> bool {
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/".contains(byte);
    let digits = key.trim_ascii().strip_suffix(b"==");
    digits.is_some_and(|digits| digits.len() == 22 && digits.iter().all(is_base64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use HandshakeError::{
        BadWebsocketKey, NoConnectionUpgrade, NoVersionHeader, NoWebsocketUpgrade,
        UnsupportedVersion,
    };
    use actix_web::http::header::CONNECTION;
    use actix_web::test::TestRequest;

    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    /// A good handshake, in which `name` has these values instead of its own.
    fn with(name: HeaderName, values: &[&str]) -> Result<(), HandshakeError> {
        let mut request = TestRequest::default();
        for (good, value) in [
            (CONNECTION, "Upgrade"),
            (UPGRADE, "websocket"),
            (SEC_WEBSOCKET_VERSION, "13"),
            (SEC_WEBSOCKET_KEY, KEY),
        ] {
            if good != name {
                request = request.insert_header((good, value));
            }
        }
        for value in values {
            request = request.append_header((name.clone(), *value));
        }
        check(&request.to_http_request())
    }

    #[test]
    fn a_good_one_is_taken_in_every_way_that_http_allows_to_write_it() {
        for (name, value) in [
            (UPGRADE, "WebSocket"),
            (CONNECTION, "keep-alive, upgrade"),
            (SEC_WEBSOCKET_KEY, KEY),
            (SEC_WEBSOCKET_KEY, "++++////0123456789azAZ=="),
        ] {
            assert_eq!(with(name, &[value]), Ok(()), "{value}");
        }
        assert_eq!(with(UPGRADE, &["h2c", "websocket"]), Ok(()));
    }

    #[test]
    fn what_is_none_is_named() {
        let check = |name: &HeaderName, values: &[&str], expected: HandshakeError| {
            assert_eq!(
                with(name.clone(), values),
                Err(expected),
                "{name} {values:?}"
            );
        };
        for upgrade in ["h2c", "notwebsocket", "websocket/2", "websocket, h2c"] {
            check(&UPGRADE, &[upgrade], NoWebsocketUpgrade);
        }
        check(&UPGRADE, &[], NoWebsocketUpgrade);
        check(&TRANSFER_ENCODING, &["chunked"], NoWebsocketUpgrade);
        check(&CONNECTION, &[], NoConnectionUpgrade);
        check(&CONNECTION, &["keep-alive"], NoConnectionUpgrade);
        check(&SEC_WEBSOCKET_VERSION, &[], NoVersionHeader);
        for version in ["12", "8", "7", "013", "13, 8", ""] {
            check(&SEC_WEBSOCKET_VERSION, &[version], UnsupportedVersion);
        }
        check(&SEC_WEBSOCKET_VERSION, &["13", "13"], UnsupportedVersion);
        for key in [
            "",
            "short",
            "dGhlIHNhbXBsZSBub25jZQAA",
            "dGhlIHNhbXBsZSBub25j!!==",
        ] {
            check(&SEC_WEBSOCKET_KEY, &[key], BadWebsocketKey);
        }
        check(&SEC_WEBSOCKET_KEY, &[], BadWebsocketKey);
        check(&SEC_WEBSOCKET_KEY, &[KEY, KEY], BadWebsocketKey);
    }
}
