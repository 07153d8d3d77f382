//! One rule at work: its windows, and what is told and kept of them.

use std::sync::Arc;

use super::documents::{Document, Head, LOG, Part};
use super::queue::{Item, Queue};
use super::result::value_of;
use super::rules::Rule;
use super::{Keep, Out, Right, Told};
use crate::domain::aggregate::{Origin, RESULTS_AT_ONCE_MAX, Windows};
use crate::domain::message::{Draft, MessageId};

/// One rule at work.
pub struct Running {
    pub rule: Arc<Rule>,
    pub windows: Windows,
    /// The last message of the log that was counted, or looked at.
    pub through: MessageId,
    /// When something was written down last, and up to where windows had been told.
    written_ms: u64,
    written_told_to: u64,
}

impl Running {
    /// Goes on under a rule that counts as the one before.
    pub fn under(self, rule: &Arc<Rule>) -> Self {
        let rule = rule.clone();
        Self { rule, ..self }
    }

    pub fn new(rule: &Arc<Rule>, now_ms: u64) -> Self {
        let windows = Windows::new(rule.plan.clone(), now_ms);
        Self {
            rule: rule.clone(),
            through: before(windows.needed_from()),
            written_told_to: windows.told_to(),
            windows,
            written_ms: 0,
        }
    }

    pub fn count_message(&mut self, id: MessageId, value: &str) {
        if id <= self.through {
            return;
        }
        self.through = id;
        match self.rule.observe(value, id) {
            Ok(Some(observation)) => {
                let verdict = self.windows.add_logged(&observation);
                self.rule.counts.add(verdict, 1);
            }
            Ok(None) | Err(_) => self.rule.counts.unfit(1),
        }
    }

    pub fn take_over_all(&mut self, kept: &[&Document], own: &str) {
        let mut heads = kept.iter().filter_map(|document| {
            let is_log = document.origin() == Some(LOG);
            match document.read(&self.rule.id).filter(|_| is_log)? {
                Part::Head(head) => Some(head),
                Part::Stretch(_) => None,
            }
        });
        if let Some(head) = heads.next() {
            self.windows.resume(head.told_to);
            self.through = head.through.max(before(self.windows.needed_from()));
        }
        for document in kept {
            if let (Some(origin), Some(Part::Stretch(stretch))) =
                (document.origin(), document.read(&self.rule.id))
            {
                let origin = origin_of(origin, own);
                self.windows.take_over(&origin, &stretch);
            }
        }
    }

    /// While this hub counts itself. What the log has it knows.
    pub fn take_over(&mut self, origin: &str, document: &Document) {
        match document.read(&self.rule.id) {
            Some(Part::Head(head)) if origin == LOG => self.windows.told_elsewhere(head.told_to),
            Some(Part::Stretch(stretch)) if origin != LOG => {
                let origin = Origin::Hub(origin.into());
                self.windows.take_over(&origin, &stretch);
            }
            _ => {}
        }
    }

    pub fn tell(&mut self, now_ms: u64, settle_ms: u64, right: Right, out: &mut Vec<Out>) {
        let settings = &self.rule.settings;
        for to_ms in self.windows.due(now_ms, settle_ms) {
            let result = self.windows.result(to_ms);
            let draft = Draft {
                metric: settings.metric.clone(),
                data: value_of(&result, &self.rule.plan),
                priority: Some(settings.priority),
                user: None,
                retain: None,
            };
            out.push(Out::Result(Told {
                draft,
                right,
                due_ms: to_ms + self.rule.plan.grace_ms + settle_ms,
                rule: self.rule.clone(),
            }));
            self.windows.told(to_ms);
        }
    }

    /// Another hub tells the results; if it does not say so, what is long past is forgotten all the same.
    pub fn lapse(&mut self) {
        let kept = RESULTS_AT_ONCE_MAX * self.rule.plan.every_ms;
        let past = self.windows.closed_to().saturating_sub(kept);
        if past > self.windows.told_to() {
            self.windows.told_elsewhere(past);
        }
    }

    pub fn is_to_be_written(&self, now_ms: u64, is_turn: bool) -> bool {
        let is_due = now_ms >= self.written_ms + self.rule.plan.every_ms;
        let windows = &self.windows;
        let has_told = is_turn && windows.told_to() != self.written_told_to;
        is_due
            && (has_told
                || windows.has_changed(&Origin::Here)
                || is_turn && windows.has_changed(&Origin::Log))
    }

    /// What has changed, to be kept: of the events that this hub counted, and where it tells the results of the log.
    pub fn write(
        &mut self,
        right: Option<Right>,
        own: &str,
        queue: &Queue,
        now_ms: u64,
    ) -> Vec<Out> {
        self.written_ms = now_ms;
        let here = self.documents(&Origin::Here, own);
        let log = right.map(|_| self.documents(&Origin::Log, LOG));
        // What is counted here only this hub writes, by whatever right.
        let both = [
            (Origin::Here, here, Right(None)),
            (
                Origin::Log,
                log.unwrap_or_default(),
                right.unwrap_or(Right(None)),
            ),
        ];
        let written = both
            .into_iter()
            .filter(|(_, documents, _)| !documents.is_empty());
        let keep = |(origin, documents, right)| {
            let (queue, metric) = (queue.clone(), self.rule.settings.metric.clone());
            let heard = move |is_kept: bool| {
                if !is_kept {
                    queue.tell(Item::NotWritten(metric, origin));
                }
            };
            Out::Keep(Keep {
                documents,
                right,
                heard: Box::new(heard),
            })
        };
        written.map(keep).collect()
    }

    pub fn documents(&mut self, origin: &Origin, name: &str) -> Vec<Document> {
        let (metric, rule) = (self.rule.settings.metric.as_str(), self.rule.id.as_str());
        let changed = self.windows.take_changed(origin).into_iter();
        let mut documents: Vec<_> = changed
            .filter_map(|(place, stretch)| Document::stretch(metric, name, place, rule, stretch))
            .collect();
        if *origin == Origin::Log {
            let head = Head {
                told_to: self.windows.told_to(),
                through: self.through,
            };
            self.written_told_to = head.told_to;
            documents.extend(Document::head(metric, name, rule, head));
        }
        documents
    }
}

fn origin_of(name: &str, own: &str) -> Origin {
    match name {
        LOG => Origin::Log,
        name if name == own => Origin::Here,
        name => Origin::Hub(name.into()),
    }
}

/// The last id before a moment.
fn before(ms: u64) -> MessageId {
    let first = MessageId::new(ms, 0).unwrap_or_default();
    MessageId::from_bits(first.to_bits().saturating_sub(1))
}
