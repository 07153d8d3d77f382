//! What everybody saw, in the order in which they saw it. The checker judges this and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::support::id::Id;

/// Milliseconds since the scenario began.
pub type Millis = u64;

#[derive(Debug, Default, Clone)]
pub struct Record {
    pub clients: Vec<ClientLog>,
    pub publishes: Vec<Publish>,
    /// From when to when something was broken on purpose.
    pub failures: Vec<(Millis, Millis)>,
    /// What is in the log at the end.
    pub kept: BTreeSet<Piece>,
    /// When the record was closed.
    pub ended: Millis,
}

/// What a publisher says, so that it can be told wherever it turns up: who published it, and the
/// how manieth of theirs it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Piece {
    pub by: u64,
    pub n: u64,
}

impl Piece {
    /// `None`: not published by this laboratory.
    pub fn read(value: &Value) -> Option<Self> {
        let (by, n) = (value["by"].as_u64()?, value["n"].as_u64()?);
        Some(Self { by, n })
    }

    pub fn json(self) -> Value {
        json!({"by": self.by, "n": self.n})
    }
}

// Publishers --------------------------------------------------------------------------------------

/// One message that somebody wanted to publish.
#[derive(Debug, Clone)]
pub struct Publish {
    pub piece: Piece,
    /// `None`: an alert, which is for everybody.
    pub metric: Option<String>,
    /// Only for this user.
    pub user: Option<String>,
    /// With an `Idempotency-Key`, so tried until there was an answer.
    pub keyed: bool,
    /// The first try was sent.
    pub asked: Millis,
    /// The last try was over.
    pub done: Millis,
    /// The ids of all answers that were 202: one, if all is well.
    pub acknowledged: Vec<(Millis, Id)>,
    /// Tries that were not: what was answered.
    pub failed: Vec<Failed>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failed {
    /// It was not taken, and that is final.
    Refused(u16),
    /// 429 or 503: come back later.
    Unavailable(u16),
    NoAnswer,
    /// Nobody was there: certainly not taken.
    NoConnection,
}

impl Publish {
    pub fn id(&self) -> Option<Id> {
        self.acknowledged.first().map(|(_, id)| *id)
    }

    /// It may be in the log although nobody said so.
    pub fn is_uncertain(&self) -> bool {
        let open = |it: &Failed| matches!(it, Failed::Unavailable(503) | Failed::NoAnswer);
        self.acknowledged.is_empty() && self.failed.iter().any(open)
    }
}

// Clients -----------------------------------------------------------------------------------------

/// How a client comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follows {
    /// As a good client does: with its token and with what arrived last.
    TokenAndId,
    /// A new session each time, from after what arrived last.
    IdOnly,
    /// The hub has to know what was sent.
    TokenOnly,
}

impl Follows {
    /// It always says what has arrived, so nothing may come twice.
    pub fn is_honest(self) -> bool {
        self != Self::TokenOnly
    }
}

#[derive(Debug, Clone)]
pub struct ClientLog {
    pub name: String,
    pub user: String,
    /// Empty: everything.
    pub patterns: Vec<String>,
    pub follows: Follows,
    pub events: Vec<(Millis, Event)>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A connection is tried: to which hub, and what the client shows.
    Asked {
        hub: usize,
        with_token: bool,
        position: Option<Id>,
    },
    /// `connection_established` or `reconnection_successful`.
    Opened(Opened),
    /// `initial_metrics`.
    Snapshot {
        id: Id,
        values: BTreeMap<String, Value>,
    },
    /// Published by somebody; without a metric an alert.
    Message {
        id: Id,
        metric: Option<String>,
        piece: Piece,
    },
    /// The position moved past what is not for this client.
    Cursor(Id),
    /// `messages_dropped`.
    Dropped { dropped: u64, conflated: u64 },
    /// `connection_replaced`.
    Replaced,
    /// `server_shutdown`.
    Shutdown,
    /// Any other message, by its type or code.
    Other(String),
    /// The connection was refused.
    Refused { status: u16, code: String },
    /// The connection is over, or never was.
    Broken(String),
}

#[derive(Debug, Clone, PartialEq, Default)]
pub struct Opened {
    /// The reconnect token, which names the session.
    pub session: String,
    pub resumed: bool,
    pub replayed: u64,
    pub dropped: u64,
    pub conflated: u64,
}

impl ClientLog {
    /// Whether a message is for this client.
    pub fn admits(&self, metric: Option<&str>, user: Option<&str>) -> bool {
        let subscribed = |metric: &str| {
            self.patterns.is_empty() || self.patterns.iter().any(|it| matches(it, metric))
        };
        user.is_none_or(|user| user == self.user) && metric.is_none_or(subscribed)
    }

    /// The id it has got to, of whatever moved it.
    pub fn position(&self) -> Option<Id> {
        self.events.iter().rev().find_map(|(_, event)| event.id())
    }

    /// It has a stream now.
    pub fn is_live(&self) -> bool {
        let mut last = self.events.iter().rev();
        let turn = last.find_map(|(_, event)| match event {
            Event::Opened(_) => Some(true),
            Event::Asked { .. } | Event::Broken(_) | Event::Replaced | Event::Shutdown => {
                Some(false)
            }
            _ => None,
        });
        turn.unwrap_or(false)
    }
}

impl Event {
    pub fn id(&self) -> Option<Id> {
        match self {
            Self::Snapshot { id, .. } | Self::Message { id, .. } | Self::Cursor(id) => Some(*id),
            _ => None,
        }
    }
}

/// `*` for one segment, `**` at the end for any number.
fn matches(pattern: &str, metric: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('.'), metric.split('.'));
    loop {
        match (wanted.next(), given.next()) {
            (Some("**"), _) | (None, None) => return true,
            (Some("*"), Some(_)) => {}
            (wanted, given) if wanted == given => {}
            _ => return false,
        }
    }
}

#[test]
fn patterns_admit_what_they_should() {
    for (pattern, metric, admitted) in [
        ("a.b", "a.b", true),
        ("a.b", "a.c", false),
        ("a.*", "a.b", true),
        ("a.*", "a", false),
        ("a.*", "a.b.c", false),
        ("a.**", "a.b.c", true),
        ("a", "a.b", false),
    ] {
        assert_eq!(matches(pattern, metric), admitted, "{pattern} {metric}");
    }
}
