//! What waits, what overflows, and how far the client has got by what it was given.

use super::*;

fn id(n: u64) -> MessageId {
    MessageId::new(n, 0).unwrap()
}

fn piece(n: u64) -> Outgoing {
    Outgoing {
        priority: Some(Priority::Normal),
        ..Outgoing::at(id(n), Bytes::from_static(b"0123456789"))
    }
}

fn shared(n: u64) -> Rc<Outgoing> {
    piece(n).into()
}

fn live(messages_max: usize, bytes_max: usize) -> Outbox {
    let mut outbox = Outbox::new(
        Limits {
            messages_max,
            bytes_max,
        },
        Arc::default(),
    );
    outbox.catch_up([], MessageId::ZERO);
    outbox
}

#[test]
fn nothing_live_is_taken_before_the_opening() {
    let mut outbox = Outbox::new(
        Limits {
            messages_max: 8,
            bytes_max: 100,
        },
        Arc::default(),
    );
    assert_eq!(outbox.push_live(id(1), || shared(1)), Pushed::Skipped);
    outbox.catch_up([], id(1));
    assert_eq!(
        outbox.push_live(id(1), || shared(1)),
        Pushed::Skipped,
        "it is in the snapshot"
    );
    assert_eq!(outbox.push_live(id(2), || shared(2)), Pushed::Queued);
    assert_eq!(
        outbox.push_live(id(2), || shared(2)),
        Pushed::Skipped,
        "overlapping patterns"
    );
}

/// Attack: filling the memory.
#[test]
fn a_full_queue_says_so_once_and_asks_for_the_backlog_once_empty() {
    for mut outbox in [live(2, 1000), live(1000, 20)] {
        assert_eq!(outbox.push_live(id(1), || shared(1)), Pushed::Queued);
        assert_eq!(outbox.push_live(id(2), || shared(2)), Pushed::Queued);
        assert_eq!(
            outbox.push_live(id(3), || shared(3)),
            Pushed::Overflow(id(2))
        );
        assert_eq!(outbox.push_live(id(4), || shared(4)), Pushed::Skipped);
        outbox.take();
        assert!(!outbox.wants_backlog());
        outbox.take();
        assert!(outbox.wants_backlog());
        assert!(!outbox.wants_backlog());
        outbox.catch_up([piece(4)], id(4));
        assert_eq!(outbox.push_live(id(5), || shared(5)), Pushed::Queued);
    }
}

#[test]
fn the_position_is_what_was_handed_to_the_socket() {
    let mut outbox = live(8, 1000);
    assert_eq!(
        outbox.sent_through(id(9)),
        id(9),
        "nothing waits: all that passed was not for it"
    );
    outbox.push_live(id(10), || shared(10));
    outbox.push_live(id(11), || shared(11));
    outbox.take();
    assert_eq!(outbox.sent_through(id(20)), id(10));
    outbox.take();
    assert_eq!(outbox.sent_through(id(20)), id(20));
    assert_eq!(outbox.progress().sent(), 2);
}

#[test]
fn a_position_passes_what_was_not_for_the_client_and_nothing_that_waits() {
    let mut outbox = live(1, 1000);
    outbox.push(Outgoing::notice(Bytes::new()));
    outbox.pass(id(4));
    assert_eq!(
        outbox.progress().sent_through(),
        id(4),
        "notices move nothing"
    );
    outbox.take();
    outbox.push_live(id(5), || shared(5));
    outbox.pass(id(6));
    assert_eq!(outbox.progress().sent_through(), id(4), "5 waits");
    outbox.take();
    outbox.pass(id(3));
    assert_eq!(
        outbox.progress().sent_through(),
        id(5),
        "it never goes back"
    );
    outbox.push_live(id(7), || shared(7));
    outbox.push_live(id(8), || shared(8));
    outbox.take();
    outbox.pass(id(9));
    assert_eq!(outbox.progress().sent_through(), id(7), "it is lagging");
}

/// The ids of the cursors that are moved to each of `to`.
fn moved(outbox: &mut Outbox, to: &[u64]) -> Vec<u64> {
    let waiting = outbox.len();
    for n in to {
        let cursor = || Outgoing::at(id(*n), Bytes::from_static(b"cursor"));
        outbox.move_cursor(id(*n), cursor);
    }
    let cursors = std::iter::from_fn(|| outbox.take()).skip(waiting);
    cursors.filter_map(|it| Some(it.id?.millis())).collect()
}

#[test]
fn the_cursor_moves_once_past_what_was_not_for_the_client() {
    let mut outbox = live(8, 1000);
    outbox.push_live(id(3), || shared(3));
    assert_eq!(moved(&mut outbox, &[2, 3, 4, 4, 6, 5, 6]), [4, 6]);
    outbox.push_live(id(7), || shared(7));
    assert_eq!(moved(&mut outbox, &[7]), [0; 0]);
    outbox.finish();
    assert_eq!(moved(&mut outbox, &[8]), [0; 0]);
}

#[test]
fn the_cursor_also_passes_what_went_by_before_a_backlog_was_sent() {
    // The client knows of 4 only, and nothing else will tell it of 6.
    let mut outbox = live(8, 1000);
    outbox.catch_up([piece(4), Outgoing::notice(Bytes::new())], id(6));
    assert_eq!(moved(&mut outbox, &[5, 6, 6]), [6]);
    // One that resumes and has missed nothing knows what it came with, if anything.
    for (known, expected) in [
        (None, vec![6]),
        (Some(id(3)), vec![6]),
        (Some(id(6)), vec![]),
    ] {
        let mut outbox = live(8, 1000);
        let notice = Outgoing {
            position: Some(id(6)),
            id: known,
            ..Outgoing::notice(Bytes::new())
        };
        outbox.catch_up([notice], id(6));
        assert_eq!(moved(&mut outbox, &[6, 6]), expected, "{known:?}");
    }
}

#[test]
fn the_cursor_of_a_lagging_client_stands() {
    let mut outbox = live(1, 1000);
    outbox.push_live(id(1), || shared(1));
    outbox.push_live(id(2), || shared(2));
    assert_eq!(moved(&mut outbox, &[2]), [0; 0]);
}

#[test]
fn what_passes_an_outbox_that_takes_nothing_more_was_not_sent() {
    let mut outbox = live(8, 1000);
    outbox.push_live(id(1), || shared(1));
    outbox.take();
    outbox.finish();
    assert_eq!(outbox.push_live(id(2), || shared(2)), Pushed::Skipped);
    assert_eq!(outbox.sent_through(id(2)), id(1), "2 was skipped");
}

#[test]
fn what_was_thrown_away_was_not_sent() {
    let mut outbox = live(8, 1000);
    outbox.push_live(id(1), || shared(1));
    outbox.push_live(id(2), || shared(2));
    outbox.take();
    outbox.abandon();
    assert_eq!(outbox.sent_through(id(2)), id(1));
}

#[test]
fn a_finished_outbox_sends_what_waits_and_takes_nothing_more() {
    let mut outbox = live(8, 1000);
    outbox.push_live(id(1), || shared(1));
    outbox.finish();
    assert_eq!(outbox.push_live(id(2), || shared(2)), Pushed::Skipped);
    outbox.push(Outgoing::notice(Bytes::new()));
    assert!(outbox.take().is_some());
    assert!(outbox.take().is_none());
}
