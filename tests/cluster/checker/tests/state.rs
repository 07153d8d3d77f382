//! What is wrong with the log, with snapshots and with limits.

use super::*;

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
