//! `[[outbox]]`: tables of which each row is published once.

use std::time::Duration;

use super::entries::Entry;
use super::error::ConfigError;
use super::keys::{DAY, HOUR};
use super::kinds::{Maybe, Millis, Number, Visitor};
use super::secrets;
use super::sources::POSTGRES_URL;
use super::texts::{channel, metric_name, table};
use super::{Source, SourceKind};
use crate::domain::message::Priority;
use crate::domain::pattern::MetricName;

/// What table and channel are called where nothing else is written, as in the documented tables.
const NAME: &str = "statshub_outbox";

/// An `[[outbox]]` as written. What is meant is a source: it is read, shared and shown as the others are.
pub struct WrittenOutbox {
    name: Option<MetricName>,
    url: Option<String>,
    table: String,
    channel: String,
    interval: Option<Duration>,
    timeout: Duration,
    rows_max: usize,
}

impl Default for WrittenOutbox {
    fn default() -> Self {
        Self {
            name: None,
            url: None,
            table: NAME.to_owned(),
            channel: NAME.to_owned(),
            interval: None,
            timeout: Duration::from_secs(5),
            rows_max: 100,
        }
    }
}

impl Entry for WrittenOutbox {
    type Meant = Source;
    const SECTION: &str = "outbox";

    fn visit<V: Visitor>(&mut self, v: &mut V) -> Result<(), V::Error> {
        v.visit("name", Maybe(metric_name()), &mut self.name)?;
        v.visit("url", Maybe(secrets::postgres_url()), &mut self.url)?;
        v.visit("table", table(), &mut self.table)?;
        v.visit("channel", channel(), &mut self.channel)?;
        v.visit("interval_ms", Maybe(Millis(1..=DAY)), &mut self.interval)?;
        v.visit("timeout_ms", Millis(1..=HOUR), &mut self.timeout)?;
        v.visit("rows_max", Number(1..=1000), &mut self.rows_max)
    }

    fn meant(self, place: &str, database_url: Option<&str>) -> Result<Source, ConfigError> {
        let missing =
            |key: &str, allowed: &str| ConfigError::missing(format!("{place}{key}"), allowed);
        let url = self.url.or_else(|| secrets::if_postgres(database_url));
        Ok(Source {
            metric: self
                .name
                .ok_or_else(|| missing("name", metric_name().allowed))?,
            // Each row has its own, or none.
            priority: Priority::Normal,
            interval: self.interval,
            timeout: self.timeout,
            kind: SourceKind::PostgresOutbox {
                url: url.ok_or_else(|| missing("url", POSTGRES_URL))?,
                table: self.table,
                channel: self.channel,
                rows_max: self.rows_max,
            },
        })
    }

    fn identity(meant: &Source) -> (&'static str, &str) {
        ("name", meant.metric.as_str())
    }
}

/// `None` for a source that is no outbox.
pub fn written(source: &Source) -> Option<WrittenOutbox> {
    let SourceKind::PostgresOutbox {
        url,
        table,
        channel,
        rows_max,
    } = source.kind.clone()
    else {
        return None;
    };
    Some(WrittenOutbox {
        name: Some(source.metric.clone()),
        url: Some(url),
        table,
        channel,
        interval: source.interval,
        timeout: source.timeout,
        rows_max,
    })
}
