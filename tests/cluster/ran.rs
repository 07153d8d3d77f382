//! What came of a scenario.

use crate::checker::Violation;
use crate::record::Event::{self, Broken, Dropped, Message, Opened, Refused};
use crate::record::{ClientLog, Record};

pub struct Ran {
    pub record: Record,
    pub violations: Vec<Violation>,
    pub hub_logs: Vec<String>,
    pub server_logs: String,
}

impl Ran {
    /// What there was to judge, on one line.
    pub fn summary(&self) -> String {
        let count = |is_it: fn(&Event) -> bool| {
            let events = self.record.clients.iter().flat_map(|it| &it.events);
            events.filter(|(_, event)| is_it(event)).count()
        };
        let publishes = &self.record.publishes;
        let acknowledged = publishes.iter().filter(|it| it.id().is_some()).count();
        format!(
            "{acknowledged} of {} acknowledged, {} received, {} broken, {} refused, {} resumed, {} anew, {} told dropped, \
             {} ms",
            publishes.len(),
            count(|it| matches!(it, Message { .. })),
            count(|it| matches!(it, Broken(_))),
            count(|it| matches!(it, Refused { .. })),
            count(|it| matches!(it, Opened(opened) if opened.resumed)),
            count(|it| matches!(it, Opened(opened) if !opened.resumed)),
            self.told(),
            self.record.ended,
        )
    }

    /// Messages that clients were told they will not get.
    fn told(&self) -> u64 {
        let events = self.record.clients.iter().flat_map(|it| &it.events);
        let told = events.map(|(_, event)| match event {
            Opened(opened) => opened.dropped + opened.conflated,
            Dropped { dropped, conflated } => dropped + conflated,
            _ => 0,
        });
        told.sum()
    }

    /// A run in which nobody published or received proves nothing.
    pub fn saw_something(&self) -> bool {
        let has_some = |it: &ClientLog| {
            it.events
                .iter()
                .filter(|(_, event)| event.id().is_some())
                .count()
                > 5
        };
        self.record
            .publishes
            .iter()
            .filter(|it| it.id().is_some())
            .count()
            > 20
            && self.record.clients.iter().any(has_some)
    }
}
