//! `[[alert]]`, `[[webhook]]` and `[alerting]`: what is to be told, to whom, and how much of that there may be.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use toml::{Table, Value};
use url::Url;

use super::entries::Entry;
use super::error::ConfigError;
use super::keys::MINUTE;
use super::kinds::{Choice, Kind, List, Maybe, Millis, Text, Visitor, text};
use super::secrets::{self, MASK};
use super::texts::file;
use crate::domain::alert::Severity;
use crate::domain::rule::{AnomalySpec, Event, Rule, RuleName, Spec};

/// `[alerting]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Alerting {
    /// Rules times the metrics that they concern.
    pub lives_max: usize,
    /// Notifications that wait, and those that have failed for good.
    pub notifications_max: usize,
}

/// `[[webhook]]`: who is told by HTTP.
#[derive(Clone, PartialEq)]
pub struct Webhook {
    pub name: String,
    pub url: String,
    pub keys: WebhookKeys,
    pub severities: Vec<Severity>,
    pub events: Vec<Event>,
    pub timeout: Duration,
}

/// What notifications are signed with.
#[derive(Clone, PartialEq)]
pub enum WebhookKeys {
    Secret(String),
    /// One secret a line; each signs, so that a receiver may change from one to the other.
    File(PathBuf),
}

impl fmt::Debug for Webhook {
    /// Never prints the secret, nor what of the URL may be one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Webhook({:?}, {:?})", self.name, origin_of(&self.url))
    }
}

/// What of a receiver's URL may be shown: its path may be a credential.
pub fn origin_of(url: &str) -> String {
    let url = Url::parse(url);
    url.map_or_else(|_| MASK.to_owned(), |it| it.origin().ascii_serialization())
}

const SEVERITIES: Choice<Severity> = Choice(&[
    ("critical", Severity::Critical),
    ("high", Severity::High),
    ("medium", Severity::Medium),
    ("low", Severity::Low),
]);
const EVENTS: Choice<Event> = Choice(&[
    ("firing", Event::Firing),
    ("repeated", Event::Repeated),
    ("acknowledged", Event::Acknowledged),
    ("resolved", Event::Resolved),
]);

fn rule_name() -> Text<String> {
    text("a name of 1 to 64 of A-Z a-z 0-9 _ . -", |name| {
        RuleName::parse(name).map(|name| name.as_str().to_owned())
    })
}

fn pattern() -> Text<String> {
    text(super::texts::pattern().allowed, |pattern| {
        (super::texts::pattern().parse)(pattern).map(|it| it.to_string())
    })
}

fn expression() -> Text<String> {
    text("an expression such as data.errorRate > 0.05", |it| {
        (!it.trim().is_empty()).then(|| it.to_owned())
    })
}

fn span() -> Text<String> {
    text("a time with its unit, such as 90s, 5m or 1h 30m", |it| {
        humantime::parse_duration(it).ok().map(|_| it.to_owned())
    })
}

fn message() -> Text<String> {
    text("a text, in which {expression} stands for a value", |it| {
        (!it.trim().is_empty()).then(|| it.to_owned())
    })
}

struct Anomaly;

impl Kind for Anomaly {
    type Meant = AnomalySpec;

    fn allowed(&self) -> String {
        "a table such as { field = \"/errorRate\", deviation = 4, season = \"1d\" }, also with seasons and scale_min"
            .to_owned()
    }

    fn read(&self, value: &Value) -> Option<AnomalySpec> {
        value.clone().try_into().ok()
    }

    fn write(&self, meant: &AnomalySpec) -> Option<Value> {
        let mut table = Table::new();
        table.insert("field".into(), meant.field.clone().into());
        table.insert("deviation".into(), meant.deviation.into());
        table.insert("season".into(), meant.season.clone().into());
        let seasons = i64::try_from(meant.seasons).unwrap_or(i64::MAX);
        table.insert("seasons".into(), seasons.into());
        table.insert("scale_min".into(), meant.scale_min.into());
        Some(table.into())
    }
}

/// An `[[alert]]` as written.
#[derive(Default)]
pub struct WrittenAlert {
    name: Option<String>,
    on: Option<String>,
    severity: Option<Severity>,
    when: Option<String>,
    resolve: Option<String>,
    hold: Option<String>,
    keep_firing_for: Option<String>,
    absent_for: Option<String>,
    anomaly: Option<AnomalySpec>,
    repeat_every: Option<String>,
    message: Option<String>,
}

impl Entry for WrittenAlert {
    type Meant = Rule;
    const SECTION: &str = "alert";

    fn visit<V: Visitor>(&mut self, v: &mut V) -> Result<(), V::Error> {
        v.visit("name", Maybe(rule_name()), &mut self.name)?;
        v.visit("on", Maybe(pattern()), &mut self.on)?;
        v.visit("severity", Maybe(SEVERITIES), &mut self.severity)?;
        v.visit("when", Maybe(expression()), &mut self.when)?;
        v.visit("resolve", Maybe(expression()), &mut self.resolve)?;
        v.visit("for", Maybe(span()), &mut self.hold)?;
        v.visit("keep_firing_for", Maybe(span()), &mut self.keep_firing_for)?;
        v.visit("absent_for", Maybe(span()), &mut self.absent_for)?;
        v.visit("anomaly", Maybe(Anomaly), &mut self.anomaly)?;
        v.visit("repeat_every", Maybe(span()), &mut self.repeat_every)?;
        v.visit("message", Maybe(message()), &mut self.message)
    }

    fn meant(self, place: &str, _: Option<&str>) -> Result<Rule, ConfigError> {
        let missing =
            |key: &str, allowed: &str| ConfigError::missing(format!("{place}{key}"), allowed);
        let spec = Spec {
            name: self
                .name
                .ok_or_else(|| missing("name", rule_name().allowed))?,
            on: self.on.ok_or_else(|| missing("on", pattern().allowed))?,
            severity: self
                .severity
                .ok_or_else(|| missing("severity", &SEVERITIES.allowed()))?,
            when: self.when,
            resolve: self.resolve,
            hold: self.hold,
            keep_firing_for: self.keep_firing_for,
            absent_for: self.absent_for,
            anomaly: self.anomaly,
            repeat_every: self.repeat_every,
            message: self.message,
        };
        Rule::parse(spec).map_err(|fault| ConfigError::Wrong {
            key: format!("{place}{}", fault.key),
            reason: fault.to_string().replace(char::is_control, " "),
        })
    }

    fn identity(meant: &Rule) -> (&'static str, &str) {
        ("name", meant.name.as_str())
    }
}

impl From<&Rule> for WrittenAlert {
    fn from(rule: &Rule) -> Self {
        let spec = rule.spec().clone();
        Self {
            name: Some(spec.name),
            on: Some(spec.on),
            severity: Some(spec.severity),
            when: spec.when,
            resolve: spec.resolve,
            hold: spec.hold,
            keep_firing_for: spec.keep_firing_for,
            absent_for: spec.absent_for,
            anomaly: spec.anomaly,
            repeat_every: spec.repeat_every,
            message: spec.message,
        }
    }
}

/// A `[[webhook]]` as written.
pub struct WrittenWebhook {
    name: Option<String>,
    url: Option<String>,
    secret: Option<String>,
    secret_file: Option<PathBuf>,
    severities: Vec<Severity>,
    events: Vec<Event>,
    timeout: Duration,
}

impl Default for WrittenWebhook {
    fn default() -> Self {
        Self {
            name: None,
            url: None,
            secret: None,
            secret_file: None,
            severities: SEVERITIES.0.iter().map(|(_, it)| *it).collect(),
            events: vec![Event::Firing, Event::Resolved],
            timeout: Duration::from_secs(10),
        }
    }
}

impl Entry for WrittenWebhook {
    type Meant = Webhook;
    const SECTION: &str = "webhook";

    fn visit<V: Visitor>(&mut self, v: &mut V) -> Result<(), V::Error> {
        v.visit("name", Maybe(rule_name()), &mut self.name)?;
        v.visit("url", Maybe(secrets::WebhookUrl), &mut self.url)?;
        v.visit("secret", Maybe(secrets::webhook_secret()), &mut self.secret)?;
        v.visit("secret_file", Maybe(file()), &mut self.secret_file)?;
        let severities = List {
            of: SEVERITIES,
            min: 1,
        };
        v.visit("severities", severities, &mut self.severities)?;
        v.visit("events", List { of: EVENTS, min: 1 }, &mut self.events)?;
        v.visit("timeout_ms", Millis(100..=MINUTE), &mut self.timeout)
    }

    fn meant(self, place: &str, _: Option<&str>) -> Result<Webhook, ConfigError> {
        let missing =
            |key: &str, allowed: &str| ConfigError::missing(format!("{place}{key}"), allowed);
        let keys = match (self.secret, self.secret_file) {
            (Some(secret), None) => WebhookKeys::Secret(secret),
            (None, Some(file)) => WebhookKeys::File(file),
            (None, None) => {
                let allowed = format!("{}, or a secret_file", secrets::GOOD_WEBHOOK_SECRET);
                return Err(missing("secret", &allowed));
            }
            (Some(_), Some(_)) => {
                let key = format!("{place}secret_file");
                return Err(ConfigError::misplaced(key, "there is a secret already"));
            }
        };
        Ok(Webhook {
            name: self
                .name
                .ok_or_else(|| missing("name", rule_name().allowed))?,
            url: self
                .url
                .ok_or_else(|| missing("url", &secrets::WebhookUrl.allowed()))?,
            keys,
            severities: self.severities,
            events: self.events,
            timeout: self.timeout,
        })
    }

    fn identity(meant: &Webhook) -> (&'static str, &str) {
        ("name", &meant.name)
    }
}

impl From<&Webhook> for WrittenWebhook {
    fn from(webhook: &Webhook) -> Self {
        let (secret, secret_file) = match webhook.keys.clone() {
            WebhookKeys::Secret(secret) => (Some(secret), None),
            WebhookKeys::File(file) => (None, Some(file)),
        };
        Self {
            name: Some(webhook.name.clone()),
            url: Some(webhook.url.clone()),
            secret,
            secret_file,
            severities: webhook.severities.clone(),
            events: webhook.events.clone(),
            timeout: webhook.timeout,
        }
    }
}
