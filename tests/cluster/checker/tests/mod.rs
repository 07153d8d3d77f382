#![cfg(test)]
//! A checker that sees nothing proves nothing: each rule has a record that only it finds fault with.

mod messages;
mod state;

use std::collections::BTreeMap;

use super::{Promise, Rule, check};
use crate::record::{ClientLog, Event, Follows, Millis, Opened, Piece, Publish, Record};
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
        keyed: n.is_multiple_of(2),
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
