//! What the log says: of lives, of alerts, of silences.

use super::engine::{Engine, Look};
use super::record::{Record, Stage, Step};
use super::silence::Silence;
use super::{Baseline, RuleName};
use crate::domain::message::MessageId;
use crate::domain::pattern::MetricName;

impl Engine {
    /// The log remembers this of a rule on a metric; `None`: nothing any more. One that was heard before changes
    /// nothing.
    pub fn logged(
        &mut self,
        rule: &RuleName,
        name: &MetricName,
        id: MessageId,
        record: Option<Record>,
    ) {
        let now_ms = self.now_ms;
        if record.is_none() && !self.metrics.contains_key(name) {
            return;
        }
        self.metric(name);
        let Some(mut metric) = self.metrics.remove(name) else {
            return;
        };
        let moment = metric.moment(now_ms);
        let found = metric.lives.iter_mut().find(|life| life.name == *rule);
        let is_stale = match found {
            Some(life) => life.adopt(record, id, moment),
            None if record.is_some() => {
                // Of a rule that is not known, or not known yet.
                let mut life = super::life::Life::new(rule.clone(), None);
                life.adopt(record, id, moment);
                metric.lives.push(life);
                self.lives += 1;
                false
            }
            None => false,
        };
        if is_stale {
            self.judge(name, &mut metric, Look::Again);
        }
        self.metrics.insert(name.clone(), metric);
    }

    /// What the log remembers of a metric's past, where nothing is known yet.
    pub fn knows_past(&mut self, rule: &RuleName, name: &MetricName, past: Baseline) {
        if !self.rules.iter().any(|it| it.name == *rule) {
            return;
        }
        let metric = self.metric(name);
        let life = metric.lives.iter_mut().find(|life| life.name == *rule);
        if let Some(life) = life
            && life.past.is_none()
        {
            life.past = Some(past);
        }
    }

    /// Whether anything is remembered of that past.
    pub fn has_past(&self, rule: &str, name: &str) -> bool {
        let metric = MetricName::parse(name).ok();
        let metric = metric.and_then(|name| self.metrics.get(&name));
        metric.is_some_and(|metric| {
            let mut lives = metric.lives.iter();
            lives.any(|life| life.name.as_str() == rule && life.past.is_some())
        })
    }

    /// What is new of pasts, to be remembered.
    pub fn take_pasts(&mut self) -> Vec<(RuleName, MetricName, Baseline)> {
        let mut pasts = Vec::new();
        for (name, metric) in &mut self.metrics {
            for life in &mut metric.lives {
                if std::mem::take(&mut life.has_new_past)
                    && let Some(past) = &life.past
                {
                    pasts.push((life.name.clone(), name.clone(), past.clone()));
                }
            }
        }
        pasts
    }

    /// Whether it is the alert of a rule that something is remembered of.
    pub fn knows(&self, id: MessageId) -> bool {
        let lives = self.metrics.values().flat_map(|it| &it.lives);
        let mut records = lives.flat_map(|it| [&it.now, &it.logged]).flatten();
        records.any(|it| it.raised.as_ref().is_some_and(|raised| raised.id == id))
    }

    /// Somebody acknowledged or resolved the alert of that id. Whether it was one of a rule.
    pub fn told(&mut self, id: MessageId, stage: Stage, step: &Step) -> bool {
        let mut lives = self.metrics.values_mut().flat_map(|it| &mut it.lives);
        lives.any(|life| life.told(id, stage, step.clone()))
    }

    /// A silence that is there from now on, or, with `None`, is there no more.
    pub fn silence(&mut self, id: &str, silence: Option<Silence>) {
        match silence {
            Some(silence) => _ = self.silences.insert(id.to_owned(), silence),
            None => _ = self.silences.remove(id),
        }
    }

    /// Silences that are over.
    pub fn past_silences(&self) -> Vec<String> {
        let over = self.silences.iter();
        let over = over.filter(|(_, silence)| silence.until_ms <= self.now_ms);
        over.map(|(id, _)| id.clone()).collect()
    }
}
