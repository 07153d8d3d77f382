//! Why a user has a message, or has not.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::HubState;
use super::statistics::{Delivery, delivery};
use crate::domain::backlog::Reader;
use crate::domain::history::{Fate, Found, Missing};
use crate::domain::message::{MessageId, Topic, Transport, UserId};
use crate::domain::session::Session;

/// What there is to say about a message and a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    pub message: Found,
    /// One for each session that the user has here, and had not long ago.
    pub sessions: Vec<SessionOutcome>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionOutcome {
    pub connection_id: Uuid,
    pub transport: Transport,
    /// `None`: it has ended.
    pub delivery: Option<Delivery>,
    pub outcome: Outcome,
}

/// What became of a message for one session, by what that subscribes to now, or did at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    /// No pattern of the subscription names its metric, or its view leaves the message out.
    Filtered,
    /// It is another user's, or of another transport.
    NotPermitted,
    /// The session, or its subscription, is younger: the newest values came with the snapshot.
    BeforeSubscription,
    /// Of those around it some of this priority were dropped, and nobody wrote down which: it is neither critical
    /// nor high, or it was long ago.
    DeliveredOrDropped,
    /// The session had ended before it could be sent, or before it was published.
    SessionEnded,
}

impl HubState {
    /// What became of a message for the sessions that `user` has, and had not long ago.
    ///
    /// # Errors
    /// There is no such message in the log.
    pub fn explain(&self, id: MessageId, user: &UserId) -> Result<Explanation, Missing> {
        let message = self.history.find(id)?;
        let outcome = |session: &Session, delivery| {
            let seen = self.seen_by(session, id, &message);
            let (reader, message) = seen
                .as_ref()
                .map_or((session.reader(), &message), |(reader, seen)| {
                    (*reader, seen)
                });
            let so_far = outcome_so_far(session, &reader, id, message);
            SessionOutcome {
                connection_id: session.connection_id,
                transport: session.transport,
                delivery,
                outcome: so_far.unwrap_or_else(|| match delivery {
                    Some(_) => self.outcome_to_come(session, id, message),
                    None => Outcome::SessionEnded,
                }),
            }
        };
        let present = self.sessions_of(user);
        let present = present.map(|session| outcome(session, Some(delivery(session))));
        let ended = self.ended.of(user).map(|session| outcome(session, None));
        let sessions = present.chain(ended).collect();
        Ok(Explanation { message, sessions })
    }

    /// What the session sees of the message by a view, where it does.
    fn seen_by<'a>(
        &self,
        session: &'a Session,
        id: MessageId,
        message: &Found,
    ) -> Option<(Reader<'a>, Found)> {
        let views = session.subscription.views().into_iter();
        let mut readers = views.map(|view| session.reader().of(view));
        let reader = readers.find(|reader| reader.admits(&message.topic).is_some())?;
        let history = self.views.history(reader.view?)?;
        Some((reader, history.find(id).ok()?))
    }

    /// Of a message that is after the session's position.
    fn outcome_to_come(&self, session: &Session, id: MessageId, message: &Found) -> Outcome {
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

/// `None` where the session has not come to it.
fn outcome_so_far(
    session: &Session,
    reader: &Reader<'_>,
    id: MessageId,
    message: &Found,
) -> Option<Outcome> {
    let Some(from) = reader.admits(&message.topic) else {
        let is_own = match &message.topic {
            Topic::UserMetric(_, user) => user == session.user(),
            Topic::Test(..) | Topic::State(_) => false,
            Topic::Metric(_) | Topic::Alerts => true,
        };
        return Some(match is_own {
            true => Outcome::Filtered,
            false => Outcome::NotPermitted,
        });
    };
    if id <= from {
        return Some(Outcome::BeforeSubscription);
    }
    let is_past = id <= session.position();
    let is_replaced = message.fate == Fate::Replaced;
    is_past.then(
        || match session.was_sent(id, message.priority, is_replaced) {
            Some(true) => Outcome::Delivered,
            Some(false) if is_replaced => Outcome::Conflated,
            Some(false) => Outcome::Dropped,
            None => Outcome::DeliveredOrDropped,
        },
    )
}
