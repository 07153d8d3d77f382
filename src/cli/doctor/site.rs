//! The deployment that is looked at, asked as a browser or a publisher would ask it.

use std::time::{Duration, Instant};

use anyhow::Context;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, Url};
use rustls::pki_types::CertificateDer;
use serde_json::Value;

use crate::cli::remote::flags::Tls;
use crate::cli::remote::{API, builder, root_cause};

/// Within this a hub answers, however busy it is.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// No answer that is looked at is larger.
const BODY_BYTES_MAX: usize = 1 << 20;

pub struct Site {
    pub base: Url,
    pub token: Option<String>,
    client: Client,
    /// Trusted besides those that this machine trusts.
    pub authorities: Vec<CertificateDer<'static>>,
}

/// An answer that is no stream.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// `Value::Null` where it was no JSON.
    pub body: Value,
    pub took: Duration,
}

impl Site {
    /// # Errors
    /// There is no TLS to be had, or a file of it cannot be used.
    pub fn new(base: Url, token: Option<String>, tls: &Tls) -> anyhow::Result<Self> {
        // HTTP/1.1, over which a WebSocket is opened too. Streams may be silent for as long as they like.
        let client = tls.apply(builder(&base))?.http1_only().build();
        Ok(Self {
            client: client.context("cannot set up an HTTP client")?,
            authorities: tls.authorities()?,
            base,
            token,
        })
    }

    /// `path` below the address, as in `api/health`; nobody's request.
    pub fn request(&self, method: Method, path: &str) -> anyhow::Result<RequestBuilder> {
        Ok(self.client.request(method, self.base.join(path)?))
    }

    /// `path` below the interface's base, as in `stream`; with the token, where there is one.
    pub fn api(&self, method: Method, path: &str) -> anyhow::Result<RequestBuilder> {
        Ok(self.with_token(self.request(method, &format!("{API}/{path}"))?))
    }

    /// With the token, where there is one.
    pub fn with_token(&self, request: RequestBuilder) -> RequestBuilder {
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// `scheme://host:port` of the address, as a page that came from there has it.
    pub fn own_origin(&self) -> String {
        self.base.origin().ascii_serialization()
    }
}

/// # Errors
/// In a few words, none of which is the URL: what kept the answer from coming.
pub async fn ask(request: RequestBuilder) -> Result<Answer, String> {
    let began = Instant::now();
    let answered = async {
        let mut response = request.send().await?;
        let took = began.elapsed();
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            body.extend_from_slice(&chunk);
            if body.len() > BODY_BYTES_MAX {
                break;
            }
        }
        Ok::<_, reqwest::Error>(Answer {
            status: response.status(),
            headers: response.headers().clone(),
            body: serde_json::from_slice(&body).unwrap_or_default(),
            took,
        })
    };
    match tokio::time::timeout(ANSWER_WITHIN, answered).await {
        Ok(answer) => answer.map_err(|error| root_cause(&error)),
        Err(_) => Err(format!("no answer within {}", seconds(ANSWER_WITHIN))),
    }
}

impl Answer {
    /// Whether a hub wrote it: everything from there is in its envelope.
    pub fn is_hubs(&self) -> bool {
        self.body["success"].is_boolean()
    }

    pub fn data(&self) -> &Value {
        &self.body["data"]
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(text)
    }

    /// What was answered, in a few words: the status, and who speaks.
    pub fn told(&self) -> String {
        in_words(self.status, &self.body, by_whom(&self.headers))
    }
}

/// The same of an answer whose body is a stream, or might be; it is read where it is none.
pub async fn told(response: Response) -> String {
    let (status, whose) = (response.status(), by_whom(response.headers()));
    let body = tokio::time::timeout(ANSWER_WITHIN, response.json::<Value>()).await;
    in_words(
        status,
        &body.ok().and_then(Result::ok).unwrap_or_default(),
        whose,
    )
}

fn in_words(status: StatusCode, body: &Value, whose: String) -> String {
    let status = status.as_u16();
    match body["error"].as_str() {
        Some(error) => format!("the hub answered {status}: {error}"),
        None => format!("{status} was answered, {whose}"),
    }
}

/// Every answer of the hub has an id, but one of a proxy may have one too.
fn by_whom(headers: &HeaderMap) -> String {
    match headers.get("server").and_then(text) {
        Some(server) => format!("by {server}, not by the hub"),
        None => "not by the hub".to_owned(),
    }
}

pub fn text(value: &HeaderValue) -> Option<&str> {
    value.to_str().ok()
}

/// For people: `75 s`, `2.3 s`, `40 ms`.
pub fn seconds(time: Duration) -> String {
    match time.as_millis() {
        ms @ 0..1000 => format!("{ms} ms"),
        ms if ms % 1000 == 0 => format!("{} s", ms / 1000),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}
