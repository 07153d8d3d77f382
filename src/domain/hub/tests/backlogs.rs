//! What is missed, dropped and told.

use super::*;

#[test]
fn who_missed_nothing_is_told_of_nothing_however_long_the_log_moved_on() {
    let mut limits = limits();
    limits.history.counted_ids_max = 10;
    let mut scene = Scene::with(limits);
    scene.open(1, "ann", &["quiet", "calm.*"]);
    scene.sent(1, 10);
    scene.gone(1, 10);
    scene.publish_many(5000, "busy");
    scene.publish(own_metric("quiet", "bob"), Priority::Critical);
    scene.ask(2, resume("ann", 1), None).unwrap();
    let told = scene.recorder.opening.take().unwrap();
    assert_eq!(
        (told.resumed, told.replayed, told.receipt),
        (true, 0, Default::default())
    );
}

#[test]
fn a_receipt_names_what_was_dropped_and_how_much_of_each_priority() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene.sent(1, 10);
    scene.gone(1, 10);
    for (name, priority) in [
        ("a", Priority::Low),
        ("b", Priority::Low),
        ("a", Priority::Normal),
        ("c", Priority::High),
        ("c", Priority::High),
        ("d", Priority::Critical),
    ] {
        scene.publish(metric(name), priority);
    }
    scene.did();
    scene.ask(2, resume("ann", 1), None).unwrap();
    let opening = vec![
        Said::Established(true, 3, 3),
        Said::Message(14),
        Said::Message(15),
        Said::Message(16),
    ];
    assert_eq!(scene.did(), [Did::Attach(2, opening, 16)]);
    let receipt = scene.recorder.opening.take().unwrap().receipt;
    assert_eq!(
        (
            receipt.dropped[Priority::Low],
            receipt.dropped[Priority::Normal]
        ),
        (2, 1)
    );
    assert_eq!(
        receipt
            .metrics
            .iter()
            .map(|name| name.as_str())
            .collect::<Vec<_>>(),
        ["a", "b"]
    );
    assert_eq!(scene.hub.statistics().tally.dropped, receipt.dropped);
}

#[test]
fn a_receipt_names_a_hundred_metrics_at_most() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene.sent(1, 10);
    scene.gone(1, 10);
    (0..150).for_each(|n| {
        scene.publish(metric(&format!("m{n}")), Priority::Normal);
    });
    scene.ask(2, resume("ann", 1), None).unwrap();
    let receipt = scene.recorder.opening.take().unwrap().receipt;
    assert_eq!((receipt.metrics.len(), receipt.dropped.total()), (100, 147));
}

#[test]
fn a_lagging_connection_gets_its_backlog_when_it_has_run_empty() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &["a"]);
    scene.publish_many(2, "a");
    scene.hub.lagging(key(1), id(11));
    scene.publish_many(1, "b");
    scene.did();
    scene.hub.drained(key(1), &mut scene.recorder);
    assert_eq!(
        scene.did(),
        [Did::CatchUp(1, vec![Said::Message(12)], 13)],
        "nothing dropped, nothing said"
    );
    scene.hub.drained(key(1), &mut scene.recorder);
    assert_eq!(scene.did(), [], "once a lag");

    scene.hub.lagging(key(1), id(13));
    scene.publish_many(5, "a");
    assert_eq!(scene.hub.statistics().buffered, 3);
    scene.did();
    scene.hub.drained(key(1), &mut scene.recorder);
    let pieces = [
        vec![Said::Dropped(2)],
        (16..19).map(Said::Message).collect(),
    ]
    .concat();
    assert_eq!(scene.did(), [Did::CatchUp(1, pieces, 18)]);
    assert!(scene.hub.is_consistent());
}

/// What was carried along was counted from what had been queued; less than that was sent.
#[test]
fn who_goes_away_while_lagging_is_told_all_or_nothing() {
    let mut limits = limits();
    limits.history.counted_ids_max = 0;
    let mut scene = Scene::with(limits);
    scene.open(1, "ann", &[]);
    scene.sent(1, 10);
    scene.publish_many(2, "a");
    scene.hub.lagging(key(1), id(12));
    scene.publish_many(10, "a");
    scene.gone(1, 10);
    scene.ask(2, resume("ann", 1), None).unwrap();
    let told = scene.recorder.opening.take().unwrap();
    assert!(!told.resumed, "11 and 12 went uncounted");
}

#[test]
fn what_the_log_forgot_is_never_passed_over_in_silence() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene.sent(1, 10);
    scene.open(2, "ann", &[]);
    scene.sent(2, 10);
    scene.gone(1, 10);
    scene.publish_many(1, "a");
    scene.hub.lagging(key(2), id(10));
    // The wall clock jumps far ahead, the metric looks idle, and its place is wanted by others.
    scene.now.wall_ms += 1_000_000;
    let others: Vec<_> = (0..10).map(|n| metric(&format!("other{n}"))).collect();
    assert!(scene.hub.admit(others.iter(), scene.now).is_ok());
    scene.last = 1_001_000;
    scene.publish_many(1, "b");
    scene.did();
    scene.hub.drained(key(2), &mut scene.recorder);
    assert_eq!(scene.did(), [Did::Close(2, Goodbye::Trouble)]);
    scene.ask(3, resume("ann", 1), None).unwrap();
    assert!(!scene.recorder.opening.take().unwrap().resumed);
}

#[test]
fn cleaning_up_forgets_what_is_idle_and_nothing_that_a_session_still_needs() {
    let mut scene = Scene::new();
    scene.publish_many(1, "a");
    scene.open(1, "ann", &[]);
    scene.sent(1, 11);
    scene.publish_many(1, "b");
    scene.gone(1, 11);
    scene.now.wall_ms += 1_000_000;
    assert_eq!(scene.hub.clean_up(scene.now), id(11), "ann is there");
    assert_eq!(scene.hub.history().metrics(), 1, "b she has not seen");
    scene.ask(2, resume("ann", 1), None).unwrap();
    let told = scene.recorder.opening.take().unwrap();
    assert_eq!((told.resumed, told.replayed), (true, 1));
    scene.hub.disconnect(|_| true, &mut scene.recorder);
    scene.hub.clean_up(scene.now);
    assert_eq!(scene.hub.history().metrics(), 0);
}
