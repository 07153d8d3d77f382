//! Refusals that anybody can cause as often as they like: the first of a minute are events of their
//! own, the rest are a count. Otherwise a stranger with bad tokens would fill the disk, and push out of
//! the queue and of the store what others really did.

use std::time::{Duration, Instant};

use super::event::{Action, Event, Outcome};

const WINDOW: Duration = Duration::from_secs(60);

/// Who was turned away, in this minute.
#[derive(Debug)]
pub(super) struct Refusals {
    per_minute: u64,
    /// Of strangers, who hide nothing that somebody with a good token tries.
    nobodys: Window,
    named: Window,
}

#[derive(Debug, Default)]
struct Window {
    began: Option<Instant>,
    events: u64,
}

impl Refusals {
    pub fn new(per_minute: u64) -> Self {
        Self {
            per_minute,
            nobodys: Window::default(),
            named: Window::default(),
        }
    }

    /// Whether an event stands for itself. One that does not is counted.
    pub fn admit(&mut self, event: &Event, now: Instant) -> bool {
        let window = match (event.outcome, &event.actor) {
            (Outcome::Ok, _) => return true,
            (Outcome::Refused(_), None) => &mut self.nobodys,
            (Outcome::Refused(_), Some(_)) if event.action == Action::Denied => &mut self.named,
            // By somebody who may come in, and whose rate is limited.
            (Outcome::Refused(_), Some(_)) => return true,
        };
        window.began.get_or_insert(now);
        window.events += 1;
        window.events <= self.per_minute
    }

    /// How many were only counted, of the minutes that are over by now.
    pub fn left_out(&mut self, now: Instant) -> u64 {
        self.take(|began| now.saturating_duration_since(began) >= WINDOW)
    }

    /// How many were only counted, over or not.
    pub fn rest(&mut self) -> u64 {
        self.take(|_| true)
    }

    fn take(&mut self, is_over: impl Fn(Instant) -> bool) -> u64 {
        let windows = [&mut self.nobodys, &mut self.named].into_iter();
        windows
            .filter(|window| window.began.is_some_and(&is_over))
            .map(|window| {
                std::mem::take(window)
                    .events
                    .saturating_sub(self.per_minute)
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::UserId;
    use jiff::Timestamp;

    fn event(action: Action, actor: Option<&str>, outcome: Outcome) -> Event {
        Event {
            actor: actor.and_then(UserId::parse),
            outcome,
            ..Event::new(action, Timestamp::UNIX_EPOCH)
        }
    }

    /// Attack: a flood of bad tokens, against the log and the trail.
    #[test]
    fn the_first_of_a_minute_stand_for_themselves_and_the_rest_is_a_count() {
        let (mut refusals, begun) = (Refusals::new(2), Instant::now());
        let bad = event(Action::Denied, None, Outcome::Refused("unauthenticated"));
        let at = |seconds| begun + Duration::from_secs(seconds);
        let admitted = |refusals: &mut Refusals, seconds| refusals.admit(&bad, at(seconds));
        let first: Vec<bool> = (0..5).map(|nth| admitted(&mut refusals, nth)).collect();
        assert_eq!(first, [true, true, false, false, false]);
        assert_eq!(refusals.left_out(at(59)), 0, "the minute is not over");
        assert_eq!(refusals.left_out(at(60)), 3);
        assert_eq!(refusals.left_out(at(60)), 0, "told once");
        assert!(admitted(&mut refusals, 61));
        assert!(admitted(&mut refusals, 62) && !admitted(&mut refusals, 63));
        assert_eq!((refusals.rest(), refusals.rest()), (1, 0));
    }

    /// Attack: a flood of bad tokens, against the log and the trail.
    #[test]
    fn who_may_come_in_is_always_recorded_and_strangers_hide_nobody() {
        let (mut refusals, now) = (Refusals::new(1), Instant::now());
        let refused = Outcome::Refused("forbidden");
        for _ in 0..3 {
            refusals.admit(&event(Action::Denied, None, refused), now);
            refusals.admit(&event(Action::Resume, None, refused), now);
        }
        for (action, actor, outcome, admitted) in [
            (Action::Resume, None, refused, false),
            (Action::Denied, Some("gus"), refused, true),
            (Action::Denied, Some("eve"), refused, false),
            (Action::OperatorDisconnect, Some("ada"), refused, true),
            (Action::OperatorDisconnect, Some("ada"), Outcome::Ok, true),
            (Action::Start, None, Outcome::Ok, true),
        ] {
            let event = event(action, actor, outcome);
            assert_eq!(refusals.admit(&event, now), admitted, "{event:?}");
        }
    }
}
