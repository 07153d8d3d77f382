//! Who counts: the windows of every rule, and what is due at a moment. Time comes in, what comes of it goes out.

use std::collections::HashMap;
use std::sync::Arc;

use super::documents::Document;
use super::queue::Queue;
use super::rules::{Observed, Rules};
use super::running::Running;
use super::{Out, Surroundings};
use crate::domain::aggregate::Origin;
use crate::domain::message::Message;
use crate::domain::pattern::MetricName;

/// How long other hubs have to tell what they counted in a pane, once its grace is over.
const SETTLE_MS: u64 = 1000;

/// No window is longer, and no grace makes it so much longer.
const NEEDED_MAX_MS: u64 = 8 * 24 * 3600 * 1000;

/// All windows of this hub.
pub struct Counter {
    running: HashMap<MetricName, Running>,
    rules: Arc<Rules>,
    surroundings: Arc<dyn Surroundings>,
    queue: Queue,
    origin: String,
}

impl Counter {
    pub fn new(surroundings: Arc<dyn Surroundings>, queue: Queue) -> Self {
        Self {
            running: HashMap::new(),
            rules: Arc::default(),
            origin: surroundings.origin(),
            surroundings,
            queue,
        }
    }

    /// Goes on with these rules. Gives those whose past is not known yet.
    pub fn follow(&mut self, rules: Arc<Rules>, now_ms: u64) -> Vec<MetricName> {
        let mut before = std::mem::take(&mut self.running);
        let mut new = Vec::new();
        for rule in rules.all() {
            let metric = &rule.settings.metric;
            let known = before.remove(metric);
            let known = known.filter(|it| it.rule.id == rule.id && it.rule.plan == rule.plan);
            let running = match known {
                Some(known) => known.under(rule),
                None => {
                    new.push(metric.clone());
                    Running::new(rule, now_ms)
                }
            };
            self.running.insert(metric.clone(), running);
        }
        let metrics: Vec<_> = self.running.keys().cloned().collect();
        self.surroundings.wanted(&metrics);
        self.rules = rules;
        new
    }

    /// Takes over what was kept of these, and counts what the log has since.
    pub async fn recover(&mut self, metrics: &[MetricName]) {
        if metrics.is_empty() {
            return;
        }
        let surroundings = self.surroundings.clone();
        let kept = surroundings.kept().await;
        for metric in metrics {
            if let Some(running) = self.running.get_mut(metric) {
                let of_it = kept
                    .iter()
                    .filter(|it| it.metric() == Some(metric.as_str()));
                running.take_over_all(&of_it.collect::<Vec<_>>(), &self.origin);
            }
            self.catch_up(metric).await;
        }
    }

    /// In the place of what was kept and no hub needs any more. Whoever tells the results of a metric says so; of one
    /// that is none any more, whoever sees it.
    pub async fn tidy(&self, now_ms: u64) -> Vec<Document> {
        let surroundings = self.surroundings.clone();
        let kept = surroundings.kept().await;
        let is_past = |document: &&Document| {
            let metric = document.metric().and_then(|it| MetricName::parse(it).ok());
            match metric.as_ref().and_then(|metric| self.running.get(metric)) {
                Some(running) => {
                    let is_turn = surroundings.turn(&running.rule.settings.metric).is_some();
                    is_turn && document.is_past(running.windows.needed_from())
                }
                None => document.is_past(now_ms.saturating_sub(NEEDED_MAX_MS)),
            }
        };
        let past = kept.iter().filter(is_past);
        past.map(|document| Document::forgotten(&document.name))
            .collect()
    }

    /// Counts what the log has and was not passed on.
    pub async fn catch_up(&mut self, metric: &MetricName) {
        let surroundings = self.surroundings.clone();
        let Some(running) = self.running.get_mut(metric) else {
            return;
        };
        let from = running.rule.settings.from.clone();
        let mut after = running.through;
        loop {
            let found = surroundings.logged(&from, after).await;
            for (id, value) in &found.values {
                running.count_message(*id, value);
            }
            match found.next {
                Some(next) => after = next.max(after),
                None => return,
            }
        }
    }

    /// Every result's metric.
    pub fn metrics(&self) -> Vec<MetricName> {
        self.running.keys().cloned().collect()
    }

    pub fn count_events(&mut self, observed: Observed, now_ms: u64) {
        for (rule, observations, unfit) in observed.by_rule() {
            rule.counts.unfit(unfit);
            let running = self.running.get_mut(&rule.settings.metric);
            // Made of them by a rule that is not in force any more.
            let Some(running) = running.filter(|it| it.rule.id == rule.id) else {
                continue;
            };
            for observation in &observations {
                let verdict = running.windows.add(observation, now_ms);
                rule.counts.add(verdict, 1);
            }
        }
    }

    /// Takes what came through the log: a message, or what another hub has written down.
    pub fn take(&mut self, message: &Message) {
        match Document::of(message) {
            Some(document) => self.take_over(&document),
            None => self.count_message(message),
        }
    }

    fn count_message(&mut self, message: &Message) {
        let Some(metric) = message.topic.metric() else {
            return;
        };
        let value = message.value();
        let Ok(value) = str::from_utf8(&value) else {
            return;
        };
        for rule in self.rules.from(metric) {
            if let Some(running) = self.running.get_mut(&rule.settings.metric) {
                running.count_message(message.id, value);
            }
        }
    }

    fn take_over(&mut self, document: &Document) {
        let (Some(metric), Some(origin)) = (document.metric(), document.origin()) else {
            return;
        };
        let Ok(metric) = MetricName::parse(metric) else {
            return;
        };
        let is_own = origin == self.origin;
        if let Some(running) = self.running.get_mut(&metric).filter(|_| !is_own) {
            running.take_over(origin, document);
        }
    }

    /// What was to be written of a metric's aggregate was not: it is written with what comes next.
    pub fn not_written(&mut self, metric: &MetricName, origin: &Origin) {
        if let Some(running) = self.running.get_mut(metric) {
            running.windows.not_written(origin);
        }
    }

    /// What is due at `now_ms`.
    pub fn tick(&mut self, now_ms: u64) -> Vec<Out> {
        let settle_ms = self.settle_ms();
        let mut out = Vec::new();
        for running in self.running.values_mut() {
            let right = self.surroundings.turn(&running.rule.settings.metric);
            running.rule.counts.is_elsewhere(right.is_none());
            let has_closed = running.windows.close(now_ms);
            if let Some(right) = right {
                running.tell(now_ms, settle_ms, right, &mut out);
            } else {
                running.lapse();
            }
            if has_closed || running.is_to_be_written(now_ms, right.is_some()) {
                let queue = &self.queue;
                out.extend(running.write(right, &self.origin, queue, now_ms));
            }
        }
        out
    }

    /// Everything that is not written down yet.
    pub fn last_words(&mut self, now_ms: u64) -> Vec<Out> {
        let mut all = Vec::new();
        for running in self.running.values_mut() {
            let right = self.surroundings.turn(&running.rule.settings.metric);
            all.extend(running.write(right, &self.origin, &self.queue, now_ms));
        }
        all
    }

    /// When there is something to be done next, in milliseconds since the Unix epoch.
    pub fn next_ms(&self) -> u64 {
        let settle_ms = self.settle_ms();
        let next = self
            .running
            .values()
            .map(|it| it.windows.next_ms(settle_ms));
        next.min().unwrap_or(u64::MAX)
    }

    fn settle_ms(&self) -> u64 {
        match self.surroundings.has_others() {
            true => SETTLE_MS,
            false => 0,
        }
    }
}
