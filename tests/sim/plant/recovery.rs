//! Bugs in what a process leaves behind and what the next one makes of it.

use super::*;
use crate::durable::Change;
use statshub::domain::history::RestoredRing;
use statshub::domain::message::Retain;
use statshub::store::Recovered;

impl Plant {
    /// Falsifies what is read at a start.
    pub fn falsify_recovered(self, recovered: &mut Recovered, rng: &mut Rng) {
        let newest = recovered.last;
        match self {
            Self::RingForgotten if !recovered.rings.is_empty() => {
                let ring = rng.below(recovered.rings.len());
                recovered.rings.remove(ring);
            }
            Self::LateMessageLost => recovered.rings.iter_mut().for_each(|ring| {
                ring.kept.retain(|message| message.id < newest);
            }),
            Self::SessionForgotten => {
                recovered.sessions.pop();
            }
            Self::PositionTooFar => recovered
                .sessions
                .iter_mut()
                .for_each(|saved| saved.position = newest),
            Self::AwayFromNowOn => recovered
                .sessions
                .iter_mut()
                .for_each(|saved| saved.away_since_ms = None),
            Self::OriginForgotten => recovered.origin = MessageId::ZERO,
            _ => recovered
                .rings
                .iter_mut()
                .for_each(|ring| self.falsify_ring(ring)),
        }
    }

    /// Above what ids are given after a start.
    pub fn ids_above(self, last: MessageId) -> MessageId {
        match self {
            Self::IdsAgain => MessageId::ZERO,
            _ => last,
        }
    }

    fn falsify_ring(self, ring: &mut RestoredRing) {
        match (self, &ring.topic) {
            (Self::KeptOneTooFew, _) if ring.kept.len() > 1 => {
                ring.gone.push(ring.kept.remove(0).id);
            }
            (Self::CutIgnored, _) => ring.cut = MessageId::ZERO,
            (Self::GoneNotRead, _) => ring.gone.clear(),
            (Self::ReplacedKept, _) => ring.kept.iter_mut().for_each(|message| {
                *message = changed(message, |message| message.retain = Retain::All);
            }),
            (Self::TargetedForAll, Topic::UserMetric(name, _)) => {
                ring.topic = Topic::Metric(name.clone());
            }
            (Self::PriorityLost, _) => ring.priority = Priority::Normal,
            _ => {}
        }
    }

    /// Whether a change of a session is never written.
    pub fn forgets_to_save(self, change: &Change, rng: &mut Rng) -> bool {
        match change {
            Change::Saved(saved, _) => {
                self == Self::ChangeNotSaved && saved.away_since_ms.is_none() && rng.per_mille(300)
            }
            Change::Forgotten(_) => self == Self::EndNotSaved && rng.per_mille(300),
            Change::Anew | Change::Moved(..) => false,
        }
    }
}

pub(super) fn changed(message: &Message, change: impl FnOnce(&mut Message)) -> Arc<Message> {
    let mut copy = Message {
        topic: message.topic.clone(),
        sse: message.sse.clone(),
        json: message.json.clone(),
        value: message.value.clone(),
        websocket: Default::default(),
        before: Default::default(),
        patch: Default::default(),
        ..*message
    };
    change(&mut copy);
    Arc::new(copy)
}
