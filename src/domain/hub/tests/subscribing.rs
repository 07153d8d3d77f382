//! Who gets what.

use super::*;

#[test]
fn a_user_changes_all_of_its_sessions_at_once_or_none() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &["a"]);
    scene.sent(1, 10);
    scene.open(2, "ann", &[]);
    scene.gone(1, 10);
    scene.did();
    let many: Vec<String> = (0..100).map(|n| format!("m{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let change = |scene: &mut Scene, change, metrics: &[&str]| {
        scene.hub.change_user(
            &user("ann"),
            None,
            change,
            &patterns(metrics),
            &mut scene.recorder,
        )
    };
    assert_eq!(
        change(&mut scene, Change::Subscribe, &many),
        Err(NameError::Patterns)
    );
    assert_eq!(scene.did(), []);
    scene.publish(metric("b"), Priority::Normal);
    scene.did();
    assert_eq!(
        change(&mut scene, Change::Subscribe, &["b"]),
        Ok(1),
        "one of them is live"
    );
    let b = || vec!["b".to_string()];
    assert_eq!(
        scene.did(),
        [
            Did::Resubscribe(2, b()),
            Did::Send(2, vec![Said::Subscribed(b())])
        ]
    );
    scene.publish(metric("b"), Priority::Normal);
    scene.publish(metric("a"), Priority::Normal);
    assert_eq!(change(&mut scene, Change::Unsubscribe, &["a"]), Ok(1));
    scene.did();
    scene.ask(3, resume("ann", 1), None).unwrap();
    let opening = vec![Said::Established(true, 1, 0), Said::Message(12)];
    assert_eq!(
        scene.did(),
        [Did::Attach(3, opening, 13)],
        "b since it was subscribed, a no more"
    );
}

#[test]
fn a_user_changes_one_of_its_sessions_and_nobody_elses() {
    let mut scene = Scene::new();
    let first = scene.open(1, "ann", &["a"]);
    scene.open(2, "ann", &["a"]);
    let others = scene.open(3, "bob", &["a"]);
    scene.did();
    let subscribe = |scene: &mut Scene, only| {
        let (ann, b) = (user("ann"), patterns(&["b"]));
        let effects = &mut scene.recorder;
        scene
            .hub
            .change_user(&ann, Some(only), Change::Subscribe, &b, effects)
    };
    assert_eq!(subscribe(&mut scene, others), Ok(0));
    assert_eq!(scene.did(), []);
    assert_eq!(subscribe(&mut scene, first), Ok(1));
    let ab = || vec!["a".to_string(), "b".to_string()];
    assert_eq!(
        scene.did(),
        [
            Did::Resubscribe(1, ab()),
            Did::Send(1, vec![Said::Subscribed(ab())])
        ]
    );
    scene.gone(1, 0);
    assert_eq!(subscribe(&mut scene, first), Ok(0), "it is away");
}

#[test]
fn a_test_message_is_for_one_transport_and_counts_from_when_it_was_taken() {
    let test = |transport| Topic::Test(user("ann"), transport);
    let mut scene = Scene::new();
    scene
        .ask_over(Transport::Sse, 1, new("ann", &[]), None)
        .unwrap();
    scene.sent(1, 10);
    assert_eq!(scene.hub.audience(&test(Transport::Sse)), 1);
    assert_eq!(scene.hub.audience(&test(Transport::Websocket)), 0);
    assert_eq!(
        scene
            .hub
            .audience(&Topic::Test(user("bob"), Transport::Sse)),
        0
    );
    scene.publish(test(Transport::Websocket), Priority::Low);
    scene
        .ask_over(Transport::Websocket, 2, resume("ann", 1), None)
        .unwrap();
    assert_eq!(scene.recorder.opening.take().unwrap().replayed, 0);
    scene.gone(2, 10);
    scene.publish(test(Transport::Websocket), Priority::Low);
    scene.did();
    scene
        .ask_over(Transport::Websocket, 3, resume("ann", 1), None)
        .unwrap();
    let opening = vec![Said::Established(true, 1, 0), Said::Message(12)];
    assert_eq!(scene.did(), [Did::Attach(3, opening, 12)]);
}

/// Attack: metrics without number (cardinality).
#[test]
fn room_for_a_metric_is_made_where_others_are_idle_longer_than_anyone_can_be_away() {
    let mut limits = limits();
    limits.history.metrics_max = 1;
    let mut scene = Scene::with(limits);
    scene.publish(metric("a"), Priority::Normal);
    let ask = |scene: &mut Scene, seconds: u64| {
        scene.now.wall_ms = 11 + seconds * 1000;
        scene.hub.admit([metric("b")].iter(), scene.now)
    };
    assert_eq!(ask(&mut scene, 99), Err(TooManyMetrics));
    assert_eq!(ask(&mut scene, 100), Ok(()));
}
