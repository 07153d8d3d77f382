//! What others ask of the rules: the interface, health, Prometheus, a reload.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use super::book::{LiveRule, Origin};
use super::notice::{Notice, Status};
use super::watcher::Stepped;
use super::{Hook, Rules, json, lock, nothing, state};
use crate::config::Settings;
use crate::domain::alert::{AlertState, Severity};
use crate::domain::message::{Json, MessageId, StateName, UserId};
use crate::domain::pattern::MetricName;
use crate::domain::rule::{Counts, Rule, RuleFault, RuleShown, Silence, Stage, Step};
use crate::hub::Error;
use crate::store::AlertStep;

/// Rules that are made while running, at most.
pub const RULES_MAX: usize = 1000;
pub const SILENCES_MAX: usize = 1000;
/// How long a change may take to come back from the log. It holds all the same.
const HEARD_WITHIN: Duration = Duration::from_secs(2);

/// What came of a wish to change something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Done,
    /// There is no such thing.
    Unknown,
    /// It stands in the file.
    ReadOnly,
    /// There are as many as there may be.
    TooMany,
}

/// How the rules are.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Health {
    pub rules: usize,
    pub lives: usize,
    pub lives_max: usize,
    pub pending: usize,
    pub firing: Vec<(Severity, usize)>,
    pub silences: usize,
    /// Rules whose newest value had no answer.
    pub failing: usize,
    /// Live rules that are none for this version.
    pub broken: usize,
    pub counts: Counts,
    /// Of several hubs, this one acts.
    pub is_acting: bool,
    pub last_error: Option<String>,
    pub notifications_pending: usize,
    pub notifications_dead: usize,
    pub delivered: u64,
    pub failed: u64,
    pub died: u64,
    pub left_out: u64,
}

impl Rules {
    /// Other settings hold from now on. `hooks` are those of `settings`, read.
    pub fn reload(&self, settings: &Settings, hooks: Vec<Hook>) {
        lock(&self.0.book).file.clone_from(&settings.alerts);
        self.0.hooks.store(hooks.into());
        let rules = lock(&self.0.book).rules();
        let now_ms = self.0.engine().now_ms();
        self.0.engine().set_rules(rules, now_ms);
        self.0.changed.notify_one();
        self.0.posted.notify_one();
    }

    /// Nothing is evaluated, told or sent any more.
    pub fn stop(&self) {
        self.0.is_stopped.store(true, Ordering::Relaxed);
    }

    /// All rules, each with where it stands.
    pub fn all(&self) -> Vec<(RuleShown, Origin)> {
        let shown = self.0.engine().shown();
        let book = lock(&self.0.book);
        let with_origin = shown.into_iter().filter_map(|rule| {
            let origin = book.origin(rule.rule.name.as_str())?;
            Some((rule, origin))
        });
        with_origin.collect()
    }

    /// Those that do not work in this version, each with why.
    pub fn broken(&self) -> Vec<(LiveRule, RuleFault)> {
        let book = lock(&self.0.book);
        let broken = book.broken.iter().filter_map(|(name, fault)| {
            let live = book.live.get(name)?;
            Some((live.clone(), fault.clone()))
        });
        broken.collect()
    }

    /// The newest value of a metric that some rule concerns.
    pub fn newest(&self, metric: &MetricName) -> Option<String> {
        self.0.engine().newest(metric)
    }

    /// Makes a rule, or another one of the same name.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn set_rule(&self, rule: &Rule, by: &UserId, now_ms: u64) -> Result<Change, Error> {
        let name = rule.name.as_str();
        let refused = {
            let book = lock(&self.0.book);
            let is_new = !book.live.contains_key(name);
            match book.origin(name) {
                Some(Origin::File) => Some(Change::ReadOnly),
                _ if is_new && book.live.len() >= RULES_MAX => Some(Change::TooMany),
                _ => None,
            }
        };
        if let Some(refused) = refused {
            return Ok(refused);
        }
        let live = LiveRule {
            spec: rule.spec().clone(),
            by: by.clone(),
            at_ms: now_ms,
        };
        self.change(&["rule", name], json(&live)).await
    }

    /// # Errors
    /// The log cannot be written.
    pub async fn delete_rule(&self, name: &str) -> Result<Change, Error> {
        let origin = lock(&self.0.book).origin(name);
        match origin {
            None => Ok(Change::Unknown),
            Some(Origin::File) => Ok(Change::ReadOnly),
            Some(Origin::Live { .. }) => self.change(&["rule", name], nothing()).await,
        }
    }

    pub fn silences(&self) -> Vec<(String, Silence)> {
        let engine = self.0.engine();
        let all = engine.silences().iter();
        all.map(|(id, it)| (id.clone(), it.clone())).collect()
    }

    /// # Errors
    /// The log cannot be written.
    pub async fn add_silence(&self, id: &str, silence: &Silence) -> Result<Change, Error> {
        if self.0.engine().silences().len() >= SILENCES_MAX {
            return Ok(Change::TooMany);
        }
        self.change(&["silence", id], json(silence)).await
    }

    /// # Errors
    /// The log cannot be written.
    pub async fn delete_silence(&self, id: &str) -> Result<Change, Error> {
        if !self.0.engine().silences().contains_key(id) {
            return Ok(Change::Unknown);
        }
        self.change(&["silence", id], nothing()).await
    }

    /// Those of a status, the newest first.
    pub fn notices(&self, status: Status) -> Vec<(String, Notice)> {
        let notices = lock(&self.0.notices);
        let all = notices.of(status);
        let mut all: Vec<_> = all.map(|(id, it)| (id.clone(), it.clone())).collect();
        all.sort_unstable_by_key(|(_, it)| std::cmp::Reverse((it.done_ms, it.created_ms)));
        all
    }

    /// Has a dead one tried again.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn retry(&self, id: &str, now_ms: u64) -> Result<Change, Error> {
        match self.dead(id) {
            None => Ok(Change::Unknown),
            Some(notice) => self.post(id, json(&notice.anew(now_ms))).await,
        }
    }

    /// Has a dead one forgotten.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn drop_dead(&self, id: &str) -> Result<Change, Error> {
        match self.dead(id) {
            None => Ok(Change::Unknown),
            Some(_) => self.post(id, nothing()).await,
        }
    }

    fn dead(&self, id: &str) -> Option<Notice> {
        let notices = lock(&self.0.notices);
        let notice = notices.get(id)?;
        (notice.status == Status::Dead).then(|| notice.clone())
    }

    /// Somebody has acknowledged or resolved an alert, which may be one of a rule's.
    ///
    /// # Errors
    /// The log cannot be written.
    pub async fn told(&self, id: MessageId, to: AlertState, step: AlertStep) -> Result<(), Error> {
        if !self.0.engine().knows(id) {
            return Ok(());
        }
        let stage = match to {
            AlertState::Resolved => Stage::Resolved,
            AlertState::Open | AlertState::Acknowledged => Stage::Acknowledged,
        };
        let step = Step {
            by: step.by,
            at_ms: step.at_ms,
            note: step.note,
        };
        let stepped = json(&Stepped { stage, step });
        let change = self.change(&["step", &id.to_string()], stepped).await;
        change.map(drop)
    }

    async fn post(&self, id: &str, notice: Json) -> Result<Change, Error> {
        let Some(name) = state(&["notice", id]) else {
            return Ok(Change::Unknown);
        };
        self.remember(name, notice, &self.0.couriered).await
    }

    async fn change(&self, name: &[&str], to: Json) -> Result<Change, Error> {
        let Some(name) = state(name) else {
            return Ok(Change::Unknown);
        };
        self.remember(name, to, &self.0.watched).await
    }

    /// Done when it holds here, too.
    async fn remember(
        &self,
        name: StateName,
        to: Json,
        heard: &watch::Sender<MessageId>,
    ) -> Result<Change, Error> {
        let ids = self.0.hub.remember(vec![(name, to)], None).await?;
        let id = ids.first().copied().unwrap_or_default();
        let mut heard = heard.subscribe();
        // Where it takes longer, it is not lost.
        let _ = timeout(HEARD_WITHIN, heard.wait_for(|seen| *seen >= id)).await;
        Ok(Change::Done)
    }

    pub fn health(&self) -> Health {
        let inner = &self.0;
        let (pending, dead) = {
            let notices = lock(&inner.notices);
            (notices.waiting(), notices.of(Status::Dead).count())
        };
        let broken = lock(&inner.book).broken.len();
        let last_error = lock(&inner.last_error).clone();
        let engine = inner.engine();
        Health {
            rules: engine.rules().len(),
            lives: engine.lives(),
            lives_max: inner.limits.lives_max,
            pending: engine.pending(),
            firing: engine.firing().to_vec(),
            silences: engine.silences().len(),
            failing: engine.failing(),
            broken,
            counts: engine.counts(),
            is_acting: inner.turn().is_some(),
            last_error,
            notifications_pending: pending,
            notifications_dead: dead,
            delivered: inner.delivered.load(Ordering::Relaxed),
            failed: inner.failed.load(Ordering::Relaxed),
            died: inner.died.load(Ordering::Relaxed),
            left_out: inner.left_out.load(Ordering::Relaxed),
        }
    }
}

impl Health {
    /// What ails, if anything does.
    pub fn ails(&self) -> Option<String> {
        if let Some(error) = &self.last_error {
            return Some(error.clone());
        }
        if self.broken > 0 {
            return Some(format!("{} rules do not work", self.broken));
        }
        if self.lives >= self.lives_max {
            return Some("there is no room for more: raise alerting.lives_max".to_owned());
        }
        let dead = self.notifications_dead;
        (dead > 0).then(|| format!("{dead} notifications could not be delivered"))
    }
}
