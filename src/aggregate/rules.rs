//! What is made of which event.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::counts::Counts;
use crate::config;
use crate::domain::aggregate::{Mark, Measure, Observation, Op, Plan};
use crate::domain::message::MessageId;
use crate::domain::pattern::MetricName;
use crate::wire::pick::{Picked, Pointer, pick};

/// Longest name of a group, in bytes; what is longer is cut.
const GROUP_BYTES_MAX: usize = 64;
/// The part of a group's name that an event says nothing of.
const NO_GROUP: &str = "none";

/// One aggregate, ready to be applied.
#[derive(Debug)]
pub struct Rule {
    /// Of all that decides what is counted and how: what another one has counted cannot be gone on with.
    pub id: String,
    pub settings: config::Aggregate,
    pub plan: Plan,
    pub counts: Counts,
    wants: Wants,
    by: Vec<Pointer>,
}

/// What an operation wants of an event.
#[derive(Debug)]
enum Wants {
    Event,
    Anything(Pointer),
    Number(Pointer),
    Mark(Pointer),
}

impl Rule {
    fn new(settings: &config::Aggregate) -> Self {
        let plan = settings.plan();
        let pointer = Pointer::parse(settings.field.as_deref().unwrap_or_default());
        let wants = match plan.op {
            Op::Rate | Op::Count if settings.field.is_none() => Wants::Event,
            Op::Count => Wants::Anything(pointer),
            Op::Distinct => Wants::Mark(pointer),
            _ => Wants::Number(pointer),
        };
        Self {
            id: id(settings, &plan),
            counts: Counts::new(&plan),
            settings: settings.clone(),
            plan,
            wants,
            by: settings
                .by
                .iter()
                .map(|text| Pointer::parse(text))
                .collect(),
        }
    }

    /// What the value of an event is to this aggregate; `None` where there is nothing in it that could be counted.
    ///
    /// # Errors
    /// `value` is no JSON.
    pub fn observe(&self, value: &str, at: MessageId) -> serde_json::Result<Option<Observation>> {
        let measure = match &self.wants {
            Wants::Event => Some(Measure::Event),
            Wants::Anything(pointer) => match pick(value, pointer)? {
                Picked::Nothing => None,
                _ => Some(Measure::Event),
            },
            Wants::Number(pointer) => match pick(value, pointer)? {
                Picked::Number(number) => Some(Measure::Number(number)),
                _ => None,
            },
            Wants::Mark(pointer) => match pick(value, pointer)? {
                Picked::Nothing | Picked::Composite => None,
                Picked::Text(text) => Some(Measure::Mark(Mark::of(&text))),
                scalar => Some(Measure::Mark(Mark::of(&word(&scalar)))),
            },
        };
        let group = self.group(value)?;
        Ok(measure.map(|measure| Observation { at, group, measure }))
    }

    fn group(&self, value: &str) -> serde_json::Result<Box<str>> {
        let mut group = String::new();
        for (nth, pointer) in self.by.iter().enumerate() {
            if nth > 0 {
                group.push(',');
            }
            match pick(value, pointer)? {
                Picked::Text(text) if self.by.len() == 1 => group.push_str(&text),
                Picked::Text(text) => escape(&text, &mut group),
                other => group.push_str(&word(&other)),
            }
        }
        group.truncate(group.floor_char_boundary(GROUP_BYTES_MAX));
        Ok(group.into())
    }
}

fn word(picked: &Picked<'_>) -> String {
    match picked {
        Picked::Nothing | Picked::Composite => NO_GROUP.to_owned(),
        Picked::Bool(is) => is.to_string(),
        Picked::Number(number) => number.to_string(),
        Picked::Text(text) => text.to_string(),
    }
}

/// So that a comma is one that parts two.
fn escape(text: &str, into: &mut String) {
    for c in text.chars() {
        if matches!(c, ',' | '\\') {
            into.push('\\');
        }
        into.push(c);
    }
}

fn id(settings: &config::Aggregate, plan: &Plan) -> String {
    let config::Aggregate {
        from, field, by, ..
    } = settings;
    let Plan {
        op,
        window_ms,
        every_ms,
        per_ms: _,
        grace_ms,
        groups_max,
        ..
    } = plan;
    let text =
        format!("1 {from} {op:?} {field:?} {by:?} {window_ms} {every_ms} {grace_ms} {groups_max}");
    let mut id = String::new();
    for byte in &Sha256::digest(text)[..8] {
        // Cannot fail.
        let _ = write!(id, "{byte:02x}");
    }
    id
}

/// All aggregates, by what they are made from.
#[derive(Debug, Default)]
pub struct Rules {
    all: Vec<Arc<Rule>>,
    by_event: HashMap<String, Vec<usize>>,
}

impl Rules {
    /// Those of `before` that stay what they were keep their counts.
    pub fn of(settings: &[config::Aggregate], before: Option<&Self>) -> Self {
        let known = |wanted: &config::Aggregate| {
            let mut before = before.into_iter().flat_map(Self::all);
            before.find(|rule| rule.settings == *wanted).cloned()
        };
        let rule = |one| known(one).unwrap_or_else(|| Arc::new(Rule::new(one)));
        let all: Vec<_> = settings.iter().map(rule).collect();
        let mut by_event: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, rule) in all.iter().enumerate() {
            let event = rule.settings.from.to_string();
            by_event.entry(event).or_default().push(index);
        }
        Self { all, by_event }
    }

    pub fn all(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.all.iter()
    }

    /// Those that are made from a metric.
    pub fn from<'a>(&'a self, metric: &MetricName) -> impl Iterator<Item = &'a Arc<Rule>> {
        let indexes = self.by_event.get(metric.as_str());
        indexes.into_iter().flatten().map(|index| &self.all[*index])
    }
}

/// What was made of a batch of events.
#[derive(Debug)]
pub struct Observed {
    rules: Arc<Rules>,
    /// By the index of the rule.
    observations: Vec<Vec<Observation>>,
    unfit: Vec<u64>,
    /// All events of the batch, and those that no aggregate is made from.
    pub events: usize,
    pub unused: usize,
}

impl Observed {
    pub fn new(rules: Arc<Rules>) -> Self {
        Self {
            observations: rules.all.iter().map(|_| Vec::new()).collect(),
            unfit: vec![0; rules.all.len()],
            rules,
            events: 0,
            unused: 0,
        }
    }

    /// Takes one event in.
    ///
    /// # Errors
    /// `value` is no JSON, as far as it was looked into.
    pub fn add(&mut self, event: &str, value: &str, at: MessageId) -> serde_json::Result<()> {
        self.events += 1;
        let Some(indexes) = self.rules.by_event.get(event) else {
            self.unused += 1;
            return Ok(());
        };
        for index in indexes {
            match self.rules.all[*index].observe(value, at)? {
                Some(observation) => self.observations[*index].push(observation),
                None => self.unfit[*index] += 1,
            }
        }
        Ok(())
    }

    /// Each rule with what is for it.
    pub fn by_rule(self) -> impl Iterator<Item = (Arc<Rule>, Vec<Observation>, u64)> {
        let Self {
            rules,
            observations,
            unfit,
            ..
        } = self;
        let each = observations.into_iter().zip(unfit).enumerate();
        each.map(move |(index, (observations, unfit))| {
            (rules.all[index].clone(), observations, unfit)
        })
    }
}
