//! All lives, and the time that passes for them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::deed::Deed;
use super::life::{Life, Moment};
use super::record::{Record, Stage};
use super::silence::Silence;
use super::{Baseline, Rule, RuleName};
use crate::domain::expression::Subject;
use crate::domain::message::{Message, MessageId, Topic};
use crate::domain::pattern::{MetricName, Pattern};

/// Deeds that are told at once: there may be as many lives as are allowed.
const DEEDS_MAX: usize = 100;

/// How much there may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Rules times the metrics that they concern.
    pub lives_max: usize,
    /// A metric without an update for this long is forgotten, where nothing is to be told of it.
    pub idle_ms: u64,
}

/// Totals since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub evaluations: u64,
    /// Those without an answer.
    pub errors: u64,
    /// Times that a rule was not looked at for a metric, since there are too many lives.
    pub left_out: u64,
}

/// What one rule's values came to, where they came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastError {
    pub metric: MetricName,
    pub reason: String,
}

/// Why a value is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Look<'a> {
    New,
    /// Another hub has come to something else.
    Again,
    /// By these rules, which are others than before.
    Rules(&'a [RuleName]),
}

pub(super) struct Metric {
    pub newest: Option<Arc<Message>>,
    /// When it came.
    pub at_ms: u64,
    /// Since when it is waited for: then, or since the start.
    pub waited_since_ms: u64,
    /// The message that its lives are about; before the first one a stand-in.
    pub id: MessageId,
    pub lives: Vec<Life>,
}

impl Metric {
    pub fn moment(&self, now_ms: u64) -> Moment {
        Moment {
            id: self.id,
            now_ms,
            at_ms: self.at_ms,
        }
    }
}

/// Pure: time and messages are passed in. Its time never goes back, whatever it is told.
pub struct Engine {
    limits: Limits,
    pub(super) rules: Vec<Arc<Rule>>,
    pub(super) metrics: HashMap<MetricName, Metric>,
    pub(super) silences: BTreeMap<String, Silence>,
    pub(super) errors: HashMap<RuleName, LastError>,
    pub(super) counts: Counts,
    pub(super) lives: usize,
    pub(super) now_ms: u64,
    has_news: bool,
}

impl Engine {
    pub fn new(limits: Limits, now_ms: u64) -> Self {
        Self {
            limits,
            rules: Vec::new(),
            metrics: HashMap::new(),
            silences: BTreeMap::new(),
            errors: HashMap::new(),
            counts: Counts::default(),
            lives: 0,
            now_ms,
            has_news: false,
        }
    }

    /// Its time, in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        self.now_ms
    }

    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Which metrics it must hear of.
    pub fn patterns(&self) -> Vec<Pattern> {
        self.rules.iter().map(|rule| rule.on.clone()).collect()
    }

    pub fn silences(&self) -> &BTreeMap<String, Silence> {
        &self.silences
    }

    /// From now on these are the rules. Lives of those that stay go on, by their names.
    pub fn set_rules(&mut self, rules: Vec<Arc<Rule>>, now_ms: u64) {
        self.advance(now_ms);
        self.rules = rules;
        let exact = self.rules.iter().filter(|rule| rule.absent_ms.is_some());
        let exact: Vec<_> = exact.filter_map(|rule| rule.on.as_exact()).collect();
        for metric in exact {
            self.metric(&metric);
        }
        let known: HashMap<_, _> = self.rules.iter().map(|rule| (&rule.name, rule)).collect();
        self.errors.retain(|name, _| known.contains_key(name));
        let names: Vec<_> = self.metrics.keys().cloned().collect();
        for name in names {
            let Some(mut metric) = self.metrics.remove(&name) else {
                continue;
            };
            self.lives -= metric.lives.len();
            let mut changed = Vec::new();
            for life in &mut metric.lives {
                let rule = self.rules.iter().find(|rule| rule.name == life.name);
                let rule = rule.filter(|rule| rule.concerns(&name)).cloned();
                if rule != life.rule {
                    life.past = None;
                    changed.push(life.name.clone());
                }
                life.rule = rule;
            }
            let concerned = self.rules.iter().filter(|rule| rule.concerns(&name));
            let has = |rule: &Rule| metric.lives.iter().any(|life| life.name == rule.name);
            let new: Vec<_> = concerned.filter(|rule| !has(rule)).cloned().collect();
            changed.extend(new.iter().map(|rule| rule.name.clone()));
            self.lives += metric.lives.len();
            self.add(&mut metric, new);
            self.judge(&name, &mut metric, Look::Rules(&changed));
            self.metrics.insert(name, metric);
        }
        self.tidy();
    }

    fn add(&mut self, metric: &mut Metric, rules: Vec<Arc<Rule>>) {
        for rule in rules {
            if self.lives >= self.limits.lives_max {
                self.counts.left_out += 1;
                continue;
            }
            self.lives += 1;
            metric.lives.push(Life::new(rule.name.clone(), Some(rule)));
        }
    }

    /// The metric of that name, with a life for each rule that concerns it.
    pub(super) fn metric(&mut self, name: &MetricName) -> &mut Metric {
        if !self.metrics.contains_key(name) {
            let mut metric = Metric {
                newest: None,
                at_ms: self.now_ms,
                waited_since_ms: self.now_ms,
                id: MessageId::new(self.now_ms, 0).unwrap_or_default(),
                lives: Vec::new(),
            };
            let concerned = self.rules.iter().filter(|rule| rule.concerns(name));
            let concerned: Vec<_> = concerned.cloned().collect();
            self.add(&mut metric, concerned);
            self.metrics.insert(name.clone(), metric);
        }
        // Inserted above where it was missing.
        self.metrics.entry(name.clone()).or_insert_with(|| Metric {
            newest: None,
            at_ms: 0,
            waited_since_ms: 0,
            id: MessageId::ZERO,
            lives: Vec::new(),
        })
    }

    fn advance(&mut self, now_ms: u64) {
        self.now_ms = self.now_ms.max(now_ms);
    }

    /// A message of a metric, which came at `at_ms`; that is before now where it is from before the start. One
    /// that was heard before changes nothing.
    pub fn heard(&mut self, message: &Arc<Message>, at_ms: u64) {
        let Topic::Metric(name) = &message.topic else {
            return;
        };
        self.advance(at_ms);
        if !self.metrics.contains_key(name) && !self.rules.iter().any(|it| it.concerns(name)) {
            return;
        }
        self.metric(name);
        let Some(mut metric) = self.metrics.remove(name) else {
            return;
        };
        let is_new = metric.newest.as_ref().is_none_or(|it| it.id < message.id);
        if is_new {
            metric.newest = Some(message.clone());
            metric.id = message.id;
            metric.at_ms = at_ms.min(self.now_ms);
            metric.waited_since_ms = self.now_ms;
            self.judge(name, &mut metric, Look::New);
        }
        self.metrics.insert(name.clone(), metric);
    }

    /// Has lives of a metric look at its newest value.
    pub(super) fn judge(&mut self, name: &MetricName, metric: &mut Metric, look: Look<'_>) {
        let Some(message) = metric.newest.clone() else {
            return;
        };
        let mut moment = metric.moment(self.now_ms);
        if let Look::Rules(_) = look {
            // What begins by another rule begins now, and is another time than before.
            moment.at_ms = self.now_ms;
            let now = MessageId::new(self.now_ms, 0).unwrap_or_default();
            moment.id = now.max(moment.id.next());
        }
        let value = message.value();
        let text = std::str::from_utf8(&value).unwrap_or("null");
        // Made once, and only where something is asked of it.
        let mut made = None;
        for life in &mut metric.lives {
            let is_meant = match look {
                Look::Rules(names) => names.contains(&life.name),
                Look::New | Look::Again => true,
            };
            let Some(rule) = life.rule.clone().filter(|_| is_meant) else {
                continue;
            };
            if look == Look::New
                && let Some(anomaly) = &rule.anomaly
            {
                let data = serde_json::from_str(text).unwrap_or_default();
                life.score = None;
                if let Some(number) = anomaly.number(&data) {
                    let past = life.past.get_or_insert_with(Baseline::default);
                    let (score, is_complete) = anomaly.look_at(past, number, message.id.millis());
                    life.score = score;
                    life.has_new_past |= is_complete;
                }
            }
            if !rule.judges() {
                let verdict = super::Verdict {
                    is_bad: false,
                    is_over: true,
                    cause: super::Cause::Condition,
                };
                life.observe(Some(verdict), moment);
                continue;
            }
            let subject = made.get_or_insert_with(|| Subject::new(name.as_str(), text));
            self.counts.evaluations += 1;
            let verdict = rule.judge(subject, life.score);
            if let Err(reason) = &verdict {
                self.counts.errors += 1;
                let error = LastError {
                    metric: name.clone(),
                    reason: reason.clone(),
                };
                self.errors.insert(rule.name.clone(), error);
            } else if self
                .errors
                .get(&rule.name)
                .is_some_and(|it| it.metric == *name)
            {
                self.errors.remove(&rule.name);
            }
            life.observe(verdict.ok(), moment);
            let is_new = |record: &Record| record.stage == Stage::Firing && record.raised.is_none();
            self.has_news |= life.now.as_ref().is_some_and(is_new);
        }
    }

    /// Whether something began to fire with a message since this was asked last.
    pub fn take_news(&mut self) -> bool {
        std::mem::take(&mut self.has_news)
    }

    /// Time passes.
    pub fn tick(&mut self, now_ms: u64) {
        self.advance(now_ms);
        let now_ms = self.now_ms;
        for metric in self.metrics.values_mut() {
            let moment = metric.moment(now_ms);
            let silent_ms = now_ms.saturating_sub(metric.waited_since_ms);
            for life in &mut metric.lives {
                life.look_for_absence(silent_ms, moment);
                life.step(now_ms);
            }
        }
        self.tidy();
    }

    /// Forgets what nothing is to be told of.
    fn tidy(&mut self) {
        let (now_ms, idle_ms) = (self.now_ms, self.limits.idle_ms);
        let mut lives = 0;
        self.metrics.retain(|_, metric| {
            metric
                .lives
                .retain(|life| life.rule.is_some() || !life.is_idle());
            let is_old = now_ms.saturating_sub(metric.waited_since_ms) > idle_ms;
            let is_done = |life: &Life| {
                let waits = life.rule.as_ref().is_some_and(|it| it.absent_ms.is_some());
                life.is_idle() && !waits
            };
            let is_over = metric.lives.is_empty() || is_old && metric.lives.iter().all(is_done);
            lives += if is_over { 0 } else { metric.lives.len() };
            !is_over
        });
        self.lives = lives;
    }

    /// What is to be done now, each life at most one thing: the next is told when that was.
    pub fn deeds(&self) -> Vec<Deed> {
        let of = |(name, metric): (&MetricName, &Metric)| {
            let value = metric.newest.as_ref().map(|message| message.value());
            let text = value.as_deref().and_then(|it| std::str::from_utf8(it).ok());
            let deed = |life: &Life| {
                let mut silences = self.silences.values();
                let is_silenced = silences.any(|it| it.covers(&life.name, name, self.now_ms));
                life.deed(name, text, is_silenced, self.now_ms)
            };
            metric.lives.iter().filter_map(deed).collect::<Vec<_>>()
        };
        self.metrics.iter().flat_map(of).take(DEEDS_MAX).collect()
    }

    /// It was done, and the log has `record` now, by message `id`.
    pub fn done(&mut self, deed: &Deed, record: Option<Record>, id: MessageId) {
        let Some(metric) = self.metrics.get_mut(&deed.metric) else {
            return;
        };
        for life in &mut metric.lives {
            if life.name != deed.rule {
                continue;
            }
            let is_same = match (&life.now, &record) {
                (Some(now), Some(done)) => now.since == done.since,
                _ => false,
            };
            if is_same {
                life.now.clone_from(&record);
            }
            life.logged.clone_from(&record);
            life.logged_id = life.logged_id.max(id);
        }
    }

    /// The wall clock has gone on by so much while no time has passed, as when the machine has slept. Nothing
    /// has lasted longer by that.
    pub fn jump(&mut self, by_ms: u64) {
        self.now_ms = self.now_ms.saturating_add(by_ms);
        let later = |ms: &mut u64| *ms = ms.saturating_add(by_ms);
        for metric in self.metrics.values_mut() {
            later(&mut metric.waited_since_ms);
            later(&mut metric.at_ms);
            for record in metric.lives.iter_mut().filter_map(|it| it.now.as_mut()) {
                if record.stage == Stage::Pending {
                    later(&mut record.since_ms);
                }
                record.over_since_ms.iter_mut().for_each(later);
            }
        }
    }
}
