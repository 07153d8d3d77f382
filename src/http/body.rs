//! Extractors for what a request carries: [`JsonBody`], [`OptionalJsonBody`], [`TextBody`] and [`QueryOf`].
//!
//! They stand in for `web::Json` and `web::Query` because those answer in plain text, wait for ever
//! for a body that does not come, and read any media type on request.

use std::future::{Ready, ready};
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap};
use actix_web::{FromRequest, HttpRequest};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::future::LocalBoxFuture;
use serde::de::DeserializeOwned;

use super::decode;
use super::reply::Problem;
use super::state::State;
use crate::config::Settings;

/// A JSON body, wanted.
///
/// # Errors
/// 415 unless it is declared `application/json` and not compressed, 413 above `body_bytes_max`,
/// 408 when it is not complete after `body_timeout`, 400 when it is not what `T` wants.
#[derive(Debug)]
pub struct JsonBody<T>(pub T);

/// A JSON body, or none at all. The errors are those of [`JsonBody`].
#[derive(Debug)]
pub struct OptionalJsonBody<T>(pub Option<T>);

/// A body of text, wanted.
///
/// # Errors
/// 415 unless it is declared `text/plain` and not compressed, 413 above `body_bytes_max`, 408 when it is not
/// complete after `body_timeout`, 400 when it is no UTF-8.
#[derive(Debug)]
pub struct TextBody(pub String);

/// A body for what needs the hub to be at work, as it must be when the request comes in: what was
/// begun then is carried out also when the hub is told to stop before the body is complete. Holds
/// the refusal of [`State::check_open`], or what the body gave.
pub struct WhenOpen<B>(pub Result<B, Problem>);

/// The query string.
///
/// # Errors
/// 400 when it is longer than `query_bytes_max` or not what `T` wants.
#[derive(Debug)]
pub struct QueryOf<T>(pub T);

impl<T: DeserializeOwned> FromRequest for JsonBody<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, payload) = (req.clone(), payload.take());
        Box::pin(async move {
            check_json(req.headers())?;
            let body = read(&req, payload).await?;
            decode::from_json(&body).map(Self)
        })
    }
}

impl<T: DeserializeOwned> FromRequest for OptionalJsonBody<T> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, payload) = (req.clone(), payload.take());
        Box::pin(async move {
            let body = read(&req, payload).await?;
            if body.is_empty() {
                return Ok(Self(None));
            }
            check_json(req.headers())?;
            decode::from_json(&body).map(|value| Self(Some(value)))
        })
    }
}

impl FromRequest for TextBody {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (req, payload) = (req.clone(), payload.take());
        Box::pin(async move {
            // Whoever may send text without being asked by CORS still has no cookie that counts: that takes an origin.
            check_media_type(req.headers(), &[("text/plain", ())])?;
            let body = read(&req, payload).await?;
            String::from_utf8(body.into()).map(Self).map_err(|error| {
                let at = error.utf8_error().valid_up_to();
                Problem::invalid(format!("The body is not UTF-8 at byte {at}"))
            })
        })
    }
}

impl<B: FromRequest<Error = Problem> + 'static> FromRequest for WhenOpen<B> {
    type Error = Problem;
    type Future = LocalBoxFuture<'static, Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let open = State::of(req).and_then(|state| state.check_open());
        let body = B::from_request(req, payload);
        Box::pin(async move { Ok(Self(open.and(body.await))) })
    }
}

impl<T: DeserializeOwned> FromRequest for QueryOf<T> {
    type Error = Problem;
    type Future = Ready<Result<Self, Problem>>;

    fn from_request(req: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(query(req).and_then(decode::from_query).map(Self))
    }
}

fn query(req: &HttpRequest) -> Result<&str, Problem> {
    let bytes_max = settings(req)?.http.query_bytes_max;
    let query = req.query_string();
    if query.len() > bytes_max {
        let text = format!("The query string is longer than {bytes_max} bytes");
        return Err(Problem::invalid(text));
    }
    Ok(query)
}

fn settings(req: &HttpRequest) -> Result<Arc<Settings>, Problem> {
    State::of(req).map(|state| state.settings.load_full())
}

/// What nearly all bodies are.
pub(super) const JSON: &str = "application/json";

fn check_json(headers: &HeaderMap) -> Result<(), Problem> {
    check_media_type(headers, &[(JSON, ())])
}

/// Exactly one `Content-Type`, one of `allowed`, with whatever parameters; gives what that one stands for. A page of
/// another site cannot send that without asking CORS first, which is half of the defence against forged
/// requests. Compressed bodies are refused rather than inflated: a kilobyte may become a gigabyte.
pub(super) fn check_media_type<T: Copy>(
    headers: &HeaderMap,
    allowed: &[(&str, T)],
) -> Result<T, Problem> {
    let mut types = headers.get_all(CONTENT_TYPE);
    let media_type = types
        .next()
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    let essence = media_type.split(';').next().unwrap_or("").trim();
    let is_it = |(name, _): &&(&str, T)| essence.eq_ignore_ascii_case(name);
    let found = allowed
        .iter()
        .find(is_it)
        .filter(|_| types.next().is_none());
    let Some((_, found)) = found else {
        let names: Vec<_> = allowed.iter().map(|(name, _)| *name).collect();
        let text = format!("The body must be {}", names.join(" or "));
        return Err(Problem::unsupported_media_type(text));
    };
    let plain = |coding: &[u8]| coding.trim_ascii().eq_ignore_ascii_case(b"identity");
    if !headers
        .get_all(CONTENT_ENCODING)
        .all(|value| plain(value.as_bytes()))
    {
        return Err(Problem::unsupported_media_type(
            "The body must not be compressed",
        ));
    }
    Ok(*found)
}

/// The whole body, within the limits of size and time. Whatever of a refused one is still under
/// way is not awaited: see [`super::unread`].
pub(super) async fn read(req: &HttpRequest, payload: Payload) -> Result<Bytes, Problem> {
    let settings = &settings(req)?.http;
    let bytes_max = settings.body_bytes_max;
    if declared_length(req.headers()).is_some_and(|length| length > bytes_max as u64) {
        return Err(Problem::payload_too_large(bytes_max));
    }
    match tokio::time::timeout(settings.body_timeout, collect(payload, bytes_max)).await {
        Ok(body) => body,
        Err(_) => Err(Problem::request_timeout()),
    }
}

/// `None` also where the length is no number, which actix refuses before.
fn declared_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn collect(mut payload: Payload, bytes_max: usize) -> Result<Bytes, Problem> {
    let mut body = BytesMut::new();
    while let Some(chunk) = Pin::new(&mut payload).next().await {
        let chunk = chunk.map_err(|error| broken(&error, bytes_max))?;
        if body.len() + chunk.len() > bytes_max {
            return Err(Problem::payload_too_large(bytes_max));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn broken(error: &PayloadError, bytes_max: usize) -> Problem {
    log::debug!("a request body broke off: {error}");
    match error {
        PayloadError::Overflow => Problem::payload_too_large(bytes_max),
        _ => Problem::invalid("The body is incomplete or badly framed"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{http_settings, state};
    use super::*;
    use actix_web::test::TestRequest;
    use serde::Deserialize;

    #[derive(Debug, PartialEq, Deserialize)]
    struct Count {
        n: u32,
    }

    fn request(headers: &[(&str, &str)], body: &str) -> TestRequest {
        let mut req = TestRequest::post().app_data(state());
        for header in headers {
            req = req.append_header(*header);
        }
        req.set_payload(body.to_owned())
    }

    async fn code_of<E: FromRequest<Error = Problem>>(req: TestRequest) -> &'static str {
        let (req, mut payload) = req.to_http_parts();
        match E::from_request(&req, &mut payload).await {
            Ok(_) => "ok",
            Err(problem) => problem.code().as_str(),
        }
    }

    #[actix_rt::test]
    async fn only_plain_json_is_read() {
        let types = [
            (vec![("content-type", "application/json")], "ok"),
            (
                vec![("content-type", "application/json; charset=utf-8")],
                "ok",
            ),
            (vec![("content-type", " Application/JSON ;x=y")], "ok"),
            (
                vec![
                    ("content-type", "application/json"),
                    ("content-encoding", "identity"),
                ],
                "ok",
            ),
            (vec![], "unsupported_media_type"),
            (vec![("content-type", "")], "unsupported_media_type"),
            (
                vec![("content-type", "text/plain")],
                "unsupported_media_type",
            ),
            (
                vec![("content-type", "text/plain; application/json")],
                "unsupported_media_type",
            ),
            (
                vec![("content-type", "application/json, text/plain")],
                "unsupported_media_type",
            ),
            (
                vec![("content-type", "application/jsonp")],
                "unsupported_media_type",
            ),
            (
                vec![("content-type", "application/x-www-form-urlencoded")],
                "unsupported_media_type",
            ),
            (
                vec![
                    ("content-type", "application/json"),
                    ("content-type", "text/plain"),
                ],
                "unsupported_media_type",
            ),
            (
                vec![
                    ("content-type", "application/json"),
                    ("content-encoding", "gzip"),
                ],
                "unsupported_media_type",
            ),
            (
                vec![
                    ("content-type", "application/json"),
                    ("content-encoding", "identity, br"),
                ],
                "unsupported_media_type",
            ),
        ];
        for (headers, expected) in types {
            let answer = code_of::<JsonBody<Count>>(request(&headers, r#"{"n":1}"#)).await;
            assert_eq!(answer, expected, "{headers:?}");
        }
    }

    #[actix_rt::test]
    async fn a_body_is_read_up_to_the_limit_and_not_a_byte_further() {
        let json = [("content-type", "application/json")];
        let padded = |bytes: usize| format!("{:<bytes$}", r#"{"n":1}"#);
        let max = http_settings().body_bytes_max;
        let at = code_of::<JsonBody<Count>>(request(&json, &padded(max))).await;
        let above = code_of::<JsonBody<Count>>(request(&json, &padded(max + 1))).await;
        assert_eq!((at, above), ("ok", "payload_too_large"));
    }

    #[actix_rt::test]
    async fn no_body_is_an_error_only_where_one_is_wanted() {
        let json = [("content-type", "application/json")];
        assert_eq!(
            code_of::<JsonBody<Count>>(request(&json, "")).await,
            "invalid_request"
        );
        let check = async |headers: &[(&str, &str)], body: &str, expected| {
            let answer = code_of::<OptionalJsonBody<Count>>(request(headers, body)).await;
            assert_eq!(answer, expected, "{headers:?} {body}");
        };
        check(&[], "", "ok").await;
        check(&json, "", "ok").await;
        check(&json, r#"{"n":1}"#, "ok").await;
        check(&json, "{", "invalid_request").await;
        check(&[], r#"{"n":1}"#, "unsupported_media_type").await;
    }

    #[actix_rt::test]
    async fn a_query_has_a_length_limit() {
        let max = http_settings().query_bytes_max;
        let query = |bytes: usize| {
            let uri = format!("/?{:0>bytes$}", "&n=1");
            TestRequest::with_uri(&uri).app_data(state())
        };
        assert_eq!(code_of::<QueryOf<Count>>(query(max)).await, "ok");
        assert_eq!(
            code_of::<QueryOf<Count>>(query(max + 1)).await,
            "invalid_request"
        );
        assert_eq!(code_of::<QueryOf<Count>>(query(3)).await, "ok");
    }
}
