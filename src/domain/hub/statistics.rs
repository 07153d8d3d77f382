//! What operators are shown.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{HubState, Tally};
use crate::domain::backlog::Reader;
use crate::domain::message::{Message, MessageId, PerPriority, Transport, UserId};
use crate::domain::pattern::MetricName;
use crate::domain::session::{Session, State};
use crate::domain::subscription::Subscription;

/// Counts over sessions and connections at one moment.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Statistics {
    pub sse: TransportStatistics,
    pub websocket: TransportStatistics,
    /// Live connections of each user.
    pub connections_by_user: BTreeMap<UserId, usize>,
    /// Messages in all backlogs.
    pub buffered: u64,
    /// The same by priority.
    pub buffered_by_priority: PerPriority<u64>,
    /// Sessions, each with its reconnect token.
    pub sessions: usize,
    pub away: usize,
    /// How full the backlogs are on average and at most, from 0 to 1.
    pub utilization_mean: f64,
    pub utilization_max: f64,
    pub history_bytes: usize,
    pub metrics: usize,
    pub tally: Tally,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct TransportStatistics {
    /// Streams that are open.
    pub total: usize,
    /// Those that keep up.
    pub active: usize,
    /// Those told to end and not yet gone.
    pub closing: usize,
    pub by_user: BTreeMap<UserId, usize>,
}

/// Which sessions to show.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SessionFilter {
    pub user: Option<UserId>,
    pub transport: Option<Transport>,
    pub delivery: Option<Delivery>,
}

/// How a session gets its messages at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Delivery {
    Live,
    Lagging,
    Away,
}

/// One session as operators see it. Never its token.
#[derive(Debug, Clone)]
pub struct SessionView {
    pub session: Session,
    pub delivery: Delivery,
    pub backlog: PerPriority<u64>,
    /// Dropped over its life, and what would be reported if it resumed now.
    pub dropped: PerPriority<u64>,
}

impl Statistics {
    /// Those of another hub, of the same users.
    pub fn add(&mut self, other: &Self) {
        let (mine, theirs) = (self.sessions as f64, other.sessions as f64);
        if mine + theirs > 0.0 {
            let buffered = self.utilization_mean * mine + other.utilization_mean * theirs;
            self.utilization_mean = buffered / (mine + theirs);
        }
        self.utilization_max = self.utilization_max.max(other.utilization_max);
        self.sse.add(&other.sse);
        self.websocket.add(&other.websocket);
        add_by_user(&mut self.connections_by_user, &other.connections_by_user);
        self.buffered += other.buffered;
        self.buffered_by_priority.add(&other.buffered_by_priority);
        self.sessions += other.sessions;
        self.away += other.away;
        // Every hub has them all.
        self.history_bytes = self.history_bytes.max(other.history_bytes);
        self.metrics = self.metrics.max(other.metrics);
        self.tally.add(&other.tally);
    }
}

impl TransportStatistics {
    fn add(&mut self, other: &Self) {
        self.total += other.total;
        self.active += other.active;
        self.closing += other.closing;
        add_by_user(&mut self.by_user, &other.by_user);
    }
}

fn add_by_user(mine: &mut BTreeMap<UserId, usize>, theirs: &BTreeMap<UserId, usize>) {
    for (user, connections) in theirs {
        *mine.entry(user.clone()).or_default() += connections;
    }
}

impl HubState {
    pub fn statistics(&self) -> Statistics {
        let mut statistics = Statistics {
            sessions: self.sessions.len(),
            away: self.away.len(),
            history_bytes: self.history.bytes(),
            metrics: self.history.metrics(),
            tally: self.tally.clone(),
            ..Statistics::default()
        };
        for session in self.every_session() {
            self.count(session, &mut statistics);
        }
        let fill = statistics.buffered as f64 / self.limits.history.backlog_messages_max as f64;
        statistics.utilization_mean = if self.sessions.is_empty() {
            0.0
        } else {
            fill / self.sessions.len() as f64
        };
        statistics
    }

    fn count(&self, session: &Session, statistics: &mut Statistics) {
        if session.is_connected() {
            let transport = match session.transport {
                Transport::Sse => &mut statistics.sse,
                Transport::Websocket => &mut statistics.websocket,
            };
            transport.closing += usize::from(session.connection.closing);
            if session.is_live() {
                transport.total += 1;
                transport.active += usize::from(matches!(session.state, State::Live));
                *transport.by_user.entry(session.user().clone()).or_default() += 1;
                *statistics
                    .connections_by_user
                    .entry(session.user().clone())
                    .or_default() += 1;
            }
        }
        let (backlog, _) = self.backlog_of(session);
        statistics.buffered += backlog.total();
        statistics.buffered_by_priority.add(&backlog);
        let fill = backlog.total() as f64 / self.limits.history.backlog_messages_max as f64;
        statistics.utilization_max = statistics.utilization_max.max(fill);
    }

    /// What waits for a session, and what it would be told is dropped.
    fn backlog_of(&self, session: &Session) -> (PerPriority<u64>, PerPriority<u64>) {
        let position = session.backlog_position();
        let Some(backlog) = position.and_then(|position| self.backlog(session, position)) else {
            return Default::default();
        };
        (backlog.by_priority(), backlog.receipt.dropped)
    }

    /// The sessions that `filter` picks, in the order of their connection ids, from `offset` on,
    /// and how many there are in all.
    pub fn sessions(
        &self,
        filter: &SessionFilter,
        offset: usize,
        limit: usize,
    ) -> (Vec<SessionView>, usize) {
        let mut chosen: Vec<&Session> = self
            .every_session()
            .filter(|session| filter.admits(session))
            .collect();
        chosen.sort_unstable_by_key(|session| (session.since_ms, session.connection_id));
        let total = chosen.len();
        let page = chosen.into_iter().skip(offset).take(limit);
        (page.map(|session| self.view(session)).collect(), total)
    }

    /// The newest message of every metric that `user` may see.
    pub fn latest_for(&self, user: &UserId) -> BTreeMap<MetricName, Arc<Message>> {
        let everything = Subscription::everything();
        self.history.latest(&Reader {
            user,
            transport: Transport::Sse,
            subscription: &everything,
            view: None,
            since: MessageId::ZERO,
            transport_since: MessageId::ZERO,
        })
    }

    fn view(&self, session: &Session) -> SessionView {
        let (backlog, mut dropped) = self.backlog_of(session);
        dropped.add(&session.dropped);
        SessionView {
            session: session.clone(),
            delivery: delivery(session),
            backlog,
            dropped,
        }
    }
}

impl SessionFilter {
    fn admits(&self, session: &Session) -> bool {
        self.user.as_ref().is_none_or(|user| user == session.user())
            && self
                .transport
                .is_none_or(|transport| transport == session.transport)
            && self
                .delivery
                .is_none_or(|wanted| wanted == delivery(session))
    }
}

pub(super) fn delivery(session: &Session) -> Delivery {
    match session.state {
        State::Live => Delivery::Live,
        State::Lagging { .. } => Delivery::Lagging,
        State::Away { .. } => Delivery::Away,
    }
}
