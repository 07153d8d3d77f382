//! The engine for people and programs that look at it.

use std::collections::HashMap;
use std::sync::Arc;

use super::Rule;
use super::engine::{Engine, LastError};
use super::record::{Record, Stage};
use crate::domain::alert::Severity;
use crate::domain::pattern::MetricName;

/// A rule with what is to be said of it.
#[derive(Debug, Clone)]
pub struct RuleShown {
    pub rule: Arc<Rule>,
    /// Where something holds, in the order of the metrics' names.
    pub lives: Vec<LifeShown>,
    /// How many metrics it concerns.
    pub metrics: usize,
    pub last_error: Option<LastError>,
}

/// One metric that a rule holds on.
#[derive(Debug, Clone)]
pub struct LifeShown {
    pub metric: MetricName,
    pub record: Record,
    pub is_silenced: bool,
}

impl Engine {
    /// All rules, in their order.
    pub fn shown(&self) -> Vec<RuleShown> {
        let mut lives = HashMap::<&str, (usize, Vec<LifeShown>)>::new();
        for (name, metric) in &self.metrics {
            for life in metric.lives.iter().filter(|life| life.rule.is_some()) {
                let of_rule = lives.entry(life.name.as_str()).or_default();
                of_rule.0 += 1;
                if let Some(record) = &life.now {
                    let mut silences = self.silences.values();
                    let is_silenced = silences.any(|it| it.covers(&life.name, name, self.now_ms));
                    of_rule.1.push(LifeShown {
                        metric: name.clone(),
                        record: record.clone(),
                        is_silenced,
                    });
                }
            }
        }
        let shown = |rule: &Arc<Rule>| {
            let (metrics, mut lives) = lives.remove(rule.name.as_str()).unwrap_or_default();
            lives.sort_unstable_by(|a, b| a.metric.cmp(&b.metric));
            RuleShown {
                lives,
                metrics,
                last_error: self.errors.get(&rule.name).cloned(),
                rule: rule.clone(),
            }
        };
        self.rules.iter().map(shown).collect()
    }

    /// How many fire, by severity.
    pub fn firing(&self) -> [(Severity, usize); 4] {
        Severity::ALL.map(|severity| {
            (
                severity,
                self.count(|rule, record| {
                    rule.severity == severity
                        && matches!(record.stage, Stage::Firing | Stage::Acknowledged)
                }),
            )
        })
    }

    pub fn pending(&self) -> usize {
        self.count(|_, record| record.stage == Stage::Pending)
    }

    fn count(&self, picks: impl Fn(&Rule, &Record) -> bool) -> usize {
        let lives = self.metrics.values().flat_map(|it| &it.lives);
        let pairs = lives.filter_map(|life| Some((life.rule.as_deref()?, life.now.as_ref()?)));
        pairs.filter(|(rule, record)| picks(rule, record)).count()
    }

    /// Lives that there are.
    pub fn lives(&self) -> usize {
        self.lives
    }

    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }

    /// Rules whose newest value had no answer.
    pub fn failing(&self) -> usize {
        self.errors.len()
    }

    /// The newest value of a metric that some rule concerns.
    pub fn newest(&self, metric: &MetricName) -> Option<String> {
        let newest = self.metrics.get(metric)?.newest.as_ref()?;
        String::from_utf8(newest.value().to_vec()).ok()
    }
}
