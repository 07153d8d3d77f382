//! One rule on one metric: what it is now, and what the log has of it.

use std::sync::Arc;

use super::anomaly::{Baseline, Score};
use super::record::{Cause, Record, Stage, Step};
use super::{Rule, RuleName, Verdict};
use crate::domain::message::MessageId;

#[derive(Debug)]
pub(super) struct Life {
    pub name: RuleName,
    /// `None`: there is no such rule any more, and what it has left is to be cleared away.
    pub rule: Option<Arc<Rule>>,
    /// What it is; `None`: all is well.
    pub now: Option<Record>,
    /// What the log says that it is, and by which message.
    pub logged: Option<Record>,
    pub logged_id: MessageId,
    pub past: Option<Baseline>,
    /// The past has something new that is worth remembering.
    pub has_new_past: bool,
    pub score: Option<Score>,
}

/// A moment of a metric.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    /// Its newest message.
    pub id: MessageId,
    pub now_ms: u64,
    /// When that message came.
    pub at_ms: u64,
}

impl Life {
    pub fn new(name: RuleName, rule: Option<Arc<Rule>>) -> Self {
        Self {
            name,
            rule,
            now: None,
            logged: None,
            logged_id: MessageId::ZERO,
            past: None,
            has_new_past: false,
            score: None,
        }
    }

    /// Nothing is to be remembered of it.
    pub fn is_idle(&self) -> bool {
        let holds = self.now.is_some() && self.rule.is_some();
        !holds && self.logged.is_none() && self.past.is_none()
    }

    /// A value has come, and this is what it says; `None`: nobody can tell.
    pub fn observe(&mut self, verdict: Option<Verdict>, moment: Moment) {
        // The time until it came has passed, whether somebody looked or not.
        self.step(moment.at_ms);
        let is_bad = verdict.is_some_and(|it| it.is_bad);
        match &mut self.now {
            None => {
                if let Some(verdict) = verdict.filter(|it| it.is_bad) {
                    let begun = Record::begun(verdict.cause, moment.id, moment.at_ms);
                    self.now = Some(begun);
                }
            }
            // It must hold without a break.
            Some(record) if record.stage == Stage::Pending => {
                if !is_bad {
                    self.now = None;
                }
            }
            Some(record) => {
                let is_over = match (record.cause, verdict) {
                    (_, None) => false,
                    // What stayed away has come.
                    (Cause::Absence, Some(verdict)) => !verdict.is_bad,
                    (_, Some(verdict)) => verdict.is_over,
                };
                if let (Cause::Absence, Some(verdict)) = (record.cause, verdict)
                    && verdict.is_bad
                {
                    record.cause = verdict.cause;
                }
                match is_over {
                    true => _ = record.over_since_ms.get_or_insert(moment.at_ms),
                    false => record.over_since_ms = None,
                }
            }
        }
        if let Some(record) = &mut self.now {
            record.as_of = moment.id;
        }
        // Of what is from before the start, no more time has passed than until then.
        self.step(moment.at_ms);
    }

    /// Time has passed.
    pub fn step(&mut self, now_ms: u64) {
        let (Some(record), Some(rule)) = (&mut self.now, &self.rule) else {
            return;
        };
        if record.stage == Stage::Pending && now_ms.saturating_sub(record.since_ms) >= rule.hold_ms
        {
            record.stage = Stage::Firing;
        }
        let over = record.over_since_ms;
        let is_over = over.is_some_and(|since| now_ms.saturating_sub(since) >= rule.keep_ms);
        // What somebody has done about it is told first.
        let is_told = match (&record.raised, &self.logged) {
            (Some(_), Some(logged)) => logged.stage == record.stage,
            _ => true,
        };
        if is_over && is_told {
            self.now = None;
        }
    }

    /// Nothing has come for so long.
    pub fn look_for_absence(&mut self, silent_ms: u64, moment: Moment) {
        let limit = self.rule.as_ref().and_then(|rule| rule.absent_ms);
        let is_absent = limit.is_some_and(|limit| silent_ms >= limit);
        let is_free = self
            .now
            .as_ref()
            .is_none_or(|it| it.stage == Stage::Pending);
        if is_absent && is_free {
            self.now = Some(Record {
                stage: Stage::Firing,
                ..Record::begun(Cause::Absence, moment.id, moment.now_ms)
            });
        }
    }

    /// The log says something else than this hub has thought: the one that wrote it has acted by it. What came
    /// after that one's newest message has to be looked at again then, and that is what this returns.
    pub fn adopt(&mut self, record: Option<Record>, id: MessageId, moment: Moment) -> bool {
        if id <= self.logged_id {
            return false;
        }
        self.logged_id = id;
        let is_known = match (&record, &self.logged) {
            (Some(new), Some(old)) => new.says(old),
            (new, old) => new.is_none() && old.is_none(),
        };
        self.logged.clone_from(&record);
        if is_known {
            return false;
        }
        // Its clock may have been ahead.
        self.now = record.map(|record| Record {
            since_ms: record.since_ms.min(moment.now_ms),
            over_since_ms: record.over_since_ms.map(|ms| ms.min(moment.now_ms)),
            ..record
        });
        self.now.as_ref().is_none_or(|it| it.as_of < moment.id)
    }

    /// Its alert goes on, by somebody's word.
    pub fn told(&mut self, id: MessageId, stage: Stage, step: Step) -> bool {
        let is_of = |record: &Option<Record>| {
            let raised = record.as_ref().and_then(|it| it.raised.as_ref());
            raised.is_some_and(|raised| raised.id == id)
        };
        let of_now = is_of(&self.now);
        if !of_now && !is_of(&self.logged) {
            return false;
        }
        if !of_now && self.now.is_none() && stage == Stage::Resolved {
            // It was to be told that it is over, and has been.
            self.now.clone_from(&self.logged);
            if let Some(record) = &mut self.now {
                record.over_since_ms = Some(0);
            }
        }
        let is_now = self.rule.is_some() && is_of(&self.now);
        let record = if is_now {
            &mut self.now
        } else {
            &mut self.logged
        };
        if let Some(record) = record {
            match stage {
                Stage::Acknowledged => record.acknowledged = Some(step),
                _ => record.resolved = Some(step),
            }
            if record.stage != Stage::Resolved {
                record.stage = stage;
            }
        }
        true
    }
}
