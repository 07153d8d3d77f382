//! JSON requests, answered in the envelope.

use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;

use super::hub::Hub;
use super::{A, in_time};

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
        Api::new(self, Some(token.to_owned()))
    }

    /// Requests as nobody.
    pub fn anonymous(&self) -> Api {
        Api::new(self, None)
    }
}

impl Api {
    fn new(hub: &Hub, token: Option<String>) -> Self {
        let client = Client::builder().no_proxy().build().expect("a client");
        let base = hub.url("");
        Self {
            client,
            base,
            token,
        }
    }

    /// A request that may still be changed; `path` is below the interface's base, or a whole one
    /// when it begins with `/api/`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let path = if path.starts_with("/api/") {
            path.to_owned()
        } else {
            format!("{A}{path}")
        };
        let request = self.client.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        send(self.request(Method::POST, path).json(body)).await
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
    let response = in_time("an answer", request.send())
        .await
        .expect("an answer");
    Answer::read(response).await
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
