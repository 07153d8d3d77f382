//! The one table of what can go wrong.

use actix_web::http::StatusCode;

/// What kind of refusal it is. Dashboards switch on the text of [`Code::as_str`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    InvalidRequest,
    Unauthenticated,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    RequestTimeout,
    ReconnectTokenInvalid,
    PayloadTooLarge,
    UnsupportedMediaType,
    RateLimited,
    ConnectionLimit,
    Internal,
    Unavailable,
}

/// Status, code, the text where nothing better is known, and the seconds of `Retry-After` where
/// nothing better is known; `None` where coming back would change nothing.
type Row = (StatusCode, &'static str, &'static str, Option<u64>);

impl Code {
    pub const ALL: [Self; 13] = [
        Self::InvalidRequest,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::RequestTimeout,
        Self::ReconnectTokenInvalid,
        Self::PayloadTooLarge,
        Self::UnsupportedMediaType,
        Self::RateLimited,
        Self::ConnectionLimit,
        Self::Internal,
        Self::Unavailable,
    ];

    #[rustfmt::skip] // a table reads by its columns
    const fn row(self) -> Row {
        use StatusCode as S;
        match self {
            Self::InvalidRequest => (S::BAD_REQUEST, "invalid_request", "Invalid request", None),
            Self::Unauthenticated => (S::UNAUTHORIZED, "unauthenticated", "Authentication required", None),
            Self::Forbidden => (S::FORBIDDEN, "forbidden", "Forbidden", None),
            Self::NotFound => (S::NOT_FOUND, "not_found", "Not Found", None),
            Self::MethodNotAllowed => (S::METHOD_NOT_ALLOWED, "method_not_allowed", "Method Not Allowed", None),
            Self::RequestTimeout => (S::REQUEST_TIMEOUT, "request_timeout", "The request took too long to arrive", None),
            Self::ReconnectTokenInvalid => (S::GONE, "reconnect_token_invalid", "Invalid or expired reconnect token", None),
            Self::PayloadTooLarge => (S::PAYLOAD_TOO_LARGE, "payload_too_large", "The body is too large", None),
            Self::UnsupportedMediaType => (S::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", "The body must be application/json", None),
            Self::RateLimited => (S::TOO_MANY_REQUESTS, "rate_limited", "Too many requests", Some(1)),
            Self::ConnectionLimit => (S::TOO_MANY_REQUESTS, "connection_limit", "Too many connections", Some(5)),
            Self::Internal => (S::INTERNAL_SERVER_ERROR, "internal", "Internal error", None),
            Self::Unavailable => (S::SERVICE_UNAVAILABLE, "unavailable", "Temporarily unavailable", Some(5)),
        }
    }

    pub fn status(self) -> StatusCode {
        self.row().0
    }

    pub fn as_str(self) -> &'static str {
        self.row().1
    }

    /// The text for people where a caller gives none.
    pub fn text(self) -> &'static str {
        self.row().2
    }

    /// For `Retry-After` where nothing better is known; `None` where coming back changes nothing.
    pub fn retry_after_seconds(self) -> Option<u64> {
        self.row().3
    }

    /// When it is given, and what whoever gets it should do: sentences for the reference.
    #[rustfmt::skip] // a table reads by its columns
    pub const fn advice(self) -> (&'static str, &'static str) {
        match self {
            Self::InvalidRequest => ("The request is malformed: JSON that cannot be read, a wrong type, an unknown or missing parameter, a bad metric name or pattern.", "Mend the request; `error` names the place, and `details` has it for programs. The same again gets the same answer."),
            Self::Unauthenticated => ("There is no token, or it is not valid: bad signature, expired, wrong algorithm, a ticket that is used up.", "Come back with a fresh token. `statshub check-token` says what ails one."),
            Self::Forbidden => ("The token is good and its role is not permitted to do this, or `userId` is not the token's user, or a foreign page used the cookie, or publishing takes a client certificate (`tls.publisher_ca_file`).", "Use a token with a permitted role (`auth.permitted_roles`, `auth.publisher_roles`). The same again gets the same answer."),
            Self::NotFound => ("There is no such path, or no such alert; or what lies there is switched off.", "Mend the path or the id."),
            Self::MethodNotAllowed => ("The path is there and does not take this method.", "Use one of the methods in `Allow`."),
            Self::RequestTimeout => ("The body took longer than `http.body_timeout_ms` to arrive.", "Send it again, over a better line or in smaller parts."),
            Self::ReconnectTokenInvalid => ("The reconnect token is unknown, expired or another user's; one answer for all three.", "Begin a new stream with `GET stream`."),
            Self::PayloadTooLarge => ("The body is over `http.body_bytes_max`, or the data of one message over `http.message_bytes_max`.", "Send less at once, or raise the limit. The same again gets the same answer."),
            Self::UnsupportedMediaType => ("The body is not declared `application/json`, or it is compressed.", "Send plain JSON with `Content-Type: application/json`."),
            Self::RateLimited => ("The address or the user asks too often, or there would be too many metrics.", "Come back after `Retry-After` seconds; with too many metrics (`details.setting`), publish under names that are in use."),
            Self::ConnectionLimit => ("The user, or the hub, has all the connections allowed.", "Close a connection, or come back after `Retry-After` seconds; `details.setting` names the limit."),
            Self::Internal => ("A fault of the hub's own.", "Come back with back-off; its cause is in the hub's log under the answer's `X-Request-Id`."),
            Self::Unavailable => ("Switched off, starting, stopping or overloaded, or something it needs is down.", "Come back after `Retry-After` seconds; `error` says what it is."),
        }
    }

    /// The row that says most about `status`. Several share 429, the first of them is taken.
    pub fn of(status: StatusCode) -> Self {
        let nearest = match status.is_server_error() {
            true => Self::Internal,
            false => Self::InvalidRequest,
        };
        let mut rows = Self::ALL.into_iter();
        rows.find(|code| code.status() == status).unwrap_or(nearest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_that_of_the_wire_contract() {
        let contract = [
            (400, "invalid_request"),
            (401, "unauthenticated"),
            (403, "forbidden"),
            (404, "not_found"),
            (405, "method_not_allowed"),
            (408, "request_timeout"),
            (410, "reconnect_token_invalid"),
            (413, "payload_too_large"),
            (415, "unsupported_media_type"),
            (429, "rate_limited"),
            (429, "connection_limit"),
            (500, "internal"),
            (503, "unavailable"),
        ];
        let table = Code::ALL.map(|code| (code.status().as_u16(), code.as_str()));
        assert_eq!(table, contract);
        assert_eq!(Code::NotFound.text(), "Not Found");
    }
}
