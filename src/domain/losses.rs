//! Which of the messages that matter a session was sent, where it was not sent all of them.

use std::collections::VecDeque;

use super::backlog::Backlog;
use super::message::{MessageId, PerPriority, Priority};

/// Gaps that a session remembers. Of what was before them nothing is known.
const GAPS_MAX: usize = 4;
/// Messages of a gap that are remembered one by one, so that a session stays small.
const SENT_MAX: usize = 128;

/// The last gaps in what a session was sent.
#[derive(Debug, Clone, Default)]
pub struct Losses {
    /// What was lost up to here nobody knows.
    unknown_to: MessageId,
    gaps: VecDeque<Gap>,
}

/// A backlog that was sent with something left out.
#[derive(Debug, Clone)]
struct Gap {
    after: MessageId,
    through: MessageId,
    dropped: PerPriority<u64>,
    conflated: u64,
    /// What was sent of the critical and high ones; `None`: too much to remember.
    sent: Option<Box<[MessageId]>>,
}

impl Losses {
    /// For a session that may have lost anything up to `unknown_to`.
    pub fn since(unknown_to: MessageId) -> Self {
        Self {
            unknown_to,
            ..Self::default()
        }
    }

    /// Of what came after `after` and up to `through`, `backlog` is all that is sent.
    pub fn note(&mut self, after: MessageId, through: MessageId, backlog: &Backlog) {
        let kept = backlog.messages.iter().filter(|it| matters(it.priority));
        let sent: Box<[_]> = kept.map(|message| message.id).take(SENT_MAX + 1).collect();
        if self.gaps.len() == GAPS_MAX
            && let Some(gap) = self.gaps.pop_front()
        {
            self.unknown_to = self.unknown_to.max(gap.through);
        }
        self.gaps.push_back(Gap {
            after,
            through,
            dropped: backlog.receipt.dropped,
            conflated: backlog.receipt.conflated,
            sent: Some(sent).filter(|sent| sent.len() <= SENT_MAX),
        });
    }

    /// Whether a message that the session had a right to was sent to it, which a later value may have replaced
    /// since; `None`: nobody knows any more.
    pub fn was_sent(&self, id: MessageId, priority: Priority, is_replaced: bool) -> Option<bool> {
        if id <= self.unknown_to {
            return None;
        }
        // A client may come back from before an earlier gap: the last word counts.
        let mut gaps = self.gaps.iter().rev();
        let gap = gaps.find(|gap| gap.after < id && id <= gap.through);
        match gap {
            None => Some(true),
            Some(gap) if gap.dropped[priority] == 0 && (!is_replaced || gap.conflated == 0) => {
                Some(true)
            }
            Some(gap) if matters(priority) => Some(gap.sent.as_ref()?.contains(&id)),
            Some(_) => None,
        }
    }
}

fn matters(priority: Priority) -> bool {
    matches!(priority, Priority::Critical | Priority::High)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::backlog::Receipt;
    use crate::domain::message::Retain;
    use crate::domain::testing::{id, metric, sized};

    fn backlog(sent: &[(u64, Priority)], dropped: &[Priority]) -> Backlog {
        let mut receipt = Receipt::default();
        dropped.iter().for_each(|it| receipt.dropped[*it] += 1);
        let message =
            |(number, priority): &_| sized(*number, metric("a"), *priority, Retain::All, 10);
        Backlog {
            messages: sent.iter().map(message).collect(),
            receipt,
        }
    }

    #[test]
    fn within_a_gap_what_was_sent_is_told_from_what_was_not() {
        use Priority::{High, Low};
        let mut losses = Losses::since(id(10));
        losses.note(
            id(20),
            id(30),
            &backlog(&[(22, High), (23, Low)], &[High, Low]),
        );
        for (number, priority, expected) in [
            (9, High, None),
            (10, High, None),
            (15, High, Some(true)),
            (20, High, Some(true)),
            (21, High, Some(false)),
            (22, High, Some(true)),
            (30, High, Some(false)),
            (31, High, Some(true)),
            (22, Priority::Critical, Some(true)),
            (23, Low, None),
        ] {
            let sent = losses.was_sent(id(number), priority, false);
            assert_eq!(sent, expected, "{number} {priority:?}");
        }
    }

    #[test]
    fn a_value_that_a_later_one_replaced_may_have_been_left_out_too() {
        use Priority::High;
        let mut losses = Losses::default();
        let mut with_gauge = backlog(&[(25, High)], &[]);
        with_gauge.receipt.conflated = 1;
        losses.note(id(20), id(30), &with_gauge);
        for (number, priority, expected) in [
            (15, High, Some(true)),
            (21, High, Some(false)),
            (25, High, Some(true)),
            (21, Priority::Low, None),
        ] {
            let sent = losses.was_sent(id(number), priority, true);
            assert_eq!(sent, expected, "{number} {priority:?}");
            assert_eq!(losses.was_sent(id(number), priority, false), Some(true));
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        use Priority::High;
        let mut losses = Losses::default();
        for gap in 1..=5 {
            losses.note(id(10 * gap), id(10 * gap + 5), &backlog(&[], &[High]));
        }
        assert_eq!(losses.was_sent(id(12), High, false), None);
        assert_eq!(losses.was_sent(id(18), High, false), Some(true));
        assert_eq!(losses.was_sent(id(22), High, false), Some(false));
        let many: Vec<_> = (60..=60 + SENT_MAX as u64).map(|n| (n, High)).collect();
        losses.note(id(59), id(400), &backlog(&many, &[High]));
        assert_eq!(losses.was_sent(id(60), High, false), None);
    }
}
