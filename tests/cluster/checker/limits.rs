//! A user has no more live connections over all hubs than allowed, but for a lease after a failure.

use std::collections::{BTreeMap, BTreeSet};

use super::{Found, Promise, Rule};
use crate::record::{Event, Millis, Record};

/// One session that is taken over is on two streams for a moment, so sessions are counted; and what a
/// hub has ended is read by its client a little later.
const SEEN_LATE: Millis = 500;

pub fn check(record: &Record, promise: Promise, found: &mut Found) {
    let mut users: BTreeMap<&str, Vec<(Millis, Millis, &str)>> = BTreeMap::new();
    for client in &record.clients {
        let connections = users.entry(&client.user).or_default();
        let mut open: Option<(Millis, &str)> = None;
        for (at, event) in &client.events {
            match event {
                Event::Opened(opened) => open = open.or(Some((*at, &opened.session))),
                Event::Asked { .. } | Event::Broken(_) | Event::Replaced | Event::Shutdown => {
                    connections.extend(open.take().map(|(since, it)| (since, *at, it)));
                }
                _ => {}
            }
        }
        connections.extend(open.map(|(since, it)| (since, Millis::MAX, it)));
    }
    let excused = |at: Millis| {
        let mut windows = record.failures.iter();
        windows.any(|(from, until)| *from <= at && at <= until.saturating_add(promise.lease))
    };
    let leases = record
        .failures
        .iter()
        .map(|(_, until)| until.saturating_add(promise.lease).saturating_add(1));
    let leases: Vec<Millis> = leases.collect();
    for (user, connections) in users {
        // It can become too many when one opens, or have become so where that was excused.
        let openings = connections.iter().map(|it| it.0);
        let moments: BTreeSet<Millis> = openings.chain(leases.iter().copied()).collect();
        for at in moments
            .into_iter()
            .filter(|at| *at <= record.ended && !excused(*at))
        {
            let live = |(since, until, _): &&(Millis, Millis, &str)| {
                *since <= at && at + SEEN_LATE < *until
            };
            let sessions: BTreeSet<_> = connections.iter().filter(live).map(|it| it.2).collect();
            if sessions.len() > promise.connections_max {
                let (count, max) = (sessions.len(), promise.connections_max);
                found.add(
                    Rule::Limit,
                    format!("{user} has {count} connections at {at}, {max} allowed"),
                );
            }
        }
    }
}
