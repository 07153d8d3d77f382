//! `[[metric]]` and `[[source]]`: the settings that come as lists of tables.

use std::collections::BTreeMap;
use std::time::Duration;

use super::error::ConfigError;
use super::keys::{DAY, HOUR};
use super::kinds::{Choice, Maybe, Millis, Number, Visitor};
use super::secrets::{self, Headers};
use super::texts::{metric_name, pattern, query};
use super::{Metric, Source, SourceKind};
use crate::domain::message::{Priority, Retain};
use crate::domain::pattern::{MetricName, Pattern};

const PRIORITIES: Choice<Priority> = Choice(&[
    ("critical", Priority::Critical),
    ("high", Priority::High),
    ("normal", Priority::Normal),
    ("low", Priority::Low),
]);
const RETAINS: Choice<Retain> = Choice(&[("all", Retain::All), ("latest", Retain::Latest)]);
const ROWS_MAX: usize = 1000;
const BODY_BYTES_MAX: usize = 1 << 20;

/// What one table of a list says.
pub trait Entry: Default {
    type Meant;
    /// The section's name.
    const SECTION: &str;

    fn visit<V: Visitor>(&mut self, v: &mut V) -> Result<(), V::Error>;
    /// `place` is what its keys begin with in an error, `database_url` where `sql` sources read that
    /// name no URL.
    fn meant(self, place: &str, database_url: Option<&str>) -> Result<Self::Meant, ConfigError>;
    /// What no two of the list may have in common: its key, and its value.
    fn identity(meant: &Self::Meant) -> (&'static str, &str);
}

/// A `[[metric]]` as written.
#[derive(Default)]
pub struct WrittenMetric {
    name: Option<Pattern>,
    retain: Option<Retain>,
    priority: Option<Priority>,
    ttl: Option<Duration>,
}

impl Entry for WrittenMetric {
    type Meant = Metric;
    const SECTION: &str = "metric";

    fn visit<V: Visitor>(&mut self, v: &mut V) -> Result<(), V::Error> {
        v.visit("name", Maybe(pattern()), &mut self.name)?;
        v.visit("retain", Maybe(RETAINS), &mut self.retain)?;
        v.visit("priority", Maybe(PRIORITIES), &mut self.priority)?;
        v.visit("ttl_ms", Maybe(Millis(1..=365 * DAY)), &mut self.ttl)
    }

    fn meant(self, place: &str, _: Option<&str>) -> Result<Metric, ConfigError> {
        let missing = || ConfigError::missing(format!("{place}name"), pattern().allowed);
        Ok(Metric {
            name: self.name.ok_or_else(missing)?,
            retain: self.retain,
            priority: self.priority,
            ttl: self.ttl,
        })
    }

    fn identity(meant: &Metric) -> (&'static str, &str) {
        ("name", meant.name.as_str())
    }
}

impl From<&Metric> for WrittenMetric {
    fn from(metric: &Metric) -> Self {
        Self {
            name: Some(metric.name.clone()),
            retain: metric.retain,
            priority: metric.priority,
            ttl: metric.ttl,
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum KindName {
    Host,
    Hub,
    Sql,
    Http,
}

const KINDS: Choice<KindName> = Choice(&[
    ("host", KindName::Host),
    ("hub", KindName::Hub),
    ("sql", KindName::Sql),
    ("http", KindName::Http),
]);

/// A `[[source]]` as written.
pub struct WrittenSource {
    metric: Option<MetricName>,
    kind: Option<KindName>,
    interval: Option<Duration>,
    timeout: Duration,
    priority: Priority,
    url: Option<String>,
    query: Option<String>,
    rows_max: Option<usize>,
    headers: Option<BTreeMap<String, String>>,
    body_bytes_max: Option<usize>,
}

impl Default for WrittenSource {
    fn default() -> Self {
        Self {
            metric: None,
            kind: None,
            interval: None,
            timeout: Duration::from_secs(5),
            priority: Priority::Normal,
            url: None,
            query: None,
            rows_max: None,
            headers: None,
            body_bytes_max: None,
        }
    }
}

impl WrittenSource {
    /// What holds of the keys that have a default.
    pub fn defaults() -> Self {
        Self {
            rows_max: Some(ROWS_MAX),
            body_bytes_max: Some(BODY_BYTES_MAX),
            ..Self::default()
        }
    }

    /// A URL is of one sort for a database and of another for the web, and of either in the list of
    /// keys, where there is no kind yet.
    fn visit_url<V: Visitor>(&mut self, v: &mut V) -> Result<(), V::Error> {
        let kind = match self.kind {
            Some(KindName::Sql) => secrets::database_url(),
            Some(KindName::Http) => secrets::web_url(),
            _ => secrets::source_url(),
        };
        v.visit("url", Maybe(kind), &mut self.url)
    }

    /// A key of another kind is a mistake that would otherwise do nothing, silently.
    fn check_kind(&self, kind: KindName, place: &str) -> Result<(), ConfigError> {
        use KindName::{Http, Sql};
        let written = [
            ("url", self.url.is_some(), &[Sql, Http][..]),
            ("query", self.query.is_some(), &[Sql]),
            ("rows_max", self.rows_max.is_some(), &[Sql]),
            ("headers", self.headers.is_some(), &[Http]),
            ("body_bytes_max", self.body_bytes_max.is_some(), &[Http]),
        ];
        match written
            .iter()
            .find(|(_, is_written, of)| *is_written && !of.contains(&kind))
        {
            None => Ok(()),
            Some((key, ..)) => {
                let name = KINDS
                    .0
                    .iter()
                    .find(|(_, known)| *known == kind)
                    .map_or("", |(name, _)| name);
                let reason = format!("a source of kind {name} has no such key");
                Err(ConfigError::misplaced(format!("{place}{key}"), reason))
            }
        }
    }

    fn source_kind(
        self,
        kind: KindName,
        place: &str,
        database_url: Option<&str>,
    ) -> Result<SourceKind, ConfigError> {
        let missing = |key: &str, allowed| ConfigError::missing(format!("{place}{key}"), allowed);
        Ok(match kind {
            KindName::Host => SourceKind::Host,
            KindName::Hub => SourceKind::Hub,
            KindName::Sql => SourceKind::Sql {
                url: self
                    .url
                    .or(database_url.map(str::to_owned))
                    .ok_or_else(|| {
                        missing(
                            "url",
                            "the URL of a database, here or in the environment as DATABASE_URL",
                        )
                    })?,
                query: self
                    .query
                    .ok_or_else(|| missing("query", query().allowed))?,
                rows_max: self.rows_max.unwrap_or(ROWS_MAX),
            },
            KindName::Http => SourceKind::Http {
                url: self
                    .url
                    .ok_or_else(|| missing("url", "a URL that begins with https:// or http://"))?,
                headers: self.headers.unwrap_or_default(),
                body_bytes_max: self.body_bytes_max.unwrap_or(BODY_BYTES_MAX),
            },
        })
    }
}

impl Entry for WrittenSource {
    type Meant = Source;
    const SECTION: &str = "source";

    fn visit<V: Visitor>(&mut self, v: &mut V) -> Result<(), V::Error> {
        v.visit("metric", Maybe(metric_name()), &mut self.metric)?;
        v.visit("kind", Maybe(KINDS), &mut self.kind)?;
        v.visit("interval_ms", Maybe(Millis(1..=DAY)), &mut self.interval)?;
        v.visit("timeout_ms", Millis(1..=HOUR), &mut self.timeout)?;
        v.visit("priority", PRIORITIES, &mut self.priority)?;
        self.visit_url(v)?;
        v.visit("query", Maybe(query()), &mut self.query)?;
        v.visit("rows_max", Maybe(Number(1..=100_000)), &mut self.rows_max)?;
        v.visit("headers", Maybe(Headers), &mut self.headers)?;
        v.visit(
            "body_bytes_max",
            Maybe(Number(1024..=64 << 20)),
            &mut self.body_bytes_max,
        )
    }

    fn meant(self, place: &str, database_url: Option<&str>) -> Result<Source, ConfigError> {
        let missing =
            |key: &str, allowed: &str| ConfigError::missing(format!("{place}{key}"), allowed);
        let metric = self
            .metric
            .clone()
            .ok_or_else(|| missing("metric", metric_name().allowed))?;
        let kind = self
            .kind
            .ok_or_else(|| missing("kind", "one of host, hub, sql, http"))?;
        self.check_kind(kind, place)?;
        Ok(Source {
            metric,
            priority: self.priority,
            interval: self.interval,
            timeout: self.timeout,
            kind: self.source_kind(kind, place, database_url)?,
        })
    }

    fn identity(meant: &Source) -> (&'static str, &str) {
        ("metric", meant.metric.as_str())
    }
}

impl From<&Source> for WrittenSource {
    fn from(source: &Source) -> Self {
        let mut written = Self {
            metric: Some(source.metric.clone()),
            interval: source.interval,
            timeout: source.timeout,
            priority: source.priority,
            ..Self::default()
        };
        match source.kind.clone() {
            SourceKind::Host => written.kind = Some(KindName::Host),
            SourceKind::Hub => written.kind = Some(KindName::Hub),
            SourceKind::Sql {
                url,
                query,
                rows_max,
            } => {
                written.kind = Some(KindName::Sql);
                written.url = Some(url);
                written.query = Some(query);
                written.rows_max = Some(rows_max);
            }
            SourceKind::Http {
                url,
                headers,
                body_bytes_max,
            } => {
                written.kind = Some(KindName::Http);
                written.url = Some(url);
                written.headers = Some(headers);
                written.body_bytes_max = Some(body_bytes_max);
            }
        }
        written
    }
}
