//! What happens around every request, whoever answers it.
//!
//! The app wraps, from the inside out: [`super::limit::per_ip`], [`cors`], [`outermost`]. CORS
//! stands outside the limit so that a page of ours can read a 429, and inside the outermost so that
//! its own refusals get the envelope.

use std::panic::AssertUnwindSafe;
use std::time::{Duration, Instant};

use actix_cors::Cors;
use actix_http::ws::HandshakeError;
use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{RequestHead, ServiceRequest, ServiceResponse};
use actix_web::error::InternalError;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    self, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, ResponseError, web};
use futures::FutureExt;

use super::client::{self, Client, X_REQUEST_ID};
use super::kept;
use super::origin;
use super::reply::Problem;
use super::routes;
use super::state::State;
use super::unread::Shared;
use crate::domain::message::UserId;
use crate::telemetry::counters::Counter;
use crate::trace::{Span, spans};
use crate::transport::socket::Handle;

/// Log target of the access log, so that a filter can turn it off alone.
pub const ACCESS_LOG: &str = "statshub::access";

/// Longest method in a line of the access log, in characters: any token is one to HTTP.
const LOGGED_METHOD_CHARS_MAX: usize = 32;
/// Longest path in a line of the access log, in characters.
const LOGGED_PATH_CHARS_MAX: usize = 256;
const LOGGED_ORIGIN_CHARS_MAX: usize = 256;

/// An answer of this size is written at once, or its client takes nothing: its connection is no more
/// in use once it is answered.
const SMALL_BYTES_MAX: u64 = 8192;

/// Set unless the answer says otherwise. Answers are about one user at one moment and no cache
/// may keep them; addresses may hold credentials and must not travel on as a referrer; and no page may
/// show them in a frame of its own.
const HEADERS: [(HeaderName, &str); 4] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (CACHE_CONTROL, "no-store"),
    (REFERRER_POLICY, "no-referrer"),
    (CONTENT_SECURITY_POLICY, "frame-ancestors 'none'"),
];

/// Gives the request its id, catches panics, puts every refusal into the envelope, sets the
/// headers every answer has, and writes the access log. Stands around everything else.
pub async fn outermost(
    state: web::Data<State>,
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let mut client = Client::of(req.request(), &state.settings.load().http.trusted_proxies);
    let span = begin_span(&req, &state);
    client.trace = span.context();
    let in_use = req.conn_data::<Handle>().map(Handle::in_use);
    let line = AccessLine::begin(&req, &client);
    // As actix finds its route: by the path with its escapes undone.
    let route = state.routed.find(req.match_info().as_str());
    let payload = Shared::of(&mut req);
    req.extensions_mut().insert(client.clone());

    let call = AssertUnwindSafe(async move { next.call(req).await }).catch_unwind();
    let result = call.await.unwrap_or_else(|_| {
        state.counters.count(Counter::HandlerPanic);
        let cause = format!("a handler panicked, request_id={:?}", client.request_id);
        Err(Problem::internal(cause).into())
    });
    let result = on_response(result, |response| {
        let mut response = in_envelope(response);
        add_headers(&mut response, &client);
        if let Some(payload) = payload {
            response = kept::until_written(payload, response);
        }
        match response.body().size() {
            BodySize::None => response,
            BodySize::Sized(bytes) if bytes <= SMALL_BYTES_MAX => response,
            _ => kept::until_written(in_use, response),
        }
    });
    end_span(span, &line, &result);
    let (status, took) = line.end(&result);
    state.routed.requests.record(route, status.as_u16(), took);
    result
}

/// Probes, scrapes and the console's files begin no trace of their own: nobody would look at it.
fn begin_span(req: &ServiceRequest, state: &State) -> Span {
    let scheme = match req.app_config().secure() {
        true => "https",
        false => "http",
    };
    let is_interface = || {
        let path = req.path();
        path.starts_with(routes::BASE) || path == state.settings.load().websocket.path
    };
    let incoming = client::incoming(req.headers());
    spans::request(incoming, is_interface, req.method().as_str(), scheme)
}

/// Of a path only the route's template is told, since it may be anything.
fn end_span(mut span: Span, line: &AccessLine, result: &Result<ServiceResponse<BoxBody>, Error>) {
    let (status, request) = match result {
        Ok(answer) => (answer.status(), Some(answer.request())),
        Err(error) => (error.as_response_error().status_code(), None),
    };
    let route = || request.and_then(HttpRequest::match_pattern);
    let request_id = &line.client.request_id;
    spans::answered(&mut span, &line.method, route, status.as_u16(), request_id);
}

/// Applies `change` to the answer, also when that is still an error: then there is no request to
/// answer to any more, and the changed answer travels on inside the error.
fn on_response(
    result: Result<ServiceResponse<impl MessageBody + 'static>, Error>,
    change: impl FnOnce(HttpResponse) -> HttpResponse,
) -> Result<ServiceResponse<BoxBody>, Error> {
    match result {
        Ok(answer) => {
            let (req, response) = answer.into_parts();
            let response = change(response.map_into_boxed_body());
            Ok(ServiceResponse::new(req, response))
        }
        Err(error) => {
            let response = change(error.error_response());
            Err(InternalError::from_response(error, response).into())
        }
    }
}

/// Replaces the body of what actix and its crates refuse by themselves; their headers stay, such
/// as the WebSocket version in a 426.
fn in_envelope(mut response: HttpResponse) -> HttpResponse {
    let status = response.status();
    let refused = status.is_client_error() || status.is_server_error();
    let content_type = response.headers().get(CONTENT_TYPE);
    let is_json =
        content_type.is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if !refused || is_json {
        return response;
    }
    let handshake = response
        .error()
        .and_then(|error| error.as_error::<HandshakeError>());
    let problem = Problem::from_status(status, handshake.map(HandshakeError::to_string));
    let (head, body) = problem.error_response().into_parts();
    for (name, value) in head.headers() {
        if !response.headers().contains_key(name) || *name == CONTENT_TYPE {
            response.headers_mut().insert(name.clone(), value.clone());
        }
    }
    response.set_body(body)
}

fn add_headers(response: &mut HttpResponse, client: &Client) {
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    if let Ok(id) = HeaderValue::from_str(&client.request_id) {
        headers.insert(X_REQUEST_ID, id);
    }
}

/// One event of the access log. It has the path and never the query string, which may hold
/// credentials.
struct AccessLine {
    begun: Instant,
    method: String,
    path: String,
    client: Client,
}

impl AccessLine {
    fn begin(req: &ServiceRequest, client: &Client) -> Self {
        let first = |text: &str, chars_max| text.chars().take(chars_max).collect();
        Self {
            begun: Instant::now(),
            method: first(req.method().as_str(), LOGGED_METHOD_CHARS_MAX),
            path: first(req.path(), LOGGED_PATH_CHARS_MAX),
            client: client.clone(),
        }
    }

    /// Writes it, and tells the status and the time that it took.
    fn end(self, result: &Result<ServiceResponse<BoxBody>, Error>) -> (StatusCode, Duration) {
        let took = self.begun.elapsed();
        let (status, user) = match result {
            Ok(answer) => (answer.status(), client::user(answer.request())),
            Err(error) => (error.as_response_error().status_code(), None),
        };
        let level = match status {
            StatusCode::INTERNAL_SERVER_ERROR => log::Level::Warn,
            _ => log::Level::Info,
        };
        let user = user.as_ref().map_or("-", UserId::as_str);
        let Client {
            request_id, remote, ..
        } = &self.client;
        log::log!(
            target: ACCESS_LOG, level,
            method = self.method.as_str(), path = self.path.as_str(), status = status.as_u16(),
            ms = milliseconds(took), remote:% = remote, user,
            request_id = request_id.as_ref();
            "answered"
        );
        (status, took)
    }
}

/// To a tenth. For a stream it is the time until the head of the answer: it goes on for hours.
fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 10_000.0).round() / 10.0
}

/// CORS for the origins listed at the moment, answered one by one and never with `*`, since cookies
/// are allowed. With an empty list no page of another site can read anything.
pub fn cors(state: web::Data<State>) -> Cors {
    let is_listed = move |asking: &HeaderValue, head: &RequestHead| {
        let settings = state.settings.load();
        let mut listed = settings.http.allowed_origins.iter();
        let is_listed = listed.any(|allowed| asking == allowed.as_str());
        if origin::is_foreign(head, &settings.http.allowed_origins) {
            let line = || {
                let asking = String::from_utf8_lossy(asking.as_bytes());
                let asking: String = asking.chars().take(LOGGED_ORIGIN_CHARS_MAX).collect();
                format!("a page of {asking} asked, which is not in http.allowed_origins")
            };
            state.throttle.log("unlisted origins", Instant::now(), line);
        }
        is_listed
    };
    Cors::default()
        .allowed_origin_fn(is_listed)
        .allowed_methods(["GET", "POST", "PUT", "DELETE"])
        .allowed_headers([header::AUTHORIZATION, header::CONTENT_TYPE, X_REQUEST_ID])
        .allowed_header("Last-Event-ID")
        .expose_headers(["X-Reconnect-Token", "X-Request-Id", "Retry-After"])
        .supports_credentials()
        .block_on_origin_mismatch(false)
        .max_age(600)
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::test::TestRequest;

    /// Attack: log injection.
    #[test]
    fn the_access_log_has_no_query_and_no_endless_path() {
        let uri = format!("/{}?token=CANARY", "b".repeat(300));
        let req = TestRequest::with_uri(&uri).to_srv_request();
        let line = AccessLine::begin(&req, &Client::of(req.request(), &[]));
        assert_eq!(line.path, format!("/{}", "b".repeat(255)));
        assert_eq!(milliseconds(Duration::from_micros(1549)), 1.5);
    }
}
