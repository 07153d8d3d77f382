//! Messages handed to sockets, by how they went and how urgent they were.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use crate::domain::message::{PerPriority, Priority, Transport};

/// Counts of one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delivered {
    sse: PerPriority<u64>,
    websocket: PerPriority<u64>,
}

impl Delivered {
    fn by(&mut self, transport: Transport) -> &mut PerPriority<u64> {
        match transport {
            Transport::Sse => &mut self.sse,
            Transport::Websocket => &mut self.websocket,
        }
    }

    pub fn count(&mut self, transport: Transport, priority: Priority) {
        self.by(transport)[priority] += 1;
    }

    pub fn add(&mut self, other: &Self) {
        self.sse.add(&other.sse);
        self.websocket.add(&other.websocket);
    }

    pub fn total(&self) -> u64 {
        self.sse.total() + self.websocket.total()
    }

    pub fn iter(&self) -> impl Iterator<Item = (Transport, Priority, u64)> {
        let by = |transport, counts: PerPriority<u64>| {
            Priority::ALL.map(|priority| (transport, priority, counts[priority]))
        };
        let websocket = by(Transport::Websocket, self.websocket);
        by(Transport::Sse, self.sse).into_iter().chain(websocket)
    }
}

impl std::iter::Sum for Delivered {
    fn sum<I: Iterator<Item = Self>>(counts: I) -> Self {
        counts.fold(Self::default(), |mut sum, it| {
            sum.add(&it);
            sum
        })
    }
}

/// Counts that are read from any thread while they grow.
#[derive(Debug, Default)]
pub struct Growing {
    sse: PerPriority<AtomicU64>,
    websocket: PerPriority<AtomicU64>,
}

impl Growing {
    pub fn add(&self, more: &Delivered) {
        for (transport, priority, count) in more.iter().filter(|(.., count)| *count > 0) {
            let counts = match transport {
                Transport::Sse => &self.sse,
                Transport::Websocket => &self.websocket,
            };
            counts[priority].fetch_add(count, Ordering::Relaxed);
        }
    }

    pub fn now(&self) -> Delivered {
        let read = |counts: &PerPriority<AtomicU64>| {
            let mut read = PerPriority::default();
            for (priority, count) in counts.iter() {
                read[priority] = count.load(Ordering::Relaxed);
            }
            read
        };
        Delivered {
            sse: read(&self.sse),
            websocket: read(&self.websocket),
        }
    }
}
