//! What becomes of a rule on a metric, case by case.

use super::*;

fn over(limit: &str) -> Spec {
    Spec {
        when: Some(format!("data > {limit}")),
        ..spec("r", "m")
    }
}

#[test]
fn it_must_hold_without_a_break() {
    let mut world = World::new(vec![rule(Spec {
        hold: Some("10s".into()),
        message: Some("{metric} is {data}".into()),
        ..over("5")
    })]);
    world.publish("m", "7");
    world.act(usize::MAX);
    assert_eq!(world.stage(), Some(Stage::Pending));
    world.pass(9999);
    world.publish("m", "5");
    world.publish("m", "8.5");
    world.pass(9999);
    world.act(usize::MAX);
    assert_eq!((world.stage(), world.open.len()), (Some(Stage::Pending), 0));
    world.pass(1);
    world.act(usize::MAX);
    assert_eq!((world.stage(), world.open.len()), (Some(Stage::Firing), 1));
    assert_eq!(world.told, ["m is 8.5"]);
    world.publish("m", "5");
    world.act(usize::MAX);
    assert_eq!((world.stage(), world.open.len()), (None, 0));
    assert_eq!(world.events, [Event::Firing, Event::Resolved]);
    assert!(world.records.is_empty());
}

#[test]
fn each_metric_of_a_pattern_has_a_life_of_its_own() {
    let mut world = World::new(vec![rule(Spec {
        on: "m.*".into(),
        ..over("5")
    })]);
    for (name, value) in [("m.a", "7"), ("m.b", "1"), ("m.c", "9"), ("n", "9")] {
        world.publish(name, value);
    }
    world.act(usize::MAX);
    let shown = &world.engine.shown()[0];
    let firing: Vec<_> = shown.lives.iter().map(|it| it.metric.as_str()).collect();
    assert_eq!((firing, shown.metrics), (vec!["m.a", "m.c"], 3));
    assert_eq!(world.engine.firing()[2], (Severity::High, 2));
}

#[test]
fn what_stays_away_is_told_and_a_restart_is_no_absence() {
    let mut world = World::new(vec![rule(Spec {
        absent_for: Some("10s".into()),
        ..spec("r", "m")
    })]);
    world.pass(9999);
    world.act(usize::MAX);
    assert!(world.open.is_empty());
    world.pass(1);
    world.act(usize::MAX);
    assert_eq!(world.open.len(), 1, "also what was never there");
    world.publish("m", "1");
    world.act(usize::MAX);
    assert!(world.open.is_empty());
    world.pass(9000);
    // The hub was away for an hour, and nobody could have published.
    world.now_ms += 3_600_000;
    world.restart(3);
    world.pass(9999);
    world.act(usize::MAX);
    assert!(world.open.is_empty());
    world.pass(1);
    world.act(usize::MAX);
    assert_eq!((world.open.len(), world.keys.len()), (1, 2));
    // It goes on to be away after another restart, and is told once.
    world.restart(3);
    world.pass(60_000);
    world.act(usize::MAX);
    assert_eq!(world.keys.len(), 2);
}

#[test]
fn who_has_seen_it_hears_no_more_of_it() {
    let mut world = World::new(vec![rule(Spec {
        repeat_every: Some("10s".into()),
        ..over("5")
    })]);
    world.publish("m", "7");
    world.act(usize::MAX);
    world.pass(9999);
    world.act(usize::MAX);
    assert_eq!(world.events, [Event::Firing]);
    for _ in 0..3 {
        world.pass(10_000);
        world.act(usize::MAX);
    }
    assert_eq!(world.events[1..], [Event::Repeated; 3]);
    let (id, step) = (world.the_open(), world.step());
    assert!(world.engine.told(id, Stage::Acknowledged, &step));
    world.act(usize::MAX);
    world.restart(1);
    world.pass(60_000);
    world.act(usize::MAX);
    assert_eq!(world.stage(), Some(Stage::Acknowledged));
    assert_eq!(world.events[4..], [Event::Acknowledged]);
    world.publish("m", "1");
    let deeds = world.engine.deeds();
    assert_eq!(deeds[0].acknowledged, Some(step));
    let from = AlertState::Acknowledged;
    assert_eq!(deeds[0].act, Act::Resolve { from });
}

#[test]
fn what_somebody_has_resolved_is_not_told_anew_before_it_is_over() {
    let mut world = World::new(vec![rule(over("5"))]);
    world.publish("m", "7");
    world.act(usize::MAX);
    let (id, step) = (world.the_open(), world.step());
    world.engine.told(id, Stage::Resolved, &step);
    world.open.clear();
    world.act(usize::MAX);
    for value in ["8", "9"] {
        world.publish("m", value);
        world.restart(2);
        world.act(usize::MAX);
    }
    assert_eq!(
        (world.stage(), world.keys.len()),
        (Some(Stage::Resolved), 1)
    );
    world.publish("m", "1");
    world.act(usize::MAX);
    assert_eq!((world.stage(), world.records.len()), (None, 0));
    world.publish("m", "7");
    world.act(usize::MAX);
    assert_eq!(world.keys.len(), 2);
    let events = [Event::Firing, Event::Resolved, Event::Firing];
    assert_eq!(world.events, events);
}

#[test]
fn a_silence_holds_back_and_what_still_holds_is_told_at_its_end() {
    let mut world = World::new(vec![rule(over("5"))]);
    let silence = Silence {
        alert: Some("r".into()),
        metric: None,
        from_ms: 0,
        until_ms: world.now_ms + 10_000,
        by: UserId::parse("ada").unwrap(),
        why: "upgrade".into(),
    };
    world.engine.silence("s", Some(silence.clone()));
    for value in ["7", "1", "8"] {
        world.publish("m", value);
        world.act(usize::MAX);
    }
    assert_eq!((world.stage(), world.keys.len()), (Some(Stage::Firing), 0));
    assert!(world.engine.shown()[0].lives[0].is_silenced);
    world.restart(3);
    world.engine.silence("s", Some(silence));
    world.pass(9999);
    world.act(usize::MAX);
    assert!(world.keys.is_empty());
    world.pass(1);
    world.act(usize::MAX);
    assert_eq!(world.keys.len(), 1);
    assert_eq!(world.engine.past_silences(), ["s"]);
}

#[test]
fn a_rule_that_goes_takes_its_alerts_along() {
    let mut world = World::new(vec![rule(over("5"))]);
    world.publish("m", "7");
    world.act(usize::MAX);
    world.rules.clear();
    world.engine.set_rules(Vec::new(), world.now_ms);
    world.act(usize::MAX);
    assert!(world.open.is_empty() && world.records.is_empty());
    assert_eq!(world.engine.lives(), 1);
    world.pass(1);
    assert_eq!(world.engine.lives(), 0);
    // Also after a restart with another file.
    let mut world = World::new(vec![rule(over("5"))]);
    world.publish("m", "7");
    world.act(usize::MAX);
    world.rules = vec![rule(Spec {
        name: "other".into(),
        ..over("9")
    })];
    world.restart(1);
    world.act(usize::MAX);
    assert!(world.open.is_empty() && world.records.is_empty());
}

#[test]
fn a_value_without_an_answer_is_a_break_and_no_end() {
    let mut world = World::new(vec![rule(Spec {
        when: Some("data.x > 5".into()),
        hold: Some("1s".into()),
        ..spec("r", "m")
    })]);
    world.publish("m", r#"{"x":7}"#);
    world.publish("m", "{}");
    assert_eq!(world.stage(), None);
    world.publish("m", r#"{"x":7}"#);
    world.pass(1000);
    world.act(usize::MAX);
    world.publish("m", "{}");
    world.pass(10_000);
    world.act(usize::MAX);
    assert_eq!(world.stage(), Some(Stage::Firing));
    assert_eq!(world.engine.counts().errors, 2);
    assert_eq!(world.engine.failing(), 1);
    let error = world.engine.shown()[0].last_error.clone().unwrap();
    assert!(error.reason.starts_with("when: "), "{error:?}");
    world.publish("m", r#"{"x":1}"#);
    assert_eq!(world.engine.failing(), 0);
}

#[test]
fn there_are_no_more_lives_than_allowed_and_old_ones_make_room() {
    let mut world = World::new(vec![rule(Spec {
        on: "**".into(),
        ..over("5")
    })]);
    for n in 0..150 {
        world.publish(&format!("m{n}"), "1");
    }
    assert_eq!(
        (world.engine.lives(), world.engine.counts().left_out),
        (100, 50)
    );
    world.pass(LIMITS.idle_ms + 1);
    assert_eq!(world.engine.lives(), 0);
    world.publish("m149", "7");
    world.act(usize::MAX);
    assert_eq!(world.keys.len(), 1);
}

#[test]
fn a_value_unlike_its_past_is_told() {
    let mut world = World::new(vec![rule(Spec {
        anomaly: Some(AnomalySpec {
            field: "/n".into(),
            deviation: 4.0,
            season: "48m".into(),
            seasons: 5,
            scale_min: 0.0,
        }),
        message: Some("{data.n} instead of {expected}".into()),
        ..spec("r", "m")
    })]);
    let minute = 60_000;
    // A wave that repeats every 48 minutes: what is usual at its top would be odd at its bottom.
    let usual = |at: u64| 100 + 10 * ((at / minute) % 48) + (at / minute / 48) % 3;
    for _ in 0..6 * 48 {
        world.pass(minute);
        let value = usual(world.now_ms);
        world.publish("m", &format!(r#"{{"n":{value}}}"#));
        world.act(usize::MAX);
        assert_eq!(world.keys.len(), 0, "{value}");
    }
    let pasts = world.engine.take_pasts();
    assert_eq!(pasts.len(), 1);
    let text = serde_json::to_string(&pasts[0].2).unwrap();
    assert!(text.len() < 5000, "{}", text.len());
    world.pass(minute);
    let expected = usual(world.now_ms);
    world.publish("m", &format!(r#"{{"n":{}}}"#, expected + 200));
    world.act(usize::MAX);
    assert_eq!(world.keys.len(), 1);
    assert!(world.told[0].starts_with(&format!("{} instead of ", expected + 200)));
    world.pass(minute);
    world.publish("m", &format!(r#"{{"n":{}}}"#, usual(world.now_ms)));
    world.act(usize::MAX);
    assert_eq!(world.open.len(), 0);
    // What is remembered of the past is the past after a restart.
    let pasts = world.engine.take_pasts();
    world.restart(0);
    for (rule, of, past) in pasts {
        world.engine.knows_past(&rule, &of, past);
    }
    world.pass(minute);
    world.publish("m", r#"{"n":5000}"#);
    world.act(usize::MAX);
    assert_eq!(world.keys.len(), 2);
}
