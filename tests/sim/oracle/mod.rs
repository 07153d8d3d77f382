//! What every session is owed, worked out independently and checked at every step.
//!
//! The oracle writes down for each session everything published to it, by trying the session's
//! patterns at the moment of publication, and follows what is taken from its queues. It knows
//! nothing of rings, cursors, carried counts or routes.

mod admission;
mod backlogs;
mod lifecycle;
mod recovery;
mod streams;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use statshub::domain::backlog::Receipt;
use statshub::domain::fanout::ConnectionKey;
use statshub::domain::hub::{self, Refusal};
use statshub::domain::message::{Message, MessageId, Topic, Transport, UserId};
use statshub::domain::notice::{Established, Goodbye, Notice, Piece};
use statshub::domain::session::TicketHash;
use uuid::Uuid;

pub use recovery::{Found, Sent, Snapshot};

use crate::log::Log;
use crate::names;
use crate::weather::Weather;
use crate::world::{Ask, Attach, Effect, Request, Seen};

/// Matches whatever happens, like alerts.
const ALWAYS: u64 = 0;

/// Something published to a session, and by which of its patterns.
pub struct Owed {
    pub index: usize,
    pub id: MessageId,
    by: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    Connected { key: ConnectionKey, closing: bool },
    Away { since: Duration, wall_ms: u64 },
    Forgotten,
}

pub struct Session {
    pub token: Uuid,
    pub user: UserId,
    pub transport: Transport,
    pub place: Place,
    pub expires_at_ms: u64,
    pub ticket: Option<TicketHash>,
    connection_id: Uuid,
    /// Pattern and the number it got when it was added.
    patterns: Vec<(u64, usize)>,
    unnamed: Option<u64>,
    tests_by: u64,
    began: MessageId,
    pub owed: Vec<Owed>,
    /// The client has been sent everything up to somewhere between these two: what lies between
    /// was reported as dropped.
    sent_low: MessageId,
    sent_high: MessageId,
    snapshot_pending: bool,
    newest_stream: ConnectionKey,
    /// When its client fell behind or went away, something it is owed had gone already: the hub may
    /// have forgotten how much. From then on it must not forget.
    fell_behind_late: bool,
}

/// One stream, from the worker's side.
pub struct Stream {
    pub session: usize,
    /// Everything owed up to here was sent, or reported as dropped.
    pub accounted: MessageId,
    last_id: MessageId,
    /// Numbered pieces of the opening or catch-up not taken yet.
    untaken: usize,
    opened: bool,
}

pub struct Oracle {
    pub log: Log,
    pub limits: hub::Limits,
    counts_forgotten: bool,
    literal: bool,
    exact_split: bool,
    gauges_mixed: bool,
    pub sessions: Vec<Session>,
    /// Indexes of sessions that are not forgotten.
    known: Vec<usize>,
    pub streams: BTreeMap<ConnectionKey, Stream>,
    pub draining: bool,
    next_pattern: u64,
    /// The corners that the history has come through, to see that it comes through all.
    pub visited: BTreeMap<&'static str, u64>,
}

impl Oracle {
    pub fn visit(&mut self, corner: &'static str) {
        *self.visited.entry(corner).or_default() += 1;
    }

    pub fn new(weather: &Weather, origin: MessageId) -> Self {
        let gauges = weather.gauges.contains(&true);
        Self {
            log: Log::new(weather.limits.history.clone(), origin),
            limits: weather.limits.clone(),
            counts_forgotten: weather.forgets_counts(),
            literal: !(weather.is_bounded_in_all() || gauges && weather.gauges_mixed),
            exact_split: !(weather.forgets_counts() && gauges),
            gauges_mixed: gauges && weather.gauges_mixed,
            sessions: Vec::new(),
            known: Vec::new(),
            streams: BTreeMap::new(),
            draining: false,
            next_pattern: ALWAYS + 1,
            visited: BTreeMap::new(),
        }
    }

    pub fn known(&self) -> impl Iterator<Item = &Session> {
        self.known.iter().map(|index| &self.sessions[*index])
    }

    fn number(&mut self) -> u64 {
        self.next_pattern += 1;
        self.next_pattern
    }

    fn by_token(&self, token: &Uuid) -> Option<usize> {
        self.known
            .iter()
            .copied()
            .find(|index| self.sessions[*index].token == *token)
    }

    pub fn by_key(&self, key: ConnectionKey) -> Option<usize> {
        self.known.iter().copied().find(
            |i| matches!(self.sessions[*i].place, Place::Connected { key: own, .. } if own == key),
        )
    }

    pub fn live(&self) -> usize {
        self.known().filter(|session| session.is_live()).count()
    }

    pub fn live_of(&self, user: &UserId) -> usize {
        self.known()
            .filter(|session| session.is_live() && session.user == *user)
            .count()
    }

    pub fn audience(&self, topic: &Topic) -> usize {
        self.known()
            .filter(|s| s.is_live() && !s.wants(topic).is_empty())
            .count()
    }

    pub fn published(&mut self, message: &Message, step: u64) {
        let index = self.log.push(message, step);
        for session in &self.known {
            let session = &mut self.sessions[*session];
            let by = session.wants(&message.topic);
            if !by.is_empty() {
                session.owed.push(Owed {
                    index,
                    id: message.id,
                    by,
                });
            }
        }
    }
}

impl Session {
    pub fn is_live(&self) -> bool {
        matches!(self.place, Place::Connected { closing: false, .. })
    }

    fn live_key(&self) -> Option<ConnectionKey> {
        match self.place {
            Place::Connected {
                key,
                closing: false,
            } => Some(key),
            _ => None,
        }
    }

    fn wants(&self, topic: &Topic) -> Vec<u64> {
        let by_name = |name: &str| {
            let named = self
                .patterns
                .iter()
                .filter(|(_, p)| names::matches(names::PATTERNS[*p], name));
            self.unnamed
                .into_iter()
                .chain(named.map(|(number, _)| *number))
                .collect()
        };
        match topic {
            Topic::Alerts => vec![ALWAYS],
            Topic::Metric(name) => by_name(name.as_str()),
            Topic::UserMetric(name, user) if *user == self.user => by_name(name.as_str()),
            Topic::Test(user, transport) if *user == self.user && *transport == self.transport => {
                vec![self.tests_by]
            }
            _ => Vec::new(),
        }
    }

    fn still_wants(&self, owed: &Owed) -> bool {
        owed.by.iter().any(|by| {
            *by == ALWAYS
                || *by == self.tests_by
                || self.unnamed == Some(*by)
                || self.patterns.iter().any(|(number, _)| number == by)
        })
    }

    pub fn pattern_names(&self) -> Vec<&'static str> {
        match self.unnamed {
            Some(_) => vec!["**"],
            None => self
                .patterns
                .iter()
                .map(|(_, p)| names::PATTERNS[*p])
                .collect(),
        }
    }
}
