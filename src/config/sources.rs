//! `[[source]]`: metrics that the hub reads itself.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::entries::{Entry, PRIORITIES};
use super::error::ConfigError;
use super::keys::{DAY, HOUR};
use super::kinds::{Choice, List, Maybe, Millis, Number, Visitor};
use super::secrets::{self, Headers};
use super::selector::Selector;
use super::texts::{channel, file, metric_name, query, redis_key, selector};
use super::{RedisKeys, RedisUrl, SeriesAggregate, Source, SourceKind};
use crate::domain::message::Priority;
use crate::domain::pattern::MetricName;

const ROWS_MAX: usize = 1000;
const BODY_BYTES_MAX: usize = 1 << 20;
const SERIES_MAX: usize = 100;
const FIELDS_MAX: usize = 1000;
/// Keys of Redis that one source may name.
const KEYS_MAX: usize = 1000;

#[derive(Clone, Copy, PartialEq)]
enum KindName {
    Host,
    Hub,
    Sql,
    Http,
    Prometheus,
    Redis,
    PostgresNotify,
}

const KINDS: Choice<KindName> = Choice(&[
    ("host", KindName::Host),
    ("hub", KindName::Hub),
    ("sql", KindName::Sql),
    ("http", KindName::Http),
    ("prometheus", KindName::Prometheus),
    ("redis", KindName::Redis),
    ("postgres_notify", KindName::PostgresNotify),
]);
const KINDS_ALLOWED: &str = "one of host, hub, sql, http, prometheus, redis, postgres_notify";

const AGGREGATES: Choice<SeriesAggregate> = Choice(&[
    ("sum", SeriesAggregate::Sum),
    ("avg", SeriesAggregate::Avg),
    ("min", SeriesAggregate::Min),
    ("max", SeriesAggregate::Max),
    ("count", SeriesAggregate::Count),
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
    selector: Option<Selector>,
    aggregate: Option<SeriesAggregate>,
    series_max: Option<usize>,
    key: Option<String>,
    keys: Option<Vec<String>>,
    fields_max: Option<usize>,
    ca_file: Option<PathBuf>,
    channel: Option<String>,
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
            selector: None,
            aggregate: None,
            series_max: None,
            key: None,
            keys: None,
            fields_max: None,
            ca_file: None,
            channel: None,
        }
    }
}

impl WrittenSource {
    /// What holds of the keys that have a default.
    pub fn defaults() -> Self {
        Self {
            rows_max: Some(ROWS_MAX),
            body_bytes_max: Some(BODY_BYTES_MAX),
            series_max: Some(SERIES_MAX),
            fields_max: Some(FIELDS_MAX),
            ..Self::default()
        }
    }

    /// A URL is of one sort for a database and of another for the web, and of any in the list of
    /// keys, where there is no kind yet.
    fn visit_url<V: Visitor>(&mut self, v: &mut V) -> Result<(), V::Error> {
        let kind = match self.kind {
            Some(KindName::Sql) => secrets::database_url(),
            Some(KindName::Http | KindName::Prometheus) => secrets::web_url(),
            Some(KindName::Redis) => secrets::redis_server_url(),
            Some(KindName::PostgresNotify) => secrets::postgres_url(),
            Some(KindName::Host | KindName::Hub) | None => secrets::source_url(),
        };
        v.visit("url", Maybe(kind), &mut self.url)
    }

    /// A key of another kind is a mistake that would otherwise do nothing, silently.
    fn check_kind(&self, kind: KindName, place: &str) -> Result<(), ConfigError> {
        use KindName::{Http, PostgresNotify, Prometheus, Redis, Sql};
        let written: [(&str, bool, &[KindName]); 13] = [
            (
                "url",
                self.url.is_some(),
                &[Sql, Http, Prometheus, Redis, PostgresNotify],
            ),
            ("query", self.query.is_some(), &[Sql]),
            ("rows_max", self.rows_max.is_some(), &[Sql]),
            ("headers", self.headers.is_some(), &[Http, Prometheus]),
            (
                "body_bytes_max",
                self.body_bytes_max.is_some(),
                &[Http, Prometheus, Redis],
            ),
            ("selector", self.selector.is_some(), &[Prometheus]),
            ("aggregate", self.aggregate.is_some(), &[Prometheus]),
            ("series_max", self.series_max.is_some(), &[Prometheus]),
            ("key", self.key.is_some(), &[Redis]),
            ("keys", self.keys.is_some(), &[Redis]),
            ("fields_max", self.fields_max.is_some(), &[Redis]),
            ("ca_file", self.ca_file.is_some(), &[Redis]),
            ("channel", self.channel.is_some(), &[PostgresNotify]),
        ];
        let stray = written
            .iter()
            .find(|(_, is_written, of)| *is_written && !of.contains(&kind));
        let Some((key, ..)) = stray else {
            return Ok(());
        };
        let name = KINDS.0.iter().find(|(_, known)| *known == kind);
        let name = name.map_or("", |(name, _)| name);
        let reason = format!("a source of kind {name} has no such key");
        Err(ConfigError::misplaced(format!("{place}{key}"), reason))
    }

    fn source_kind(
        self,
        kind: KindName,
        place: &str,
        database_url: Option<&str>,
    ) -> Result<SourceKind, ConfigError> {
        let missing =
            |key: &str, allowed: &str| Err(ConfigError::missing(format!("{place}{key}"), allowed));
        let body_bytes_max = self.body_bytes_max.unwrap_or(BODY_BYTES_MAX);
        Ok(match kind {
            KindName::Host => SourceKind::Host,
            KindName::Hub => SourceKind::Hub,
            KindName::Sql => SourceKind::Sql {
                url: match self.url.or(database_url.map(str::to_owned)) {
                    Some(url) => url,
                    None => {
                        let allowed =
                            "the URL of a database, here or in the environment as DATABASE_URL";
                        return missing("url", allowed);
                    }
                },
                query: match self.query {
                    Some(query) => query,
                    None => return missing("query", query().allowed),
                },
                rows_max: self.rows_max.unwrap_or(ROWS_MAX),
            },
            KindName::Http => SourceKind::Http {
                url: match self.url {
                    Some(url) => url,
                    None => return missing("url", WEB_URL),
                },
                headers: self.headers.unwrap_or_default(),
                body_bytes_max,
            },
            KindName::Prometheus => SourceKind::Prometheus {
                url: match self.url {
                    Some(url) => url,
                    None => return missing("url", WEB_URL),
                },
                selector: match self.selector {
                    Some(selector) => selector,
                    None => return missing("selector", selector().allowed),
                },
                aggregate: self.aggregate,
                series_max: self.series_max.unwrap_or(SERIES_MAX),
                headers: self.headers.unwrap_or_default(),
                body_bytes_max,
            },
            KindName::Redis => SourceKind::Redis {
                url: match self.url.as_deref().and_then(RedisUrl::parse) {
                    Some(url) => url,
                    None => return missing("url", secrets::REDIS_SERVER),
                },
                ca_file: self.ca_file,
                keys: redis_keys(self.key, self.keys, place)?,
                fields_max: self.fields_max.unwrap_or(FIELDS_MAX),
                body_bytes_max,
            },
            KindName::PostgresNotify => SourceKind::PostgresNotify {
                url: match self.url.or_else(|| secrets::if_postgres(database_url)) {
                    Some(url) => url,
                    None => return missing("url", POSTGRES_URL),
                },
                channel: match self.channel {
                    Some(channel) => channel,
                    None => return missing("channel", channel().allowed),
                },
            },
        })
    }
}

const WEB_URL: &str = "a URL that begins with https:// or http://";
pub const POSTGRES_URL: &str =
    "a URL that begins with postgres://, here or in the environment as DATABASE_URL";

fn redis_keys(
    key: Option<String>,
    keys: Option<Vec<String>>,
    place: &str,
) -> Result<RedisKeys, ConfigError> {
    match (key, keys) {
        (Some(key), None) => Ok(RedisKeys::One(key)),
        (None, Some(keys)) if keys.len() <= KEYS_MAX => Ok(RedisKeys::Several(keys)),
        (None, Some(keys)) => {
            let written = format!("a list of {}", keys.len());
            let allowed = format!("a list of at most {KEYS_MAX}");
            Err(ConfigError::value(
                &format!("{place}keys"),
                &written,
                allowed,
            ))
        }
        (Some(_), Some(_)) => {
            let reason = "there is a key as well; one of the two is enough".to_owned();
            Err(ConfigError::misplaced(format!("{place}keys"), reason))
        }
        (None, None) => {
            let allowed = "a key, or a list of them as keys";
            Err(ConfigError::missing(format!("{place}key"), allowed))
        }
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
        )?;
        v.visit("selector", Maybe(selector()), &mut self.selector)?;
        v.visit("aggregate", Maybe(AGGREGATES), &mut self.aggregate)?;
        v.visit(
            "series_max",
            Maybe(Number(1..=100_000)),
            &mut self.series_max,
        )?;
        v.visit("key", Maybe(redis_key()), &mut self.key)?;
        let keys = List {
            of: redis_key(),
            min: 1,
        };
        v.visit("keys", Maybe(keys), &mut self.keys)?;
        v.visit(
            "fields_max",
            Maybe(Number(1..=100_000)),
            &mut self.fields_max,
        )?;
        v.visit("ca_file", Maybe(file()), &mut self.ca_file)?;
        v.visit("channel", Maybe(channel()), &mut self.channel)
    }

    fn meant(self, place: &str, database_url: Option<&str>) -> Result<Source, ConfigError> {
        let missing =
            |key: &str, allowed: &str| ConfigError::missing(format!("{place}{key}"), allowed);
        let metric = self.metric.clone();
        let metric = metric.ok_or_else(|| missing("metric", metric_name().allowed))?;
        let kind = self.kind.ok_or_else(|| missing("kind", KINDS_ALLOWED))?;
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

#[path = "sources_written.rs"]
mod written;
