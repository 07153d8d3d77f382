//! Who may connect, and what a stream begins with.

use super::*;

#[test]
fn a_new_stream_begins_with_the_snapshot_and_a_resumed_one_with_what_was_missed() {
    let mut scene = Scene::new();
    scene.publish(metric("a"), Priority::Normal);
    scene.did();
    scene.open(1, "ann", &[]);
    let opening = vec![
        Said::Established(false, 0, 0),
        Said::Snapshot(vec![("a".into(), 11)]),
    ];
    assert_eq!(scene.did(), [Did::Attach(1, opening, 11)]);
    let told = scene.recorder.opening.take().unwrap();
    assert_eq!(
        (told.reconnect_token, told.previous_connection_id),
        (token(1), None)
    );

    scene.publish(metric("a"), Priority::Normal);
    scene.gone(1, 11);
    scene.publish(Topic::Alerts, Priority::Critical);
    scene.did();
    scene.ask(2, resume("ann", 1), None).unwrap();
    let opening = vec![
        Said::Established(true, 2, 0),
        Said::Message(12),
        Said::Message(13),
    ];
    assert_eq!(scene.did(), [Did::Attach(2, opening, 13)]);
    let told = scene.recorder.opening.take().unwrap();
    assert_eq!(told.reconnect_token, token(1), "the token stays");
    assert_eq!(told.previous_connection_id, Some(token(1001)));
    assert_eq!(told.connection_id, token(1002));
}

#[test]
fn a_position_of_ours_resumes_and_any_other_gets_a_snapshot() {
    for (position, resumed) in [
        (Some(12), true),
        (Some(10), true),
        (Some(14), true),
        (Some(9), false),
        (Some(15), false),
        (None, false),
    ] {
        let mut scene = Scene::new();
        scene.publish_many(4, "a");
        scene.ask(1, new("ann", &["a"]), position).unwrap();
        let told = scene.recorder.opening.take().unwrap();
        assert_eq!(told.resumed, resumed, "{position:?}");
        if let (Some(position), true) = (position, resumed) {
            assert_eq!(
                told.replayed as u64 + told.receipt.dropped.total(),
                14 - position
            );
        }
    }
}

#[test]
fn a_snapshot_holds_what_its_user_may_see() {
    let value = |name: &str, n| (name.to_string(), n);
    for (name, metrics, expected) in [
        ("ann", &[][..], vec![value("a", 12), value("a.b", 14)]),
        ("bob", &["a"], vec![value("a", 13)]),
        ("cid", &["a", "nobody"], vec![value("a", 11)]),
        ("ann", &["a.*"], vec![value("a.b", 14)]),
        ("ann", &["nobody"], vec![]),
    ] {
        let mut scene = Scene::new();
        scene.publish(metric("a"), Priority::Normal);
        scene.publish(own_metric("a", "ann"), Priority::Low);
        scene.publish(own_metric("a", "bob"), Priority::Normal);
        scene.publish(metric("a.b"), Priority::Normal);
        scene.publish(Topic::Alerts, Priority::Critical);
        scene.did();
        scene.open(1, name, metrics);
        let opening = vec![Said::Established(false, 0, 0), Said::Snapshot(expected)];
        assert_eq!(
            scene.did(),
            [Did::Attach(1, opening, 15)],
            "{name} {metrics:?}"
        );
    }
}

#[test]
fn each_refusal_has_its_reason_and_changes_nothing() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene.open(2, "ann", &[]);
    let with_ticket = Opening::New {
        identity: identity("bob").into(),
        selectors: vec![],
        ticket: Some(ticket(9)),
    };
    scene.ask(3, with_ticket, None).unwrap();
    scene.gone(2, 10);
    scene.open(4, "ann", &[]);
    scene.did();
    let many: Vec<String> = (0..101).map(|n| format!("m{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let by_ticket = |hash, wanted: Option<u64>| Opening::ByTicket {
        ticket: ticket(hash),
        token: wanted.map(token),
    };
    for (opening, expected) in [
        (new("ann", &[]), Refusal::ConnectionLimit),
        (resume("ann", 2), Refusal::ConnectionLimit),
        (new("bob", &[]), Refusal::HubFull),
        (new("cid", &many), Refusal::TooManyPatterns),
        (resume("ann", 77), Refusal::UnknownToken),
        (resume("bob", 1), Refusal::UnknownToken),
        (by_ticket(8, None), Refusal::UnknownTicket),
        (by_ticket(9, Some(1)), Refusal::UnknownTicket),
    ] {
        assert_eq!(scene.ask(9, opening, None), Err(expected));
        assert_eq!(scene.did(), []);
        assert_eq!((scene.hub.live(), scene.hub.statistics().sessions), (3, 4));
    }
    assert_eq!(scene.ask(10, by_ticket(9, Some(3)), None), Ok(token(3)));
    scene.now.wall_ms = EXPIRES;
    assert_eq!(
        scene.ask(11, by_ticket(9, None), None),
        Err(Refusal::UnknownTicket)
    );
    scene
        .hub
        .drain((Duration::ZERO, Duration::ZERO), &mut scene.recorder);
    assert_eq!(
        scene.ask(12, resume("ann", 1), None),
        Err(Refusal::Draining)
    );
}

#[test]
fn a_slot_is_free_as_soon_as_its_connection_is() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene.open(2, "ann", &[]);
    assert_eq!(
        scene.ask(3, resume("ann", 1), None),
        Ok(token(1)),
        "its own slot serves"
    );
    assert_eq!(
        scene.ask(4, new("ann", &[]), None),
        Err(Refusal::ConnectionLimit)
    );
    scene.gone(2, 10);
    assert_eq!(scene.ask(5, new("ann", &[]), None), Ok(token(5)));
    // One that is told to end no longer counts, though it has not reported yet.
    scene.now.wall_ms = EXPIRES;
    scene.hub.tick(scene.now, &mut scene.recorder);
    assert_eq!(
        (scene.hub.live(), scene.hub.statistics().sse.closing),
        (0, 2)
    );
    scene.open(6, "ann", &[]);
}

#[test]
fn a_replaced_stream_is_told_so_and_its_late_reports_are_nobodys() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene.sent(1, 10);
    scene.publish_many(2, "a");
    scene.sent(1, 11);
    scene.did();
    scene.ask(2, resume("ann", 1), None).unwrap();
    let opening = vec![Said::Established(true, 1, 0), Said::Message(12)];
    assert_eq!(
        scene.did(),
        [
            Did::Close(1, Goodbye::Replaced),
            Did::Attach(2, opening, 12)
        ]
    );
    scene.gone(1, 11);
    scene.hub.lagging(key(1), id(11));
    scene.hub.drained(key(1), &mut scene.recorder);
    assert_eq!((scene.did(), scene.hub.live()), (vec![], 1));
}

#[test]
fn what_really_arrived_counts_before_what_was_sent() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene.publish_many(3, "a");
    scene.gone(1, 13);
    scene.did();
    scene.ask(2, resume("ann", 1), Some(11)).unwrap();
    let opening = vec![
        Said::Established(true, 2, 0),
        Said::Message(12),
        Said::Message(13),
    ];
    assert_eq!(scene.did(), [Did::Attach(2, opening, 13)]);
    // Nothing of that was sent before it broke again, and now nothing is said about what arrived.
    scene.gone(2, 0);
    scene.ask(3, resume("ann", 1), None).unwrap();
    let told = scene.recorder.opening.take().unwrap();
    assert_eq!((told.resumed, told.replayed), (true, 2));
}

#[test]
fn a_snapshot_that_was_never_sent_is_still_due() {
    let mut scene = Scene::new();
    scene.publish_many(1, "a");
    scene.open(1, "ann", &[]);
    scene.gone(1, 0);
    scene.publish_many(1, "a");
    scene.did();
    scene.ask(2, resume("ann", 1), None).unwrap();
    let snapshot = |n| {
        vec![
            Said::Established(false, 0, 0),
            Said::Snapshot(vec![("a".into(), n)]),
        ]
    };
    assert_eq!(scene.did(), [Did::Attach(2, snapshot(12), 12)]);
    scene.ask(3, resume("ann", 1), None).unwrap();
    assert_eq!(
        scene.did(),
        [
            Did::Close(2, Goodbye::Replaced),
            Did::Attach(3, snapshot(12), 12)
        ]
    );
    scene.sent(3, 12);
    scene.ask(4, resume("ann", 1), None).unwrap();
    assert!(scene.recorder.opening.take().unwrap().resumed);
    // A position from before the session began is of another session.
    scene.ask(5, resume("ann", 1), Some(10)).unwrap();
    assert!(!scene.recorder.opening.take().unwrap().resumed);
}
