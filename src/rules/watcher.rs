//! The actor of the rules: follows, lets time pass, and has done what is to be done.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::book::LiveRule;
use super::{Inner, Rules, deeds, json, lock, nothing, state};
use crate::domain::message::{Json, Message, MessageId, StateName, Topic};
use crate::domain::pattern::{MetricName, Pattern};
use crate::domain::rule::{RuleName, Stage, Step};
use crate::hub::Following;

/// How often time passes: what a rule has to hold for is exact to this.
const TICKS_EVERY: Duration = Duration::from_millis(500);
/// What fires with a message is told at once, and no more often than this.
const ACTS_EVERY: Duration = Duration::from_millis(100);
/// Messages that may wait. Above it the log is gone through again.
const WAITING_MAX: usize = 65_536;
/// How long until the hub is asked again that was overloaded.
const ASKS_EVERY: Duration = Duration::from_secs(1);
/// A wall clock that is so far ahead of the time that has passed has jumped, or the machine has slept.
const JUMP_MS: u64 = 10_000;
/// What the log remembers for this actor.
const PREFIXES: [&str; 5] = ["rule/", "silence/", "alert/", "step/", "past/"];

/// What somebody has done about an alert of ours.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub(super) struct Stepped {
    pub stage: Stage,
    pub step: Step,
}

/// Until the hub is gone.
pub(super) async fn run(rules: Rules, started_ms: u64) {
    let inner = &rules.0;
    let mono = || inner.hub.clock().mono();
    let mut watcher = Watcher {
        inner,
        pasts: BTreeSet::new(),
        is_loading: false,
        acted: Instant::now(),
        base_ms: started_ms,
        base: mono(),
    };
    while !inner.is_stopped.load(Ordering::Relaxed) {
        let patterns = inner.engine().patterns();
        let wanted = patterns.clone();
        let wants = move |topic: &Topic| is_wanted(topic, &wanted);
        match inner.hub.follow(Box::new(wants), WAITING_MAX).await {
            Ok(following) => watcher.follow(following, patterns).await,
            Err(error) => {
                log::debug!("the log cannot be followed yet: {error}");
                sleep(ASKS_EVERY).await;
            }
        }
    }
}

fn is_wanted(topic: &Topic, patterns: &[Pattern]) -> bool {
    match topic {
        Topic::Metric(name) => patterns.iter().any(|pattern| pattern.matches(name)),
        Topic::State(name) => PREFIXES
            .iter()
            .any(|prefix| name.as_str().starts_with(prefix)),
        _ => false,
    }
}

struct Watcher<'a> {
    inner: &'a Inner,
    /// Pasts that the log remembers.
    pasts: BTreeSet<(String, String)>,
    /// What the log has is being gone through.
    is_loading: bool,
    acted: Instant,
    /// Wall clock and time at one moment: from there on time is what has passed.
    base_ms: u64,
    base: Duration,
}

impl Watcher<'_> {
    /// Until the rules name other metrics, or something was missed.
    async fn follow(&mut self, mut following: Following, patterns: Vec<Pattern>) {
        let now_ms = self.now_ms();
        // Rules come first, so that lives are not taken for those of no rule.
        let (rules, others): (Vec<_>, Vec<_>) = following.kept.drain(..).partition(|message| {
            matches!(&message.topic, Topic::State(name) if name.as_str().starts_with("rule/"))
        });
        self.is_loading = true;
        for message in &rules {
            self.hear(message, now_ms);
        }
        self.is_loading = false;
        self.read_rules();
        for message in &others {
            self.hear(message, message.id.millis().min(now_ms));
        }
        if self.inner.engine().patterns() != patterns {
            return;
        }
        let mut ticks = interval(TICKS_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                message = following.messages.recv() => {
                    let Some(message) = message else {
                        // The Hub has let go of it: it begins anew, or is gone.
                        return sleep(ASKS_EVERY).await;
                    };
                    let now_ms = self.now_ms();
                    let is_rule = self.hear(&message, now_ms);
                    if is_rule && self.inner.engine().patterns() != patterns {
                        return;
                    }
                    let is_early = self.acted.elapsed() < ACTS_EVERY;
                    if !is_early && self.inner.engine().take_news() {
                        self.tick().await;
                    }
                }
                _ = ticks.tick() => {
                    if self.inner.is_stopped.load(Ordering::Relaxed) {
                        return;
                    }
                    self.tick().await;
                    if following.missed.load(Ordering::Relaxed) > 0 {
                        log::warn!("rules have missed messages, and go through the log again");
                        return;
                    }
                }
                () = self.inner.changed.notified() => {
                    self.read_rules();
                    if self.inner.engine().patterns() != patterns {
                        return;
                    }
                }
            }
        }
    }

    /// Time that never goes back and goes no faster than it passes, unless the wall clock has jumped ahead.
    fn now_ms(&mut self) -> u64 {
        let now = self.inner.hub.clock().now();
        let passed = now.mono.saturating_sub(self.base).as_millis();
        let now_ms = self
            .base_ms
            .saturating_add(u64::try_from(passed).unwrap_or(u64::MAX));
        let ahead = now.wall_ms.saturating_sub(now_ms);
        if ahead < JUMP_MS {
            return now_ms;
        }
        (self.base_ms, self.base) = (now.wall_ms, now.mono);
        self.inner.engine().jump(ahead);
        now.wall_ms
    }

    fn read_rules(&mut self) {
        let rules = lock(&self.inner.book).rules();
        let now_ms = self.now_ms();
        self.inner.engine().set_rules(rules, now_ms);
    }

    /// Returns whether that changed the rules.
    fn hear(&mut self, message: &Arc<Message>, at_ms: u64) -> bool {
        match &message.topic {
            Topic::Metric(_) => {
                self.inner.engine().heard(message, at_ms);
                false
            }
            Topic::State(name) => {
                self.remembered(name, message);
                let later = |seen: &mut _| {
                    let is_later = *seen < message.id;
                    *seen = message.id.max(*seen);
                    is_later
                };
                self.inner.watched.send_if_modified(later);
                name.as_str().starts_with("rule/")
            }
            _ => false,
        }
    }

    fn remembered(&mut self, name: &StateName, message: &Message) {
        let value = message.value();
        let Some((kind, rest)) = name.as_str().split_once('/') else {
            return;
        };
        match kind {
            "rule" => {
                let live = read::<LiveRule>(&value);
                let mut book = lock(&self.inner.book);
                match live {
                    Some(live) => _ = book.live.insert(rest.to_owned(), live),
                    None => _ = book.live.remove(rest),
                }
                drop(book);
                if !self.is_loading {
                    self.read_rules();
                }
            }
            "silence" => self.inner.engine().silence(rest, read(&value)),
            "step" => {
                let id = MessageId::parse(rest);
                if let (Some(id), Some(Stepped { stage, step })) = (id, read(&value)) {
                    self.inner.engine().told(id, stage, &step);
                }
            }
            _ => {
                let Some((rule, metric)) = rest.split_once('/') else {
                    return;
                };
                let (Some(of), Ok(metric_name)) =
                    (RuleName::parse(rule), MetricName::parse(metric))
                else {
                    return;
                };
                let mut engine = self.inner.engine();
                if kind == "alert" {
                    engine.logged(&of, &metric_name, message.id, read(&value));
                } else if let Some(past) = read(&value) {
                    self.pasts.insert((rule.to_owned(), metric.to_owned()));
                    engine.knows_past(&of, &metric_name, past);
                } else {
                    self.pasts.remove(&(rule.to_owned(), metric.to_owned()));
                }
            }
        }
    }

    async fn tick(&mut self) {
        let now_ms = self.now_ms();
        self.acted = Instant::now();
        self.inner.engine().tick(now_ms);
        // Or what was sent already would be sent again.
        if !lock(&self.inner.notices).is_loaded() {
            return;
        }
        let Some(held) = self.inner.turn() else {
            *lock(&self.inner.last_error) = None;
            return;
        };
        let mut done = deeds::carry_out(self.inner, &held, now_ms).await;
        if done.is_ok() {
            let states = self.to_remember();
            if !states.is_empty() {
                let remembered = self.inner.hub.remember(states, held).await;
                done = remembered.map(drop).map_err(|error| error.to_string());
            }
        }
        let mut last_error = lock(&self.inner.last_error);
        if let Err(error) = &done
            && last_error.as_ref() != Some(error)
        {
            log::warn!("what alert rules have to do has to wait: {error}");
        }
        *last_error = done.err();
    }

    /// What is new of pasts, and what need not be remembered any more.
    fn to_remember(&self) -> Vec<(StateName, Json)> {
        let mut engine = self.inner.engine();
        let new = engine.take_pasts().into_iter();
        let new = new.filter_map(|(rule, metric, past)| {
            let name = state(&["past", rule.as_str(), metric.as_str()])?;
            Some((name, json(&past)))
        });
        let mut states: Vec<_> = new.collect();
        let gone = self.pasts.iter();
        let gone = gone.filter(|(rule, metric)| !engine.has_past(rule, metric));
        let gone = gone.filter_map(|(rule, metric)| state(&["past", rule, metric]));
        states.extend(gone.map(|name| (name, nothing())));
        let over = engine.past_silences().into_iter();
        let over = over.filter_map(|id| state(&["silence", &id]));
        states.extend(over.map(|name| (name, nothing())));
        states
    }
}

/// `None` also for what this version does not know.
fn read<T: DeserializeOwned>(value: &[u8]) -> Option<T> {
    serde_json::from_slice(value).ok()
}
