//! The envelope of every answer.
//!
//! A handler returns `Result<HttpResponse, Problem>`; the constructors of [`Problem`] are the only
//! way to refuse, so a refusal always has a row in the table of [`Code`].

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use actix_web::http::header::{
    ALLOW, HeaderName, HeaderValue, RETRY_AFTER, TryIntoHeaderPair, WWW_AUTHENTICATE,
};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpResponse, HttpResponseBuilder, ResponseError};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

pub use super::code::Code;
use super::openapi::schemas;

/// Error text that dashboards of the original service look for.
pub const METRICS_MUST_BE_AN_ARRAY: &str = "Metrics must be an array";
/// Error text that dashboards of the original service look for.
pub const RECONNECT_TOKEN_IS_REQUIRED: &str = "Reconnect token is required";

/// A refusal: what the client is told, and nothing else. Debug and Display hold no more than that.
#[derive(Debug, Clone)]
pub struct Problem {
    code: Code,
    /// Differs from the code's own where the HTTP layer refuses with one outside the table.
    status: StatusCode,
    text: Cow<'static, str>,
    details: Option<Box<Value>>,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    fn new(code: Code, text: impl Into<Cow<'static, str>>) -> Self {
        let problem = Self {
            code,
            status: code.status(),
            text: text.into(),
            details: None,
            headers: Vec::new(),
        };
        match code.retry_after_seconds() {
            Some(seconds) => problem.retry_after(Duration::from_secs(seconds)),
            None => problem,
        }
    }

    /// 400. `text` must not repeat a value that may be a credential.
    pub fn invalid(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::InvalidRequest, text)
    }

    /// 401 with `challenge` as `WWW-Authenticate`, such as `Bearer error="invalid_token"`.
    pub fn unauthenticated(challenge: HeaderValue) -> Self {
        Self::new(Code::Unauthenticated, Code::Unauthenticated.text()).challenge(challenge)
    }

    /// 403.
    pub fn forbidden(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::Forbidden, text)
    }

    /// 404, for paths nobody knows.
    pub fn not_found() -> Self {
        Self::new(Code::NotFound, Code::NotFound.text())
    }

    /// 405 with `Allow`.
    pub fn method_not_allowed(allow: &[Method]) -> Self {
        let names: Vec<_> = allow.iter().map(Method::as_str).collect();
        Self::new(Code::MethodNotAllowed, Code::MethodNotAllowed.text())
            .header((ALLOW, names.join(", ")))
    }

    /// 408.
    pub fn request_timeout() -> Self {
        Self::new(Code::RequestTimeout, Code::RequestTimeout.text())
    }

    /// 410: one answer whatever is wrong with the token.
    pub fn reconnect_token_invalid() -> Self {
        let code = Code::ReconnectTokenInvalid;
        Self::new(code, code.text())
    }

    /// 413, naming the limit.
    pub fn payload_too_large(bytes_max: usize) -> Self {
        let text = format!("The body is larger than {bytes_max} bytes");
        Self::new(Code::PayloadTooLarge, text)
    }

    /// 415.
    pub fn unsupported_media_type(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Code::UnsupportedMediaType, text)
    }

    /// 429 `rate_limited`.
    pub fn rate_limited(retry_after: Duration) -> Self {
        Self::new(Code::RateLimited, Code::RateLimited.text()).retry_after(retry_after)
    }

    /// 429 `connection_limit`.
    pub fn connection_limit(text: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        Self::new(Code::ConnectionLimit, text).retry_after(retry_after)
    }

    /// 500. `cause` goes to the log and never to the client.
    pub fn internal(cause: impl fmt::Display) -> Self {
        log::error!("internal error: {cause}");
        Self::new(Code::Internal, Code::Internal.text())
    }

    /// 503.
    pub fn unavailable(text: impl Into<Cow<'static, str>>, retry_after: Duration) -> Self {
        Self::new(Code::Unavailable, text).retry_after(retry_after)
    }

    /// Whatever actix or one of its crates refused by itself, in the table's words. `text` `None`
    /// takes the table's.
    pub(super) fn from_status(status: StatusCode, text: Option<String>) -> Self {
        let code = Code::of(status);
        let own = match code.status() == status {
            true => code.text(),
            false => status.canonical_reason().unwrap_or(code.text()),
        };
        let mut problem = Self::new(code, text.map_or(Cow::Borrowed(own), Cow::Owned));
        problem.status = status;
        problem
    }

    /// Adds `WWW-Authenticate`, which RFC 6750 wants on a 403 for a missing role as well.
    pub fn challenge(self, challenge: HeaderValue) -> Self {
        self.header((WWW_AUTHENTICATE, challenge))
    }

    /// With another text than the code's own.
    pub fn saying(mut self, text: impl Into<Cow<'static, str>>) -> Self {
        self.text = text.into();
        self
    }

    /// Adds machine-readable `details`.
    pub fn details(mut self, details: Value) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// Whole seconds, rounded up, at least 1: a client told 0 would come back at once.
    fn retry_after(self, wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1000).max(1);
        self.header((RETRY_AFTER, seconds.to_string()))
    }

    /// Sets a header; one that is no valid header is left out.
    fn header(mut self, pair: impl TryIntoHeaderPair) -> Self {
        if let Ok((name, value)) = pair.try_into_pair() {
            self.headers.retain(|(known, _)| *known != name);
            self.headers.push((name, value));
        }
        self
    }

    /// What it says to people.
    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn code(&self) -> Code {
        self.code
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.text)
    }
}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::build(self.status);
        for header in &self.headers {
            answer.insert_header(header.clone());
        }
        answer.json(Failure {
            success: false,
            error: &self.text,
            code: self.code.as_str(),
            details: self.details.as_deref(),
        })
    }
}

#[derive(Serialize)]
struct Success<T> {
    success: bool,
    data: T,
}

/// The body of every refusal.
#[derive(Serialize, ToSchema)]
pub(super) struct Failure<'a> {
    #[schema(schema_with = schemas::no)]
    success: bool,
    /// For people; it may change.
    error: &'a str,
    /// For programs.
    code: &'a str,
    /// More, where there is more to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = schemas::any)]
    details: Option<&'a Value>,
}

/// 200 with `data` in the envelope.
pub fn ok(data: impl Serialize) -> HttpResponse {
    success(HttpResponse::Ok(), data)
}

/// 202 with `data` in the envelope.
pub fn accepted(data: impl Serialize) -> HttpResponse {
    success(HttpResponse::Accepted(), data)
}

fn success(mut answer: HttpResponseBuilder, data: impl Serialize) -> HttpResponse {
    let success = true;
    match serde_json::to_string(&Success { success, data }) {
        Ok(json) => answer.content_type("application/json").body(json),
        Err(error) => Problem::internal(error).error_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::body::to_bytes;
    use serde_json::json;

    async fn parts(response: HttpResponse) -> (u16, Value) {
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body()).await.unwrap();
        (status, serde_json::from_slice(&body).unwrap())
    }

    fn header<'a>(response: &'a HttpResponse, name: &str) -> Option<&'a str> {
        response.headers().get(name).map(|v| v.to_str().unwrap())
    }

    #[actix_rt::test]
    async fn every_row_answers_in_the_envelope_and_says_when_to_come_back() {
        for code in Code::ALL {
            let answer = Problem::new(code, code.text()).error_response();
            let comes_back = matches!(code.status().as_u16(), 429 | 503);
            assert_eq!(header(&answer, "retry-after").is_some(), comes_back);
            let (status, body) = parts(answer).await;
            assert_eq!(status, code.status().as_u16());
            let expected = json!({"success": false, "error": code.text(), "code": code.as_str()});
            assert_eq!(body, expected);
        }
    }

    #[actix_rt::test]
    async fn a_refusal_carries_the_headers_its_status_calls_for() {
        let bearer = || HeaderValue::from_static("Bearer error=\"invalid_token\"");
        let cases = [
            (
                Problem::unauthenticated(bearer()),
                "www-authenticate",
                "Bearer error=\"invalid_token\"",
            ),
            (
                Problem::forbidden("no").challenge(bearer()),
                "www-authenticate",
                "Bearer error=\"invalid_token\"",
            ),
            (
                Problem::method_not_allowed(&[Method::GET, Method::HEAD]),
                "allow",
                "GET, HEAD",
            ),
            (Problem::rate_limited(Duration::ZERO), "retry-after", "1"),
            (
                Problem::connection_limit("full", Duration::from_millis(1001)),
                "retry-after",
                "2",
            ),
            (
                Problem::unavailable("off", Duration::from_secs(30)),
                "retry-after",
                "30",
            ),
        ];
        for (problem, name, value) in cases {
            let answer = problem.error_response();
            assert_eq!(header(&answer, name), Some(value), "{problem}");
            assert_eq!(answer.headers().get_all(name).count(), 1);
        }
    }

    #[actix_rt::test]
    async fn details_are_there_only_when_given() {
        let problem = Problem::invalid("no").details(json!({"path": "metrics[1]"}));
        let (_, body) = parts(problem.error_response()).await;
        assert_eq!(body["details"], json!({"path": "metrics[1]"}));
    }

    #[actix_rt::test]
    async fn success_is_wrapped_with_its_data() {
        let expected = json!({"success": true, "data": {"n": 1}});
        assert_eq!(parts(ok(json!({"n": 1}))).await, (200, expected.clone()));
        assert_eq!(parts(accepted(json!({"n": 1}))).await, (202, expected));
    }

    #[actix_rt::test]
    async fn data_that_cannot_be_written_is_an_internal_error() {
        let no_json = std::collections::BTreeMap::from([((1, 2), 3)]);
        let (status, body) = parts(ok(no_json)).await;
        assert_eq!((status, &body["code"]), (500, &json!("internal")));
    }

    #[test]
    fn a_status_outside_the_table_keeps_its_number_and_takes_the_nearest_code() {
        let check = |status: u16, code, text: &str| {
            let problem = Problem::from_status(StatusCode::from_u16(status).unwrap(), None);
            assert_eq!(
                (problem.status.as_u16(), problem.code, &*problem.text),
                (status, code, text)
            );
        };
        check(426, Code::InvalidRequest, "Upgrade Required");
        check(404, Code::NotFound, "Not Found");
        check(429, Code::RateLimited, "Too many requests");
        check(502, Code::Internal, "Bad Gateway");
        check(499, Code::InvalidRequest, "Invalid request");
    }
}
