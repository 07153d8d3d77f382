//! What is kept of each user's own.

use super::*;

/// Attack: a flood of messages to one user, to push out what others are to get.
#[test]
fn the_share_of_one_user_is_bounded_by_number_and_by_bytes() {
    let to = |n, name: &str, user: &str, priority| message(n, own_metric(name, user), priority);
    let messages = [
        to(1, "a", "me", Priority::High),
        to(2, "b", "you", Priority::Critical),
        to(3, "a", "you", Priority::Low),
        to(4, "b", "you", Priority::Critical),
        to(5, "c", "you", Priority::Normal),
        message(6, metric("a"), Priority::Low),
    ];
    let cost = messages[1].cost();
    let check = |limits: Limits, expected: &[u64]| {
        let history = filled(limits, &messages);
        let kept = messages.iter().filter(|message| history.keeps(message));
        let kept: Vec<MessageId> = kept.map(|message| message.id).collect();
        let expected: Vec<MessageId> = expected.iter().map(|n| id(*n)).collect();
        assert_eq!(kept, expected);
        let mut lowered = filled(super::limits(), &messages);
        lowered.set_limits(history.limits.clone());
        lowered.assert_consistent();
        assert!(
            messages
                .iter()
                .all(|it| lowered.keeps(it) == history.keeps(it))
        );
    };
    for (room, expected) in [
        (9, &[1, 2, 3, 4, 5, 6][..]),
        (3, &[1, 2, 4, 5, 6]),
        (2, &[1, 2, 4, 6]),
        (1, &[1, 4, 6]),
    ] {
        let user_messages_max = room;
        check(
            Limits {
                user_messages_max,
                ..limits()
            },
            expected,
        );
        let user_bytes_max = room * cost;
        check(
            Limits {
                user_bytes_max,
                ..limits()
            },
            expected,
        );
    }
}

proptest! {
    /// Attack: a flood of messages to one user, to push out what others are to get.
    #[test]
    fn what_is_addressed_to_one_user_costs_no_other_user_a_message(
        publishes in publishes(true), user_bytes_max in 0..3_000usize, user_messages_max in 1..9usize,
    ) {
        let limits = Limits { user_bytes_max, user_messages_max, ..limits() };
        let messages = messages(&publishes);
        let history = filled(limits.clone(), &messages);
        let is_to_you = |message: &&Arc<Message>| message.topic == own_metric("a", "you");
        let without: Vec<Arc<Message>> = messages.iter().filter(|it| !is_to_you(it)).cloned().collect();
        let without = filled(limits.clone(), &without);
        for message in messages.iter().filter(|it| !is_to_you(it)) {
            prop_assert_eq!(history.keeps(message), without.keeps(message));
        }
    }

    #[test]
    fn nothing_addressed_to_a_user_goes_while_something_lower_stays(
        publishes in publishes(false), user_bytes_max in 0..3_000usize, user_messages_max in 1..9usize,
    ) {
        let limits = Limits { user_bytes_max, user_messages_max, ..limits() };
        let mut history = History::new(limits, MessageId::ZERO);
        let mut yours: Vec<Arc<Message>> = Vec::new();
        for message in messages(&publishes).into_iter().filter(|it| it.topic == own_metric("a", "you")) {
            history.push(message.clone());
            yours.push(message);
            let (kept, gone): (Vec<_>, Vec<_>) = yours.drain(..).partition(|it| history.keeps(it));
            for went in gone {
                // A ring has room for so many, however little is lower.
                let same = kept.iter().filter(|it| it.priority == went.priority).count();
                let lower = kept.iter().any(|it| it.priority < went.priority);
                prop_assert!(!lower || same == K, "{:?} went before something lower", went.priority);
            }
            yours = kept;
        }
    }
}

impl History {
    pub(super) fn assert_shares(&self) {
        let (shares, limits) = (&self.shares, &self.limits);
        self.assert_share(&shares.all, |_| true);
        assert!(shares.all.bytes <= limits.bytes_max);
        for (user, share) in &shares.users {
            self.assert_share(share, |topic| match topic {
                Topic::UserMetric(_, own) | Topic::Test(own, _) => own == user,
                Topic::Metric(_) | Topic::Alerts | Topic::State(_) => false,
            });
            assert!(share.bytes <= limits.user_bytes_max);
            assert!((1..=limits.user_messages_max).contains(&share.messages));
        }
        let common = |topic: &Topic| matches!(topic, Topic::Metric(_) | Topic::Alerts);
        let common: usize = self
            .topics
            .iter()
            .filter(|(topic, _)| common(topic))
            .flat_map(|(_, log)| log.rings.iter())
            .map(|(_, ring)| ring.kept.len())
            .sum();
        let own: usize = shares.users.values().map(|share| share.messages).sum();
        assert_eq!(shares.all.messages, common + own, "each user has a share");
    }

    /// Of the topics that are in it, a share has what there is.
    fn assert_share(&self, share: &share::Share, has: impl Fn(&Topic) -> bool) {
        let topics = || self.topics.iter().filter(|(topic, _)| has(topic));
        let rings = || topics().flat_map(|(_, log)| log.rings.iter());
        let kept = || rings().flat_map(|(_, ring)| &ring.kept);
        let bytes = kept().map(|message| message.cost()).sum::<usize>();
        assert_eq!((share.messages, share.bytes), (kept().count(), bytes));
        let fronts = rings().filter_map(|(priority, ring)| Some((priority, ring.front()?)));
        let known = share
            .oldest
            .iter()
            .flat_map(|(priority, ids)| ids.keys().map(move |id| (priority, *id)));
        assert_eq!(
            fronts.collect::<BTreeSet<_>>(),
            known.collect::<BTreeSet<_>>()
        );
    }
}
