//! What somebody does again and again: the first of an hour are events of their own, the rest is told
//! once a minute as a sum. Otherwise a publisher, or a stranger with bad tokens, would fill the disk, and
//! push out of the queue and of the store what others really did.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::event::{Action, Event, Outcome};
use super::sum::Sum;
use crate::config;
use crate::domain::message::UserId;
use crate::telemetry::window::Window;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
/// Users with an action and an outcome that are told apart at a time.
const KINDS_MAX: usize = 16_384;

/// How many of a kind stand for themselves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shares {
    pub denied_per_minute: u64,
    pub alike_per_hour: u64,
}

impl From<&config::Audit> for Shares {
    fn from(settings: &config::Audit) -> Self {
        Self {
            denied_per_minute: settings.denied_per_minute.into(),
            alike_per_hour: settings.alike_per_hour.into(),
        }
    }
}

/// What goes on, and what of it is yet to be told.
#[derive(Debug)]
pub(super) struct Repeats {
    shares: Shares,
    /// When sums were told last, or might have been.
    pub told: Instant,
    seen: HashMap<Kind, Seen>,
    /// Of `seen`, those with a sum.
    sums: usize,
}

/// Events that share a share.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Kind {
    /// Refused without a good token. They hide nobody who has one.
    Strangers,
    /// With a good token that is not good enough, of all users together: there may be very many.
    TurnedAway,
    Alike {
        actor: UserId,
        action: Action,
        outcome: Outcome,
    },
}

#[derive(Debug)]
struct Seen {
    window: Window,
    sum: Option<Sum>,
}

impl Repeats {
    pub fn new(shares: Shares, now: Instant) -> Self {
        Self {
            shares,
            told: now,
            seen: HashMap::new(),
            sums: 0,
        }
    }

    /// Gives back an event that stands for itself. One that does not becomes part of a sum.
    pub fn admit(&mut self, event: Event, now: Instant) -> Option<Event> {
        let actor = match (&event.actor, event.outcome) {
            _ if event.action.is_deed() => return Some(event),
            (None, Outcome::Ok) => return Some(event),
            (None, Outcome::Refused(_)) => return self.count(Kind::Strangers, event, now),
            (Some(actor), _) => actor.clone(),
        };
        let (action, outcome) = (event.action, event.outcome);
        let alike = Kind::Alike {
            actor,
            action,
            outcome,
        };
        let event = self.count(alike, event, now)?;
        match action {
            Action::Denied => self.count(Kind::TurnedAway, event, now),
            _ => Some(event),
        }
    }

    fn count(&mut self, kind: Kind, event: Event, now: Instant) -> Option<Event> {
        let (max, length) = kind.share(self.shares);
        if self.seen.len() >= KINDS_MAX && !self.seen.contains_key(&kind) && !self.make_room() {
            return Some(event);
        }
        let seen = self.seen.entry(kind).or_insert_with(|| Seen {
            window: Window::new(now),
            sum: None,
        });
        if seen.window.is_over(now, length) {
            seen.window = Window::new(now);
        }
        if seen.window.admit(max) {
            return Some(event);
        }
        match &mut seen.sum {
            Some(sum) => sum.add(event),
            None => {
                seen.sum = Some(Sum::of(event));
                self.sums += 1;
            }
        }
        None
    }

    /// Forgets who has nothing summed up; what they do next is told one by one anew. False: there is nobody.
    fn make_room(&mut self) -> bool {
        let is_possible = self.sums < self.seen.len();
        if is_possible {
            self.seen.retain(|_, seen| seen.sum.is_some());
        }
        is_possible
    }

    /// How long until sums are due.
    pub fn due_in(&self, now: Instant) -> Duration {
        MINUTE.saturating_sub(now.saturating_duration_since(self.told))
    }

    /// The sums, where they are due: events, and how many each stands for.
    pub fn due(&mut self, now: Instant) -> Vec<(Event, u64)> {
        match self.due_in(now).is_zero() {
            true => self.all(now),
            false => Vec::new(),
        }
    }

    /// The sums, due or not.
    pub fn all(&mut self, now: Instant) -> Vec<(Event, u64)> {
        self.told = now;
        self.sums = 0;
        let mut sums = Vec::new();
        let shares = self.shares;
        self.seen.retain(|kind, seen| {
            sums.extend(seen.sum.take().map(|sum| kind.told(sum)));
            !seen.window.is_over(now, kind.share(shares).1)
        });
        sums
    }

    /// Events that are in no line yet.
    pub fn untold(&self) -> u64 {
        let sums = self.seen.values().filter_map(|seen| seen.sum.as_ref());
        sums.map(Sum::events).sum()
    }
}

impl Kind {
    fn share(&self, shares: Shares) -> (u64, Duration) {
        match self {
            Self::Strangers | Self::TurnedAway => (shares.denied_per_minute, MINUTE),
            Self::Alike { .. } => (shares.alike_per_hour, HOUR),
        }
    }

    fn told(&self, sum: Sum) -> (Event, u64) {
        let (events, now) = (sum.events(), Timestamp::now());
        let event = match self {
            Self::Strangers | Self::TurnedAway => {
                // Whose role it was is nobody's.
                let told = sum.fill(Event::new(Action::DeniedMore, now), "denied");
                Event { role: None, ..told }
            }
            Self::Alike {
                actor,
                action,
                outcome,
            } => {
                let event = Event {
                    actor: Some(actor.clone()),
                    outcome: *outcome,
                    ..Event::new(*action, now)
                };
                sum.fill(event, "events")
            }
        };
        (event, events)
    }
}

#[cfg(test)]
#[path = "repeats_tests.rs"]
mod tests;
