//! An HTTP answer, bounded, for the sources that read one.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::time::Duration;

use anyhow::Context as _;
use reqwest::header::{ACCEPT, HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::{Attempt, Policy};
use reqwest::{Client, Response, Url};

use super::SourceError;
use crate::domain::pattern::MetricName;
use crate::trace::{Span, spans};

const REDIRECTS_MAX: usize = 3;
/// An idle connection is kept between reads; a server that vanished is noticed by probes.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// Gets one URL. The time-out is the poller's: dropping the read ends the request.
pub(super) struct Fetch {
    client: Client,
    url: Url,
    /// The URL without user, password, query and fragment, for error texts.
    shown: String,
    body_bytes_max: usize,
}

impl Fetch {
    /// `accept` is what it is asked for, unless `headers` says otherwise.
    ///
    /// # Errors
    /// A URL that is no http(s) URL, a malformed header.
    pub fn new(
        url: &str,
        accept: &'static str,
        headers: &BTreeMap<String, String>,
        body_bytes_max: usize,
    ) -> anyhow::Result<Self> {
        let url = Url::parse(url).context("the url is malformed")?;
        anyhow::ensure!(
            matches!(url.scheme(), "http" | "https"),
            "the url starts with http:// or https://"
        );
        let client = Client::builder()
            .default_headers(header_map(accept, headers)?)
            .user_agent(concat!("statshub/", env!("CARGO_PKG_VERSION")))
            .referer(false)
            .redirect(Policy::custom(same_origin_only))
            .tcp_keepalive(TCP_KEEPALIVE)
            .build()?;
        Ok(Self {
            client,
            shown: shown(&url),
            url,
            body_bytes_max,
        })
    }

    /// The body of an answer that says that all is well.
    ///
    /// # Errors
    /// No answer, another one, or one that is too large.
    pub async fn get(&self, span: &mut Span) -> Result<Vec<u8>, SourceError> {
        let mut request = self.client.get(self.url.clone());
        for (name, value) in span.headers() {
            request = request.header(name, value);
        }
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        spans::got(span, response.status().as_u16());
        if !response.status().is_success() {
            return Err(SourceError::Status {
                url: self.shown.clone(),
                status: response.status().as_u16(),
            });
        }
        self.body(response).await
    }

    /// The URL as people may see it.
    pub fn shown(&self) -> &str {
        &self.shown
    }

    /// What getting it for this metric is in a trace.
    pub fn span(&self, metric: &MetricName) -> Span {
        let host = self.url.host_str().unwrap_or_default();
        spans::get(metric, &self.shown, host, self.url.port_or_known_default())
    }

    /// Reads chunk by chunk, because a length that was announced may be missing or a lie.
    async fn body(&self, mut response: Response) -> Result<Vec<u8>, SourceError> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|e| self.failed(&e))? {
            if body.len() + chunk.len() > self.body_bytes_max {
                return Err(SourceError::Body {
                    url: self.shown.clone(),
                    body_bytes_max: self.body_bytes_max,
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// reqwest's own text ends in the whole URL, so only the innermost cause is told.
    fn failed(&self, error: &reqwest::Error) -> SourceError {
        let mut cause = error.source();
        while let Some(inner) = cause.and_then(|cause| cause.source()) {
            cause = Some(inner);
        }
        SourceError::Request {
            url: self.shown.clone(),
            problem: match cause {
                Some(cause) => cause.to_string(),
                None => "the request failed".to_owned(),
            },
        }
    }
}

/// Our headers may be credentials, and a redirect must not carry them to another server. One that
/// is not followed comes out as an error that names its status.
fn same_origin_only(attempt: Attempt<'_>) -> reqwest::redirect::Action {
    let from = attempt.previous();
    let home = from.first().map(Url::origin);
    if from.len() <= REDIRECTS_MAX && home == Some(attempt.url().origin()) {
        attempt.follow()
    } else {
        attempt.stop()
    }
}

fn header_map(
    accept: &'static str,
    headers: &BTreeMap<String, String>,
) -> anyhow::Result<HeaderMap> {
    let mut map = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
    for (name, value) in headers {
        let key: HeaderName = name
            .parse()
            .with_context(|| format!("{name:?} is no header name"))?;
        let mut value = HeaderValue::from_str(value)
            .with_context(|| format!("the value of header {name} has a character it may not"))?;
        value.set_sensitive(true);
        map.insert(key, value);
    }
    Ok(map)
}

fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}"));
    let port = port.unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_credential_is_shown() {
        let url = Url::parse("https://me:secret@example.org:8443/a/b?key=secret#secret").unwrap();
        assert_eq!(shown(&url), "https://example.org:8443/a/b");
        let url = Url::parse("http://me@[::1]/").unwrap();
        assert_eq!(shown(&url), "http://[::1]/");
    }

    #[test]
    fn what_can_never_work_is_refused_at_the_start() {
        let check = |url: &str, header: (&str, &str), expected: &str| {
            let headers = BTreeMap::from([(header.0.to_owned(), header.1.to_owned())]);
            let error = Fetch::new(url, "*/*", &headers, 10)
                .err()
                .map(|e| e.to_string());
            assert_eq!(error.as_deref(), Some(expected));
        };
        let good = ("x-key", "1");
        check("example.org", good, "the url is malformed");
        check(
            "ftp://example.org",
            good,
            "the url starts with http:// or https://",
        );
        check("http://h", ("a b", "1"), "\"a b\" is no header name");
        check(
            "http://h",
            ("x-key", "sec\nret"),
            "the value of header x-key has a character it may not",
        );
    }
}
