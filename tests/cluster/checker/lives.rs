//! A client's events as stretches: on each it is owed everything that is for it from its beginning to
//! its end.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::record::{ClientLog, Event, Millis, Piece};
use crate::support::id::Id;

pub struct Life<'a> {
    pub log: &'a ClientLog,
    pub stretches: Vec<Stretch<'a>>,
    /// Everything that came, by id, with when; more than once where it came more than once.
    pub got: BTreeMap<Id, Vec<Millis>>,
    /// When it broke off without having read the answer, which may have been a stream with all that it missed.
    pub unread: Vec<Millis>,
}

/// From one resume or snapshot to the next.
#[derive(Debug)]
pub struct Stretch<'a> {
    /// A snapshot, which has everything up to `from`; otherwise the stretch before goes on.
    pub snapshot: Option<&'a BTreeMap<String, Value>>,
    /// The same for all stretches between which it did not begin anew.
    pub run: usize,
    /// The client has, or was told that it has not, everything up to this.
    pub from: Id,
    /// The last id that it got to.
    pub upto: Id,
    /// Messages that it was told it will not get.
    pub told: u64,
    /// It got all of its replay, so that what it was told must be as much as is missing.
    pub is_whole: bool,
    pub got: Vec<(Id, Option<&'a str>, Piece)>,
    pub until: Millis,
    /// It ended because the connection did.
    pub is_broken: bool,
}

impl<'a> Life<'a> {
    /// Its runs are counted from `run` on.
    pub fn of(log: &'a ClientLog, run: usize) -> Self {
        let mut reader = Reader {
            run,
            ..Reader::default()
        };
        for (at, event) in &log.events {
            reader.read(*at, event);
        }
        reader.close(Millis::MAX, false);
        let mut got: BTreeMap<Id, Vec<Millis>> = BTreeMap::new();
        for (at, event) in &log.events {
            if let Event::Message { id, .. } = event {
                got.entry(*id).or_default().push(*at);
            }
        }
        Self {
            log,
            stretches: reader.stretches,
            got,
            unread: reader.unread,
        }
    }
}

#[derive(Default)]
struct Reader<'a> {
    stretches: Vec<Stretch<'a>>,
    open: Option<Stretch<'a>>,
    /// It has asked, and read no answer yet.
    is_asking: bool,
    unread: Vec<Millis>,
    /// What the client said when it asked.
    asked: Option<Id>,
    position: Option<Id>,
    run: usize,
    told: u64,
    replay: u64,
    /// Told of drops while it was live: how much is to come after that is not known.
    is_lagging: bool,
    /// A notice said `resumed: false`, and the snapshot is to come.
    begins_anew: bool,
}

impl<'a> Reader<'a> {
    fn read(&mut self, at: Millis, event: &'a Event) {
        if self.is_asking && matches!(event, Event::Broken(_)) {
            self.unread.push(at);
        }
        self.is_asking = matches!(event, Event::Asked { .. });
        match event {
            Event::Asked {
                with_token,
                position,
                ..
            } => {
                self.close(at, true);
                self.asked = *position;
                if !with_token && position.is_none() {
                    // It shows nothing, so it is nobody's business what it saw before.
                    self.position = None;
                }
            }
            Event::Opened(opened) => {
                // A notice in the middle of a stream: the hub itself begins anew.
                self.close(at, false);
                self.told = opened.dropped + opened.conflated;
                self.replay = opened.replayed;
                self.is_lagging = false;
                self.begins_anew = !opened.resumed;
                if let Some(from) = self.asked.or(self.position).filter(|_| opened.resumed) {
                    self.begin(from, None);
                }
            }
            Event::Snapshot { id, values } => {
                self.close(at, false);
                (self.told, self.replay, self.begins_anew) = (0, 0, false);
                self.begin(*id, Some(values));
                self.position = Some(*id);
            }
            Event::Message { id, metric, piece } => {
                if self.open.is_none() {
                    self.begin(*id, None);
                }
                let open = self.open.as_mut().expect("just begun");
                open.got.push((*id, metric.as_deref(), *piece));
                self.position = self.position.max(Some(*id));
            }
            Event::Cursor(id) => self.position = self.position.max(Some(*id)),
            Event::Dropped { dropped, conflated } => {
                self.told += dropped + conflated;
                self.is_lagging = true;
            }
            Event::Replaced | Event::Shutdown | Event::Broken(_) => self.close(at, true),
            Event::Refused { .. } | Event::Other(_) => {}
        }
    }

    fn begin(&mut self, from: Id, snapshot: Option<&'a BTreeMap<String, Value>>) {
        if snapshot.is_some() && !self.stretches.is_empty() {
            self.run += 1;
        }
        self.open = Some(Stretch {
            snapshot,
            run: self.run,
            from,
            upto: from,
            told: 0,
            is_whole: false,
            got: Vec::new(),
            until: 0,
            is_broken: false,
        });
    }

    fn close(&mut self, at: Millis, is_broken: bool) {
        let Some(mut stretch) = self.open.take() else {
            return;
        };
        stretch.upto = self.position.unwrap_or(stretch.from).max(stretch.from);
        stretch.told = self.told;
        stretch.until = at;
        stretch.is_broken = is_broken;
        stretch.is_whole =
            stretch.got.len() as u64 >= self.replay && !(is_broken && self.is_lagging);
        self.stretches.push(stretch);
    }
}
