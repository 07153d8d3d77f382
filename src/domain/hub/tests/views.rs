//! Views: what is seen, how often, and that they are logs as metrics are.

use proptest::prelude::*;

use super::*;
use crate::domain::history::History;
use crate::domain::hub::again;
use crate::domain::message::{Retain, StateName};
use crate::domain::testing::sized;

const FIELDS: &str = r#"{"metric":"m","fields":["/x"]}"#;
const ABOVE: &str = r#"{"metric":"m","where":"data.x > 5"}"#;
const SELDOM: &str = r#"{"metric":"m","maxHz":10}"#;

/// A message with bytes as they are on the wire.
fn real(n: u64, topic: Topic, value: &str) -> Arc<Message> {
    let head = format!("id: {}\ndata: ", id(n));
    let open = r#"{"data":{"m":"#;
    let close = format!(r#"}},"messageId":"{}"}}"#, id(n));
    let start = head.len() + open.len();
    let sse = [&head, open, value, &close, "\n\n"].concat();
    let message = sized(n, topic, Priority::Normal, Retain::All, 0);
    Arc::new(Message {
        json: head.len()..sse.len() - 2,
        value: start..start + value.len(),
        sse: sse.into(),
        ..Arc::into_inner(message).unwrap()
    })
}

impl Scene {
    fn say(&mut self, n: u64, value: &str) -> Vec<Did> {
        self.say_of("m", n, value)
    }

    fn say_of(&mut self, name: &str, n: u64, value: &str) -> Vec<Did> {
        self.last = n;
        self.hub
            .published(real(n, metric(name), value), &mut self.recorder);
        self.did()
    }

    /// What waits is said again by a message of id `n`.
    fn again(&mut self, n: u64) -> Vec<Did> {
        let topics = self.hub.to_be_said_again(n);
        for topic in topics {
            let (name, data) = again::state(&topic).unwrap();
            self.last = n;
            let message = real(n, Topic::State(name), data.as_str());
            self.hub.published(message, &mut self.recorder);
        }
        let mut did = self.did();
        did.retain(|did| *did != Did::Deliver(n));
        did
    }
}

fn seen(view: &str, n: u64, value: &str) -> Did {
    let view = patterns(&[view]).remove(0).view.unwrap();
    Did::DeliverAs(view.as_str().to_owned(), n, value.to_owned())
}

#[test]
fn who_asks_for_the_same_is_served_once_and_before_the_others() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[FIELDS]);
    scene.open(2, "bob", &[r#"{"metric":"*","fields":["/x"]}"#]);
    scene.open(3, "cid", &["m"]);
    scene.did();
    let did = scene.say(11, r#"{"x":1,"y":2}"#);
    assert_eq!(did, [seen(FIELDS, 11, r#"{"x":1}"#), Did::Deliver(11)]);
    assert_eq!(scene.hub.views().0, 1);
}

#[test]
fn a_condition_picks_messages_and_one_that_fails_to_be_evaluated_picks_none() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[ABOVE]);
    scene.did();
    assert_eq!(scene.say(11, r#"{"x":5}"#), [Did::Deliver(11)]);
    let above = r#"{"x":6}"#;
    assert_eq!(
        scene.say(12, above),
        [seen(ABOVE, 12, above), Did::Deliver(12)]
    );
    for (n, odd) in (13..).zip(["{}", "7", r#"{"x":"9"}"#, "null"]) {
        assert_eq!(scene.say(n, odd), [Did::Deliver(n)], "{odd}");
    }
}

#[test]
fn a_snapshot_and_a_replay_are_of_what_is_seen() {
    let mut scene = Scene::new();
    scene.say(11, r#"{"x":1,"y":1}"#);
    scene.open(1, "ann", &[FIELDS]);
    let Did::Attach(1, opening, 11) = scene.did().remove(0) else {
        panic!("no opening")
    };
    assert_eq!(opening[1], Said::Snapshot(vec![("m".to_owned(), 11)]));
    scene.gone(1, 11);
    for n in 12..=16 {
        scene.say(n, &format!(r#"{{"x":{n},"y":0}}"#));
    }
    scene.ask(2, resume("ann", 1), None).unwrap();
    let Did::Attach(2, opening, 16) = scene.did().remove(0) else {
        panic!("no opening")
    };
    let replayed = [14, 15, 16].map(Said::Message);
    assert_eq!(opening[0], Said::Established(true, 3, 2));
    assert_eq!(opening[1..], replayed);
}

#[test]
fn what_a_view_leaves_out_is_not_counted_as_lost() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[ABOVE]);
    scene.gone(1, 10);
    for n in 11..=50 {
        scene.say(n, &format!(r#"{{"x":{}}}"#, n % 10));
    }
    scene.did();
    scene.ask(2, resume("ann", 1), None).unwrap();
    let Did::Attach(2, opening, 50) = scene.did().remove(0) else {
        panic!("no opening")
    };
    // Of 16 that are above the newest 3 are there.
    assert_eq!(opening[0], Said::Established(true, 3, 13));
    assert_eq!(opening[1..], [47, 48, 49].map(Said::Message));
}

#[test]
fn a_view_that_nobody_asks_for_any_more_costs_nothing() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[FIELDS, "n"]);
    scene.say(11, r#"{"x":1}"#);
    assert!(scene.hub.views().1 > 0);
    scene
        .hub
        .change_connection(
            key(1),
            Change::Unsubscribe,
            &patterns(&["m"]),
            &mut scene.recorder,
        )
        .unwrap();
    assert_eq!(scene.hub.views(), (0, 0));
    scene
        .hub
        .change_connection(
            key(1),
            Change::Subscribe,
            &patterns(&[ABOVE]),
            &mut scene.recorder,
        )
        .unwrap();
    assert_eq!(scene.hub.views().0, 1);
    scene.hub.disconnect(|_| true, &mut scene.recorder);
    assert_eq!(scene.hub.views(), (0, 0));
}

#[test]
fn a_hub_has_so_many_views_and_no_more() {
    let mut scene = Scene::with(Limits {
        connections_per_user_max: 1000,
        connections_max: 1000,
        ..limits()
    });
    for n in 0..VIEWS_MAX as u64 {
        let view = format!(r#"{{"metric":"m","where":"data.x > {n}"}}"#);
        scene.open(n, "ann", &[&view]);
    }
    let one_more = new("bob", &[FIELDS]);
    assert_eq!(scene.ask(900, one_more, None), Err(Refusal::HubViews));
    scene.open(901, "bob", &[r#"{"metric":"other","where":"data.x > 7"}"#]);
    let refused = scene.hub.change_connection(
        key(901),
        Change::Subscribe,
        &patterns(&[FIELDS]),
        &mut scene.recorder,
    );
    assert_eq!(refused, Err(NameError::HubViews));
    assert_eq!(scene.hub.views().0, VIEWS_MAX);
}

#[test]
fn the_newest_wins_and_the_last_is_said_again_under_an_id_of_its_own() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[SELDOM, "other"]);
    scene.did();
    assert_eq!(
        scene.say(1000, "1"),
        [seen(SELDOM, 1000, "1"), Did::Deliver(1000)]
    );
    assert_eq!(scene.say(1010, "2"), [Did::Deliver(1010)]);
    assert_eq!(scene.say(1020, "3"), [Did::Deliver(1020)]);
    scene.say_of("other", 1090, "9");
    assert_eq!(scene.again(1099), [], "too soon");
    assert_eq!(scene.again(1100), [seen(SELDOM, 1100, "3")]);
    assert_eq!(scene.again(1300), [], "once");
    assert_eq!(
        scene.say(1201, "4"),
        [seen(SELDOM, 1201, "4"), Did::Deliver(1201)]
    );
    // What is due anyway needs not be said again.
    scene.say(1210, "5");
    assert_eq!(
        scene.say(1310, "6"),
        [seen(SELDOM, 1310, "6"), Did::Deliver(1310)]
    );
    assert_eq!(scene.again(1500), []);
    // The bytes have the new id, and the old value.
    scene.gone(1, 1099);
    scene.ask(2, resume("ann", 1), None).unwrap();
    let backlog = scene.recorder.did.pop();
    let Some(Did::Attach(2, opening, _)) = backlog else {
        panic!("{backlog:?}")
    };
    assert_eq!(opening[1..], [1100, 1201, 1310].map(Said::Message));
}

#[test]
fn a_message_under_another_id_has_it_wherever_an_id_stands() {
    let message = real(7, metric("m"), r#"{"x":"7-0"}"#);
    let other = message.with(id(12), br#"{"x":"7-0"}"#);
    let expected = real(12, metric("m"), r#"{"x":"7-0"}"#);
    assert_eq!(other.sse, expected.sse);
    assert_eq!(
        (other.json(), other.value()),
        (expected.json(), expected.value())
    );
}

/// What a session with a view would have been sent, told from all that was published.
fn naive(view: &str, all: &[(u64, f64, bool)]) -> Vec<(u64, String)> {
    let mut seen: Vec<(u64, String)> = Vec::new();
    let mut waiting: Option<f64> = None;
    for (n, x, is_again) in all {
        let (n, x) = (*n, *x);
        if view == ABOVE && x <= 5.0 && !is_again {
            continue;
        }
        let last = seen.last().map_or(0, |(n, _)| *n);
        match view {
            SELDOM if *is_again => {
                if n >= last + 100
                    && let Some(x) = waiting.take()
                {
                    seen.push((n, format!(r#"{{"x":{x},"y":1}}"#)));
                }
            }
            _ if *is_again => {}
            SELDOM if n < last + 100 => waiting = Some(x),
            SELDOM => {
                waiting = None;
                seen.push((n, format!(r#"{{"x":{x},"y":1}}"#)));
            }
            FIELDS => seen.push((n, format!(r#"{{"x":{x}}}"#))),
            _ => seen.push((n, format!(r#"{{"x":{x},"y":1}}"#))),
        }
    }
    seen
}

proptest! {
    /// Whatever is published, who looks through a view gets what a reader of the whole would make of it: live, after
    /// a time away, and after the hub began anew.
    #[test]
    fn a_view_is_what_a_reader_of_the_whole_would_make_of_it(
        view in prop::sample::select(vec![FIELDS, ABOVE, SELDOM]),
        steps in prop::collection::vec((1..120u64, 0..10u32, 0..4u8), 1..40),
        away in 0..40usize,
        restart in any::<bool>(),
    ) {
        let mut limits = limits();
        limits.history.backlog_messages_max = 100;
        let mut scene = Scene::with(limits.clone());
        scene.open(1, "ann", &[view]);
        scene.did();
        let (mut n, mut all, mut live, mut position) = (1000, Vec::new(), Vec::new(), id(10));
        for (nth, (apart, x, what)) in steps.into_iter().enumerate() {
            if nth == away {
                position = scene.hub.history().last();
                scene.gone(1, position.millis());
                if restart {
                    // What the log has of it, and the session.
                    let session = scene.hub.session(&token(1)).unwrap().clone();
                    let kept = scene.hub.history().kept(|_| true);
                    let last = scene.hub.history().last();
                    let mut history = History::new(limits.history.clone(), id(10));
                    kept.into_iter().for_each(|message| history.push(message));
                    history.pass(last);
                    scene.hub = HubState::restored(limits.clone(), history, [session]);
                }
            }
            n += apart;
            let did = if what == 0 {
                let did = scene.again(n);
                all.push((n, 0.0, true));
                did
            } else {
                all.push((n, f64::from(x), false));
                scene.say(n, &format!(r#"{{"x":{x},"y":1}}"#))
            };
            live.extend(did.into_iter().filter_map(|did| match did {
                Did::DeliverAs(_, n, value) => Some((n, value)),
                _ => None,
            }));
        }
        let mut expected = naive(view, &all);
        if !restart || view != SELDOM {
            prop_assert_eq!(&live, &expected);
        }
        // A hub that began anew knows of what was said again no more than the value, which waits once more.
        if restart && view == SELDOM {
            expected = live.clone();
        }
        let missed: Vec<u64> = expected.iter().map(|(n, _)| *n).filter(|n| *n > position.millis()).collect();
        if scene.hub.session(&token(1)).unwrap().is_connected() {
            return Ok(());
        }
        scene.did();
        scene.ask(2, resume("ann", 1), None).unwrap();
        let Did::Attach(_, opening, _) = scene.did().remove(0) else { panic!("no opening") };
        prop_assert_eq!(&opening[0], &Said::Established(true, missed.len(), 0));
        prop_assert_eq!(&opening[1..], missed.into_iter().map(Said::Message).collect::<Vec<_>>());
    }
}

#[test]
fn states_are_not_told_to_clients() {
    let mut scene = Scene::new();
    scene.open(1, "ann", &[]);
    scene.did();
    let state = Topic::State(StateName::parse("a/b").unwrap());
    scene
        .hub
        .published(real(11, state, "1"), &mut scene.recorder);
    assert_eq!(scene.did(), [Did::Deliver(11)]);
    assert_eq!(scene.hub.statistics().tally.published.total(), 0);
    scene.gone(1, 10);
    scene.ask(2, resume("ann", 1), None).unwrap();
    let Did::Attach(_, opening, _) = scene.did().remove(0) else {
        panic!("no opening")
    };
    assert_eq!(opening, [Said::Established(true, 0, 0)]);
}
