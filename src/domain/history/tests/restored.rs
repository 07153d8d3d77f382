//! A history that was kept elsewhere against one that took in every message itself.

use super::*;

/// Where the log that is kept elsewhere has gaps.
#[derive(Debug, Clone, Default)]
struct Missing {
    /// Taken away up to here, but for the newest of each ring.
    gone: u64,
    /// Of earlier messages only ids above this one are read.
    unread: u64,
}

/// What is in a log of `messages`, ring by ring, and the ids that nobody knows of.
fn rings(messages: &[Arc<Message>], missing: &Missing) -> (Vec<RestoredRing>, BTreeSet<MessageId>) {
    let mut rings: Vec<(Topic, Priority, Vec<Arc<Message>>)> = Vec::new();
    for message in messages {
        let is_its = |(topic, priority, _): &&mut (Topic, Priority, Vec<Arc<Message>>)| {
            (topic, *priority) == (&message.topic, message.priority)
        };
        match rings.iter_mut().find(is_its) {
            Some((_, _, ring)) => ring.push(message.clone()),
            None => rings.push((
                message.topic.clone(),
                message.priority,
                vec![message.clone()],
            )),
        }
    }
    let mut unknown = BTreeSet::new();
    let restored = rings.into_iter().map(|(topic, priority, mut ring)| {
        let gone = ring.partition_point(|message| message.id <= id(missing.gone));
        let taken: Vec<_> = ring.drain(..gone.min(ring.len() - 1)).collect();
        let kept = ring.split_off(ring.len().saturating_sub(K));
        let unread = ring.partition_point(|message| message.id <= id(missing.unread));
        let unread: Vec<_> = taken.into_iter().chain(ring.drain(..unread)).collect();
        unknown.extend(ids(&unread));
        RestoredRing {
            topic,
            priority,
            gone: ids(&ring),
            cut: unread.last().map(|message| message.id).unwrap_or_default(),
            kept,
        }
    });
    (restored.collect(), unknown)
}

fn restored(limits: Limits, messages: &[Arc<Message>], missing: &Missing) -> History {
    let last = messages
        .last()
        .map(|message| message.id)
        .unwrap_or_default();
    let (rings, _) = rings(messages, missing);
    let history = History::restored(limits, MessageId::ZERO, last, rings);
    history.assert_consistent();
    history
}

/// A metric is a gauge or it is not.
fn unmixed(publishes: Vec<Publish>) -> Vec<Publish> {
    let is_gauge = |topic: &Topic| topic.metric().is_some_and(|name| name.as_str() == "a");
    let unmixed = |p: Publish| Publish {
        gauge: is_gauge(&p.topic),
        ..p
    };
    publishes.into_iter().map(unmixed).collect()
}

fn told(history: &History, me: &Me, position: u64) -> Option<(Vec<MessageId>, Receipt)> {
    let backlog = history.backlog(&me.reader(), id(position), MessageId::ZERO)?;
    Some((ids(&backlog.messages), backlog.receipt))
}

proptest! {
    #[test]
    fn a_restored_history_tells_what_the_first_would(
        publishes in publishes(true), more in publishes(true), patterns in patterns(),
    ) {
        let known = publishes.len();
        let publishes = unmixed([publishes, more].concat());
        let (me, messages) = (Me::new(&patterns), messages(&publishes));
        let mut first = filled(limits(), &messages[..known]);
        let mut second = restored(limits(), &messages[..known], &Missing::default());
        for next in known..=messages.len() {
            if let Some(message) = messages.get(next) {
                first.push(message.clone());
                second.push(message.clone());
            }
            prop_assert_eq!(first.last(), second.last());
            prop_assert_eq!(first.bytes(), second.bytes());
            prop_assert_eq!(first.metrics(), second.metrics());
            prop_assert_eq!(first.counted, second.counted);
        }
        let latest = |history: &History| {
            let latest = history.latest(&me.reader()).into_iter();
            latest.map(|(name, message)| (name, message.id)).collect::<Vec<_>>()
        };
        prop_assert_eq!(latest(&first), latest(&second));
        for position in 0..=messages.len() as u64 + 1 {
            prop_assert_eq!(told(&first, &me, position), told(&second, &me, position));
        }
    }

    /// What an update replaced that is itself no longer kept is told as dropped: the sum is right.
    #[test]
    fn gauges_mixed_with_others_keep_their_sums(publishes in publishes(true), patterns in patterns()) {
        let (me, messages) = (Me::new(&patterns), messages(&publishes));
        let first = filled(limits(), &messages);
        let second = restored(limits(), &messages, &Missing::default());
        for position in 0..=messages.len() as u64 {
            let sum = |history: &History| {
                let (ids, receipt) = told(history, &me, position).unwrap();
                (ids, receipt.dropped.total() + receipt.conflated)
            };
            prop_assert_eq!(sum(&first), sum(&second));
        }
    }

    #[test]
    fn what_is_missing_from_the_log_is_never_told_as_nothing(
        publishes in publishes(true), patterns in patterns(), gone in 0..80u64, unread in 0..80u64,
    ) {
        let (me, messages) = (Me::new(&patterns), messages(&unmixed(publishes)));
        let missing = Missing { gone, unread };
        let first = filled(limits(), &messages);
        let second = restored(limits(), &messages, &missing);
        let (_, unknown) = rings(&messages, &missing);
        for position in 0..=messages.len() as u64 {
            let knows_all = missed(&me, &messages, id(position))
                .iter()
                .all(|message| !unknown.contains(&message.id));
            let expected = knows_all.then(|| told(&first, &me, position).unwrap());
            prop_assert_eq!(told(&second, &me, position), expected);
        }
    }

    #[test]
    fn a_restored_history_fits_and_counts_where_bytes_run_out(
        publishes in publishes(true), patterns in patterns(), bytes_max in 0..6_000usize,
    ) {
        let (me, messages) = (Me::new(&patterns), messages(&publishes));
        let history = restored(Limits { bytes_max, ..limits() }, &messages, &Missing::default());
        for position in 0..=messages.len() as u64 {
            let missed = missed(&me, &messages, id(position));
            let (sent, receipt) = told(&history, &me, position).unwrap();
            let total = sent.len() as u64 + receipt.dropped.total() + receipt.conflated;
            prop_assert_eq!(total, missed.len() as u64);
            let mut kept: Vec<_> = missed.into_iter().filter(|it| history.keeps(it)).collect();
            kept.sort_by_key(|message| std::cmp::Reverse((message.priority, message.id)));
            kept.truncate(K);
            kept.sort_by_key(|message| message.id);
            prop_assert_eq!(sent, ids(&kept));
        }
    }
}

#[test]
fn a_ring_of_which_nothing_is_left_takes_the_log_s_beginning_with_it() {
    let ring = RestoredRing {
        topic: metric("a"),
        priority: Priority::High,
        gone: Vec::new(),
        cut: id(5),
        kept: Vec::new(),
    };
    let history = History::restored(limits(), MessageId::ZERO, id(9), [ring]);
    history.assert_consistent();
    for (position, expected) in [(4, false), (5, true), (9, true), (10, false)] {
        assert_eq!(history.covers(id(position)), expected, "{position}");
    }
}

/// The log still has what this history forgot, and would have more of it with each start.
#[test]
fn a_restored_history_has_no_more_metrics_than_allowed() {
    let mut messages: Vec<_> = (1..=4)
        .map(|n| message(n, metric(&format!("m{n}")), Priority::Normal))
        .collect();
    messages.extend((5..=30).map(|n| message(n, own_metric("a", &format!("u{n}")), Priority::Low)));
    messages.push(message(31, metric("m1"), Priority::High));
    let limits = Limits {
        metrics_max: 2,
        ..limits()
    };
    let mut history = restored(limits, &messages, &Missing::default());
    assert_eq!(history.metrics(), 1);
    assert!(history.has(&metric("m1")), "it is the newest");
    assert!(!history.has(&own_metric("a", "u10")));
    assert!(history.has(&own_metric("a", "u11")));
    assert!(!history.covers(id(9)) && history.covers(id(10)));
    assert_eq!(history.admit([metric("m5")].iter()), Ok(()));
    assert!(history.admit([own_metric("a", "u31")].iter()).is_err());
    history.push(message(32, metric("m5"), Priority::Normal));
    history.assert_consistent();
}
