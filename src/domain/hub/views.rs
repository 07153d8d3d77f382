//! Views: what clients ask to see of metrics is a log of its own each, made of the log.
//!
//! So a view has buffers, counts and replays as a metric has, and costs what it costs once, whoever looks at it.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Effects, HubState};
use crate::domain::backlog::{Backlog, Reader};
use crate::domain::expression::Subject;
use crate::domain::history::{self, Depth, History};
use crate::domain::message::{Message, MessageId, Topic};
use crate::domain::pattern::{MetricName, NameError, Pattern};
use crate::domain::subscription::Subscription;
use crate::domain::view::View;

/// Most different views that a hub has at a time.
pub const VIEWS_MAX: usize = 256;
/// Bytes kept for the replays of one view.
const VIEW_BYTES_MAX: usize = 1 << 20;
/// Ids kept of what went of one view.
const VIEW_IDS_MAX: usize = 1 << 16;
/// Metrics whose views are remembered before that begins anew.
const RESOLVED_MAX: usize = 65_536;
/// After so many milliseconds a value that is to be said again, and was not, is asked for again.
const ASK_AGAIN_MS: u64 = 2000;

#[derive(Debug, Default)]
pub(super) struct Views {
    logs: HashMap<View, ViewLog>,
    /// For metrics that there were messages of.
    resolved: HashMap<MetricName, Vec<View>>,
}

#[derive(Debug)]
struct ViewLog {
    /// The patterns it is asked for with, and by how many sessions.
    patterns: HashMap<Pattern, usize>,
    history: History,
    /// Of views that are not to be updated too often.
    paces: HashMap<Topic, Pace>,
}

/// How far a metric has come in a view that is not to be updated too often.
#[derive(Debug, Default)]
struct Pace {
    /// When it was updated last, as the id says, in milliseconds since the Unix epoch.
    updated_ms: u64,
    /// The newest value, where it came too soon after that.
    waiting: Option<Arc<Message>>,
    /// When it was asked for that the value is said again.
    asked_ms: Option<u64>,
}

impl Views {
    pub fn is_empty(&self) -> bool {
        self.logs.is_empty()
    }

    pub fn bytes(&self) -> usize {
        self.logs.values().map(|log| log.history.bytes()).sum()
    }

    pub fn len(&self) -> usize {
        self.logs.len()
    }

    pub fn history(&self, view: &View) -> Option<&History> {
        self.logs.get(view).map(|log| &log.history)
    }

    pub fn histories(&mut self) -> impl Iterator<Item = &mut History> {
        self.logs.values_mut().map(|log| &mut log.history)
    }

    /// Which see the metric.
    fn of(&mut self, name: &MetricName) -> Vec<View> {
        if let Some(known) = self.resolved.get(name) {
            return known.clone();
        }
        let sees = |log: &ViewLog| log.patterns.keys().any(|pattern| pattern.matches(name));
        let mut views: Vec<View> = self
            .logs
            .iter()
            .filter(|(_, log)| sees(log))
            .map(|(view, _)| view.clone())
            .collect();
        // The same inputs give the same effects, in the same order.
        views.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
        if self.resolved.len() >= RESOLVED_MAX {
            self.resolved.clear();
        }
        self.resolved.insert(name.clone(), views.clone());
        views
    }
}

impl ViewLog {
    fn new(limits: &history::Limits) -> Self {
        Self {
            patterns: HashMap::new(),
            history: History::new(limits_of(limits), MessageId::ZERO),
            paces: HashMap::new(),
        }
    }

    /// Has in it what `base` has of the metrics that `wants` picks.
    fn fill(&mut self, view: &View, base: &History, depth: Depth, wants: impl Fn(&Topic) -> bool) {
        let Self { history, paces, .. } = self;
        let is_new = |topic: &Topic| wants(topic) && !history.has(topic);
        let rings = base.in_form(is_new, depth, view.sees_all(), |message| {
            let subject = &mut None;
            let message = passes(view, message, subject).then_some(message)?;
            let message = paced(view, paces, message)?;
            Some(formed(view, &message))
        });
        history.take_in(rings);
        history.pass(base.last());
    }

    fn deliver(
        &mut self,
        view: &View,
        mut message: Arc<Message>,
        keeps_before: bool,
        effects: &mut impl Effects,
    ) {
        if keeps_before {
            // In a view that leaves some out, another one was before it.
            if !view.sees_all() {
                message = Arc::new(message.with(message.id, &message.value()));
            }
            self.history.tell_before(&message);
        }
        effects.deliver_as(view, &message);
        self.history.push(message);
    }

    /// Lets go of what no pattern names any more: from here on nobody looks at it.
    fn forget_unseen(&mut self) {
        let patterns = &self.patterns;
        let is_seen = |topic: &Topic| {
            let name = topic.metric();
            name.is_some_and(|name| patterns.keys().any(|pattern| pattern.matches(name)))
        };
        self.history.retain(is_seen);
        self.paces.retain(|topic, _| is_seen(topic));
    }
}

fn limits_of(limits: &history::Limits) -> history::Limits {
    history::Limits {
        bytes_max: VIEW_BYTES_MAX.min(limits.bytes_max),
        counted_ids_max: VIEW_IDS_MAX.min(limits.counted_ids_max),
        ..limits.clone()
    }
}

/// Whether the condition holds; `subject` is made once a message, by the first that asks.
fn passes(view: &View, message: &Message, subject: &mut Option<Subject>) -> bool {
    let Some(condition) = view.condition() else {
        return true;
    };
    let subject = subject.get_or_insert_with(|| {
        let metric = message.topic.metric().map_or("", MetricName::as_str);
        Subject::new(metric, &String::from_utf8_lossy(&message.value()))
    });
    condition.holds(subject).unwrap_or(false)
}

/// The message, unless it comes too soon after the one before: then it waits.
fn paced(
    view: &View,
    paces: &mut HashMap<Topic, Pace>,
    message: &Arc<Message>,
) -> Option<Arc<Message>> {
    let Some(period) = view.period() else {
        return Some(message.clone());
    };
    let pace = paces.entry(message.topic.clone()).or_default();
    let due_ms = pace.updated_ms.saturating_add(period.as_millis() as u64);
    let is_due = message.id.millis() >= due_ms;
    pace.waiting = (!is_due).then(|| message.clone());
    pace.asked_ms = pace.asked_ms.filter(|_| !is_due);
    if is_due {
        pace.updated_ms = message.id.millis();
    }
    is_due.then(|| message.clone())
}

/// What is seen of it.
fn formed(view: &View, message: &Arc<Message>) -> Arc<Message> {
    let value = message.value();
    let value = String::from_utf8_lossy(&value);
    match view.part_of(&value) {
        Some(part) => Arc::new(message.with(message.id, part.as_bytes())),
        None => message.clone(),
    }
}

impl HubState {
    /// Somebody asks for the views of `subscription`.
    ///
    /// # Errors
    /// They would be more than a hub has; nothing has changed then.
    pub(super) fn watch(
        &mut self,
        subscription: &Subscription,
        depth: Depth,
    ) -> Result<(), NameError> {
        let wanted = subscription.views();
        let new = wanted
            .iter()
            .filter(|view| !self.views.logs.contains_key(**view));
        if self.views.len() + new.count() > VIEWS_MAX {
            return Err(NameError::HubViews);
        }
        for (pattern, view) in asked(subscription) {
            let new = || ViewLog::new(&self.limits.history);
            let log = self.views.logs.entry(view.clone()).or_insert_with(new);
            let sessions = log.patterns.entry(pattern.clone()).or_default();
            *sessions += 1;
            if *sessions == 1 {
                let matches =
                    |topic: &Topic| topic.metric().is_some_and(|name| pattern.matches(name));
                log.fill(view, &self.history, depth, matches);
                self.views.resolved.clear();
            }
        }
        Ok(())
    }

    /// Somebody who asked for the views of `subscription` does not any more.
    pub(super) fn unwatch(&mut self, subscription: &Subscription) {
        for (pattern, view) in asked(subscription) {
            let Some(log) = self.views.logs.get_mut(view) else {
                continue;
            };
            if let Some(sessions) = log.patterns.get_mut(pattern) {
                *sessions -= 1;
                if *sessions == 0 {
                    log.patterns.remove(pattern);
                    log.forget_unseen();
                    self.views.resolved.clear();
                }
            }
            if log.patterns.is_empty() {
                self.views.logs.remove(view);
            }
        }
    }

    /// All of them anew: the log is another one.
    pub(super) fn fill_views(&mut self) {
        for (view, log) in &mut self.views.logs {
            let patterns = std::mem::take(&mut log.patterns);
            *log = ViewLog::new(&self.limits.history);
            let sees = |topic: &Topic| {
                let name = topic.metric();
                name.is_some_and(|name| patterns.keys().any(|pattern| pattern.matches(name)))
            };
            log.fill(view, &self.history, Depth::Kept, sees);
            log.patterns = patterns;
        }
    }

    /// Sends a message that is about to be published to those who see it by a view.
    pub(super) fn show(&mut self, message: &Arc<Message>, effects: &mut impl Effects) {
        let Some(name) = message.topic.metric() else {
            return;
        };
        let mut subject = None;
        for view in self.views.of(name) {
            let Some(log) = self.views.logs.get_mut(&view) else {
                continue;
            };
            if !passes(&view, message, &mut subject) {
                continue;
            }
            if let Some(message) = paced(&view, &mut log.paces, message) {
                let message = formed(&view, &message);
                log.deliver(&view, message, self.keeps_before, effects);
            }
        }
    }

    /// What waits in some view and could be shown by now, if its value were said again. Not asked for once more
    /// for a while.
    pub fn to_be_said_again(&mut self, now_ms: u64) -> Vec<Topic> {
        let mut topics: Vec<Topic> = Vec::new();
        for (view, log) in &mut self.views.logs {
            let Some(period) = view.period() else {
                continue;
            };
            for (topic, pace) in &mut log.paces {
                let due_ms = pace.updated_ms.saturating_add(period.as_millis() as u64);
                let asked = pace
                    .asked_ms
                    .is_some_and(|asked| now_ms < asked + ASK_AGAIN_MS);
                if pace.waiting.is_some() && due_ms <= now_ms && !asked {
                    pace.asked_ms = Some(now_ms);
                    if !topics.contains(topic) {
                        topics.push(topic.clone());
                    }
                }
            }
        }
        topics
    }

    /// The newest value of `topic` is said again, by a message that is for nobody: where it waits and may be shown
    /// by now, it is, under that message's id.
    pub fn say_again(&mut self, topic: &Topic, again: &Message, effects: &mut impl Effects) {
        for view in topic
            .metric()
            .map(|name| self.views.of(name))
            .unwrap_or_default()
        {
            let (Some(period), Some(log)) = (view.period(), self.views.logs.get_mut(&view)) else {
                continue;
            };
            let Some(pace) = log.paces.get_mut(topic) else {
                continue;
            };
            let due_ms = pace.updated_ms.saturating_add(period.as_millis() as u64);
            if again.id.millis() < due_ms {
                continue;
            }
            let Some(waiting) = pace.waiting.take() else {
                continue;
            };
            (pace.updated_ms, pace.asked_ms) = (again.id.millis(), None);
            let seen = formed(&view, &waiting);
            let message = Arc::new(Message {
                published_at: again.published_at,
                ..seen.with(again.id, &seen.value())
            });
            log.deliver(&view, message, self.keeps_before, effects);
        }
    }

    /// Forgets how far metrics have come that nobody has updated for long.
    pub(super) fn clean_up_views(&mut self, before: MessageId, now_ms: u64) {
        for (view, log) in &mut self.views.logs {
            log.history.forget_idle(before);
            let period = view.period().unwrap_or_default().as_millis() as u64;
            log.paces.retain(|_, pace| {
                pace.waiting.is_some() || pace.updated_ms.saturating_add(period) > now_ms
            });
        }
    }

    /// What came after `position` for `reader`, in all the forms that it sees; `None` where the log cannot tell.
    pub(super) fn read_backlog(
        &self,
        reader: &Reader<'_>,
        position: MessageId,
        carried_to: MessageId,
    ) -> Option<Backlog> {
        if !self.history.covers(position) {
            return None;
        }
        let mut backlog = Backlog::default();
        self.history
            .gather(reader, position, carried_to, &mut backlog)?;
        for view in reader.subscription.views() {
            let history = self.views.history(view)?;
            // What is of before it began, nobody has looked at in this form.
            (history.origin() <= position.max(carried_to)).then_some(())?;
            history.gather(&reader.of(view), position, carried_to, &mut backlog)?;
        }
        backlog.fit(self.limits.history.backlog_messages_max);
        Some(backlog)
    }

    /// The newest message of each metric for `reader`, in the form in which it sees it.
    pub(super) fn newest(&self, reader: &Reader<'_>) -> Vec<(MetricName, Arc<Message>)> {
        let mut values = self.history.latest(reader);
        for view in reader.subscription.views() {
            let seen = self
                .views
                .history(view)
                .map(|history| history.latest(&reader.of(view)));
            values.extend(seen.unwrap_or_default());
        }
        values.into_iter().collect()
    }
}

fn asked(subscription: &Subscription) -> impl Iterator<Item = (&Pattern, &View)> {
    let selectors = subscription.parts().0.iter().map(|entry| &entry.selector);
    selectors.filter_map(|it| Some((&it.pattern, it.view.as_ref()?)))
}
