//! What takes time on its way.

use std::collections::VecDeque;

use crate::rng::Rng;
use crate::weather::Weather;

/// First in, first out, after a while.
pub struct Channel<T> {
    queue: VecDeque<(u64, T)>,
}

impl<T> Channel<T> {
    pub fn push(&mut self, step: u64, item: T) {
        self.queue.push_back((step, item));
    }

    /// What arrives in this step.
    pub fn arriving(&mut self, step: u64, weather: &Weather, rng: &mut Rng) -> Vec<T> {
        let mut count = self
            .queue
            .iter()
            .take_while(|(sent, _)| step - sent >= weather.delay_max)
            .count();
        if rng.per_mille(weather.rates.flow) {
            count = count.max(rng.between(1, 6)).min(self.queue.len());
        }
        self.queue.drain(..count).map(|(_, item)| item).collect()
    }
}

impl<T> Default for Channel<T> {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
        }
    }
}
