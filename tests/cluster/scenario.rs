//! What a scenario is: a cast, and what goes wrong when.

use std::time::Duration;

use crate::checker::Promise;
use crate::clients;
use crate::faults::Weather;
use crate::publishers;
use crate::record::{Follows, Millis};
use crate::servers::Topology;
use crate::support::either::Transport;

#[derive(Debug, Clone)]
pub enum Step {
    // Hubs.
    KillHub(usize),
    /// SIGTERM.
    StopHub(usize),
    StartHub(usize),
    /// As one that was never there: without a store of its own.
    StartHubEmpty(usize),
    FreezeHub(usize),
    ThawHub(usize),
    // Between a hub and Redis.
    Link(usize, Weather),
    CutLink(usize),
    AllLinks(Weather),
    CutAllLinks,
    // The first Redis server.
    KillRedis,
    StartRedis,
    StartRedisEmpty,
    FreezeRedis,
    ThawRedis,
    /// A command from which on it does not work as it should, and one that mends it.
    Ill(&'static str),
    Well(&'static str),
    // Sentinel.
    Inner(Weather),
    /// Waits for the failover.
    LedBy(usize),
    /// A hub sees only this server.
    ShowOnly(usize, usize),
    /// Nobody publishes any more.
    Silence,
    // Clients, by their place in the cast.
    GoTo(usize, usize),
    /// It hangs up, and comes to this hub after so long.
    Away(usize, usize, Duration),
    Sleep(usize, Duration),
    /// Its session is resumed at these two hubs at the same time.
    ResumeTwice(usize, [usize; 2]),
}

#[derive(Debug, Clone)]
pub struct Scenario {
    pub topology: Topology,
    pub hubs: usize,
    /// TOML over the usual settings of every hub.
    pub settings: String,
    /// Hubs that are not there at the beginning.
    pub absent: Vec<usize>,
    pub clients: Vec<clients::Spec>,
    pub publishers: Vec<publishers::Spec>,
    /// In the order of their times.
    pub steps: Vec<(Millis, Step)>,
    pub length: Millis,
    pub promise: Promise,
}

/// What hubs are started with, in milliseconds.
pub const LEASE: Millis = 1500;

/// From when on something may go wrong: everybody has been there for a while.
pub const SETTLED: Millis = 800;

impl Scenario {
    /// Three hubs, six clients of three users by both transports and in all ways to come back, and
    /// three publishers, one of which repeats itself until it is answered.
    pub fn new(topology: Topology) -> Self {
        let hubs = if topology == Topology::Alone { 1 } else { 3 };
        let promise = Promise {
            connections_max: 10,
            lease: LEASE + 1000,
            nobody_begins_anew: false,
            keeps_acknowledged: false,
        };
        Self {
            topology,
            hubs,
            settings: String::new(),
            absent: Vec::new(),
            clients: cast(hubs),
            publishers: publishers(hubs),
            steps: Vec::new(),
            length: 5000,
            promise,
        }
    }

    pub fn at(mut self, at: Millis, step: Step) -> Self {
        self.steps.push((at, step));
        self.steps.sort_by_key(|(at, _)| *at);
        self.length = self.length.max(at + 1000);
        self
    }

    pub fn settings(mut self, settings: &str) -> Self {
        self.settings = settings.into();
        self
    }

    /// What goes wrong is no reason for any client to begin anew.
    pub fn nobody_begins_anew(mut self) -> Self {
        self.promise.nobody_begins_anew = true;
        self
    }
}

fn cast(hubs: usize) -> Vec<clients::Spec> {
    use Follows::{IdOnly, TokenAndId, TokenOnly};
    let spec = |user: &str, transport, follows, patterns: &[&str], hub: usize| {
        let patterns = patterns.iter().map(|it| (*it).to_owned()).collect();
        client(user, transport, follows, patterns, hub % hubs)
    };
    vec![
        spec("ada", Transport::Sse, TokenAndId, &[], 0),
        spec(
            "ada",
            Transport::WebSocket,
            TokenAndId,
            &["m.*", "own.**"],
            1,
        ),
        spec("bob", Transport::Sse, IdOnly, &["m.0", "m.1", "own.*"], 2),
        spec("bob", Transport::WebSocket, TokenOnly, &["m.**"], 0),
        spec("eve", Transport::Sse, TokenOnly, &[], 1),
        spec("eve", Transport::WebSocket, IdOnly, &["m.2", "m.3"], 2),
    ]
}

pub fn client(
    user: &str,
    transport: Transport,
    follows: Follows,
    patterns: Vec<String>,
    hub: usize,
) -> clients::Spec {
    let name = format!("{user}/{}/{follows:?}/{hub}", transport.name());
    clients::Spec {
        name,
        user: user.into(),
        transport,
        follows,
        patterns,
        hub,
    }
}

fn publishers(hubs: usize) -> Vec<publishers::Spec> {
    let spec = |by: u64| publishers::Spec::new(by, by as usize % hubs);
    let users = vec!["ada".to_owned(), "bob".to_owned()];
    vec![
        publishers::Spec {
            keyed: 1000,
            ..spec(0)
        },
        publishers::Spec {
            private: 200,
            users,
            ..spec(1)
        },
        publishers::Spec {
            keyed: 300,
            batches: 200,
            ..spec(2)
        },
    ]
}
