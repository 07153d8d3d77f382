//! What a session is owed after a position, and whether that is what it gets.

use super::*;

impl Oracle {
    /// What a session is owed after `position`, and how much more it was owed before it gave up
    /// patterns.
    pub(super) fn missed(&self, session: usize, position: MessageId) -> (Vec<usize>, usize) {
        let session = &self.sessions[session];
        let start = session.owed.partition_point(|owed| owed.id <= position);
        let (mut missed, mut given_up) = (Vec::new(), 0);
        for owed in &session.owed[start..] {
            if session.still_wants(owed) {
                missed.push(owed.index);
            } else {
                given_up += 1;
            }
        }
        (missed, given_up)
    }

    /// Checks the backlog of a session whose client was sent everything up to `low`, or up to
    /// `high`. Returns between which two the client is taken to be. No receipt means that nothing
    /// was said, because nothing was dropped.
    pub(super) fn check_backlog(
        &self,
        session: usize,
        low: MessageId,
        high: MessageId,
        sent: &[MessageId],
        receipt: Option<&Receipt>,
    ) -> (MessageId, MessageId) {
        let right = |from| self.backlog_error(session, from, sent, receipt);
        match (right(low), right(high)) {
            (None, None) => (low, high),
            (None, Some(_)) => (low, low),
            (Some(_), None) => (high, high),
            (Some(error), Some(_)) => panic!("backlog after {low:?}: {error}"),
        }
    }

    fn backlog_error(
        &self,
        session: usize,
        from: MessageId,
        sent: &[MessageId],
        receipt: Option<&Receipt>,
    ) -> Option<String> {
        let (missed, given_up) = self.missed(session, from);
        let fate = self.log.fate(&missed);
        let all_counted = missed.iter().all(|i| !self.log.all[*i].is_uncounted);
        if self.literal && all_counted && from >= self.log.origin {
            assert_eq!(
                fate.sent,
                self.log.literal_buffer(&missed),
                "the two models agree"
            );
        }
        if fate.sent != sent {
            return Some(format!(
                "sent {sent:?}, not {:?} of {} missed",
                fate.sent,
                missed.len()
            ));
        }
        let expected = fate.dropped.total() + fate.conflated;
        assert_eq!(fate.sent.len() as u64 + expected, missed.len() as u64);
        let Some(receipt) = receipt else {
            return (fate.dropped.total() > 0).then(|| format!("{fate:?}, and nothing is said"));
        };
        let total = receipt.dropped.total() + receipt.conflated;
        if self.counts_forgotten && given_up > 0 {
            // What was counted early was counted under the subscription of that time.
            return (!(expected..=expected + given_up as u64).contains(&total))
                .then(|| format!("{total} not sent, {expected} and up to {given_up} are owed"));
        }
        if total != expected {
            return Some(format!("{total} not sent, {expected} are owed"));
        }
        let names: Vec<&str> = receipt.metrics.iter().map(|name| name.as_str()).collect();
        let split = (receipt.dropped, receipt.conflated) == (fate.dropped, fate.conflated);
        (self.exact_split && (!split || names != fate.metrics))
            .then(|| format!("told {receipt:?}, not {fate:?}"))
    }

    /// Checks what a lagging connection gets.
    pub fn drained(&mut self, key: ConnectionKey, effects: &[Effect]) {
        let Some(index) = self.by_key(key) else {
            assert!(effects.is_empty());
            return;
        };
        let (low, high) = (
            self.sessions[index].sent_low,
            self.sessions[index].sent_high,
        );
        let caught_up = effects.iter().find_map(|effect| match effect {
            Effect::CatchUp(to, pieces, through) if *to == key => Some((pieces, through)),
            _ => None,
        });
        let Some((pieces, through)) = caught_up else {
            if self.sessions[index].is_live() {
                self.visit("trouble");
                let may = low < self.log.origin || self.sessions[index].fell_behind_late;
                assert!(may, "a lagging client that could have been served");
                self.expect_closes(effects, [(key, Goodbye::Trouble)]);
            }
            return;
        };
        assert_eq!(*through, self.log.last);
        let (receipt, rest) = match pieces.split_first() {
            Some((Piece::Notice(Notice::Dropped(receipt)), rest)) => {
                assert!(
                    receipt.dropped.total() > 0,
                    "nothing was dropped, so nothing is said"
                );
                (Some(receipt), rest)
            }
            _ => (None, &pieces[..]),
        };
        self.check_backlog(index, low, high, &ids(rest), receipt);
        self.visit(match receipt {
            Some(_) => "caught up with something dropped",
            None => "caught up",
        });
    }
}

pub(super) fn ids(pieces: &[Piece]) -> Vec<MessageId> {
    let id = |piece: &Piece| match piece {
        Piece::Message(message) => message.id,
        Piece::Notice(notice) => panic!("{notice:?} among the replayed messages"),
    };
    pieces.iter().map(id).collect()
}
