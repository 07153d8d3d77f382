//! Why a user has a message, or has not.

use serde::Serialize;
use uuid::Uuid;

use super::HubState;
use super::statistics::{Delivery, delivery};
use crate::domain::history::{Fate, Found, Missing};
use crate::domain::message::{MessageId, Topic, Transport, UserId};
use crate::domain::session::Session;

/// What there is to say about a message and a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    pub message: Found,
    /// One for each session that the user has now.
    pub sessions: Vec<SessionOutcome>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionOutcome {
    pub connection_id: Uuid,
    pub transport: Transport,
    pub delivery: Delivery,
    pub outcome: Outcome,
}

/// What became of a message for one session, by what that subscribes to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Handed to its socket.
    Delivered,
    /// It is on its way, or is sent as soon as the client reads or comes back.
    Waiting,
    /// A later value of the metric took its place.
    Conflated,
    /// It had to make room, and the client is told so.
    Dropped,
    /// No pattern of the subscription names its metric.
    Filtered,
    /// It is another user's, or of another transport.
    NotPermitted,
    /// The session, or its subscription, is younger: what counts came with the snapshot.
    BeforeSubscription,
    /// It is among those before the session's position, of which some of this priority were dropped.
    DeliveredOrDropped,
}

impl HubState {
    /// What became of a message for the sessions that `user` has now.
    ///
    /// # Errors
    /// There is no such message in the log.
    pub fn explain(&self, id: MessageId, user: &UserId) -> Result<Explanation, Missing> {
        let message = self.history.find(id)?;
        let sessions = self.sessions_of(user).map(|session| SessionOutcome {
            connection_id: session.connection_id,
            transport: session.transport,
            delivery: delivery(session),
            outcome: self.outcome(session, id, &message),
        });
        Ok(Explanation {
            sessions: sessions.collect(),
            message,
        })
    }

    fn outcome(&self, session: &Session, id: MessageId, message: &Found) -> Outcome {
        let Some(from) = session.reader().admits(&message.topic) else {
            let is_own = match &message.topic {
                Topic::UserMetric(_, user) => user == session.user(),
                Topic::Test(..) => false,
                Topic::Metric(_) | Topic::Alerts => true,
            };
            return match is_own {
                true => Outcome::Filtered,
                false => Outcome::NotPermitted,
            };
        };
        if id <= from {
            return Outcome::BeforeSubscription;
        }
        if id <= session.position() {
            return match session.dropped[message.priority] {
                0 => Outcome::Delivered,
                _ => Outcome::DeliveredOrDropped,
            };
        }
        // What is queued already is sent, whatever becomes of it in the log.
        let Some(position) = session.backlog_position().filter(|queued| id > *queued) else {
            return Outcome::Waiting;
        };
        match message.fate {
            Fate::Replaced => Outcome::Conflated,
            Fate::Gone => Outcome::Dropped,
            // More may be kept of all metrics together than one session gets.
            Fate::Kept => match self.backlog(session, position) {
                Some(backlog) if backlog.messages.iter().any(|it| it.id == id) => Outcome::Waiting,
                _ => Outcome::Dropped,
            },
        }
    }
}
