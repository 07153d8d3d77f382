//! Does what the engine says is to be done: tells everybody, and has the log remember it.

use std::sync::atomic::Ordering;

use serde_json::{Value, json};

use super::notice::{self, Notice};
use super::{Inner, json as to_json, lock, nothing, state};
use crate::broker::redis::Held;
use crate::domain::alert::AlertState;
use crate::domain::message::{Json, MessageId, StateName, UserId};
use crate::domain::rule::{Act, Deed, Event, Raised, Record, Stage, Step};
use crate::hub::Error;
use crate::store::{
    Alert, AlertChange, AlertStep, AlertWrite, AppendError, Fingerprint, Key, Keyed,
};
use crate::trace::Context;
use crate::wire::message::timestamp;

/// Whose keys these are: no user can have this name, which has a control character in it.
const PUBLISHER: &str = "\u{1}rules";

/// Each round does what the one before has led to; what is left waits for the next tick.
const ROUNDS_MAX: usize = 20;

/// An alert that is younger cannot be over, but by somebody's word this very moment.
const NEW_MS: u64 = 500;

/// Until nothing is left to be done at this moment.
///
/// # Errors
/// Why something could not be done, in words; it is still to be done.
pub(super) async fn carry_out(
    inner: &Inner,
    held: &Option<Held>,
    now_ms: u64,
) -> Result<(), String> {
    for _ in 0..ROUNDS_MAX {
        let deeds = inner.engine().deeds();
        if deeds.is_empty() {
            return Ok(());
        }
        for deed in deeds {
            let done = Doing {
                inner,
                held,
                now_ms,
            };
            let done = done.carry_out(&deed).await;
            done.map_err(|error| error.to_string())?;
        }
    }
    Ok(())
}

struct Doing<'a> {
    inner: &'a Inner,
    held: &'a Option<Held>,
    now_ms: u64,
}

impl Doing<'_> {
    async fn carry_out(&self, deed: &Deed) -> Result<(), Error> {
        match &deed.act {
            Act::Nothing => self.remember(deed, deed.record.clone(), deed.event).await,
            Act::Raise {
                key,
                severity,
                fields,
            } => {
                let mut fields = fields.clone();
                let started = deed.record.as_ref().map(|it| timestamp(it.since_ms));
                fields.insert("startedAt".into(), started.into());
                let data = Value::Object(fields).to_string();
                let write = AlertWrite::New(*severity);
                let mut id = self.tell(data.clone(), write.clone(), Some(key)).await?;
                if self.is_over(id).await? {
                    // It was told before, and is over since: this is another time, by another rule of that name.
                    let key = format!("{key}/{}", self.now_ms);
                    id = self.tell(data.clone(), write, Some(&key)).await?;
                }
                log::info!("alert {} fires on {}: {id}", deed.rule, deed.metric);
                let record = deed.raised_as(id, *severity, &data, self.now_ms);
                self.remember(deed, record, deed.event).await
            }
            Act::Again { key } => {
                let data = deed.raised.as_ref().map(|it| again(deed, it));
                let data = data.unwrap_or_default();
                self.tell(data, AlertWrite::Again, Some(key)).await?;
                self.remember(deed, deed.record.clone(), deed.event).await
            }
            Act::Resolve { from } => self.resolve(deed, *from).await,
        }
    }

    /// Whether an alert that is not new is resolved already.
    async fn is_over(&self, id: MessageId) -> Result<bool, Error> {
        let is_new = id.millis().saturating_add(NEW_MS) > self.now_ms;
        let Some(reader) = self.inner.hub.reader().filter(|_| !is_new) else {
            return Ok(false);
        };
        let found = reader.alert(id).await;
        let found = found.map_err(|error| Error::Away(error.to_string()))?;
        Ok(found.is_some_and(|alert| alert.state == AlertState::Resolved))
    }

    async fn resolve(&self, deed: &Deed, from: AlertState) -> Result<(), Error> {
        let (Some(raised), Some(step)) = (&deed.raised, self.step(deed)) else {
            return self.remember(deed, None, None).await;
        };
        let change = AlertChange {
            id: raised.id,
            from,
            to: AlertState::Resolved,
            step: step.clone(),
        };
        let data = shown(deed, raised, AlertState::Resolved, Some(step));
        let change = AlertWrite::Change(Box::new(change));
        match self.tell(data, change, None).await {
            Ok(_) => {
                log::info!("alert {} is over on {}", deed.rule, deed.metric);
                self.remember(deed, None, deed.event).await
            }
            Err(Error::NotTaken(AppendError::AlertChanged)) => self.look(deed, raised.id).await,
            Err(error) => Err(error),
        }
    }

    /// The rule itself says that it is over.
    fn step(&self, deed: &Deed) -> Option<AlertStep> {
        Some(AlertStep {
            by: by(deed)?,
            at_ms: self.now_ms,
            note: None,
        })
    }

    /// The alert is not as it was thought to be: somebody was quicker, or it is not there any more.
    async fn look(&self, deed: &Deed, id: MessageId) -> Result<(), Error> {
        let found = match self.inner.hub.reader() {
            Some(reader) => match reader.alert(id).await {
                Ok(found) => found,
                // The database is away; what has become of the alert is seen when it is back.
                Err(error) => return Err(Error::Away(error.to_string())),
            },
            None => None,
        };
        match found {
            Some(alert) if alert.state == AlertState::Acknowledged => {
                let step = alert.acknowledged.map(|step| Step {
                    by: step.by,
                    at_ms: step.at_ms,
                    note: step.note,
                });
                let mut engine = self.inner.engine();
                let is_told = step.is_some_and(|it| engine.told(id, Stage::Acknowledged, &it));
                match is_told {
                    true => Ok(()),
                    false => Err(Error::NotTaken(AppendError::AlertChanged)),
                }
            }
            // Written down a moment later than it was told.
            Some(alert) if alert.state == AlertState::Open => {
                Err(Error::NotTaken(AppendError::AlertChanged))
            }
            Some(_) => self.remember(deed, None, deed.event).await,
            None => self.remember(deed, None, None).await,
        }
    }

    async fn tell(
        &self,
        data: String,
        write: AlertWrite,
        key: Option<&String>,
    ) -> Result<MessageId, Error> {
        let keyed = key.map(|key| Keyed {
            key: Key::of(PUBLISHER, key, 0),
            // Whichever hub says it, and in whatever words: it is the same.
            of: Fingerprint::of(&[PUBLISHER.as_bytes(), key.as_bytes()]),
        });
        let keys = keyed.map(Some).into_iter().collect();
        let trace = Context::default();
        let data = Json::trusted(data);
        self.inner.hub.alert(data, write, keys, &trace).await
    }

    /// What it is now, and who is to be told of it: both or neither.
    async fn remember(
        &self,
        deed: &Deed,
        record: Option<Record>,
        event: Option<Event>,
    ) -> Result<(), Error> {
        let Some(name) = state(&["alert", deed.rule.as_str(), deed.metric.as_str()]) else {
            return Ok(());
        };
        let kept = record.as_ref().map_or_else(nothing, to_json);
        let mut states = vec![(name, kept)];
        let raised = record.as_ref().and_then(|it| it.raised.as_ref());
        let raised = raised.or(deed.raised.as_ref());
        if let (Some(event), Some(raised)) = (event, raised) {
            states.extend(self.notices(deed, event, raised, record.as_ref()));
        }
        if let (None, Some(raised)) = (&record, raised)
            && let Some(step) = state(&["step", &raised.id.to_string()])
        {
            states.push((step, nothing()));
        }
        let has_notices = states.len() > 1;
        let ids = self.inner.hub.remember(states, self.held.clone()).await?;
        let id = ids.first().copied().unwrap_or_default();
        self.inner.engine().done(deed, record, id);
        if has_notices {
            self.inner.posted.notify_one();
        }
        Ok(())
    }

    fn notices(
        &self,
        deed: &Deed,
        event: Event,
        raised: &Raised,
        record: Option<&Record>,
    ) -> Vec<(StateName, Json)> {
        let hooks = self.inner.hooks.load();
        let wanted = hooks
            .iter()
            .filter(|hook| hook.wants(raised.severity, event));
        let mut states = Vec::new();
        let known = lock(&self.inner.notices);
        let room = self.inner.limits.notifications_max;
        let mut waiting = known.waiting();
        for hook in wanted {
            let id = notice::id(&hook.name, raised, event);
            if known.has(&id) {
                continue;
            }
            if waiting >= room {
                self.inner.left_out.fetch_add(1, Ordering::Relaxed);
                log::error!(
                    "{room} notifications wait already; one to {} is lost",
                    hook.name
                );
                continue;
            }
            waiting += 1;
            let data = self.told(deed, event, raised, record);
            let notice = Notice::new(hook, deed, event, raised, data, self.now_ms);
            let name = state(&["notice", &id]);
            states.extend(name.map(|name| (name, to_json(&notice))));
        }
        states
    }

    /// The alert as a receiver gets it.
    fn told(&self, deed: &Deed, event: Event, raised: &Raised, record: Option<&Record>) -> Value {
        let state = match event {
            Event::Firing | Event::Repeated => AlertState::Open,
            Event::Acknowledged => AlertState::Acknowledged,
            Event::Resolved => AlertState::Resolved,
        };
        let step = match (event, record) {
            (Event::Resolved, Some(record)) => record.resolved.clone().map(done),
            (Event::Resolved, None) => self.step(deed),
            _ => None,
        };
        let text = shown(deed, raised, state, step);
        let mut data = serde_json::from_str(&text).unwrap_or(Value::Null);
        if state == AlertState::Open {
            data["state"] = json!("firing");
        }
        data
    }
}

/// As which user a rule resolves; the name of a rule is short and printable, so there is one.
fn by(deed: &Deed) -> Option<UserId> {
    UserId::parse(&format!("rule/{}", deed.rule))
}

/// An alert's fields and what has become of it, as the list of alerts has them.
fn shown(deed: &Deed, raised: &Raised, state: AlertState, resolved: Option<AlertStep>) -> String {
    let alert = Alert {
        id: raised.id,
        severity: raised.severity,
        state,
        data: raised.data.clone(),
        acknowledged: deed.acknowledged.clone().map(done),
        resolved,
    };
    let fields = alert.shown();
    fields.map_or_else(
        |_| raised.data.clone(),
        |it| to_json(&it).as_str().to_owned(),
    )
}

fn done(step: Step) -> AlertStep {
    AlertStep {
        by: step.by,
        at_ms: step.at_ms,
        note: step.note,
    }
}

/// The alert once more.
fn again(deed: &Deed, raised: &Raised) -> String {
    let text = shown(deed, raised, AlertState::Open, None);
    let mut fields: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    fields["state"] = json!("firing");
    fields.to_string()
}
