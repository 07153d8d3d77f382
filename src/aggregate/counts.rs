//! What is counted of the counting, for whoever looks after it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::rules::Rule;
use crate::domain::aggregate::{Plan, Verdict};
use crate::domain::pattern::MetricName;
use crate::wire::message::timestamp;

/// Results may be so late, besides their grace, before something ails.
const STALE_AFTER_MS: u64 = 10_000;

/// Of one aggregate, since the start or since it was changed.
#[derive(Debug)]
pub struct Counts {
    counted: AtomicU64,
    late: AtomicU64,
    ahead: AtomicU64,
    unfit: AtomicU64,
    ungrouped: AtomicU64,
    results: AtomicU64,
    failures: AtomicU64,
    has_failed: AtomicBool,
    /// Of the last result: when it was taken, and by how much that was after it was due.
    told_at_ms: AtomicU64,
    lag_ms: AtomicU64,
    is_elsewhere: AtomicBool,
    last_error: Mutex<Option<String>>,
    began_ms: u64,
    stale_after_ms: u64,
}

/// How one aggregate is doing, as the health endpoint shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AggregateState {
    pub metric: MetricName,
    pub from: MetricName,
    /// Events and messages that are in a window.
    pub counted: u64,
    /// Those that came after their grace.
    pub late: u64,
    /// Those with a time stamp from the future.
    pub ahead: u64,
    /// Those without a value where one is wanted.
    pub without_value: u64,
    /// Those counted in the group `other`, as there are too many groups.
    pub ungrouped: u64,
    pub results: u64,
    pub failures: u64,
    pub last_result: Option<String>,
    pub last_error: Option<String>,
    /// How long after it was due the last result was published.
    pub lag_ms: u64,
    /// No result for longer than there should be none.
    pub stale: bool,
    /// The last result could not be published.
    pub failing: bool,
    /// Another hub tells the results at present.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub elsewhere: bool,
}

impl Counts {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            counted: AtomicU64::new(0),
            late: AtomicU64::new(0),
            ahead: AtomicU64::new(0),
            unfit: AtomicU64::new(0),
            ungrouped: AtomicU64::new(0),
            results: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            has_failed: AtomicBool::new(false),
            told_at_ms: AtomicU64::new(0),
            lag_ms: AtomicU64::new(0),
            is_elsewhere: AtomicBool::new(false),
            last_error: Mutex::default(),
            began_ms: super::now_ms(),
            stale_after_ms: 2 * plan.every_ms + plan.grace_ms + STALE_AFTER_MS,
        }
    }

    pub(super) fn add(&self, verdict: Verdict, many: u64) {
        let counter = match verdict {
            Verdict::Counted => &self.counted,
            Verdict::CountedAsOther => {
                self.counted.fetch_add(many, Ordering::Relaxed);
                &self.ungrouped
            }
            Verdict::Late => &self.late,
            Verdict::Ahead => &self.ahead,
        };
        counter.fetch_add(many, Ordering::Relaxed);
    }

    pub(super) fn unfit(&self, many: u64) {
        self.unfit.fetch_add(many, Ordering::Relaxed);
    }

    pub(super) fn is_elsewhere(&self, is_elsewhere: bool) {
        self.is_elsewhere.store(is_elsewhere, Ordering::Relaxed);
    }

    pub(super) fn told(&self, outcome: Result<(), String>, due_ms: u64, now_ms: u64) {
        self.has_failed.store(outcome.is_err(), Ordering::Relaxed);
        match outcome {
            Ok(()) => {
                self.results.fetch_add(1, Ordering::Relaxed);
                self.told_at_ms.store(now_ms, Ordering::Relaxed);
                let lag = now_ms.saturating_sub(due_ms);
                self.lag_ms.store(lag, Ordering::Relaxed);
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                *self
                    .last_error
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        }
    }

    pub(super) fn state(&self, rule: &Rule, now: Timestamp) -> AggregateState {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let now_ms = u64::try_from(now.as_millisecond()).unwrap_or(0);
        let told_at = Some(read(&self.told_at_ms)).filter(|ms| *ms > 0);
        let since = told_at.unwrap_or(self.began_ms);
        let elsewhere = self.is_elsewhere.load(Ordering::Relaxed);
        let last_error = self.last_error.lock();
        AggregateState {
            metric: rule.settings.metric.clone(),
            from: rule.settings.from.clone(),
            counted: read(&self.counted),
            late: read(&self.late),
            ahead: read(&self.ahead),
            without_value: read(&self.unfit),
            ungrouped: read(&self.ungrouped),
            results: read(&self.results),
            failures: read(&self.failures),
            last_result: told_at.map(timestamp),
            last_error: last_error.unwrap_or_else(PoisonError::into_inner).clone(),
            lag_ms: read(&self.lag_ms),
            stale: !elsewhere && now_ms.saturating_sub(since) > self.stale_after_ms,
            failing: self.has_failed.load(Ordering::Relaxed),
            elsewhere,
        }
    }
}

impl AggregateState {
    pub fn ails(&self) -> bool {
        self.stale || self.failing && !self.elsewhere
    }

    /// How long after it was due the last result was published.
    pub fn lag(&self) -> Duration {
        Duration::from_millis(self.lag_ms)
    }
}

/// What all aggregates have in common.
#[derive(Debug, Default)]
pub(super) struct Shared {
    events: AtomicU64,
    unused: AtomicU64,
    refused: AtomicU64,
    skipped: AtomicU64,
}

/// The numbers that all aggregates have in common, since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// Raw events taken.
    pub events: u64,
    /// Those of them that no aggregate is made from.
    pub unused: u64,
    /// Raw events refused, as too many waited.
    pub refused: u64,
    /// Messages that are in no aggregate, as too many waited and there is no log to read them from.
    pub skipped: u64,
    /// Raw events that wait to be counted.
    pub waiting: u64,
}

impl Shared {
    pub fn taken(&self, events: usize, unused: usize, is_taken: bool) {
        match is_taken {
            true => {
                self.events.fetch_add(events as u64, Ordering::Relaxed);
                self.unused.fetch_add(unused as u64, Ordering::Relaxed);
            }
            false => _ = self.refused.fetch_add(events as u64, Ordering::Relaxed),
        }
    }

    /// So many messages were left out, and cannot be read from any log.
    pub fn skipped(&self, many: u64) {
        self.skipped.fetch_add(many, Ordering::Relaxed);
    }

    pub fn totals(&self, waiting: usize) -> Totals {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Totals {
            events: read(&self.events),
            unused: read(&self.unused),
            refused: read(&self.refused),
            skipped: read(&self.skipped),
            waiting: waiting as u64,
        }
    }
}
