//! What is to be done: the difference between what a life is and what the log has of it.

use serde_json::{Map, Value, json};

use super::life::Life;
use super::record::{Raised, Record, Stage, Step};
use super::{Rule, RuleName};
use crate::domain::alert::{AlertState, Severity};
use crate::domain::message::MessageId;
use crate::domain::pattern::MetricName;

/// One thing to be done, and then to be reported by [`super::Engine::done`].
#[derive(Debug, Clone, PartialEq)]
pub struct Deed {
    pub rule: RuleName,
    pub metric: MetricName,
    pub act: Act,
    /// What the log is to have afterwards; `None`: nothing.
    pub record: Option<Record>,
    /// What others are to be told of it, besides.
    pub event: Option<Event>,
    /// The alert that it is about, where there is one already, and who has seen it.
    pub raised: Option<Raised>,
    pub acknowledged: Option<Step>,
}

/// What everybody is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    Nothing,
    /// A new alert. With the same key it is the same one, however often this is tried, and by whom.
    Raise {
        key: String,
        severity: Severity,
        /// The alert's fields.
        fields: Map<String, Value>,
    },
    /// The alert once more.
    Again {
        key: String,
    },
    /// It is over.
    Resolve {
        from: AlertState,
    },
}

/// What has become of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    Firing,
    Repeated,
    Acknowledged,
    Resolved,
}

impl Event {
    pub const ALL: [Self; 4] = [
        Self::Firing,
        Self::Repeated,
        Self::Acknowledged,
        Self::Resolved,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Firing => "firing",
            Self::Repeated => "repeated",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }

    /// Back from [`Event::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
}

impl Life {
    /// What is to be done first; `None`: nothing. `data` is the metric's newest value.
    pub fn deed(
        &self,
        metric: &MetricName,
        data: Option<&str>,
        is_silenced: bool,
        now_ms: u64,
    ) -> Option<Deed> {
        let deed = |act, record: Option<Record>, event, raised: Option<&Raised>| Deed {
            rule: self.name.clone(),
            metric: metric.clone(),
            act,
            record,
            event,
            raised: raised.cloned(),
            acknowledged: self.acknowledged(),
        };
        // Without a rule nothing holds.
        let now = self.now.as_ref().filter(|_| self.rule.is_some());
        if let Some(logged) = &self.logged
            && let Some(raised) = logged.open()
            && now.is_none_or(|now| now.since != logged.since)
        {
            let from = logged.alert_state();
            let act = Act::Resolve { from };
            return Some(deed(act, None, Some(Event::Resolved), Some(raised)));
        }
        let key = |now: &Record, times| format!("{}/{metric}/{}/{times}", self.name, now.since);
        let raise = |record: &Record, rule: &Rule| {
            let act = Act::Raise {
                key: key(record, 0),
                severity: rule.severity,
                fields: self.fields(rule, record, metric, data),
            };
            deed(act, Some(record.clone()), Some(Event::Firing), None)
        };
        if let (Some(logged), Some(rule)) = (&self.logged, &self.rule)
            && logged.is_telling
            && logged.raised.is_none()
            && now.is_none_or(|now| now.since != logged.since)
        {
            // It is over by now, and may have been told: then that it is over is told as well.
            return Some(raise(logged, rule));
        }
        if let (Some(now), Some(rule)) = (now, &self.rule)
            && now.stage == Stage::Firing
            && !is_silenced
        {
            match &now.raised {
                None if now.is_telling => return Some(raise(now, rule)),
                // First what is about to be done, or nobody would know of an alert that was published last.
                None => {
                    let record = Record {
                        is_telling: true,
                        ..now.clone()
                    };
                    return Some(deed(Act::Nothing, Some(record), None, None));
                }
                Some(raised) if is_due(rule, now, raised, now_ms) => {
                    let times = raised.times + 1;
                    let again = Raised {
                        times,
                        told_ms: now_ms,
                        ..raised.clone()
                    };
                    let act = Act::Again {
                        key: key(now, times),
                    };
                    let record = Record {
                        raised: Some(again),
                        ..now.clone()
                    };
                    return Some(deed(act, Some(record), Some(Event::Repeated), Some(raised)));
                }
                Some(_) => {}
            }
        }
        let is_same = match (now, &self.logged) {
            (Some(now), Some(logged)) => now.says(logged),
            (now, logged) => now.is_none() && logged.is_none(),
        };
        if is_same {
            return None;
        }
        let went_to = |stage| {
            now.is_some_and(|it| it.stage == stage)
                && self.logged.as_ref().is_none_or(|it| it.stage != stage)
        };
        let event = [
            (Stage::Acknowledged, Event::Acknowledged),
            (Stage::Resolved, Event::Resolved),
        ]
        .into_iter()
        .find(|(stage, _)| went_to(*stage));
        let raised = now.and_then(|now| now.raised.as_ref());
        let event = event.map(|(_, event)| event).filter(|_| raised.is_some());
        Some(deed(Act::Nothing, now.cloned(), event, raised))
    }

    fn acknowledged(&self) -> Option<Step> {
        let of = |record: &Option<Record>| record.as_ref().and_then(|it| it.acknowledged.clone());
        of(&self.now).or_else(|| of(&self.logged))
    }

    /// What a new alert tells.
    fn fields(
        &self,
        rule: &Rule,
        now: &Record,
        metric: &MetricName,
        data: Option<&str>,
    ) -> Map<String, Value> {
        let told = rule.tell(metric, data, self.score);
        let fields = json!({
            "severity": rule.severity,
            "message": told.message,
            "alert": rule.name.as_str(),
            "metric": metric,
            "state": "firing",
            "reason": now.cause.as_str(),
            "values": told.values,
            "value": told.value,
        });
        match fields {
            Value::Object(fields) => fields,
            _ => Map::new(),
        }
    }
}

/// Whether it is told again by now. Not once somebody has seen it, and not while it may be over.
fn is_due(rule: &Rule, now: &Record, raised: &Raised, now_ms: u64) -> bool {
    let since = now_ms.saturating_sub(raised.told_ms);
    now.over_since_ms.is_none() && rule.repeat_ms.is_some_and(|every| since >= every)
}

impl Deed {
    /// What the log is to have once everybody was told with message `id`, at `now_ms`.
    pub fn raised_as(
        &self,
        id: MessageId,
        severity: Severity,
        data: &str,
        now_ms: u64,
    ) -> Option<Record> {
        let raised = Raised {
            id,
            severity,
            data: data.to_owned(),
            told_ms: now_ms,
            times: 0,
        };
        self.record.clone().map(|record| Record {
            raised: Some(raised),
            ..record
        })
    }
}
