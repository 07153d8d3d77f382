//! What became of a message for a user, as an operator is told.

use super::*;
use crate::domain::history::{Fate, Missing};
use crate::domain::hub::Outcome;
use crate::domain::message::Retain;
use crate::domain::testing::sized;

/// Of the one session that `name` has.
fn outcome(scene: &Scene, number: u64, name: &str) -> Outcome {
    let explained = scene.hub.explain(id(number), &user(name)).unwrap();
    let [session] = &explained.sessions[..] else {
        panic!("{explained:?}");
    };
    session.outcome
}

#[test]
fn who_is_there_has_it_once_it_was_sent() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &["a"]);
    scene.sent(1, 10);
    let number = scene.publish(metric("a"), Priority::High);
    assert_eq!(outcome(&scene, number, "ann"), Outcome::Waiting);
    scene.sent(1, number);
    assert_eq!(outcome(&scene, number, "ann"), Outcome::Delivered);
    let explained = scene.hub.explain(id(number), &user("bob")).unwrap();
    assert_eq!(explained.sessions, []);
    assert_eq!(
        (explained.message.priority, explained.message.fate),
        (Priority::High, Fate::Kept)
    );
}

#[test]
fn what_a_session_does_not_get_has_its_reason() {
    let mut scene = Scene::new();
    let before = scene.publish(metric("a"), Priority::High);
    scene.open(1, "ann", &["a"]);
    scene.sent(1, before);
    let filtered = scene.publish(metric("b"), Priority::High);
    let others = scene.publish(own_metric("a", "bob"), Priority::High);
    let own = scene.publish(own_metric("b", "ann"), Priority::High);
    scene.sent(1, own);
    for (number, expected) in [
        (before, Outcome::BeforeSubscription),
        (filtered, Outcome::Filtered),
        (others, Outcome::NotPermitted),
        (own, Outcome::Filtered),
    ] {
        assert_eq!(outcome(&scene, number, "ann"), expected, "{number}");
    }
}

#[test]
fn who_is_away_gets_what_is_kept_and_is_told_of_the_rest() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &["a", "b"]);
    scene.sent(1, 10);
    scene.gone(1, 10);
    let oldest = scene.publish(metric("a"), Priority::High);
    // Three are kept of each, and three in all for one session.
    let numbers = [(); 3].map(|()| scene.publish(metric("a"), Priority::High));
    assert_eq!(outcome(&scene, oldest, "ann"), Outcome::Dropped);
    assert_eq!(outcome(&scene, numbers[0], "ann"), Outcome::Waiting);
    scene.publish(metric("b"), Priority::Critical);
    assert_eq!(outcome(&scene, numbers[0], "ann"), Outcome::Dropped);
    scene.ask(2, resume("ann", 1), None).unwrap();
    scene.sent(2, scene.last);
    for (number, expected) in [
        (oldest, Outcome::Dropped),
        (numbers[0], Outcome::Dropped),
        (numbers[2], Outcome::Delivered),
    ] {
        assert_eq!(outcome(&scene, number, "ann"), expected, "{number}");
    }
}

#[test]
fn of_what_matters_less_nobody_wrote_down_what_was_left_out() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &["a"]);
    let before = scene.publish(metric("a"), Priority::Low);
    scene.sent(1, before);
    scene.gone(1, before);
    let numbers = [(); 4].map(|()| scene.publish(metric("a"), Priority::Low));
    scene.ask(2, resume("ann", 1), None).unwrap();
    scene.sent(2, scene.last);
    let after = scene.publish(metric("a"), Priority::Low);
    scene.sent(2, after);
    for (number, expected) in [
        (before, Outcome::Delivered),
        (numbers[0], Outcome::DeliveredOrDropped),
        (numbers[3], Outcome::DeliveredOrDropped),
        (after, Outcome::Delivered),
    ] {
        assert_eq!(outcome(&scene, number, "ann"), expected, "{number}");
    }
}

#[test]
fn of_a_session_that_has_ended_it_is_known_for_a_while_what_it_got() {
    let mut scene = Scene::new();
    for number in 1..=10 {
        scene.open(number, "ann", &["a"]);
        let got = scene.publish(metric("a"), Priority::High);
        scene.sent(number, got);
        scene.hub.disconnect(
            |session| session.user() == &user("ann"),
            &mut scene.recorder,
        );
    }
    let got = scene.last;
    let missed = scene.publish(metric("a"), Priority::High);
    for (number, expected) in [(got, Outcome::Delivered), (missed, Outcome::SessionEnded)] {
        let explained = scene.hub.explain(id(number), &user("ann")).unwrap();
        let newest = &explained.sessions[0];
        assert_eq!((newest.delivery, newest.outcome), (None, expected));
        assert_eq!(explained.sessions.len(), 8, "and no more of one user");
    }
}

#[test]
fn a_value_that_a_later_one_replaced_is_conflated() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &["a"]);
    scene.sent(1, 10);
    scene.gone(1, 10);
    let gauge = |number| sized(number, metric("a"), Priority::Normal, Retain::Latest, 10);
    for number in [11, 12] {
        scene.hub.published(gauge(number), &mut scene.recorder);
    }
    assert_eq!(outcome(&scene, 11, "ann"), Outcome::Conflated);
}

#[test]
fn what_never_was_and_what_is_forgotten_are_told_apart() {
    let mut limits = limits();
    limits.history.counted_ids_max = 2;
    let mut scene = Scene::with(limits);
    scene.publish_many(20, "a");
    let of = |number| scene.hub.explain(id(number), &user("ann")).map(|_| ());
    assert_eq!(of(scene.last + 1), Err(Missing::NeverPublished));
    assert_eq!(of(scene.last), Ok(()));
    assert_eq!(of(11), Err(Missing::Forgotten));
    assert_eq!(of(5), Err(Missing::Forgotten), "before the log");
}
