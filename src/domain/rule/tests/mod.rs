//! A world of one hub: its engine, the log, the alerts that were told.

mod lives;
mod model;
mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use super::*;
use crate::domain::alert::AlertState;
use crate::domain::message::{Message, MessageId, Priority, Retain, Topic, UserId};
use crate::domain::testing::sized;

const LIMITS: Limits = Limits {
    lives_max: 100,
    idle_ms: 3_600_000,
};

fn spec(name: &str, on: &str) -> Spec {
    Spec {
        name: name.into(),
        on: on.into(),
        severity: Severity::High,
        when: None,
        resolve: None,
        hold: None,
        keep_firing_for: None,
        absent_for: None,
        anomaly: None,
        repeat_every: None,
        message: None,
    }
}

fn rule(spec: Spec) -> Arc<Rule> {
    Arc::new(Rule::parse(spec).unwrap())
}

fn metric(name: &str) -> MetricName {
    MetricName::parse(name).unwrap()
}

fn update(id: MessageId, name: &str, value: &str) -> Arc<Message> {
    let topic = Topic::Metric(metric(name));
    let message = sized(id.millis(), topic, Priority::Normal, Retain::All, 0);
    let message = Arc::into_inner(message).unwrap();
    Arc::new(Message {
        id,
        value: 0..value.len(),
        sse: Bytes::copy_from_slice(value.as_bytes()),
        ..message
    })
}

/// The log, the alerts, and one hub's engine that acts.
struct World {
    engine: Engine,
    rules: Vec<Arc<Rule>>,
    now_ms: u64,
    sequence: u64,
    /// What the log has of each rule and metric.
    records: BTreeMap<(String, String), (MessageId, Record)>,
    /// Newest messages of metrics.
    messages: Vec<Arc<Message>>,
    /// Keys that alerts were raised with, and their ids.
    keys: BTreeMap<String, MessageId>,
    open: BTreeSet<MessageId>,
    events: Vec<Event>,
    told: Vec<String>,
}

impl World {
    fn new(rules: Vec<Arc<Rule>>) -> Self {
        let now_ms = 1_000_000;
        let mut world = Self {
            engine: Engine::new(LIMITS, now_ms),
            rules,
            now_ms,
            sequence: 0,
            records: BTreeMap::new(),
            messages: Vec::new(),
            keys: BTreeMap::new(),
            open: BTreeSet::new(),
            events: Vec::new(),
            told: Vec::new(),
        };
        world.engine.set_rules(world.rules.clone(), now_ms);
        world
    }

    fn id(&mut self) -> MessageId {
        self.sequence += 1;
        MessageId::new(self.now_ms, self.sequence).unwrap()
    }

    fn publish(&mut self, name: &str, value: &str) {
        let message = update(self.id(), name, value);
        self.engine.heard(&message, self.now_ms);
        self.messages.push(message);
    }

    fn pass(&mut self, ms: u64) {
        self.now_ms += ms;
        self.engine.tick(self.now_ms);
    }

    /// Does what is to be done. After `steps` things it ends, in the midst of it.
    fn act(&mut self, mut steps: usize) {
        loop {
            let deeds = self.engine.deeds();
            if deeds.is_empty() {
                return;
            }
            for deed in deeds {
                if steps == 0 {
                    return;
                }
                steps -= 1;
                let record = self.tell(&deed);
                if steps == 0 {
                    return;
                }
                steps -= 1;
                self.remember(&deed, record);
            }
        }
    }

    /// Everybody is told, once for each key.
    fn tell(&mut self, deed: &Deed) -> Option<Record> {
        match &deed.act {
            Act::Nothing => deed.record.clone(),
            Act::Again { key } => {
                let id = self.id();
                self.keys.entry(key.clone()).or_insert(id);
                deed.record.clone()
            }
            Act::Raise { key, fields, .. } => {
                let new = self.id();
                let id = *self.keys.entry(key.clone()).or_insert(new);
                if id == new {
                    assert!(self.open.insert(id));
                    self.told
                        .push(fields["message"].as_str().unwrap().to_owned());
                }
                deed.raised_as(id, Severity::High, "{}", self.now_ms)
            }
            Act::Resolve { from } => {
                let id = deed.raised.as_ref().unwrap().id;
                assert_ne!(*from, AlertState::Resolved);
                if !self.open.remove(&id) {
                    // As the store has it: it is resolved already.
                    assert!(self.keys.values().any(|known| *known == id));
                }
                None
            }
        }
    }

    fn remember(&mut self, deed: &Deed, record: Option<Record>) {
        let id = self.id();
        let name = (deed.rule.to_string(), deed.metric.to_string());
        match &record {
            Some(record) => _ = self.records.insert(name, (id, record.clone())),
            None => _ = self.records.remove(&name),
        }
        self.events.extend(deed.event);
        self.engine.done(deed, record, id);
    }

    /// Another process, which knows what the log has: of each metric `kept` messages.
    fn restart(&mut self, kept: usize) {
        self.engine = Engine::new(LIMITS, self.now_ms);
        self.engine.set_rules(self.rules.clone(), self.now_ms);
        enum Said {
            Value(Arc<Message>),
            Record(String, String, Box<Record>),
        }
        let messages = self.messages.iter().rev().take(kept);
        let mut all: Vec<_> = messages
            .map(|it| (it.id, Said::Value(it.clone())))
            .collect();
        let records = self.records.iter();
        all.extend(records.map(|((rule, metric), (id, record))| {
            let record = Box::new(record.clone());
            (*id, Said::Record(rule.clone(), metric.clone(), record))
        }));
        all.sort_by_key(|(id, _)| *id);
        for (id, said) in all {
            match said {
                Said::Value(message) => self.engine.heard(&message, id.millis()),
                Said::Record(rule, of, record) => {
                    let rule = RuleName::parse(&rule).unwrap();
                    self.engine.logged(&rule, &metric(&of), id, Some(*record));
                }
            }
        }
    }

    fn stage(&self) -> Option<Stage> {
        let shown = self.engine.shown();
        shown[0].lives.first().map(|life| life.record.stage)
    }

    fn step(&self) -> Step {
        Step {
            by: UserId::parse("ada").unwrap(),
            at_ms: self.now_ms,
            note: None,
        }
    }

    fn the_open(&self) -> MessageId {
        assert_eq!(self.open.len(), 1);
        *self.open.first().unwrap()
    }
}
