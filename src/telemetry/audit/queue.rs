//! What waits between those who record and the thread that writes.

use std::collections::VecDeque;
use std::time::Instant;

use super::event::Event;
use super::repeats::{Repeats, Shares};
use super::trail::{AuditState, Keeper};

#[derive(Debug)]
pub(super) struct Queue {
    /// Each with how many it stands for.
    pub events: VecDeque<(Event, u64)>,
    pub repeats: Repeats,
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
    pub fn new(shares: Shares) -> Self {
        Self {
            events: VecDeque::new(),
            repeats: Repeats::new(shares, Instant::now()),
            lost_untold: 0,
            keeper: None,
            reopen: false,
            closing: false,
            ended: false,
            state: AuditState::default(),
        }
    }

    /// Takes the event, unless it becomes part of a sum, or there is no room.
    pub fn push(&mut self, event: Event, capacity: usize, now: Instant) {
        if self.closing {
            self.lose(1);
            return;
        }
        let Some(event) = self.repeats.admit(event, now) else {
            return;
        };
        match self.events.len() < capacity {
            true => self.events.push_back((event, 1)),
            false => self.lose(1),
        }
    }

    fn lose(&mut self, events: u64) {
        self.state.lost += events;
        self.lost_untold += events;
    }

    /// Sums take no part in the capacity, for their number has a bound of its own.
    pub fn tell_due(&mut self, now: Instant) {
        self.events.extend(self.repeats.due(now));
    }

    pub fn tell_all(&mut self, now: Instant) {
        self.events.extend(self.repeats.all(now));
    }

    pub fn is_idle(&self) -> bool {
        !self.reopen && !self.closing && self.is_empty() && self.keeper.is_none()
    }

    pub fn is_empty(&self) -> bool {
        self.events.is_empty() && self.lost_untold == 0
    }
}
