//! What is wrong with what clients got.

use super::*;
use crate::record::Failed;

#[test]
fn ids_that_do_not_grow_are_found() {
    planted("two messages in another order", &[Rule::Order], |record| {
        record.clients[ADA].events.swap(6, 7);
    });
    planted(
        "a snapshot of the past",
        &[Rule::Order, Rule::Twice],
        |record| {
            let events = &mut record.clients[ADA].events;
            events.extend([
                (1500, opened("A", false, 0)),
                (1501, snapshot(900, &[("m.a", 8)])),
            ]);
            events.extend([(1502, message(10, Some("m.a")))]);
            let Event::Snapshot { values, .. } = &mut events[14].1 else {
                panic!()
            };
            values.extend([
                ("m.b".into(), piece(9).json()),
                ("own".into(), piece(5).json()),
            ]);
        },
    );
    planted(
        "a message that the snapshot has already",
        &[Rule::Order],
        |record| {
            record.clients[BOB]
                .events
                .insert(3, (252, message(2, Some("m.a"))));
        },
    );
    planted("a message before the snapshot", &[Rule::Order], |record| {
        record.clients[ADA].events.swap(2, 3);
        let Event::Snapshot {
            id: position,
            values,
        } = &mut record.clients[ADA].events[3].1
        else {
            panic!()
        };
        *position = id(100);
        values.insert("m.b".into(), piece(1).json());
    });
    planted(
        "the later publish has the lower id",
        &[Rule::Order],
        |record| {
            record.publishes[8].asked = 1200;
            record.publishes[8].acknowledged[0].0 = 1210;
            record.publishes[8].done = 1210;
        },
    );
}

#[test]
fn an_id_that_is_not_the_same_everywhere_is_found() {
    planted("another message", &[Rule::Content, Rule::Once], |record| {
        let place = place(record, ADA, 7);
        let Event::Message { piece: it, .. } = &mut record.clients[ADA].events[place].1 else {
            panic!()
        };
        *it = piece(9);
    });
    planted("another metric", &[Rule::Content], |record| {
        let place = place(record, ADA, 7);
        record.clients[ADA].events[place].1 = message(7, Some("m.a"));
    });
    planted("published by nobody", &[Rule::Content], |record| {
        record.clients[ADA]
            .events
            .push((1300, message(11, Some("m.a"))));
    });
    planted(
        "refused and sent",
        &[Rule::Content, Rule::Refused],
        |record| {
            record.publishes[6].acknowledged.clear();
            record.publishes[6].failed.push(Failed::Refused(400));
        },
    );
}

#[test]
fn what_is_missing_is_found_unless_the_client_was_told() {
    planted("nobody said so", &[Rule::Missing], |record| {
        without(record, ADA, 7)
    });
    planted("the first after the snapshot", &[Rule::Missing], |record| {
        without(record, ADA, 1)
    });
    planted(
        "acknowledged and seen by nobody",
        &[Rule::Missing],
        |record| {
            let mut publish = publish(7, Some("m.b"), None);
            (publish.piece, publish.acknowledged[0].1) = (piece(11), id(750));
            record.publishes.push(publish);
        },
    );
    planted(
        "seen by others and answered by nobody",
        &[Rule::Missing],
        |record| {
            record.publishes[7].acknowledged.clear();
            record.publishes[7].failed.push(Failed::NoAnswer);
            without(record, BOB, 8);
        },
    );
    planted("one more than told", &[Rule::Missing], |record| {
        without(record, BOB, 8)
    });
    planted(
        "by token, long after the break",
        &[Rule::Missing],
        |record| {
            late(&mut record.publishes);
            record.clients[EVE]
                .events
                .push((2300, Event::Cursor(id(1000))));
            without(record, EVE, 9);
        },
    );
    planted("by token, underway at the break", &[], |record| {
        without(record, EVE, 7)
    });
    planted(
        "by token, in an answer that it did not read",
        &[],
        |record| {
            late(&mut record.publishes);
            let events = &mut record.clients[EVE].events;
            events.truncate(7);
            events.extend([
                (2200, broken()),
                (2201, asked(None, true)),
                (2202, opened("E", true, 0)),
                (2300, Event::Cursor(id(1000))),
            ]);
        },
    );
    planted("beginning anew in its stream", &[], |record| {
        let at = place(record, ADA, 7);
        let values = [("m.a", 6), ("m.b", 7), ("own", 5)];
        let anew = [(712, opened("A", false, 0)), (712, snapshot(700, &values))];
        record.clients[ADA].events.splice(at..=at, anew);
    });
    planted("told while connected", &[], |record| {
        let at = place(record, ADA, 7);
        let told = Event::Dropped {
            dropped: 1,
            conflated: 0,
        };
        record.clients[ADA].events[at] = (712, told);
    });
}

/// The ninth and tenth are published long after the others.
fn late(publishes: &mut [Publish]) {
    for (nth, asked) in [(8, 2000), (9, 2020)] {
        (publishes[nth].asked, publishes[nth].done) = (asked, asked + 10);
        publishes[nth].acknowledged[0].0 = asked + 10;
    }
}

/// An old primary has acknowledged the eleventh, and only eve, who was there, has seen it.
fn with_a_lost_history(record: &mut Record) {
    let mut publish = publish(11, Some("m.b"), None);
    (publish.asked, publish.done) = (740, 760);
    publish.acknowledged = vec![(760, id(750))];
    record.publishes.push(publish);
    let lost = Event::Message {
        id: id(750),
        metric: Some("m.b".into()),
        piece: piece(11),
    };
    let events = &mut record.clients[EVE].events;
    let rest = events.split_off(10);
    events.push((752, lost));
    events.extend([
        (1000, opened("E", false, 0)),
        (1001, snapshot(1000, &[("m.b", 9)])),
    ]);
    assert_eq!(rest.len(), 1);
}

#[test]
fn what_a_lost_history_had_must_be_told_to_all() {
    planted("and is not", &[Rule::Missing], with_a_lost_history);
    planted("and is", &[], |record| {
        with_a_lost_history(record);
        let values = [("m.a", 10), ("m.b", 9), ("own", 5)];
        let anew = [
            (1100, opened("A", false, 0)),
            (1101, snapshot(1001, &values)),
        ];
        record.clients[ADA].events.extend(anew);
    });
    planted("but what nobody acknowledged", &[], |record| {
        with_a_lost_history(record);
        record.publishes[10].acknowledged.clear();
        record.publishes[10].failed.push(Failed::NoAnswer);
    });
    planted(
        "but the hole of another is one",
        &[Rule::Missing],
        |record| {
            without(record, ADA, 7);
            let values = [("m.a", 10), ("m.b", 9), ("own", 5)];
            let anew = [
                (1100, opened("A", false, 0)),
                (1101, snapshot(1001, &values)),
            ];
            record.clients[ADA].events.extend(anew);
        },
    );
}

#[test]
fn counts_that_are_too_high_are_found() {
    let count = |record: &mut Record, dropped| {
        record.clients[BOB].events[7].1 = opened("B2", true, dropped);
    };
    planted("two for one", &[Rule::Counted], |record| count(record, 2));
    planted("one may be in the log unseen", &[], |record| {
        count(record, 2);
        let mut publish = publish(5, Some("m.a"), None);
        publish.piece = piece(11);
        publish.acknowledged.clear();
        publish.failed.push(Failed::NoAnswer);
        record.publishes.push(publish);
    });
    planted("the rest of the replay did not come", &[], |record| {
        let Event::Opened(opened) = &mut record.clients[BOB].events[7].1 else {
            panic!()
        };
        (opened.dropped, opened.replayed) = (2, 5);
    });
}

#[test]
fn what_comes_twice_is_found() {
    planted("after a resume", &[Rule::Order, Rule::Twice], |record| {
        record.clients[BOB]
            .events
            .insert(8, (702, message(4, Some("m.a"))));
    });
    planted("by token, in one connection", &[Rule::Order], |record| {
        record.clients[EVE]
            .events
            .push((950, message(9, Some("m.b"))));
    });
}

#[test]
fn what_is_for_others_is_found() {
    planted("another user's", &[Rule::Recipient], |record| {
        record.clients[BOB].patterns.push("own".into());
        record.clients[BOB]
            .events
            .insert(5, (490, message(5, Some("own"))));
    });
    planted("not subscribed to", &[Rule::Recipient], |record| {
        record.clients[EVE]
            .events
            .insert(9, (640, message(6, Some("m.a"))));
    });
    planted("in a snapshot", &[Rule::Recipient], |record| {
        record.clients[BOB].patterns.push("own".into());
        record.clients[BOB].events[2].1 = snapshot(500, &[("m.a", 4), ("own", 5)]);
        record.clients[BOB].events.drain(3..5);
        record.clients[BOB].events[4].1 = asked(Some(500), false);
    });
}
