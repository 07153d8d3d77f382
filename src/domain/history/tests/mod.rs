//! The history against the buffer that the wire contract describes, taken literally.

mod cases;
mod restored;
mod shares;

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::domain::message::{Transport, UserId};
use crate::domain::subscription::Subscription;
use crate::domain::testing::{id, message, metric, own_metric, sized, subscription, user};

const K: usize = 4;

fn limits() -> Limits {
    Limits {
        backlog_messages_max: K,
        bytes_max: usize::MAX,
        user_bytes_max: usize::MAX,
        user_messages_max: usize::MAX,
        metrics_max: 100,
        counted_ids_max: usize::MAX,
    }
}

/// Somebody called `me`, on SSE.
struct Me {
    user: UserId,
    subscription: Subscription,
}

impl Me {
    fn new(patterns: &[&str]) -> Self {
        Self {
            user: user("me"),
            subscription: subscription(patterns),
        }
    }

    fn reader(&self) -> Reader<'_> {
        Reader {
            view: None,
            user: &self.user,
            transport: Transport::Sse,
            subscription: &self.subscription,
            since: MessageId::ZERO,
            transport_since: MessageId::ZERO,
        }
    }
}

#[derive(Debug, Clone)]
struct Publish {
    topic: Topic,
    priority: Priority,
    size: usize,
    gauge: bool,
}

fn topics() -> Vec<Topic> {
    vec![
        metric("a"),
        metric("b"),
        metric("a.b"),
        own_metric("a", "me"),
        own_metric("a", "you"),
        Topic::Alerts,
        Topic::Test(user("me"), Transport::Sse),
        Topic::Test(user("me"), Transport::Websocket),
    ]
}

fn publishes(gauges: bool) -> impl Strategy<Value = Vec<Publish>> {
    let one = (
        prop::sample::select(topics()),
        prop::sample::select(Priority::ALL.to_vec()),
        prop::sample::select(vec![10usize, 60, 400]),
        any::<bool>(),
    )
        .prop_map(move |(topic, priority, size, gauge)| Publish {
            gauge: gauges && gauge,
            topic,
            priority,
            size,
        });
    prop::collection::vec(one, 0..80)
}

fn patterns() -> impl Strategy<Value = Vec<&'static str>> {
    let known = vec!["a", "b", "a.b", "a.*", "*", "**", "a.**", "nobody"];
    prop::collection::vec(prop::sample::select(known), 0..4)
}

fn messages(publishes: &[Publish]) -> Vec<Arc<Message>> {
    let retain = |gauge| if gauge { Retain::Latest } else { Retain::All };
    publishes
        .iter()
        .zip(1..)
        .map(|(p, n)| sized(n, p.topic.clone(), p.priority, retain(p.gauge), p.size))
        .collect()
}

fn filled(limits: Limits, messages: &[Arc<Message>]) -> History {
    let mut history = History::new(limits, MessageId::ZERO);
    for message in messages {
        history.push(message.clone());
        history.assert_consistent();
    }
    history
}

/// Whom a message is for, without asking the reader.
fn is_for(me: &Me, message: &Message) -> bool {
    let named = |name: &MetricName| me.subscription.admits(name).is_some();
    match &message.topic {
        Topic::Metric(name) => named(name),
        Topic::UserMetric(name, user) => user.as_str() == "me" && named(name),
        Topic::Alerts => true,
        Topic::Test(user, transport) => user.as_str() == "me" && *transport == Transport::Sse,
        Topic::State(_) => false,
    }
}

/// The buffer of one connection as the wire contract has it, filled message by message.
#[derive(Debug, Default)]
struct LiteralBuffer {
    kept: Vec<Arc<Message>>,
    dropped: PerPriority<u64>,
    conflated: u64,
}

impl LiteralBuffer {
    fn push(&mut self, new: &Arc<Message>) {
        if new.retain == Retain::Latest {
            let before = self.kept.len();
            self.kept
                .retain(|old| (&old.topic, old.priority) != (&new.topic, new.priority));
            self.conflated += (before - self.kept.len()) as u64;
        }
        if self.kept.len() < K {
            self.kept.push(new.clone());
            return;
        }
        let oldest_of_lowest = (0..K)
            .min_by_key(|i| (self.kept[*i].priority, self.kept[*i].id))
            .unwrap();
        if self.kept[oldest_of_lowest].priority <= new.priority {
            let evicted = self.kept.remove(oldest_of_lowest);
            self.dropped[evicted.priority] += 1;
            self.kept.push(new.clone());
        } else {
            self.dropped[new.priority] += 1;
        }
    }
}

fn missed(me: &Me, messages: &[Arc<Message>], position: MessageId) -> Vec<Arc<Message>> {
    let missed = messages
        .iter()
        .filter(|message| message.id > position && is_for(me, message));
    missed.cloned().collect()
}

fn ids(messages: &[Arc<Message>]) -> Vec<MessageId> {
    messages.iter().map(|message| message.id).collect()
}

proptest! {
    #[test]
    fn a_backlog_is_what_the_literal_buffer_holds(
        publishes in publishes(false), patterns in patterns(), position in 0..80u64,
    ) {
        let (me, messages) = (Me::new(&patterns), messages(&publishes));
        let position = id(position.min(messages.len() as u64));
        let mut buffer = LiteralBuffer::default();
        missed(&me, &messages, position).iter().for_each(|message| buffer.push(message));

        let backlog = filled(limits(), &messages).backlog(&me.reader(), position, MessageId::ZERO).unwrap();
        prop_assert_eq!(ids(&backlog.messages), ids(&buffer.kept));
        prop_assert_eq!(backlog.receipt.dropped, buffer.dropped);
        prop_assert_eq!(backlog.receipt.conflated, 0);
        let gone: BTreeSet<MetricName> = missed(&me, &messages, position)
            .iter()
            .filter(|message| !ids(&buffer.kept).contains(&message.id))
            .filter_map(|message| message.topic.metric().cloned())
            .collect();
        prop_assert_eq!(backlog.receipt.metrics, gone);
    }

    /// Whether what a gauge replaced had been dropped before may be told differently: the rest not.
    #[test]
    fn gauges_keep_their_newest_value(
        publishes in publishes(true), patterns in patterns(), position in 0..80u64,
    ) {
        // A metric is a gauge or it is not.
        let publishes: Vec<Publish> = publishes
            .into_iter()
            .map(|p| Publish { gauge: matches!(&p.topic, Topic::Metric(name) if name.as_str() != "b"), ..p })
            .collect();
        let (me, messages) = (Me::new(&patterns), messages(&publishes));
        let position = id(position.min(messages.len() as u64));
        let mut buffer = LiteralBuffer::default();
        missed(&me, &messages, position).iter().for_each(|message| buffer.push(message));

        let backlog = filled(limits(), &messages).backlog(&me.reader(), position, MessageId::ZERO).unwrap();
        prop_assert_eq!(ids(&backlog.messages), ids(&buffer.kept));
        prop_assert_eq!(
            backlog.receipt.dropped.total() + backlog.receipt.conflated,
            buffer.dropped.total() + buffer.conflated
        );
    }

    #[test]
    fn nothing_is_lost_from_the_count_where_bytes_run_out(
        publishes in publishes(true), patterns in patterns(), position in 0..80u64, bytes_max in 0..6_000usize,
        user_bytes_max in prop::sample::select(vec![0, 700, 2_000, usize::MAX]), user_messages_max in 1..9usize,
    ) {
        let (me, messages) = (Me::new(&patterns), messages(&publishes));
        let position = id(position.min(messages.len() as u64));
        let limits = Limits { bytes_max, user_bytes_max, user_messages_max, ..limits() };
        let history = filled(limits, &messages);
        prop_assert!(history.bytes() <= bytes_max);
        let backlog = history.backlog(&me.reader(), position, MessageId::ZERO).unwrap();
        let missed = missed(&me, &messages, position);
        let sent = backlog.messages.len() as u64;
        prop_assert_eq!(sent + backlog.receipt.dropped.total() + backlog.receipt.conflated, missed.len() as u64);

        // What is still kept is the best of it, and no lower priority is kept where a higher one had to go.
        let mut kept: Vec<Arc<Message>> = missed.iter().filter(|m| history.keeps(m)).cloned().collect();
        kept.sort_by_key(|message| std::cmp::Reverse((message.priority, message.id)));
        kept.truncate(K);
        kept.sort_by_key(|message| message.id);
        prop_assert_eq!(ids(&backlog.messages), ids(&kept));
    }

    #[test]
    fn counts_stay_exact_when_ids_are_forgotten(
        publishes in publishes(true), patterns in patterns(),
        positions in prop::collection::vec((0..80u64, 0..80usize), 1..4),
        counted_ids_max in 0..8usize, bytes_max in prop::sample::select(vec![usize::MAX, 3_000]),
    ) {
        let (me, messages) = (Me::new(&patterns), messages(&publishes));
        let remembering = filled(Limits { bytes_max, ..limits() }, &messages);
        let mut history = History::new(Limits { counted_ids_max, bytes_max, ..limits() }, MessageId::ZERO);
        // Each goes away at some time, having been sent everything up to somewhere.
        struct Away { position: MessageId, from: usize, carried: Receipt, carried_to: MessageId }
        let mut away: Vec<Away> = positions
            .into_iter()
            .map(|(position, from)| Away {
                position: id(position.min(from as u64).min(messages.len() as u64)),
                from: from.min(messages.len()),
                carried: Receipt::default(),
                carried_to: MessageId::ZERO,
            })
            .collect();
        for (n, message) in messages.iter().enumerate() {
            history.push(message.clone());
            let Some(to) = history.overgrown() else { continue };
            for session in away.iter_mut().filter(|session| session.from <= n && session.position < to) {
                if let Some(gone) = history.count_gone(&me.reader(), session.position, session.carried_to, to) {
                    session.carried.add(&gone);
                    session.carried_to = session.carried_to.max(to);
                }
            }
            let before = history.counted;
            history.cut(to);
            history.assert_consistent();
            prop_assert!(history.counted < before, "a cut makes room");
        }
        for session in away {
            let expected = remembering.backlog(&me.reader(), session.position, MessageId::ZERO).unwrap();
            let Some(mut told) = history.backlog(&me.reader(), session.position, session.carried_to) else {
                prop_assert!(session.from > 0, "who was away from the beginning was counted along");
                continue;
            };
            told.receipt.add(&session.carried);
            prop_assert_eq!(ids(&told.messages), ids(&expected.messages));
            prop_assert_eq!(
                told.receipt.dropped.total() + told.receipt.conflated,
                expected.receipt.dropped.total() + expected.receipt.conflated
            );
        }
    }

    #[test]
    fn exact_names_find_what_walking_finds(publishes in publishes(true), position in 0..80u64) {
        let messages = messages(&publishes);
        let history = filled(limits(), &messages);
        let position = id(position.min(messages.len() as u64));
        let (named, walked) = (Me::new(&["a", "b", "a.b"]), Me::new(&["*", "a.*"]));
        let backlog = |me: &Me| history.backlog(&me.reader(), position, MessageId::ZERO).unwrap();
        prop_assert_eq!(ids(&backlog(&named).messages), ids(&backlog(&walked).messages));
        prop_assert_eq!(backlog(&named).receipt, backlog(&walked).receipt);
    }

    #[test]
    fn a_snapshot_is_the_newest_of_each_metric(publishes in publishes(true), patterns in patterns(), bytes_max in 0..3_000usize) {
        let (me, messages) = (Me::new(&patterns), messages(&publishes));
        let history = filled(Limits { bytes_max, ..limits() }, &messages);
        let mut expected = BTreeMap::new();
        for message in messages.iter().filter(|message| is_for(&me, message)) {
            if let Some(name) = message.topic.metric() {
                expected.insert(name.clone(), message.id);
            }
        }
        let latest = history.latest(&me.reader());
        let latest: BTreeMap<MetricName, MessageId> = latest.into_iter().map(|(name, message)| (name, message.id)).collect();
        prop_assert_eq!(latest, expected);
    }

    #[test]
    fn what_is_forgotten_is_never_told_as_nothing(publishes in publishes(true), before in 0..80u64) {
        let messages = messages(&publishes);
        let mut history = filled(limits(), &messages);
        history.forget_idle(id(before));
        history.assert_consistent();
        let me = Me::new(&[]);
        for position in 0..=messages.len() as u64 {
            let missed = missed(&me, &messages, id(position)).len() as u64;
            if let Some(backlog) = history.backlog(&me.reader(), id(position), MessageId::ZERO) {
                let receipt = &backlog.receipt;
                prop_assert_eq!(backlog.messages.len() as u64 + receipt.dropped.total() + receipt.conflated, missed);
            }
        }
        prop_assert!(history.topics.values().all(|log| log.newest > id(before)));
    }
}

impl History {
    fn keeps(&self, message: &Message) -> bool {
        let ring = self
            .topics
            .get(&message.topic)
            .map(|log| &log.rings[message.priority]);
        ring.is_some_and(|ring| ring.kept.iter().any(|kept| kept.id == message.id))
    }

    /// The indexes and sums agree with the rings.
    fn assert_consistent(&self) {
        let rings = || self.topics.values().flat_map(|log| log.rings.iter());
        self.assert_shares();
        assert_eq!(
            self.counted,
            rings().map(|(_, ring)| ring.gone.len()).sum::<usize>()
        );
        assert!(rings().all(|(_, ring)| ring.kept.len() <= self.limits.backlog_messages_max));
        assert!(rings().all(|(_, ring)| ring.gone.iter().is_sorted()));
        let newest: BTreeSet<MessageId> = self.topics.values().map(|log| log.newest).collect();
        assert_eq!(
            self.recency.keys().copied().collect::<BTreeSet<_>>(),
            newest
        );
        let metrics = self
            .topics
            .keys()
            .filter(|topic| matches!(topic, Topic::Metric(_)))
            .count();
        assert_eq!(self.metrics, metrics);
    }
}
