//! What waits between those who record and the thread that writes.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::event::Event;
use super::refusals::Refusals;
use super::trail::{AuditState, Keeper};

#[derive(Debug)]
pub(super) struct Queue {
    pub events: VecDeque<Event>,
    pub refusals: Refusals,
    /// Of `state.lost`, those the trail does not tell of yet.
    pub lost_untold: u64,
    /// On its way to the thread.
    pub keeper: Option<Box<dyn Keeper>>,
    pub reopen: bool,
    pub closing: bool,
    pub ended: bool,
    pub state: AuditState,
}

impl Queue {
    pub fn new(denied_per_minute: u64) -> Self {
        Self {
            events: VecDeque::new(),
            refusals: Refusals::new(denied_per_minute),
            lost_untold: 0,
            keeper: None,
            reopen: false,
            closing: false,
            ended: false,
            state: AuditState::default(),
        }
    }

    pub fn push(&mut self, event: Event, capacity: usize) {
        if self.closing || self.events.len() >= capacity {
            self.state.lost += 1;
            self.lost_untold += 1;
            return;
        }
        self.events.push_back(event);
    }

    pub fn push_denied_more(&mut self, events: u64, capacity: usize) {
        if events > 0 {
            self.push(Event::denied_more(events, Timestamp::now()), capacity);
        }
    }

    pub fn is_idle(&self) -> bool {
        !self.reopen && !self.closing && self.is_empty() && self.keeper.is_none()
    }

    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.lost_untold == 0
    }
}
