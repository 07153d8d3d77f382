//! What waits to be counted: bounded, and nobody waits for room.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::rules::{Observed, Rules};
use crate::domain::aggregate::Origin;
use crate::domain::pattern::MetricName;

/// There is no room for so many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

/// What the counter is told. A permit is given back when it has been counted.
pub enum Item {
    Events(Observed, OwnedSemaphorePermit),
    Rules(Arc<Rules>),
    /// What was to be written of a metric's aggregate was not.
    NotWritten(MetricName, Origin),
    Stop(oneshot::Sender<()>),
}

/// The way in. There is room for so many events; the rest are a few.
#[derive(Clone)]
pub struct Queue {
    items: mpsc::UnboundedSender<Item>,
    events: Arc<Semaphore>,
    max: usize,
}

impl Queue {
    pub fn new(max: usize) -> (Self, mpsc::UnboundedReceiver<Item>) {
        let (items, received) = mpsc::unbounded_channel();
        let max = max.min(u32::MAX as usize >> 4);
        let queue = Self {
            items,
            events: Arc::new(Semaphore::new(max)),
            max,
        };
        (queue, received)
    }

    pub fn events_max(&self) -> usize {
        self.max
    }

    /// Events that wait.
    pub fn waiting(&self) -> usize {
        self.max - self.events.available_permits()
    }

    pub fn events(&self, observed: Observed) -> Result<(), Full> {
        let many = u32::try_from(observed.events).map_err(|_| Full)?;
        let permit = self.events.clone().try_acquire_many_owned(many);
        let permit = permit.map_err(|_| Full)?;
        self.items
            .send(Item::Events(observed, permit))
            .map_err(|_| Full)
    }

    pub fn tell(&self, item: Item) {
        // Without a counter there is nobody to be told.
        let _ = self.items.send(item);
    }
}
