//! What is known of a source: its last success, its last error, its counts.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::kind_name;
use crate::config;
use crate::domain::pattern::MetricName;

/// How one source is doing, as the health endpoint shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SourceState {
    pub metric: MetricName,
    /// `host`, `hub`, `sql`, `http`, `prometheus`, `redis`, `postgres_notify` or `postgres_outbox`.
    pub kind: &'static str,
    /// When a value was last published; of one that is told, also when it last was seen to be connected, and of an
    /// outbox when it was last looked into. `None`: not since the start or the last reload.
    #[serde(serialize_with = "to_the_millisecond")]
    pub last_success: Option<Timestamp>,
    /// The newest error, also after the source recovered from it.
    pub last_error: Option<String>,
    #[serde(serialize_with = "to_the_millisecond")]
    pub last_error_at: Option<Timestamp>,
    /// How long the newest finished read took, in milliseconds.
    pub duration_ms: Option<u64>,
    /// Reads finished, failures among them; of one that is told, what it was told.
    pub polls: u64,
    /// Of an outbox also the rows that were put aside.
    pub failures: u64,
    /// Times a read was due while the one before it still ran.
    pub skipped: u64,
    /// No value for more than two intervals and a time-out: what clients see is old.
    pub stale: bool,
    /// Of one that is told: whether it is connected, so that it can be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub connected: Option<bool>,
    /// Of an outbox: rows published.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// Of an outbox: rows that can never be published and were put aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_aside: Option<u64>,
    /// Another hub reads it at present.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub elsewhere: bool,
}

/// As every other time that the hub tells.
fn to_the_millisecond<S: Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(&format_args!("{time:.3}")),
        None => serializer.serialize_none(),
    }
}

/// Shared by a poller, which writes, and whoever asks for [`SourceState`]s.
pub(super) type SharedRecord = Arc<Mutex<Record>>;

pub(super) fn lock(record: &SharedRecord) -> MutexGuard<'_, Record> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A source turned from working to failing, or back.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    Failed,
    Recovered,
}

/// One line where a source begins to fail, and one where it works again.
pub(super) fn log(metric: &MetricName, change: Option<Change>, error: Option<&str>) {
    match (change, error) {
        (Some(Change::Failed), Some(error)) => log::warn!("source {metric} fails: {error}"),
        (Some(Change::Recovered), _) => log::info!("source {metric} works again"),
        _ => {}
    }
}

/// The facts from which a [`SourceState`] is told. Times come in as arguments.
pub(super) struct Record {
    state: SourceState,
    failing: bool,
    started: Timestamp,
    stale_after: Duration,
}

impl Record {
    pub fn new(setting: &config::Source, interval: Duration, now: Timestamp) -> Self {
        let is_outbox = matches!(setting.kind, config::SourceKind::PostgresOutbox { .. });
        let is_told = matches!(setting.kind, config::SourceKind::PostgresNotify { .. });
        let state = SourceState {
            metric: setting.metric.clone(),
            kind: kind_name(&setting.kind),
            last_success: None,
            last_error: None,
            last_error_at: None,
            duration_ms: None,
            polls: 0,
            failures: 0,
            skipped: 0,
            stale: false,
            connected: (is_outbox || is_told).then_some(false),
            rows: is_outbox.then_some(0),
            rows_aside: is_outbox.then_some(0),
            elsewhere: false,
        };
        Self {
            state,
            failing: false,
            started: now,
            stale_after: interval.saturating_mul(2).saturating_add(setting.timeout),
        }
    }

    /// Notes a finished read. Says whether that changed how the source is doing, so that the log
    /// has one line per change and not one per failure.
    pub fn finished(
        &mut self,
        result: Result<(), String>,
        took: Duration,
        now: Timestamp,
    ) -> Option<Change> {
        self.state.polls += 1;
        self.state.duration_ms = Some(u64::try_from(took.as_millis()).unwrap_or(u64::MAX));
        self.went(result, now)
    }

    /// Notes what is no read: it was told something, is still connected, or could not be.
    pub fn went(&mut self, result: Result<(), String>, now: Timestamp) -> Option<Change> {
        let was_failing = std::mem::replace(&mut self.failing, result.is_err());
        match result {
            Ok(()) => {
                self.state.last_success = Some(now);
                was_failing.then_some(Change::Recovered)
            }
            Err(error) => {
                self.state.failures += 1;
                self.state.last_error = Some(error);
                self.state.last_error_at = Some(now);
                (!was_failing).then_some(Change::Failed)
            }
        }
    }

    /// It was told something.
    pub fn told(&mut self) {
        self.state.polls += 1;
    }

    pub fn is_connected(&mut self, is_connected: bool) {
        self.state.connected = Some(is_connected);
    }

    /// So many rows were published, and these put aside.
    pub fn took_rows(&mut self, published: usize, aside: &[String], now: Timestamp) {
        let count = |rows: &mut Option<u64>, more: usize| {
            *rows = Some(rows.unwrap_or_default() + more as u64);
        };
        count(&mut self.state.rows, published);
        count(&mut self.state.rows_aside, aside.len());
        self.state.failures += aside.len() as u64;
        if let Some(newest) = aside.last() {
            self.state.last_error = Some(newest.clone());
            self.state.last_error_at = Some(now);
        }
    }

    pub fn is_elsewhere(&mut self, is_elsewhere: bool) {
        self.state.elsewhere = is_elsewhere;
    }

    pub fn skipped(&mut self) {
        self.state.skipped += 1;
    }

    pub fn state(&self, now: Timestamp) -> SourceState {
        let last = self.state.last_success.unwrap_or(self.started);
        let age = Duration::try_from(now.duration_since(last)).unwrap_or_default();
        SourceState {
            stale: age > self.stale_after && !self.state.elsewhere,
            ..self.state.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::Priority;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn record() -> Record {
        let setting = config::Source {
            metric: MetricName::parse("credits").unwrap(),
            priority: Priority::Normal,
            kind: config::SourceKind::Host,
            interval: None,
            timeout: Duration::from_secs(5),
        };
        Record::new(&setting, Duration::from_secs(10), at(0))
    }

    #[test]
    fn only_changes_are_told() {
        let mut record = record();
        let mut finish = |result: Result<(), &str>| {
            record.finished(result.map_err(String::from), Duration::ZERO, at(1))
        };
        assert_eq!(finish(Ok(())), None);
        assert_eq!(finish(Err("down")), Some(Change::Failed));
        assert_eq!(finish(Err("still down")), None);
        assert_eq!(finish(Ok(())), Some(Change::Recovered));
        assert_eq!(finish(Ok(())), None);
        let state = record.state(at(1));
        assert_eq!((state.polls, state.failures), (5, 2));
        assert_eq!(state.last_error.as_deref(), Some("still down"));
    }

    #[test]
    fn a_first_read_that_fails_is_a_change() {
        let failed = record().finished(Err("down".into()), Duration::ZERO, at(1));
        assert_eq!(failed, Some(Change::Failed));
    }

    #[test]
    fn a_source_is_stale_after_two_intervals_and_a_time_out_without_a_value() {
        let mut record = record();
        assert!(!record.state(at(25)).stale, "it has just begun");
        assert!(record.state(at(26)).stale, "it never answered");
        let _ = record.finished(Ok(()), Duration::ZERO, at(30));
        assert!(!record.state(at(55)).stale);
        let _ = record.finished(Err("down".into()), Duration::ZERO, at(56));
        assert!(record.state(at(56)).stale, "a failure is no value");
        assert!(!record.state(at(0)).stale, "a clock that went back");
    }

    #[test]
    fn the_health_endpoint_gets_camel_case_and_milliseconds() {
        let mut record = record();
        let now = Timestamp::new(1, 234_567_891).unwrap();
        let _ = record.finished(Ok(()), Duration::from_millis(7), now);
        let json = serde_json::to_value(record.state(now)).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "metric": "credits", "kind": "host", "lastSuccess": "1970-01-01T00:00:01.234Z",
                "lastError": null, "lastErrorAt": null, "durationMs": 7, "polls": 1,
                "failures": 0, "skipped": 0, "stale": false,
            })
        );
    }
}
