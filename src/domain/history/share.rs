//! What of the log is kept, in all and of each user's own: how much, and which goes first.

use std::collections::{BTreeMap, HashMap};

use super::{History, Limits};
use crate::domain::message::{MessageId, PerPriority, Priority, Topic, UserId};

/// How much is kept, and the oldest message of each ring, by priority: the next to go.
#[derive(Debug, Default)]
pub(super) struct Share {
    pub messages: usize,
    pub bytes: usize,
    pub oldest: PerPriority<BTreeMap<MessageId, Topic>>,
}

/// All that is kept is one share; what is kept for one user alone is also in a share of that user.
#[derive(Debug, Default)]
pub(super) struct Shares {
    pub all: Share,
    pub users: HashMap<UserId, Share>,
}

/// How a ring has changed.
#[derive(Debug, Default)]
pub(super) struct Turn {
    pub front_before: Option<MessageId>,
    pub front: Option<MessageId>,
    pub messages_came: usize,
    pub bytes_came: usize,
    pub messages_went: usize,
    pub bytes_went: usize,
}

/// For whom alone it is; `None`: for more than one.
fn owner(topic: &Topic) -> Option<&UserId> {
    match topic {
        Topic::UserMetric(_, user) | Topic::Test(user, _) => Some(user),
        Topic::Metric(_) | Topic::Alerts | Topic::State(_) => None,
    }
}

impl Share {
    fn turn(&mut self, topic: &Topic, priority: Priority, turn: &Turn) {
        self.messages = self.messages + turn.messages_came - turn.messages_went;
        self.bytes = self.bytes + turn.bytes_came - turn.bytes_went;
        if turn.front_before != turn.front {
            let oldest = &mut self.oldest[priority];
            turn.front_before.map(|id| oldest.remove(&id));
            turn.front.map(|id| oldest.insert(id, topic.clone()));
        }
    }

    /// Where its oldest message of the lowest priority is.
    fn next_to_go(&self) -> Option<(Priority, Topic)> {
        Priority::ALL.into_iter().find_map(|priority| {
            let (_, topic) = self.oldest[priority].first_key_value()?;
            Some((priority, topic.clone()))
        })
    }
}

impl Shares {
    /// A ring of `topic` has changed.
    pub fn turn(&mut self, topic: &Topic, priority: Priority, turn: &Turn) {
        self.all.turn(topic, priority, turn);
        let Some(user) = owner(topic) else { return };
        match self.users.get_mut(user) {
            Some(share) => {
                share.turn(topic, priority, turn);
                if share.messages == 0 {
                    self.users.remove(user);
                }
            }
            None if turn.messages_came > turn.messages_went => {
                let share = self.users.entry(user.clone()).or_default();
                share.turn(topic, priority, turn);
            }
            None => {}
        }
    }

    /// Which message must go for all to fit.
    pub fn over(&self, limits: &Limits) -> Option<(Priority, Topic)> {
        let is_over = self.all.bytes > limits.bytes_max;
        is_over.then(|| self.all.next_to_go())?
    }

    /// Which message of `user` must go for those of this user to fit.
    pub fn over_of(&self, user: &UserId, limits: &Limits) -> Option<(Priority, Topic)> {
        let share = self.users.get(user)?;
        let is_over =
            share.bytes > limits.user_bytes_max || share.messages > limits.user_messages_max;
        is_over.then(|| share.next_to_go())?
    }
}

impl History {
    /// A message of `topic` has come: lets the oldest of the lowest priority go until the rest fits.
    pub(super) fn make_fit(&mut self, topic: &Topic) {
        if let Some(user) = owner(topic) {
            self.shrink_of(user);
        }
        self.shrink();
    }

    /// The same where much has come, or less may stay.
    pub(super) fn make_all_fit(&mut self) {
        let users: Vec<UserId> = self.shares.users.keys().cloned().collect();
        users.iter().for_each(|user| self.shrink_of(user));
        self.shrink();
    }

    fn shrink(&mut self) {
        while let Some((priority, topic)) = self.shares.over(&self.limits) {
            self.let_go(priority, &topic);
        }
    }

    /// Among the messages of one user, so that too many for one push out nobody else's.
    fn shrink_of(&mut self, user: &UserId) {
        while let Some((priority, topic)) = self.shares.over_of(user, &self.limits) {
            self.let_go(priority, &topic);
        }
    }

    /// The oldest message of a ring that has one.
    fn let_go(&mut self, priority: Priority, topic: &Topic) {
        let Some(log) = self.topics.get_mut(topic) else {
            return;
        };
        let ring = &mut log.rings[priority];
        let turn = Turn {
            front_before: ring.front(),
            bytes_went: ring.let_go(),
            messages_went: 1,
            front: ring.front(),
            ..Turn::default()
        };
        self.counted += 1;
        self.shares.turn(topic, priority, &turn);
    }
}
