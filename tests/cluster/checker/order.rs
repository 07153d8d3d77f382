//! One order for all. As the same id is the same message everywhere, it is enough that ids grow.

use super::lives::Life;
use super::{Found, Rule};
use crate::record::{Event, Millis};
use crate::support::id::Id;

pub fn check(life: &Life, found: &mut Found) {
    let log = life.log;
    let mut last: Option<Id> = None;
    let mut awaits_snapshot = false;
    for (at, event) in &log.events {
        // Who does not say what arrived gets it again, in order from there.
        let begins = matches!(event, Event::Asked { .. }) && !log.follows.is_honest();
        let shows_nothing = matches!(
            event,
            Event::Asked {
                with_token: false,
                position: None,
                ..
            }
        );
        if begins || shows_nothing {
            last = None;
        }
        match event {
            Event::Opened(opened) => awaits_snapshot = !opened.resumed,
            Event::Snapshot { .. } => awaits_snapshot = false,
            Event::Message { id, .. } if awaits_snapshot => found.add(
                Rule::Order,
                format!(
                    "{} got {id} at {at} before the snapshot that was announced",
                    log.name
                ),
            ),
            _ => {}
        }
        let Some(id) = event.id() else { continue };
        let is_message = matches!(event, Event::Message { .. });
        // A snapshot and a cursor may stand where the client is already, a message may not.
        if let Some(last) = last.filter(|last| id < *last || is_message && id == *last) {
            let what = kind(event, id);
            found.add(
                Rule::Order,
                format!("{} got {what} at {at} after {last}", log.name),
            );
        }
        last = last.max(Some(id));
    }
    if log.follows.is_honest() {
        for (id, times) in life.got.iter().filter(|(_, times)| times.len() > 1) {
            found.add(Rule::Twice, format!("{} got {id} at {times:?}", log.name));
        }
    }
}

fn kind(event: &Event, id: Id) -> String {
    match event {
        Event::Snapshot { .. } => format!("a snapshot of {id}"),
        Event::Cursor(_) => format!("the position {id}"),
        _ => id.to_string(),
    }
}

/// A session is known everywhere once it is so old.
const KNOWN_AFTER: Millis = 1000;

/// For where nothing that is shared is lost: who has been there goes on, wherever it comes.
pub fn check_that_nobody_begins_anew(life: &Life, found: &mut Found) {
    let log = life.log;
    let mut had_something = false;
    let mut since = None;
    for (at, event) in &log.events {
        match event {
            Event::Asked {
                with_token,
                position,
                ..
            } => {
                had_something = *with_token || position.is_some();
            }
            Event::Opened(opened) => {
                if had_something && !opened.resumed {
                    found.add(
                        Rule::Anew,
                        format!("{} had to begin anew at {at}", log.name),
                    );
                }
                had_something = true;
                since = since.or(Some(*at));
            }
            Event::Refused { status: 410, .. } => {
                let since = since.take();
                let is_known = since.is_some_and(|since| since + KNOWN_AFTER < *at);
                found.add_if(is_known, Rule::Anew, || {
                    format!("the session of {} is unknown at {at}", log.name)
                });
            }
            _ => {}
        }
    }
}
