//! Notifications: what is to be sent to whom, as the log remembers it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Hook;
use super::hook::NotSent;
use crate::domain::message::MessageId;
use crate::domain::rule::{Deed, Event, Raised};
use crate::wire::hex::Hex;
use crate::wire::message::timestamp;

/// How often it is tried before it is given up: over half a day, as the waits are.
pub(super) const ATTEMPTS_MAX: u32 = 12;
/// How long until the second attempt. Each wait is twice the one before.
const WAIT: Duration = Duration::from_secs(5);
const WAIT_MAX: Duration = Duration::from_secs(3 * 3600);
/// Delivered ones that are remembered, the newest.
pub(super) const DELIVERED_MAX: usize = 100;
/// Longest reason that is remembered, in characters.
const REASON_CHARS_MAX: usize = 200;

/// How far one has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Pending,
    Delivered,
    /// Given up. An operator may have it tried again.
    Dead,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
        }
    }
}

/// One notification. Times in milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Notice {
    /// The receiver's name.
    pub webhook: String,
    pub event: String,
    /// The rule.
    pub alert: String,
    pub metric: String,
    /// What is sent, to the byte.
    pub body: String,
    pub status: Status,
    pub created_ms: u64,
    pub attempts: u32,
    /// When it is tried next.
    pub due_ms: u64,
    /// When it was delivered or given up.
    pub done_ms: Option<u64>,
    pub last_error: Option<String>,
}

/// The name of what is sent to a receiver about an event of an alert: however often it is made, it is one.
pub(super) fn id(hook: &str, raised: &Raised, event: Event) -> String {
    let times = match event {
        Event::Repeated => raised.times,
        _ => 0,
    };
    let text = format!("{hook} {} {} {times}", raised.id, event.as_str());
    format!("msg_{}", Hex(&Sha256::digest(text)[..16]))
}

impl Notice {
    pub fn new(
        hook: &Hook,
        deed: &Deed,
        event: Event,
        raised: &Raised,
        data: Value,
        now_ms: u64,
    ) -> Self {
        let body = json!({
            "type": format!("alert.{}", event.as_str()),
            "timestamp": timestamp(now_ms),
            "data": data,
        });
        debug_assert_eq!(body["data"]["alertId"], raised.id.to_string());
        Self {
            webhook: hook.name.clone(),
            event: event.as_str().to_owned(),
            alert: deed.rule.to_string(),
            metric: deed.metric.to_string(),
            body: body.to_string(),
            status: Status::Pending,
            created_ms: now_ms,
            attempts: 0,
            due_ms: now_ms,
            done_ms: None,
            last_error: None,
        }
    }

    /// As it is after an attempt. `chance` is from 0 to 1: not all that failed at once are to come back at once.
    #[must_use]
    pub fn tried(mut self, result: &Result<(), NotSent>, chance: f64, now_ms: u64) -> Self {
        self.attempts += 1;
        let Err(error) = result else {
            self.status = Status::Delivered;
            self.done_ms = Some(now_ms);
            return self;
        };
        self.last_error = Some(error.reason.chars().take(REASON_CHARS_MAX).collect());
        if error.is_final || self.attempts >= ATTEMPTS_MAX {
            self.status = Status::Dead;
            self.done_ms = Some(now_ms);
            return self;
        }
        let doubled = WAIT.saturating_mul(1 << (self.attempts - 1).min(20));
        let wait = doubled.min(WAIT_MAX).mul_f64(0.5 + chance / 2.0);
        let wait = wait.max(error.retry_after.unwrap_or_default());
        let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.due_ms = now_ms.saturating_add(wait_ms);
        self
    }

    /// To be tried anew, from now on.
    #[must_use]
    pub fn anew(self, now_ms: u64) -> Self {
        Self {
            status: Status::Pending,
            attempts: 0,
            due_ms: now_ms,
            done_ms: None,
            ..self
        }
    }
}

/// All that the log remembers.
#[derive(Default)]
pub(super) struct Notices {
    all: BTreeMap<String, (MessageId, Notice)>,
    is_loaded: bool,
}

impl Notices {
    /// The log says this of one, by message `by`. What is older than is known changes nothing.
    pub fn put(&mut self, id: &str, by: MessageId, notice: Option<Notice>) {
        if self.all.get(id).is_some_and(|(known, _)| *known >= by) {
            return;
        }
        match notice {
            Some(notice) => _ = self.all.insert(id.to_owned(), (by, notice)),
            None => _ = self.all.remove(id),
        }
    }

    pub fn has(&self, id: &str) -> bool {
        self.all.contains_key(id)
    }

    pub fn get(&self, id: &str) -> Option<&Notice> {
        self.all.get(id).map(|(_, notice)| notice)
    }

    /// The log is gone through again.
    pub fn begin(&mut self) {
        *self = Self::default();
    }

    /// All that the log has is here.
    pub fn loaded(&mut self) {
        self.is_loaded = true;
    }

    /// Whether what is not here is not there.
    pub fn is_loaded(&self) -> bool {
        self.is_loaded
    }

    pub fn of(&self, status: Status) -> impl Iterator<Item = (&String, &Notice)> {
        let all = self.all.iter().map(|(id, (_, notice))| (id, notice));
        all.filter(move |(_, notice)| notice.status == status)
    }

    /// How many are yet to be sent.
    pub fn waiting(&self) -> usize {
        self.of(Status::Pending).count()
    }

    /// The next that is due at a receiver, the oldest first.
    pub fn due(&self, hook: &str, now_ms: u64) -> Option<(String, Notice)> {
        let due = self.of(Status::Pending);
        let due = due.filter(|(_, it)| it.webhook == hook && it.due_ms <= now_ms);
        let first = due.min_by_key(|(_, it)| (it.created_ms, it.due_ms));
        first.map(|(id, notice)| (id.clone(), notice.clone()))
    }

    /// More than are to be remembered, the oldest.
    pub fn too_many(&self, dead_max: usize) -> Vec<String> {
        let mut too_many = Vec::new();
        for (status, max) in [(Status::Delivered, DELIVERED_MAX), (Status::Dead, dead_max)] {
            let mut all: Vec<_> = self.of(status).map(|(id, it)| (it.done_ms, id)).collect();
            all.sort_unstable();
            let over = all.len().saturating_sub(max);
            too_many.extend(all.into_iter().take(over).map(|(_, id)| id.clone()));
        }
        too_many
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice() -> Notice {
        Notice {
            webhook: "a".into(),
            event: "firing".into(),
            alert: "r".into(),
            metric: "m".into(),
            body: "{}".into(),
            status: Status::Pending,
            created_ms: 0,
            attempts: 0,
            due_ms: 0,
            done_ms: None,
            last_error: None,
        }
    }

    fn failed(is_final: bool, retry_after: Option<Duration>) -> Result<(), NotSent> {
        Err(NotSent {
            reason: "x".repeat(1000),
            is_final,
            retry_after,
        })
    }

    #[test]
    fn waits_double_up_to_a_bound_and_then_it_is_given_up() {
        for chance in [0.0, 0.5, 1.0] {
            let mut notice = notice();
            let mut waits = Vec::new();
            while notice.status == Status::Pending {
                let now_ms = notice.due_ms;
                notice = notice.tried(&failed(false, None), chance, now_ms);
                waits.push(notice.due_ms - now_ms);
            }
            assert_eq!(
                (notice.status, notice.attempts),
                (Status::Dead, ATTEMPTS_MAX)
            );
            let first = if chance == 1.0 {
                5000
            } else {
                2500 + (2500.0 * chance) as u64
            };
            assert_eq!(waits[0], first);
            assert!(
                waits.windows(2).take(9).all(|pair| pair[1] == 2 * pair[0]),
                "{waits:?}"
            );
            assert!(waits.iter().all(|wait| *wait <= 3 * 3600 * 1000));
            assert!(
                notice
                    .last_error
                    .is_some_and(|it| it.len() == REASON_CHARS_MAX)
            );
        }
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_or_for_nothing_more() {
        let later = notice().tried(&failed(false, Some(Duration::from_secs(60))), 0.0, 0);
        assert_eq!((later.status, later.due_ms), (Status::Pending, 60_000));
        let gone = notice().tried(&failed(true, None), 0.0, 7);
        assert_eq!((gone.status, gone.done_ms), (Status::Dead, Some(7)));
        let anew = gone.anew(9);
        assert_eq!(
            (anew.status, anew.attempts, anew.due_ms),
            (Status::Pending, 0, 9)
        );
        let done = anew.tried(&Ok(()), 0.0, 11);
        assert_eq!((done.status, done.done_ms), (Status::Delivered, Some(11)));
    }

    #[test]
    fn what_is_over_is_remembered_for_a_while_and_what_is_due_goes_in_order() {
        let mut notices = Notices::default();
        let id = |n: u64| MessageId::new(n, 0).unwrap();
        for n in 1..=110 {
            let done = Notice {
                done_ms: Some(n),
                status: Status::Delivered,
                ..notice()
            };
            notices.put(&format!("n{n}"), id(n), Some(done));
        }
        assert_eq!(notices.too_many(5).len(), 10);
        assert!(notices.too_many(5).contains(&"n1".to_owned()));
        let pending = |created_ms| Notice {
            created_ms,
            due_ms: 50,
            ..notice()
        };
        notices.put("b", id(200), Some(pending(2)));
        notices.put("a", id(201), Some(pending(3)));
        assert_eq!(notices.due("a", 49), None);
        assert_eq!(notices.due("a", 50).unwrap().0, "b");
        assert_eq!(notices.due("c", 50), None);
        notices.put("b", id(199), None);
        assert!(notices.has("b"), "what is older changes nothing");
        notices.put("b", id(202), None);
        assert_eq!(notices.due("a", 50).unwrap().0, "a");
    }
}
