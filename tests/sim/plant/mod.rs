//! Bugs planted at the seams, to prove that the oracle would see them.

mod recovery;

use std::sync::Arc;

use statshub::domain::hub::Limits;
use statshub::domain::message::{Message, MessageId, Priority, Topic};
use statshub::domain::notice::{Notice, Piece};
use statshub::domain::subscription::Subscription;

use crate::rng::Rng;
use crate::world::{Ask, Effect, Report, Request};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plant {
    Nothing,
    /// The hub keeps one message fewer in a backlog than it should.
    EvictionOffByOne,
    /// Among equals an older message stays and the newest is dropped.
    NewestDropped,
    /// A backlog's last message is left out and not counted.
    ReplayCutShort,
    /// A resume goes on one message too early.
    ResumeRepeatsOne,
    /// What the client says has arrived is not looked at, so that in-flight losses stay lost.
    LastEventIdIgnored,
    /// Now and then a message for one user is not fanned out.
    TargetedLost,
    /// A message for one user goes to everybody.
    TargetedLeaks,
    /// A connection that ends says that nothing was sent.
    CursorStands,
    /// A connection that ends says that everything was sent.
    CursorRunsAhead,
    /// The end of a connection is now and then not reported.
    SlotNotFreed,
    /// A stream's opening overtakes nothing, but the next live message overtakes it.
    GapAfterSnapshot,
    /// Two live messages change places.
    Reordered,
    /// The receipt names one message fewer than was dropped.
    DropNotCounted,
    /// Another user's token opens the session.
    TokenOfAnotherUser,
    /// A changed subscription does not reach the fan-out.
    SubscriptionStays,
    /// The hub does not hear that a connection lags.
    LagNotHeard,
    /// A worker waits for its slowest client.
    SlowClientDelaysOthers,
    /// Messages reach the log with the lowest priority.
    PriorityIgnored,
    /// Expired tokens are not looked for.
    ExpiryIgnored,
    /// A start does not read one topic and priority.
    RingForgotten,
    /// A start reads one message too few of each.
    KeptOneTooFew,
    /// A start does not look how far the ids had got.
    IdsAgain,
    /// The newest message of a log, which may have been told nobody, is not read.
    LateMessageLost,
    /// A start leaves one session out.
    SessionForgotten,
    /// Sessions come back with everything sent.
    PositionTooFar,
    /// Sessions that were away come back as if they had just gone.
    AwayFromNowOn,
    /// A start takes a log for older than it is.
    OriginForgotten,
    /// What is no longer in the log is taken for nothing.
    CutIgnored,
    /// The ids of earlier messages are not read, and nobody says so.
    GoneNotRead,
    /// What a gauge has replaced comes back.
    ReplacedKept,
    /// A message for one user comes back as everybody's.
    TargetedForAll,
    /// Messages come back with another priority.
    PriorityLost,
    /// Now and then what a session has become is not written.
    ChangeNotSaved,
    /// Now and then a session that is no more stays written.
    EndNotSaved,
    /// The hub has a message before it is in the log.
    HandedOverEarly,
}

impl Plant {
    pub const ALL: [Self; 35] = [
        Self::EvictionOffByOne,
        Self::NewestDropped,
        Self::ReplayCutShort,
        Self::ResumeRepeatsOne,
        Self::LastEventIdIgnored,
        Self::TargetedLost,
        Self::TargetedLeaks,
        Self::CursorStands,
        Self::CursorRunsAhead,
        Self::SlotNotFreed,
        Self::GapAfterSnapshot,
        Self::Reordered,
        Self::DropNotCounted,
        Self::TokenOfAnotherUser,
        Self::SubscriptionStays,
        Self::LagNotHeard,
        Self::SlowClientDelaysOthers,
        Self::PriorityIgnored,
        Self::ExpiryIgnored,
        Self::RingForgotten,
        Self::KeptOneTooFew,
        Self::IdsAgain,
        Self::LateMessageLost,
        Self::SessionForgotten,
        Self::PositionTooFar,
        Self::AwayFromNowOn,
        Self::OriginForgotten,
        Self::CutIgnored,
        Self::GoneNotRead,
        Self::ReplacedKept,
        Self::TargetedForAll,
        Self::PriorityLost,
        Self::ChangeNotSaved,
        Self::EndNotSaved,
        Self::HandedOverEarly,
    ];

    pub fn limits(self, limits: &Limits) -> Limits {
        let mut limits = limits.clone();
        if self == Self::EvictionOffByOne {
            limits.history.backlog_messages_max -= 1;
        }
        limits
    }

    /// Falsifies what reaches the hub.
    pub fn falsify_published(self, message: Arc<Message>) -> Arc<Message> {
        match self {
            Self::PriorityIgnored => {
                recovery::changed(&message, |message| message.priority = Priority::Low)
            }
            _ => message,
        }
    }

    /// Falsifies what a client says has arrived.
    pub fn last_event_id(self, request: &Request, log: &[Arc<Message>]) -> Option<MessageId> {
        match (self, request.last, &request.ask) {
            (Self::LastEventIdIgnored, Some(_), Ask::Token { .. }) => None,
            (Self::ResumeRepeatsOne, Some(named), Ask::Token { .. }) => {
                let before = log.partition_point(|message| message.id < named);
                before
                    .checked_sub(1)
                    .map(|index| log[index].id)
                    .or(Some(named))
            }
            (_, named, _) => named,
        }
    }

    /// Falsifies what a worker says; false when the hub does not hear it at all.
    pub fn falsify_report(self, report: &mut Report, last: MessageId, rng: &mut Rng) -> bool {
        match (self, report) {
            (Self::CursorStands, Report::Disconnected(_, position)) => *position = MessageId::ZERO,
            (Self::CursorRunsAhead, Report::Disconnected(_, position)) => *position = last,
            (Self::SlotNotFreed, Report::Disconnected(..)) => return !rng.per_mille(300),
            (Self::LagNotHeard, Report::Lagging(..)) => return false,
            _ => {}
        }
        true
    }

    /// Falsifies what the hub decided, before the oracle sees it.
    pub fn falsify(self, effects: &mut [Effect], log: &[Arc<Message>]) {
        for effect in effects {
            match effect {
                Effect::Attach(attach) => self.falsify_pieces(&mut attach.opening, log),
                Effect::CatchUp(_, pieces, _) => self.falsify_pieces(pieces, log),
                Effect::Resubscribe(_, subscription) if self == Self::SubscriptionStays => {
                    *subscription = Subscription::new(&[], MessageId::ZERO).expect("everything");
                }
                _ => {}
            }
        }
    }

    fn falsify_pieces(self, pieces: &mut Vec<Piece>, log: &[Arc<Message>]) {
        match self {
            Self::ReplayCutShort => {
                if let Some(Piece::Message(_)) = pieces.last() {
                    pieces.pop();
                }
            }
            Self::DropNotCounted => {
                for piece in pieces {
                    let receipt = match piece {
                        Piece::Notice(Notice::Established(established)) => &mut established.receipt,
                        Piece::Notice(Notice::Dropped(receipt)) => receipt,
                        _ => continue,
                    };
                    for priority in Priority::ALL {
                        receipt.dropped[priority] = receipt.dropped[priority].saturating_sub(1);
                    }
                }
            }
            Self::NewestDropped => keep_an_older_one(pieces, log),
            _ => {}
        }
    }

    /// On the way from the hub to the fan-outs.
    pub fn falsify_delivery(self, message: &Arc<Message>, rng: &mut Rng) -> Option<Arc<Message>> {
        match (self, &message.topic) {
            (Self::TargetedLost, Topic::UserMetric(..)) => {
                (!rng.per_mille(100)).then(|| message.clone())
            }
            (Self::TargetedLeaks, Topic::UserMetric(name, _)) => {
                let leaked = Message {
                    topic: Topic::Metric(name.clone()),
                    sse: message.sse.clone(),
                    json: message.json.clone(),
                    value: message.value.clone(),
                    websocket: Default::default(),
                    before: Default::default(),
                    patch: Default::default(),
                    ..**message
                };
                Some(Arc::new(leaked))
            }
            _ => Some(message.clone()),
        }
    }
}

/// Puts in the place of a backlog's newest message of its lowest priority one that came before it
/// and was dropped.
fn keep_an_older_one(pieces: &mut [Piece], log: &[Arc<Message>]) {
    let message = |piece: &Piece| match piece {
        Piece::Message(message) => Some(message.clone()),
        Piece::Notice(_) => None,
    };
    let receipt = pieces.iter().find_map(|piece| match piece {
        Piece::Notice(Notice::Established(established)) => Some(established.receipt.clone()),
        Piece::Notice(Notice::Dropped(receipt)) => Some(receipt.clone()),
        _ => None,
    });
    let worst = |message: &Arc<Message>| (message.priority, std::cmp::Reverse(message.id));
    let newest = pieces.iter().filter_map(message).min_by_key(worst);
    let (Some(newest), Some(receipt)) = (newest, receipt) else {
        return;
    };
    if receipt.dropped[newest.priority] == 0 {
        return;
    }
    let equals = |message: &&Arc<Message>| {
        (&message.topic, message.priority) == (&newest.topic, newest.priority)
    };
    let survives = |id| {
        pieces
            .iter()
            .filter_map(message)
            .any(|message| message.id == id)
    };
    let older = log
        .iter()
        .rev()
        .filter(equals)
        .find(|message| message.id < newest.id && !survives(message.id));
    if let Some(older) = older {
        let place = pieces
            .iter()
            .position(|piece| message(piece).is_some_and(|message| message.id == newest.id))
            .expect("it is there");
        pieces[place] = Piece::Message(older.clone());
        pieces.sort_by_key(|piece| message(piece).map(|message| message.id));
    }
}
