//! JSON requests, answered in the envelope.

use reqwest::header::HeaderMap;
use reqwest::{Body, Client, Method, RequestBuilder, Response};
use serde_json::Value;

use super::hub::Hub;
use super::{A, eventually, in_time};

/// A client with one token, for one hub.
pub struct Api {
    client: Client,
    base: String,
    token: Option<String>,
}

/// An answer that keeps to the envelope.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Hub {
    /// Requests as the bearer of `token`.
    pub fn api(&self, token: &str) -> Api {
        Api::at(self.url(""), Some(token.to_owned()))
    }

    /// Requests as nobody.
    pub fn anonymous(&self) -> Api {
        Api::at(self.url(""), None)
    }
}

impl Api {
    /// Requests to whatever is at `base`, as in `http://127.0.0.1:80`.
    pub fn at(base: String, token: Option<String>) -> Self {
        let client = Client::builder().no_proxy().build().expect("a client");
        Self {
            client,
            base,
            token,
        }
    }

    /// A request that may still be changed; `path` is below the interface's base, or a whole one
    /// when it begins with `/api/`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        match path.starts_with("/api/") {
            true => self.request_at(method, path),
            false => self.request_at(method, &format!("{A}{path}")),
        }
    }

    /// As [`Self::request`]; `path` is always a whole one.
    pub fn request_at(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// A WebSocket handshake, for when its refusal is what counts: unlike a WebSocket client this
    /// one always reads the body. `query` as in `?metrics=a`.
    pub fn upgrade(&self, query: &str) -> RequestBuilder {
        self.request(Method::GET, &format!("/websocket{query}"))
            .header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::POST, path).json(body)).await
    }

    /// Any text as the body, said to be JSON.
    pub async fn post_text(&self, path: &str, body: impl Into<Body>) -> Answer {
        let request = self.request(Method::POST, path).body(body);
        send(request.header("content-type", "application/json")).await
    }

    /// The sessions that an operator sees; `query` as in `?state=away`.
    pub async fn sessions(&self, query: &str) -> Vec<Value> {
        let answer = self.get(&format!("/connections{query}")).await;
        let sessions = answer.data()["connections"].as_array();
        sessions.expect("a list of sessions").clone()
    }

    /// Waits until `query` picks as many sessions, for what nothing announces.
    pub async fn sessions_when(&self, query: &str, count: usize) -> Vec<Value> {
        eventually(&format!("{count} sessions of {query}"), async || {
            let sessions = self.sessions(query).await;
            (sessions.len() == count).then_some(sessions)
        })
        .await
    }

    /// Publishes and returns the message's id.
    pub async fn publish(&self, metric: &str, data: Value) -> String {
        let body = serde_json::json!({"metric": metric, "data": data});
        let answer = self.post("/publish", &body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        answer.data()["messageId"]
            .as_str()
            .expect("an id")
            .to_owned()
    }
}

/// Sends a request and holds the answer to the envelope.
pub async fn send(request: RequestBuilder) -> Answer {
    Answer::read(respond(request).await).await
}

/// Sends a request and leaves the answer's body unread, for what is no envelope: a page, a stream.
pub async fn respond(request: RequestBuilder) -> Response {
    let response = in_time("an answer", request.send())
        .await
        .expect("an answer");
    check_headers(response.headers());
    response
}

/// Only the status, of what may be a stream. A refusal is held to the envelope all the same.
pub async fn status_of(request: RequestBuilder) -> u16 {
    let response = respond(request).await;
    match response.status().as_u16() {
        status @ 0..400 => status,
        _ => Answer::read(response).await.status,
    }
}

impl Answer {
    async fn read(response: Response) -> Self {
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let text = in_time("a body", response.text()).await.expect("a body");
        let kind = headers
            .get("content-type")
            .map(|kind| kind.to_str().unwrap_or_default());
        assert!(
            kind.is_some_and(|kind| kind.starts_with("application/json")),
            "{status} {kind:?} {text}"
        );
        let body =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"));
        check_envelope(status, &body);
        Self {
            status,
            headers,
            body,
        }
    }

    /// The data of a success.
    pub fn data(&self) -> &Value {
        assert_eq!(self.body["success"], true, "{self:?}");
        &self.body["data"]
    }

    /// Status and code of a failure.
    pub fn failure(&self) -> (u16, &str) {
        assert_eq!(self.body["success"], false, "{self:?}");
        (self.status, self.body["code"].as_str().expect("a code"))
    }

    /// Text of a failure.
    pub fn error(&self) -> &str {
        assert_eq!(self.body["success"], false, "{self:?}");
        self.body["error"].as_str().expect("a text")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Seconds after which to come back, which a refusal for the time being must name.
    pub fn retry_after(&self) -> u64 {
        let seconds = self
            .header("retry-after")
            .and_then(|text| text.parse().ok());
        seconds.unwrap_or_else(|| panic!("no Retry-After in seconds: {self:?}"))
    }
}

/// What the head of every answer must have, a stream's, a page's and a refusal's too: an id to find it
/// in the log by, and what keeps browsers from harm. Attacks: a browser that guesses a type and runs
/// what was published; a foreign page that frames an answer; an address with a credential that travels
/// on as a referrer.
fn check_headers(headers: &HeaderMap) {
    let value = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let id = value("x-request-id");
    assert!(id.is_some_and(|id| !id.is_empty()), "{headers:?}");
    assert_eq!(value("x-content-type-options"), Some("nosniff"));
    assert_eq!(value("referrer-policy"), Some("no-referrer"));
    let policy = value("content-security-policy").unwrap_or_default();
    let is_framed_by_nobody = policy.split("; ").any(|it| it == "frame-ancestors 'none'");
    assert!(is_framed_by_nobody, "{headers:?}");
}

/// What every answer must be, whatever was asked.
pub fn check_envelope(status: u16, body: &Value) {
    let is_text = |key: &str| body[key].as_str().is_some_and(|text| !text.is_empty());
    let good = match status {
        200..300 => {
            body["success"] == true && body.get("data").is_some() && body.get("error").is_none()
        }
        _ => {
            body["success"] == false
                && is_text("error")
                && is_text("code")
                && body.get("data").is_none()
        }
    };
    assert!(good, "no envelope of a {status}: {body}");
}

#[test]
fn the_envelope_is_held_to() {
    use serde_json::json;
    check_envelope(202, &json!({"success": true, "data": {}}));
    check_envelope(
        404,
        &json!({"success": false, "error": "Not Found", "code": "not_found"}),
    );
    for (status, body) in [
        (200, json!({"success": false, "error": "x", "code": "y"})),
        (200, json!({"success": true})),
        (404, json!({"success": true, "data": 1})),
        (404, json!({"success": false, "error": ""})),
        (500, json!("text")),
    ] {
        let held = std::panic::catch_unwind(|| check_envelope(status, &body));
        assert!(held.is_err(), "{status} {body}");
    }
}
