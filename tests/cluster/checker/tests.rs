#![cfg(test)]
//! A checker that sees nothing proves nothing: each rule has a record that only it finds fault with.

use std::collections::BTreeMap;

use super::{Promise, Rule, check};
use crate::record::{ClientLog, Event, Failed, Follows, Millis, Opened, Piece, Publish, Record};
use crate::support::id::Id;

const PROMISE: Promise = Promise {
    connections_max: 2,
    lease: 1000,
    nobody_begins_anew: false,
    keeps_acknowledged: false,
};

fn id(n: u64) -> Id {
    Id::parse(&format!("{n}-0")).unwrap()
}

fn piece(n: u64) -> Piece {
    Piece { by: 1, n }
}

/// The `n`th is sent at `100 n`, answered 10 ms later and has the id `100 n`.
fn publish(n: u64, metric: Option<&str>, user: Option<&str>) -> Publish {
    Publish {
        piece: piece(n),
        metric: metric.map(str::to_owned),
        user: user.map(str::to_owned),
        keyed: n % 2 == 0,
        asked: 100 * n,
        done: 100 * n + 10,
        acknowledged: vec![(100 * n + 10, id(100 * n))],
        failed: Vec::new(),
    }
}

fn client(name: &str, patterns: &[&str], follows: Follows) -> ClientLog {
    ClientLog {
        name: name.into(),
        user: name.into(),
        patterns: patterns.iter().map(|it| (*it).to_owned()).collect(),
        follows,
        events: Vec::new(),
    }
}

fn message(n: u64, metric: Option<&str>) -> Event {
    Event::Message {
        id: id(100 * n),
        metric: metric.map(str::to_owned),
        piece: piece(n),
    }
}

fn asked(position: Option<u64>, with_token: bool) -> Event {
    Event::Asked {
        hub: 0,
        with_token,
        position: position.map(id),
    }
}

fn opened(session: &str, resumed: bool, dropped: u64) -> Event {
    let session = session.into();
    Event::Opened(Opened {
        session,
        resumed,
        dropped,
        ..Opened::default()
    })
}

fn snapshot(position: u64, values: &[(&str, u64)]) -> Event {
    let value = |(metric, n): &(&str, u64)| ((*metric).to_owned(), piece(*n).json());
    let values: BTreeMap<_, _> = values.iter().map(value).collect();
    Event::Snapshot {
        id: id(position),
        values,
    }
}

fn broken() -> Event {
    Event::Broken("cut".into())
}

/// Ten are published: the third an alert, the fifth for ada alone, the others `m.a` and `m.b` in
/// turn. Ada sees everything in one go, bob `m.a` with a break, eve comes by token alone.
fn good() -> Record {
    let metric = |n| match n {
        3 => None,
        5 => Some("own"),
        n if n % 2 == 0 => Some("m.a"),
        _ => Some("m.b"),
    };
    let user = |n| (n == 5).then_some("ada");
    let mut ada = client("ada", &[], Follows::TokenAndId);
    ada.events = vec![
        (5, asked(None, false)),
        (6, opened("A", false, 0)),
        (6, snapshot(0, &[])),
    ];
    ada.events
        .extend((1..=10).map(|n| (100 * n + 12, message(n, metric(n)))));
    let mut bob = client("bob", &["m.a"], Follows::IdOnly);
    bob.events = vec![
        (250, asked(None, false)),
        (251, opened("B", false, 0)),
        (251, snapshot(200, &[("m.a", 2)])),
        (312, message(3, None)),
        (412, message(4, Some("m.a"))),
        (500, broken()),
        (700, asked(Some(400), false)),
        (701, opened("B2", true, 1)),
        (812, message(8, Some("m.a"))),
        (1012, message(10, Some("m.a"))),
    ];
    let mut eve = client("eve", &["m.b"], Follows::TokenOnly);
    eve.events = vec![
        (5, asked(None, false)),
        (6, opened("E", false, 0)),
        (6, snapshot(0, &[])),
        (112, message(1, Some("m.b"))),
        (312, message(3, None)),
        (315, broken()),
        (400, asked(None, true)),
        (401, opened("E", true, 0)),
        (402, message(3, None)),
        (712, message(7, Some("m.b"))),
        (912, message(9, Some("m.b"))),
    ];
    Record {
        clients: vec![ada, bob, eve],
        publishes: (1..=10).map(|n| publish(n, metric(n), user(n))).collect(),
        failures: Vec::new(),
        kept: (1..=10).map(piece).collect(),
        ended: 2000,
    }
}

const ADA: usize = 0;
const BOB: usize = 1;
const EVE: usize = 2;

fn rules(record: &Record, promise: Promise) -> Vec<Rule> {
    let mut rules: Vec<Rule> = check(record, promise)
        .into_iter()
        .map(|it| it.rule)
        .collect();
    rules.sort();
    rules.dedup();
    rules
}

/// The good record changed by `plant` violates exactly `expected`.
fn planted(what: &str, expected: &[Rule], plant: impl Fn(&mut Record)) {
    let mut record = good();
    plant(&mut record);
    let violations = check(&record, PROMISE);
    assert_eq!(rules(&record, PROMISE), expected, "{what}: {violations:#?}");
}

/// Where the `n`th message stands among a client's events.
fn place(record: &Record, client: usize, n: u64) -> usize {
    let is_it = |(_, event): &(Millis, Event)| event.id() == Some(id(100 * n));
    record.clients[client]
        .events
        .iter()
        .rposition(is_it)
        .unwrap()
}

fn without(record: &mut Record, client: usize, n: u64) {
    let place = place(record, client, n);
    record.clients[client].events.remove(place);
}

#[test]
fn a_good_record_is_good() {
    assert_eq!(check(&good(), PROMISE), []);
}

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
            record.publishes[8].asked = 2000;
            record.publishes[8].done = 2010;
            record.publishes[8].acknowledged[0].0 = 2010;
            record.publishes[9].asked = 2020;
            record.publishes[9].acknowledged[0].0 = 2030;
            record.clients[EVE]
                .events
                .push((2300, Event::Cursor(id(1000))));
            without(record, EVE, 9);
        },
    );
    planted("by token, underway at the break", &[], |record| {
        without(record, EVE, 7)
    });
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

#[test]
fn a_publish_that_is_there_twice_is_found() {
    let again = |record: &mut Record, n: u64| {
        let mut publish = publish(n, Some("m.a"), None);
        publish.acknowledged.push((1150, id(1100)));
        record.publishes[n as usize - 1] = publish;
        let it = Event::Message {
            id: id(1100),
            metric: Some("m.a".into()),
            piece: piece(n),
        };
        record.clients[ADA].events.push((1112, it.clone()));
        record.clients[BOB].events.push((1112, it));
    };
    planted("with a key", &[Rule::Once], |record| again(record, 6));
    planted("with a key, in another history", &[], |record| {
        again(record, 6);
        let values = [("m.a", 10), ("m.b", 9), ("own", 5)];
        let anew = [
            (1050, opened("A", false, 0)),
            (1051, snapshot(1050, &values)),
        ];
        let at = record.clients[ADA].events.len() - 1;
        record.clients[ADA].events.splice(at..at, anew);
        let anew = [
            (1050, opened("B", false, 0)),
            (1051, snapshot(1050, &[("m.a", 10)])),
        ];
        let at = record.clients[BOB].events.len() - 1;
        record.clients[BOB].events.splice(at..at, anew);
    });
}

#[test]
fn a_stale_snapshot_is_found() {
    let values = |record: &mut Record, values: &[(&str, u64)]| {
        record.clients[BOB].patterns.push("m.b".into());
        record.clients[BOB].events = vec![
            (1040, asked(None, false)),
            (1041, opened("B", false, 0)),
            (1042, snapshot(1000, values)),
        ];
        // That both see the same afterwards shows that it was one history before.
        record.publishes.push(publish(11, None, None));
        for client in [ADA, BOB] {
            record.clients[client]
                .events
                .push((1112, message(11, None)));
        }
    };
    planted("as it was", &[], |record| {
        values(record, &[("m.a", 10), ("m.b", 9)])
    });
    planted("one older", &[Rule::Snapshot], |record| {
        values(record, &[("m.a", 8), ("m.b", 9)])
    });
    planted("one missing", &[Rule::Snapshot], |record| {
        values(record, &[("m.a", 10)])
    });
    planted("from the future", &[Rule::Snapshot], |record| {
        record.clients[BOB].events[2].1 = snapshot(200, &[("m.a", 4)]);
        record.clients[BOB].events.remove(4);
        record.clients[BOB].events[5].1 = asked(Some(300), false);
        record.clients[BOB].events[6].1 = opened("B2", true, 2);
    });
    planted("of nothing", &[Rule::Content], |record| {
        values(record, &[("m.a", 10), ("m.b", 9), ("m.c", 10)]);
    });
}

#[test]
fn too_many_connections_are_found_once_the_lease_is_over() {
    let more = |record: &mut Record, at: Millis| {
        for session in ["X", "Y"] {
            let mut other = client("ada", &["none"], Follows::TokenAndId);
            other.events = vec![(at, opened(session, false, 0)), (at, snapshot(1000, &[]))];
            record.clients.push(other);
        }
    };
    planted("three", &[Rule::Limit], |record| more(record, 1100));
    planted("three, and one of them is taken over", &[], |record| {
        more(record, 1100);
        let Event::Opened(opened) = &mut record.clients[3].events[0].1 else {
            panic!()
        };
        opened.session = "A".into();
    });
    planted("three after a failure", &[], |record| {
        more(record, 1100);
        record.failures.push((700, 1050));
    });
    planted("three and still three", &[Rule::Limit], |record| {
        more(record, 1100);
        record.failures.push((700, 800));
    });
}

#[test]
fn who_begins_anew_where_nothing_may_be_lost_is_found() {
    let promise = Promise {
        nobody_begins_anew: true,
        ..PROMISE
    };
    assert_eq!(rules(&good(), promise), []);
    let mut record = good();
    let values = [("m.a", 10), ("m.b", 9), ("own", 5)];
    let anew = [
        (1100, opened("A", false, 0)),
        (1101, snapshot(1000, &values)),
    ];
    record.clients[ADA].events.extend(anew);
    assert_eq!(rules(&record, promise), [Rule::Anew]);
    let mut record = good();
    let unknown = Event::Refused {
        status: 410,
        code: "reconnect_token_invalid".into(),
    };
    record.clients[EVE].events.push((1100, unknown));
    assert_eq!(rules(&record, promise), [Rule::Anew]);
}

#[test]
fn what_was_acknowledged_and_is_not_kept_is_found() {
    let promise = Promise {
        keeps_acknowledged: true,
        ..PROMISE
    };
    let mut record = good();
    assert_eq!(rules(&record, promise), []);
    record.kept.remove(&piece(4));
    assert_eq!(rules(&record, promise), [Rule::Kept]);
}
