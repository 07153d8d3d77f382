//! The commands that use a running hub over its public interface: `publish`, `tail`.
//!
//! What they share is here: where the hub is, as whom it is asked, and how its refusals are told.

mod backoff;
pub mod flags;
mod follow;
mod notice;
mod publish;
mod tail;

use std::fmt;
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, anyhow};
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode, Url};
use serde::Deserialize;

use super::arguments::ADMIN_ROLE;
use super::{Environment, configured, token, whereabouts};
use crate::config::is_loopback;
use crate::config::{ConfigError, Settings};
use crate::domain::message::UserId;
use crate::http::access::{CERTIFICATE_MISSING, CERTIFICATE_OUTDATED};

pub use follow::root_cause;
pub use publish::publish;
pub use tail::tail;

/// Base path of the interface, by the wire contract.
pub const API: &str = "api/admin/analytics";
/// Where a hub is that was told nothing.
const DEFAULT_ADDRESS: (&str, u16) = ("127.0.0.1", 3001);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A stream that brings nothing for this long is dead: a hub sends a comment every 15 s.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// As whom these commands come where they make their own token.
const OWN_USER: &str = "statshub-cli";
/// Life of a token that the command made for itself; it makes another when it needs one.
const OWN_TTL: Duration = Duration::from_secs(3600);

/// A hub somewhere, and what to show it.
pub struct Remote {
    client: Client,
    base: Url,
    credentials: Credentials,
}

enum Credentials {
    Given(String),
    /// Made anew for every request, so that a long `tail` outlives each of them.
    Made(Box<Settings>, UserId),
}

impl Remote {
    fn new(wanted: &flags::Remote, environment: &Environment) -> anyhow::Result<Self> {
        let place = whereabouts(&wanted.config, environment);
        let base = address(wanted.url.as_ref(), place.as_ref())?;
        let credentials = match &wanted.token {
            Some(jwt) => Credentials::Given(jwt.trim().to_owned()),
            None => own_credentials(configured(&wanted.config, environment))?,
        };
        Ok(Self {
            client: client(&base, wanted.url.is_none(), &wanted.tls)?,
            base,
            credentials,
        })
    }

    fn get(&self, path: &str) -> anyhow::Result<RequestBuilder> {
        self.authorized(self.client.get(self.url(path)?))
    }

    fn post(&self, path: &str) -> anyhow::Result<RequestBuilder> {
        self.authorized(self.client.post(self.url(path)?))
    }

    fn url(&self, path: &str) -> anyhow::Result<Url> {
        Ok(self.base.join(&format!("{API}/{path}"))?)
    }

    fn authorized(&self, request: RequestBuilder) -> anyhow::Result<RequestBuilder> {
        Ok(match &self.credentials {
            Credentials::Given(jwt) => request.bearer_auth(jwt),
            Credentials::Made(settings, user) => {
                request.bearer_auth(token::sign(settings, user, ADMIN_ROLE, OWN_TTL)?)
            }
        })
    }

    /// Whether there is another token once this one has expired.
    fn renews(&self) -> bool {
        matches!(self.credentials, Credentials::Made(..))
    }
}

/// A client for `base`. A hub on this machine is never looked for behind the environment's proxy,
/// and no redirect is followed: the interface has none, and a token must not wander. The certificate of a hub
/// that was found in its own settings on this machine is not looked at: it has the name that others call it by.
pub fn client(base: &Url, is_own: bool, tls: &flags::Tls) -> anyhow::Result<Client> {
    let builder = tls.apply(builder(base))?.read_timeout(SILENCE_MAX);
    let is_known = is_own && is_local(base) && tls.ca.is_none();
    let builder = builder.tls_danger_accept_invalid_certs(is_known);
    builder.build().context("cannot set up an HTTP client")
}

/// The same, for who waits otherwise.
pub fn builder(base: &Url) -> ClientBuilder {
    let builder = Client::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none());
    let local = is_local(base);
    if local { builder.no_proxy() } else { builder }
}

/// Whether only this machine can be meant.
pub fn is_local(base: &Url) -> bool {
    base.host_str()
        .is_some_and(|host| is_loopback(host.trim_matches(['[', ']'])))
}

/// What was named, else the configured address, else the default one; always with a path that ends
/// in a slash, so that a hub behind a proxy's prefix is reached too.
pub fn address(named: Option<&Url>, settings: Option<&Settings>) -> anyhow::Result<Url> {
    if let Some(named) = named {
        let mut base = named.clone();
        base.set_path(&format!("{}/", named.path().trim_end_matches('/')));
        return Ok(base);
    }
    let (host, port) = settings.map_or(DEFAULT_ADDRESS, |s| (&s.http.host, s.http.port));
    let scheme = settings.map_or("http", |settings| settings.tls.scheme());
    found_at(scheme, host, port)
}

/// Where what listens at `host` and `port` is found from this machine: on loopback, if it listens everywhere.
pub fn found_at(scheme: &str, host: &str, port: u16) -> anyhow::Result<Url> {
    let host = match host {
        "0.0.0.0" => "127.0.0.1".into(),
        "::" => "[::1]".into(),
        host if host.contains(':') => format!("[{host}]"),
        host => host.to_owned(),
    };
    let url = format!("{scheme}://{host}:{port}/");
    Url::parse(&url).with_context(|| format!("the configured address {url} is no URL"))
}

fn own_credentials(settings: Result<Settings, ConfigError>) -> anyhow::Result<Credentials> {
    let hint = "no token: give --token or STATSHUB_TOKEN, or the hub's own settings";
    let user = UserId::parse(OWN_USER).context("the command's own user id")?;
    let settings = settings.context(hint)?;
    token::sign(&settings, &user, ADMIN_ROLE, OWN_TTL).context(hint)?;
    Ok(Credentials::Made(Box::new(settings), user))
}

/// A refusal in the words of the hub, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub struct Refused {
    pub status: StatusCode,
    /// `Retry-After`, where the hub gave one in seconds.
    pub retry_after: Option<Duration>,
    text: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the hub answered {}: {}",
            self.status.as_u16(),
            self.text
        )?;
        match self.status.as_u16() {
            401 => f.write_str(" (see `statshub check-token`; the token must be one for this hub)"),
            403 => f.write_str(match self.text.as_str() {
                CERTIFICATE_MISSING => " (see --cert and --key)",
                CERTIFICATE_OUTDATED => "",
                _ => " (the token's role may not do this)",
            }),
            404 => f.write_str(" (is this the address of a hub? see --url)"),
            429 | 503 => match self.retry_after {
                Some(wait) => write!(f, " (try again in {} s)", wait.as_secs()),
                None => f.write_str(" (try again later)"),
            },
            _ => Ok(()),
        }
    }
}

#[derive(Deserialize)]
struct Failure {
    error: String,
}

impl Refused {
    /// Reads a failure's envelope; a body that is none came from something before the hub.
    async fn read(response: Response) -> Self {
        let status = response.status();
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        let text = match response.json::<Failure>().await {
            Ok(failure) => failure.error,
            Err(_) => status
                .canonical_reason()
                .unwrap_or("no reason given")
                .into(),
        };
        Self {
            status,
            retry_after: retry_after.map(Duration::from_secs),
            text,
        }
    }
}

/// An error of the way there. Its URL is taken out: the query may hold a reconnect token.
fn unreachable(base: &Url, error: reqwest::Error) -> anyhow::Error {
    let place = format!("cannot reach the hub at {base}");
    anyhow!(error.without_url()).context(place)
}

/// What the hub says may be shown in a terminal: characters that would steer it are written out.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let steers = c.is_control()
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if steers {
            shown.extend(c.escape_unicode());
        } else {
            shown.push(c);
        }
    }
    shown
}

/// A line about the connection, for the person watching. A closed standard error is no reason to
/// stop.
fn note(text: fmt::Arguments<'_>) {
    let _ = writeln!(std::io::stderr(), "statshub: {text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_named_address_may_have_a_prefix() {
        for (named, expected) in [
            ("http://hub:1", "http://hub:1/"),
            ("https://hub/", "https://hub/"),
            ("https://hub/stats", "https://hub/stats/"),
        ] {
            assert_eq!(address(Some(&url(named)), None).unwrap(), url(expected));
        }
        assert_eq!(address(None, None).unwrap(), url("http://127.0.0.1:3001/"));
    }

    #[test]
    fn a_hub_that_listens_everywhere_is_asked_on_loopback() {
        for (host, expected) in [
            ("0.0.0.0", "http://127.0.0.1:3001/"),
            ("::", "http://[::1]:3001/"),
            ("fe80::1", "http://[fe80::1]:3001/"),
            ("localhost", "http://localhost:3001/"),
        ] {
            let environment = Environment::from([
                ("HOST".into(), host.into()),
                (
                    "JWT_SECRET".into(),
                    "0123456789abcdefghijklmnopqrstuv".into(),
                ),
            ]);
            let settings = configured(&Default::default(), &environment).unwrap();
            assert_eq!(address(None, Some(&settings)).unwrap(), url(expected));
        }
    }

    /// Attack: log injection.
    #[test]
    fn what_would_steer_a_terminal_is_written_out() {
        assert_eq!(
            printable("a\u{1b}[31m\u{9b}\u{202e}é🦀"),
            "a\\u{1b}[31m\\u{9b}\\u{202e}é🦀"
        );
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        let refused = |status, seconds: Option<u64>| {
            let status = StatusCode::from_u16(status).unwrap();
            let retry_after = seconds.map(Duration::from_secs);
            let text = "No".into();
            Refused {
                status,
                retry_after,
                text,
            }
            .to_string()
        };
        assert_eq!(refused(400, None), "the hub answered 400: No");
        assert!(refused(401, None).contains("check-token"));
        assert!(refused(429, Some(7)).ends_with("(try again in 7 s)"));
    }
}
