//! What a `[[source]]` or an `[[outbox]]` means.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::redis::RedisUrl;
use super::selector::Selector;
use crate::domain::message::Priority;
use crate::domain::pattern::MetricName;

/// `[[source]]`: a metric that the hub reads itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    pub metric: MetricName,
    pub priority: Priority,
    pub kind: SourceKind,
    /// `None`: the hub's update interval.
    pub interval: Option<Duration>,
    pub timeout: Duration,
}

/// What a source reads, and how.
#[derive(Clone, PartialEq)]
pub enum SourceKind {
    /// CPU, memory, disks, network, load of this machine.
    Host,
    /// The hub's own connection statistics.
    Hub,
    /// One query; one row becomes an object, several an array.
    Sql {
        url: String,
        query: String,
        rows_max: usize,
    },
    /// JSON from a URL.
    Http {
        url: String,
        headers: BTreeMap<String, String>,
        body_bytes_max: usize,
    },
    /// What a server shows to Prometheus, of one metric.
    Prometheus {
        url: String,
        selector: Selector,
        /// One number of all series.
        aggregate: Option<SeriesAggregate>,
        series_max: usize,
        headers: BTreeMap<String, String>,
        body_bytes_max: usize,
    },
    /// What some keys of a Redis hold.
    Redis {
        url: RedisUrl,
        /// Certificates of authorities to trust instead of the system's, in PEM.
        ca_file: Option<PathBuf>,
        keys: RedisKeys,
        /// Fields of one hash.
        fields_max: usize,
        /// All values together.
        body_bytes_max: usize,
    },
    /// What is told on a channel of PostgreSQL, when it is told.
    PostgresNotify { url: String, channel: String },
    /// A table of which each row is published once, and then gone. The source's `metric` is its name: each row
    /// says its own.
    PostgresOutbox {
        url: String,
        table: String,
        /// On which it is told that there are new rows.
        channel: String,
        /// Rows in one batch.
        rows_max: usize,
    },
}

/// One number of many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeriesAggregate {
    Sum,
    Avg,
    Min,
    Max,
    Count,
}

/// What a source reads in Redis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RedisKeys {
    /// The value is that of the key.
    One(String),
    /// The value is an object with these.
    Several(Vec<String>),
}

impl std::fmt::Debug for SourceKind {
    /// Never prints a URL's password or a header's value.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Host => f.write_str("Host"),
            Self::Hub => f.write_str("Hub"),
            Self::Sql { query, .. } => write!(f, "Sql({query:?})"),
            Self::Http { .. } => f.write_str("Http"),
            Self::Prometheus { selector, .. } => write!(f, "Prometheus({selector:?})"),
            Self::Redis { url, keys, .. } => write!(f, "Redis({url:?}, {keys:?})"),
            Self::PostgresNotify { channel, .. } => write!(f, "PostgresNotify({channel:?})"),
            Self::PostgresOutbox { table, .. } => write!(f, "PostgresOutbox({table:?})"),
        }
    }
}
