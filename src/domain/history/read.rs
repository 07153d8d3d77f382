//! Which ids a log had that others write too.

use std::collections::VecDeque;

use crate::domain::message::MessageId;

/// The ids that were read of a shared log, the newest so many (8 bytes each). A client may come with a position in
/// a log that is gone: it lies among these, and is none of them.
#[derive(Debug)]
pub struct ReadIds {
    ids: VecDeque<MessageId>,
    max: usize,
    /// What came up to here is not remembered.
    since: MessageId,
}

impl ReadIds {
    /// Of a log that was read up to `since`, remembering up to `max`.
    pub fn new(max: usize, since: MessageId) -> Self {
        Self {
            ids: VecDeque::new(),
            max,
            since,
        }
    }

    /// The log is another one, of which nothing before `origin` counts.
    pub fn begin_anew(&mut self, origin: MessageId) {
        self.ids.clear();
        self.since = origin;
    }

    /// Ids come in order.
    pub fn push(&mut self, id: MessageId) {
        self.ids.push_back(id);
        while self.ids.len() > self.max {
            self.since = self.ids.pop_front().unwrap_or(self.since);
        }
    }

    /// Whether a position is one of this log's, or too old to tell.
    pub fn knows(&self, position: MessageId) -> bool {
        position <= self.since || self.ids.binary_search(&position).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::testing::id;

    #[test]
    fn a_position_of_another_log_is_told_from_one_of_this() {
        let mut read = ReadIds::new(3, id(10));
        [12, 14, 16].into_iter().for_each(|n| read.push(id(n)));
        let knows = |read: &ReadIds, n| read.knows(id(n));
        let all = [9, 10, 11, 12, 13, 14, 15, 16, 17].map(|n| knows(&read, n));
        assert_eq!(
            all,
            [true, true, false, true, false, true, false, true, false]
        );
        read.push(id(18));
        assert!(knows(&read, 11), "too old to tell");
        assert!(knows(&read, 12) && !knows(&read, 13));
        read.begin_anew(id(30));
        assert!(knows(&read, 16) && !knows(&read, 31));
    }
}
