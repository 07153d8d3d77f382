//! A webhook at work: signs and sends, as Standard Webhooks has it (<https://www.standardwebhooks.com>).

use std::fmt::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, Mac};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode};
use sha2::Sha256;

use crate::config::{GOOD_WEBHOOK_SECRET, Settings, Webhook, WebhookKeys, origin_of, webhook_key};
use crate::domain::alert::Severity;
use crate::domain::rule::Event;

/// Longest that a receiver may ask to be left alone.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// Secrets that sign at once, at most.
const KEYS_MAX: usize = 4;

/// One receiver, with its keys read.
#[derive(Clone)]
pub struct Hook {
    pub name: String,
    /// What of its URL may be shown.
    pub origin: String,
    url: String,
    keys: Vec<Vec<u8>>,
    severities: Vec<Severity>,
    events: Vec<Event>,
    timeout: Duration,
    client: Client,
}

/// Why something did not arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotSent {
    /// For an operator: no URL, no secret.
    pub reason: String,
    /// The receiver wants nothing any more.
    pub is_final: bool,
    /// It asks to be left alone for so long.
    pub retry_after: Option<Duration>,
}

impl Hook {
    /// Those of the settings, with their files read.
    ///
    /// # Errors
    /// A file cannot be read or holds no good secret; which, and what is allowed.
    pub fn read_all(settings: &Settings) -> anyhow::Result<Vec<Self>> {
        if settings.webhooks.is_empty() {
            return Ok(Vec::new());
        }
        // One pool of connections for all. Redirects are not followed: only the settings say who is told.
        let client = Client::builder()
            .redirect(Policy::none())
            .referer(false)
            .user_agent(concat!("statshub/", env!("CARGO_PKG_VERSION")))
            .build()?;
        let read = |webhook| Self::read(webhook, &client);
        settings.webhooks.iter().map(read).collect()
    }

    fn read(webhook: &Webhook, client: &Client) -> anyhow::Result<Self> {
        let keys = match &webhook.keys {
            WebhookKeys::Secret(secret) => vec![secret.clone()],
            WebhookKeys::File(file) => {
                let what = || {
                    format!(
                        "webhook {}: {} cannot be read",
                        webhook.name,
                        file.display()
                    )
                };
                let text = std::fs::read_to_string(file).with_context(what)?;
                let lines = text.lines().map(str::trim);
                lines
                    .filter(|line| !line.is_empty())
                    .map(str::to_owned)
                    .collect()
            }
        };
        let wrong = || {
            anyhow::anyhow!(
                "webhook {}: its secret_file holds 1 to {KEYS_MAX} lines, each {GOOD_WEBHOOK_SECRET}",
                webhook.name
            )
        };
        let keys: Option<Vec<_>> = keys.iter().map(|secret| webhook_key(secret)).collect();
        let keys = keys.filter(|keys| (1..=KEYS_MAX).contains(&keys.len()));
        Ok(Self {
            name: webhook.name.clone(),
            origin: origin_of(&webhook.url),
            url: webhook.url.clone(),
            keys: keys.ok_or_else(wrong)?,
            severities: webhook.severities.clone(),
            events: webhook.events.clone(),
            timeout: webhook.timeout,
            client: client.clone(),
        })
    }

    pub fn wants(&self, severity: Severity, event: Event) -> bool {
        self.severities.contains(&severity) && self.events.contains(&event)
    }

    /// Sends `body` once. `id` stays the same however often that is tried.
    ///
    /// # Errors
    /// Anything but an answer 2xx in time.
    pub async fn send(&self, id: &str, body: &str, now_ms: u64) -> Result<(), NotSent> {
        let seconds = now_ms / 1000;
        let request = self
            .client
            .post(&self.url)
            .timeout(self.timeout)
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", self.signatures(id, seconds, body))
            .body(body.to_owned());
        let answer = request.send().await.map_err(|error| {
            let what = match error {
                error if error.is_timeout() => "no answer in time",
                error if error.is_connect() => "nobody answers",
                _ => "the connection broke",
            };
            NotSent::passing(format!("{what} at {}", self.origin))
        })?;
        let status = answer.status();
        if status.is_success() {
            return Ok(());
        }
        let seconds = answer.headers().get(RETRY_AFTER);
        let seconds = seconds.and_then(|value| value.to_str().ok()?.parse().ok());
        let wait = seconds.map(|it| Duration::from_secs(it).min(RETRY_AFTER_MAX));
        Err(NotSent {
            reason: format!("{} answers {}", self.origin, status.as_u16()),
            is_final: status == StatusCode::GONE,
            retry_after: wait,
        })
    }

    /// One for each key, so that a receiver that knows any of them is content.
    fn signatures(&self, id: &str, seconds: u64, body: &str) -> String {
        let mut all = String::new();
        for key in &self.keys {
            // It takes keys of any length.
            let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
                continue;
            };
            mac.update(format!("{id}.{seconds}.{body}").as_bytes());
            let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
            let space = if all.is_empty() { "" } else { " " };
            // Into a string.
            let _ = write!(all, "{space}v1,{signature}");
        }
        all
    }
}

impl NotSent {
    fn passing(reason: String) -> Self {
        Self {
            reason,
            is_final: false,
            retry_after: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(keys: &[&str]) -> Hook {
        Hook {
            name: "a".into(),
            origin: String::new(),
            url: String::new(),
            keys: keys.iter().map(|key| webhook_key(key).unwrap()).collect(),
            severities: Vec::new(),
            events: Vec::new(),
            timeout: Duration::from_secs(1),
            client: Client::new(),
        }
    }

    /// The example of the libraries of Standard Webhooks.
    #[test]
    fn a_signature_is_as_standard_webhooks_has_it() {
        let key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        let body = r#"{"test": 2432232314}"#;
        let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(hook(&[key]).signatures(id, 1_614_265_330, body), expected);
        let both = hook(&[key, key]).signatures(id, 1_614_265_330, body);
        assert_eq!(both, format!("{expected} {expected}"));
    }

    #[test]
    fn a_secret_is_the_base64_of_enough_random_bytes() {
        for bad in [
            "",
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "whsec_",
            "whsec_c2hvcnQ=",
            "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
            "whsec_?fKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        ] {
            assert!(webhook_key(bad).is_none(), "{bad}");
        }
    }
}
