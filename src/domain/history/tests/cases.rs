//! One case after the other.

use super::*;

#[test]
fn a_position_of_another_log_or_ahead_of_this_one_is_not_covered() {
    let mut history = History::new(limits(), id(10));
    history.push(message(20, metric("a"), Priority::Normal));
    for (position, expected) in [
        (0, false),
        (9, false),
        (10, true),
        (15, true),
        (20, true),
        (21, false),
    ] {
        assert_eq!(history.covers(id(position)), expected, "{position}");
        let backlog = history.backlog(&Me::new(&[]).reader(), id(position), MessageId::ZERO);
        assert_eq!(backlog.is_some(), expected, "{position}");
    }
}

/// Somebody else's log may have gone on past the place to which this one was set back.
#[test]
fn a_position_in_a_hole_is_not_covered_however_far_the_log_goes_on() {
    let mut history = History::restored(limits(), id(10), id(30), [])
        .with_holes(vec![(id(12), id(14)), (id(20), id(30))]);
    history.push(message(40, metric("a"), Priority::Normal));
    for (position, expected) in [
        (10, true),
        (12, true),
        (13, false),
        (14, true),
        (20, true),
        (21, false),
        (29, false),
        (30, true),
    ] {
        assert_eq!(history.covers(id(position)), expected, "{position}");
    }
}

/// What was kept at a cut and went afterwards has an old id, and is counted all the same.
#[test]
fn a_message_that_outlives_a_cut_is_counted_when_it_goes() {
    let mut history = History::new(
        Limits {
            counted_ids_max: 2,
            ..limits()
        },
        MessageId::ZERO,
    );
    history.push(message(1, metric("slow"), Priority::Normal));
    (2..10).for_each(|n| history.push(message(n, metric("busy"), Priority::Normal)));
    let me = Me::new(&[]);
    let to = history.overgrown().unwrap();
    let carried = history
        .count_gone(&me.reader(), MessageId::ZERO, MessageId::ZERO, to)
        .unwrap();
    history.cut(to);
    (10..14).for_each(|n| history.push(message(n, metric("slow"), Priority::Normal)));

    let mut backlog = history.backlog(&me.reader(), MessageId::ZERO, to).unwrap();
    backlog.receipt.add(&carried);
    assert_eq!(
        backlog.receipt.dropped.total() + backlog.messages.len() as u64,
        13
    );
}

/// One cut too many without being counted, and the log knows nothing of it any more for good.
#[test]
fn who_was_not_counted_before_a_cut_is_never_told_too_little() {
    let mut history = History::new(limits(), MessageId::ZERO);
    let me = Me::new(&[]);
    (1..10).for_each(|n| history.push(message(n, metric("a"), Priority::Normal)));
    history.cut(id(3));
    (10..20).for_each(|n| history.push(message(n, metric("a"), Priority::Normal)));
    assert_eq!(
        history.count_gone(&me.reader(), id(1), MessageId::ZERO, id(8)),
        None
    );
    assert!(
        history
            .backlog(&me.reader(), id(1), MessageId::ZERO)
            .is_none()
    );
    assert!(
        history
            .backlog(&me.reader(), id(3), MessageId::ZERO)
            .is_some(),
        "3 was the last of it"
    );
    assert!(
        history
            .backlog(&Me::new(&["b"]).reader(), id(1), MessageId::ZERO)
            .is_some(),
        "what was cut was not for it"
    );
}

#[test]
fn a_batch_is_admitted_whole_or_not_at_all() {
    let mut history = History::new(
        Limits {
            metrics_max: 2,
            ..limits()
        },
        MessageId::ZERO,
    );
    history.push(message(1, metric("a"), Priority::Normal));
    history.push(message(2, Topic::Alerts, Priority::Critical));
    let own: Vec<Topic> = (0..20)
        .map(|n| own_metric("a", &format!("user-{n}")))
        .collect();
    for (topics, expected) in [
        (vec![metric("a"), metric("b")], true),
        (vec![metric("b"), metric("b")], true),
        (vec![metric("b"), metric("c")], false),
        (vec![metric("a"); 5], true),
        (own[..19].to_vec(), true),
        (own.clone(), false),
        (vec![], true),
    ] {
        assert_eq!(history.admit(topics.iter()).is_ok(), expected, "{topics:?}");
    }
    history.push(message(3, metric("b"), Priority::Normal));
    assert!(
        history.admit([own_metric("c", "me")].iter()).is_ok(),
        "metrics of users have room of their own"
    );
    history.forget_idle(id(1));
    assert_eq!(
        (history.metrics(), history.admit([metric("c")].iter())),
        (1, Ok(()))
    );
}

#[test]
fn lowered_limits_take_hold_at_once() {
    let messages: Vec<_> = (1..=4)
        .map(|n| message(n, metric("a"), Priority::Normal))
        .collect();
    let mut history = filled(limits(), &messages);
    history.set_limits(Limits {
        bytes_max: messages[0].cost(),
        ..limits()
    });
    let backlog = history
        .backlog(&Me::new(&[]).reader(), MessageId::ZERO, MessageId::ZERO)
        .unwrap();
    assert_eq!(
        (ids(&backlog.messages), backlog.receipt.dropped.total()),
        (vec![id(4)], 3)
    );
}

/// Attack: filling the memory.
#[test]
fn the_lowest_priority_goes_first_when_bytes_run_out() {
    let of = |n, priority| message(n, metric("a"), priority);
    let messages = [
        of(1, Priority::Critical),
        of(2, Priority::Low),
        of(3, Priority::Normal),
        of(4, Priority::Low),
    ];
    let cost = messages[0].cost();
    for (room, expected) in [
        (4, &[1, 2, 3, 4][..]),
        (3, &[1, 3, 4]),
        (2, &[1, 3]),
        (1, &[1]),
        (0, &[]),
    ] {
        let history = filled(
            Limits {
                bytes_max: room * cost,
                ..limits()
            },
            &messages,
        );
        let backlog = history
            .backlog(&Me::new(&[]).reader(), MessageId::ZERO, MessageId::ZERO)
            .unwrap();
        let expected: Vec<MessageId> = expected.iter().map(|n| id(*n)).collect();
        assert_eq!(ids(&backlog.messages), expected, "room for {room}");
    }
}
