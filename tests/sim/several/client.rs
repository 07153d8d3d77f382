//! A client that keeps books: what it was sent, and what it was told that it will not be.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use statshub::domain::message::MessageId;
use uuid::Uuid;

use super::log::Log;
use crate::rng::Rng;

/// More than there is.
const UNCOUNTED: u64 = 1 << 40;

/// What a client is sent.
#[derive(Debug, Clone, Copy)]
pub enum Seen {
    /// Everything before is another story. When it was made.
    Snapshot(MessageId, u64),
    Message(MessageId),
    /// It goes on: so many will not come.
    Resumed(u64),
    /// So many will not come, because it read too slowly.
    Dropped(u64),
}

/// How a client comes.
#[derive(Debug, Clone)]
pub struct Ask {
    pub key: u64,
    pub user: usize,
    pub token: Option<Uuid>,
    pub fresh_token: Uuid,
    pub position: Option<MessageId>,
}

#[derive(Debug)]
pub struct Client {
    user: usize,
    stream: Option<u64>,
    token: Option<Uuid>,
    pub inbox: VecDeque<Seen>,
    /// The newest id that it has.
    last: Option<MessageId>,
    /// Its present story began here.
    base: MessageId,
    /// And at this moment.
    began: u64,
    got: BTreeSet<MessageId>,
    dropped: u64,
    /// It came back without saying what it has: some of that may come again.
    may_get_again: bool,
}

impl Client {
    pub fn new(user: usize) -> Self {
        Self {
            user,
            stream: None,
            token: None,
            inbox: VecDeque::new(),
            last: None,
            base: MessageId::ZERO,
            began: 0,
            got: BTreeSet::new(),
            dropped: 0,
            may_get_again: false,
        }
    }

    pub fn key(&self) -> Option<u64> {
        self.stream
    }

    /// Its stream is gone, with what was on the way.
    pub fn leave(&mut self) {
        self.stream = None;
        self.inbox.clear();
    }

    pub fn forget_token(&mut self) {
        self.token = None;
    }

    /// By its token, or with its position alone; `honest` says what it has.
    pub fn ask(&self, key: u64, honest: bool, rng: &mut Rng) -> Ask {
        let token = self.token.filter(|_| rng.per_mille(800));
        Ask {
            key,
            user: self.user,
            token,
            fresh_token: Uuid::from_u128(u128::from(key)),
            position: self.last.filter(|_| honest || token.is_none()),
        }
    }

    pub fn opened(&mut self, ask: &Ask, opening: Vec<Seen>) {
        self.stream = Some(ask.key);
        self.token = Some(ask.token.unwrap_or(ask.fresh_token));
        self.may_get_again =
            ask.position != self.last || ask.token.is_some() && self.last.is_none();
        if self.may_get_again {
            // What was on the way to it counts as sent: only its order is looked at from here on.
            self.dropped = UNCOUNTED;
        }
        self.inbox = opening.into();
    }

    pub fn take(&mut self, most: usize) {
        for _ in 0..most {
            let Some(seen) = self.inbox.pop_front() else {
                return;
            };
            self.see(seen);
        }
    }

    fn see(&mut self, seen: Seen) {
        let last = self.last.unwrap_or_default();
        match seen {
            Seen::Snapshot(id, made) => {
                self.began = made;
                let is_fresh = self.may_get_again || id >= last;
                assert!(is_fresh, "a snapshot of before {last}: {id}");
                self.base = id;
                self.last = Some(id);
                self.got.clear();
                self.dropped = 0;
                self.may_get_again = false;
            }
            Seen::Message(id) => {
                assert!(self.may_get_again || id > last, "{id} after {last}");
                self.got.insert(id);
                self.last = Some(id.max(last));
            }
            Seen::Resumed(dropped) | Seen::Dropped(dropped) => self.dropped += dropped,
        }
    }

    /// In the end it has all of its story, but for what it was told.
    pub fn check_complete(&self, log: &Log, acknowledged: &BTreeMap<MessageId, u64>) {
        let missing = log.messages().filter(|id| *id > self.base);
        let missing = missing.filter(|id| !self.got.contains(id)).count() as u64;
        assert!(
            missing <= self.dropped,
            "client {} lacks {missing} and was told of {}",
            self.user,
            self.dropped
        );
        let present: BTreeSet<_> = log.messages().collect();
        if self.dropped >= UNCOUNTED {
            return;
        }
        let later = acknowledged.iter().filter(|(_, at)| **at > self.began);
        let mut later = later.map(|(id, _)| id);
        let untold = later.find(|id| !present.contains(id) && !self.got.contains(id));
        assert_eq!(untold, None, "client {} was not told of it", self.user);
    }
}
