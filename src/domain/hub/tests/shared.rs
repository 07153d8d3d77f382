//! A hub among others: its log may turn out to be another one, its sessions go on elsewhere.

use super::*;

/// The log is another one from `origin` on, with this in it.
fn anew(scene: &mut Scene, origin: u64, past: &[(u64, &str)]) {
    scene.hub.begin_anew(id(origin));
    for (n, name) in past {
        scene
            .hub
            .remember(message(*n, metric(name), Priority::Normal));
        scene.last = *n;
    }
    scene.hub.tell_anew(&mut scene.recorder);
    assert!(scene.hub.is_consistent());
}

fn snapshot(of: &[(&str, u64)]) -> Said {
    Said::Snapshot(
        of.iter()
            .map(|(name, n)| ((*name).to_owned(), *n))
            .collect(),
    )
}

#[test]
fn every_stream_goes_on_with_a_snapshot_when_the_log_is_another_one() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene.open(2, "bob", &["b"]);
    scene.publish_many(1, "a");
    scene.publish_many(1, "b");
    scene.did();
    anew(&mut scene, 20, &[(21, "a"), (22, "c")]);
    let told = |key, values: &[_]| {
        Did::CatchUp(
            key,
            vec![Said::Established(false, 0, 0), snapshot(values)],
            22,
        )
    };
    // What the new log does not replace stays: b's value is of before.
    let expected = [
        told(1, &[("a", 21), ("b", 12), ("c", 22)]),
        told(2, &[("b", 12)]),
    ];
    assert_eq!(scene.did(), expected);
    scene.publish_many(1, "a");
    assert_eq!(scene.did(), [Did::Deliver(23)]);
}

#[test]
fn nobody_resumes_from_before_and_everybody_from_after() {
    let mut scene = Scene::new();
    for number in 1..=2 {
        scene.open(number, "ann", &[]);
    }
    scene.publish_many(3, "a");
    scene.gone(1, 12);
    anew(&mut scene, 20, &[(21, "a"), (22, "a")]);
    scene.gone(2, 22);
    scene.did();
    scene.ask(3, resume("ann", 1), Some(12)).unwrap();
    assert!(!scene.recorder.opening.take().unwrap().resumed);
    scene.gone(3, 22);
    scene.publish_many(1, "a");
    scene.ask(4, resume("ann", 2), None).unwrap();
    let opening = scene.recorder.opening.take().unwrap();
    assert_eq!((opening.resumed, opening.replayed), (true, 1));
    scene.ask(5, new("bob", &[]), Some(15)).unwrap();
    assert!(!scene.recorder.opening.take().unwrap().resumed);
}

/// The other log may have lost what this hub has sent, and have other messages under the same ids.
#[test]
fn a_position_in_what_was_lost_is_none_in_the_new_log() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene.publish_many(10, "a");
    scene.gone(1, 20);
    anew(&mut scene, 15, &[(18, "b"), (19, "c"), (21, "a")]);
    for position in [14, 16, 19] {
        scene.ask(2, resume("ann", 1), Some(position)).unwrap();
        assert!(
            !scene.recorder.opening.take().unwrap().resumed,
            "{position}"
        );
        scene.gone(2, 21);
    }
    scene.ask(2, resume("ann", 1), Some(21)).unwrap();
    assert!(scene.recorder.opening.take().unwrap().resumed);
}

#[test]
fn a_lagging_client_is_told_once_and_is_live_again() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene.publish_many(2, "a");
    scene.hub.lagging(key(1), id(11));
    scene.did();
    anew(&mut scene, 20, &[]);
    let expected = vec![Said::Established(false, 0, 0), snapshot(&[("a", 12)])];
    assert_eq!(scene.did(), [Did::CatchUp(1, expected, 20)]);
    // Its worker had said so before it heard of the new log.
    scene.hub.lagging(key(1), id(12));
    scene.hub.drained(key(1), &mut scene.recorder);
    assert_eq!(scene.did(), []);
    assert_eq!(scene.hub.statistics().sse.active, 1);
}

#[test]
fn a_session_goes_on_where_it_was_taken_over() {
    let mut there = Scene::new();
    there.open(1, "ann", &["a"]);
    there.publish_many(2, "a");
    there.gone(1, 11);
    let mut here = Scene::new();
    here.publish_many(3, "a");
    here.hub
        .adopt(there.hub.session(&token(1)).unwrap().clone());
    there.hub.taken(token(1), &mut there.recorder);
    assert!(there.hub.session(&token(1)).is_none() && there.hub.is_consistent());
    here.ask(2, resume("ann", 1), None).unwrap();
    let opening = here.recorder.opening.take().unwrap();
    assert_eq!((opening.resumed, opening.replayed), (true, 2));
}

#[test]
fn a_live_stream_whose_session_is_taken_over_ends() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene.did();
    scene.hub.taken(token(1), &mut scene.recorder);
    assert_eq!(scene.did(), [Did::Close(1, Goodbye::Replaced)]);
    scene.hub.taken(token(1), &mut scene.recorder);
    assert_eq!(scene.did(), []);
    // The connection's own report comes last.
    scene.gone(1, 10);
    assert_eq!(scene.hub.live(), 0);
}

#[test]
fn what_carries_no_message_moves_where_the_log_ends() {
    let mut scene = Scene::new();
    scene.hub.pass(id(15));
    scene.last = 15;
    scene.open(1, "ann", &[]);
    let opening = vec![Said::Established(false, 0, 0), snapshot(&[])];
    assert_eq!(scene.did(), [Did::Attach(1, opening, 15)]);
    scene.ask(2, new("ann", &[]), Some(15)).unwrap();
    assert!(scene.recorder.opening.take().unwrap().resumed);
}

/// Other hubs take in metrics that this one has not heard of.
#[test]
fn of_more_metrics_than_may_be_those_longest_without_an_update_are_forgotten() {
    let mut scene = Scene::new();
    for n in 0..15 {
        let published = message(20 + n, metric(&format!("m{n}")), Priority::Normal);
        scene.hub.passed_on(published, &mut scene.recorder);
    }
    assert_eq!(scene.hub.history().metrics(), limits().history.metrics_max);
    assert!(!scene.hub.history().has(&metric("m4")) && scene.hub.history().has(&metric("m5")));
}
