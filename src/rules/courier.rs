//! The actor of the notifications: sends what the log says is to be sent.
//!
//! One at a time for each receiver, so that a slow one delays nobody else and gets what it gets in order.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::hook::NotSent;
use super::notice::{Notice, Status};
use super::{Inner, Rules, json, lock, nothing, state};
use crate::domain::message::{Message, Topic};
use crate::hub::Following;

const LOOKS_EVERY: Duration = Duration::from_millis(500);
const WAITING_MAX: usize = 16_384;
const ASKS_EVERY: Duration = Duration::from_secs(1);
const PREFIX: &str = "notice/";

/// Until the hub is gone.
pub(super) async fn run(rules: Rules) {
    let inner = &rules.0;
    while !inner.is_stopped.load(Ordering::Relaxed) {
        let wants = |topic: &Topic| matches!(topic, Topic::State(name) if name.as_str().starts_with(PREFIX));
        match inner.hub.follow(Box::new(wants), WAITING_MAX).await {
            Ok(following) => follow(inner, following).await,
            Err(error) => log::debug!("the log cannot be followed yet: {error}"),
        }
        if !inner.is_stopped.load(Ordering::Relaxed) {
            sleep(ASKS_EVERY).await;
        }
    }
}

/// Until something was missed.
async fn follow(inner: &Inner, mut following: Following) {
    lock(&inner.notices).begin();
    for message in following.kept.drain(..) {
        hear(inner, &message);
    }
    lock(&inner.notices).loaded();
    let mut looks = interval(LOOKS_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut under_way = FuturesUnordered::new();
    let mut busy = HashSet::new();
    loop {
        tokio::select! {
            message = following.messages.recv() => match message {
                Some(message) => hear(inner, &message),
                None => return,
            },
            Some(hook) = under_way.next(), if !under_way.is_empty() => {
                busy.remove(&hook);
            }
            _ = looks.tick() => {
                if inner.is_stopped.load(Ordering::Relaxed)
                    || following.missed.load(Ordering::Relaxed) > 0
                {
                    return;
                }
                if inner.turn().is_some() {
                    tidy(inner).await;
                }
            }
            () = inner.posted.notified() => {}
        }
        if inner.turn().is_none() || inner.is_stopped.load(Ordering::Relaxed) {
            continue;
        }
        for (id, notice) in next(inner, &busy) {
            busy.insert(notice.webhook.clone());
            under_way.push(send(inner, id, notice));
        }
    }
}

fn hear(inner: &Inner, message: &Message) {
    let Topic::State(name) = &message.topic else {
        return;
    };
    let Some(id) = name.as_str().strip_prefix(PREFIX) else {
        return;
    };
    let notice = serde_json::from_slice(&message.value()).ok();
    lock(&inner.notices).put(id, message.id, notice);
    inner.couriered.send_if_modified(|seen| {
        let is_later = *seen < message.id;
        *seen = message.id.max(*seen);
        is_later
    });
}

/// What is to be sent now: of each receiver the oldest, and what is for nobody any more.
fn next(inner: &Inner, busy: &HashSet<String>) -> Vec<(String, Notice)> {
    let (hooks, now_ms) = (inner.hooks.load(), inner.now_ms());
    let notices = lock(&inner.notices);
    let free = hooks.iter().filter(|hook| !busy.contains(&hook.name));
    let mut next: Vec<_> = free
        .filter_map(|hook| notices.due(&hook.name, now_ms))
        .collect();
    let mut pending = notices.of(Status::Pending);
    let is_nobodys = |notice: &Notice| {
        !busy.contains(&notice.webhook) && !hooks.iter().any(|hook| hook.name == notice.webhook)
    };
    let nobodys = pending.find(|(_, notice)| is_nobodys(notice));
    next.extend(nobodys.map(|(id, notice)| (id.clone(), notice.clone())));
    next
}

/// Sends one, and has the log remember what came of it. Returns the receiver, who is free then.
async fn send(inner: &Inner, id: String, notice: Notice) -> String {
    let name = notice.webhook.clone();
    let hooks = inner.hooks.load_full();
    let result = match hooks.iter().find(|hook| hook.name == name) {
        Some(hook) => hook.send(&id, &notice.body, inner.now_ms()).await,
        None => Err(NotSent {
            reason: "there is no such webhook any more".to_owned(),
            is_final: true,
            retry_after: None,
        }),
    };
    let tried = notice.tried(&result, rand::random(), inner.now_ms());
    match (&result, tried.status) {
        (Ok(()), _) => _ = inner.delivered.fetch_add(1, Ordering::Relaxed),
        (Err(error), Status::Dead) => {
            inner.died.fetch_add(1, Ordering::Relaxed);
            log::error!(
                "notification {id} to webhook {name} is given up: {}",
                error.reason
            );
        }
        (Err(error), _) => {
            inner.failed.fetch_add(1, Ordering::Relaxed);
            log::warn!(
                "notification {id} to webhook {name} has to wait: {}",
                error.reason
            );
        }
    }
    // Until it is remembered nothing else goes there: it would be sent again, or out of order.
    while !inner.is_stopped.load(Ordering::Relaxed) {
        let Some(held) = inner.turn() else {
            // Whoever holds the lease now sends it again, under the same id.
            break;
        };
        let Some(state) = state(&["notice", &id]) else {
            break;
        };
        match inner.hub.remember(vec![(state, json(&tried))], held).await {
            Ok(ids) => {
                let by = ids.first().copied().unwrap_or_default();
                lock(&inner.notices).put(&id, by, Some(tried));
                break;
            }
            Err(error) => {
                log::debug!("what became of notification {id} cannot be written: {error}");
                sleep(ASKS_EVERY).await;
            }
        }
    }
    name
}

async fn tidy(inner: &Inner) {
    let over = lock(&inner.notices).too_many(inner.limits.notifications_max);
    let states = over.iter().filter_map(|id| state(&["notice", id]));
    let states: Vec<_> = states.map(|name| (name, nothing())).collect();
    let Some(held) = inner.turn().filter(|_| !states.is_empty()) else {
        return;
    };
    if let Err(error) = inner.hub.remember(states, held).await {
        log::debug!("old notifications cannot be forgotten yet: {error}");
    }
}
