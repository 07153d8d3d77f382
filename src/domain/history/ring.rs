//! The messages of one topic and priority: the newest, and the ids of those that went.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Fate;
use crate::domain::message::{Message, MessageId};

#[derive(Debug, Default)]
pub(super) struct Ring {
    pub kept: VecDeque<Arc<Message>>,
    pub gone: VecDeque<MessageId>,
    /// Ids up to this one have been cut from `gone`.
    pub cut: MessageId,
    /// What came before this gauge update was replaced by it, not dropped.
    pub replaced_before: MessageId,
}

impl Ring {
    pub fn front(&self) -> Option<MessageId> {
        self.kept.front().map(|message| message.id)
    }

    /// Moves the oldest message from kept to gone; returns the bytes that this freed.
    pub fn let_go(&mut self) -> usize {
        let Some(message) = self.kept.pop_front() else {
            return 0;
        };
        self.gone.push_back(message.id);
        message.cost()
    }

    pub fn bytes(&self) -> usize {
        self.kept.iter().map(|message| message.cost()).sum()
    }

    pub fn last_gone(&self) -> MessageId {
        self.gone.back().copied().unwrap_or_default()
    }

    /// How many went after `from` up to `to`: dropped, and replaced by a later gauge update.
    pub fn missed(&self, from: MessageId, to: MessageId) -> (u64, u64) {
        let index = |id: MessageId| self.gone.partition_point(|gone| *gone <= id);
        let (start, end) = (index(from), index(to));
        let replaced = self
            .gone
            .partition_point(|gone| *gone < self.replaced_before)
            .clamp(start, end.max(start));
        (
            end.saturating_sub(replaced) as u64,
            (replaced - start) as u64,
        )
    }

    /// What has become of this message; `None`: it is none of these.
    pub fn fate(&self, id: MessageId) -> Option<Fate> {
        if self
            .kept
            .binary_search_by_key(&id, |message| message.id)
            .is_ok()
        {
            return Some(Fate::Kept);
        }
        self.gone.binary_search(&id).ok()?;
        Some(match id < self.replaced_before {
            true => Fate::Replaced,
            false => Fate::Gone,
        })
    }

    pub fn after(&self, position: MessageId) -> impl Iterator<Item = &Arc<Message>> {
        let start = self.kept.partition_point(|message| message.id <= position);
        self.kept.range(start..)
    }

    pub fn cut(&mut self, to: MessageId) {
        let ids = self.gone.partition_point(|gone| *gone <= to);
        if let Some(newest) = ids.checked_sub(1).map(|last| self.gone[last]) {
            self.gone.drain(..ids);
            self.gone.shrink_to_fit();
            self.cut = newest;
        }
    }
}
