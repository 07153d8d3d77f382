use serde_json::{Value, json};

use super::*;

const REFUSED: Outcome = Outcome::Refused("forbidden");

fn repeats(denied_per_minute: u64, alike_per_hour: u64, now: Instant) -> Repeats {
    let shares = Shares {
        denied_per_minute,
        alike_per_hour,
    };
    Repeats::new(shares, now)
}

fn event(action: Action, actor: Option<&str>, outcome: Outcome) -> Event {
    Event {
        actor: actor.and_then(UserId::parse),
        outcome,
        ..Event::new(action, Timestamp::UNIX_EPOCH)
    }
}

fn published(n: u64, count: u64) -> Event {
    let id = |n: u64| format!("{n}-0");
    Event {
        time: Timestamp::from_millisecond(n as i64).unwrap(),
        role: Some("service".into()),
        target: Some(format!("m{}", n % 2)),
        remote: Some("::1".into()),
        request_id: Some(n.to_string()),
        details: Some(json!({"count": count, "first": id(n), "last": id(n + count - 1)})),
        ..event(Action::Publish, Some("shop"), Outcome::Ok)
    }
}

fn value(event: &Event) -> Value {
    serde_json::from_str(&event.line()).unwrap()
}

/// Attack: a publisher that floods the audit trail, to push out of it what others did.
#[test]
fn beyond_the_first_of_an_hour_publishes_are_a_sum_each_minute_in_which_nothing_is_missing() {
    let begun = Instant::now();
    let at = |seconds| begun + Duration::from_secs(seconds);
    let mut repeats = repeats(100, 2, begun);
    let alone = |repeats: &mut Repeats, n: u64, seconds| {
        repeats.admit(published(n, 3), at(seconds)).is_some()
    };
    assert!(alone(&mut repeats, 10, 0) && alone(&mut repeats, 20, 1));
    // Ids as threads may bring them, not in their order.
    for (n, seconds) in [(40, 2), (30, 2), (1000, 59), (51, 59)] {
        assert!(!alone(&mut repeats, n, seconds));
    }
    assert_eq!(repeats.untold(), 4);
    assert!(repeats.due(at(59)).is_empty(), "the minute is not over");
    let [(told, 4)] = &repeats.due(at(60))[..] else {
        panic!("not one sum of four");
    };
    let line = value(told);
    assert_eq!(
        (&line["actor"], &line["role"], &line["action"]),
        (&json!("shop"), &json!("service"), &json!("publish"))
    );
    assert_eq!(
        (&line["target"], &line["remote"], &line["requestId"]),
        (&Value::Null, &json!("::1"), &Value::Null)
    );
    let expected = json!({
        "events": 4, "count": 12, "first": "30-0", "last": "1002-0", "targets": ["m0", "m1"],
        "from": "1970-01-01T00:00:00.030Z", "to": "1970-01-01T00:00:01.000Z",
    });
    assert_eq!(line["details"], expected);
    assert!(repeats.due(at(120)).is_empty(), "told once");
    assert_eq!(repeats.untold(), 0);
    assert!(!alone(&mut repeats, 60, 3599));
    assert!(alone(&mut repeats, 62, 3600), "a new hour");
    let rest = repeats.all(at(3601));
    assert_eq!(rest.len(), 1);
    assert_eq!(value(&rest[0].0)["target"], "m0", "the only one");
}

/// Attack: a publisher that floods the audit trail, to push out of it what others did.
#[test]
fn what_operators_do_and_what_others_do_stands_for_itself_whatever_one_user_repeats() {
    let now = Instant::now();
    let mut repeats = repeats(1, 1, now);
    for action in [Action::Publish, Action::Connect, Action::OperatorDisconnect] {
        for outcome in [Outcome::Ok, Outcome::Refused("invalid_request")] {
            for _ in 0..3 {
                repeats.admit(event(action, Some("eve"), outcome), now);
            }
        }
    }
    for (action, actor, outcome, stands_for_itself) in [
        (Action::Publish, "eve", Outcome::Ok, false),
        (Action::Publish, "bob", Outcome::Ok, true),
        (Action::Resume, "eve", Outcome::Ok, true),
        (
            Action::Connect,
            "eve",
            Outcome::Refused("unavailable"),
            true,
        ),
        (Action::OperatorDisconnect, "eve", Outcome::Ok, true),
        (Action::AcknowledgeAlert, "eve", Outcome::Ok, true),
        (Action::Reload, "eve", Outcome::Ok, true),
    ] {
        let event = event(action, Some(actor), outcome);
        let alone = repeats.admit(event.clone(), now).is_some();
        assert_eq!(alone, stands_for_itself, "{event:?}");
    }
    assert!(
        repeats
            .admit(event(Action::Stop, None, Outcome::Ok), now)
            .is_some()
    );
}

/// Attack: a flood of bad tokens, against the log and the trail.
#[test]
fn the_first_of_a_minute_stand_for_themselves_and_the_rest_is_a_count() {
    let begun = Instant::now();
    let mut repeats = repeats(2, 100, begun);
    let bad = event(Action::Denied, None, Outcome::Refused("unauthenticated"));
    let at = |seconds| begun + Duration::from_secs(seconds);
    let admitted =
        |repeats: &mut Repeats, seconds| repeats.admit(bad.clone(), at(seconds)).is_some();
    let first: Vec<bool> = (0..5).map(|nth| admitted(&mut repeats, nth)).collect();
    assert_eq!(first, [true, true, false, false, false]);
    assert!(repeats.due(at(59)).is_empty(), "the minute is not over");
    let [(told, 3)] = &repeats.due(at(60))[..] else {
        panic!("not one sum of three");
    };
    let line = value(told);
    assert_eq!(
        (&line["action"], &line["actor"], &line["details"]["denied"]),
        (&json!("denied_more"), &Value::Null, &json!(3))
    );
    assert!(repeats.due(at(60)).is_empty(), "told once");
    assert!(admitted(&mut repeats, 61));
    assert!(admitted(&mut repeats, 62) && !admitted(&mut repeats, 63));
    assert_eq!(
        (repeats.all(at(64)).len(), repeats.all(at(64)).len()),
        (1, 0)
    );
}

/// Attack: a flood of bad tokens, against the log and the trail.
#[test]
fn who_may_come_in_is_always_recorded_and_neither_strangers_nor_users_hide_anybody() {
    let now = Instant::now();
    let mut repeats = repeats(3, 2, now);
    for _ in 0..4 {
        repeats.admit(event(Action::Denied, None, REFUSED), now);
        repeats.admit(event(Action::Resume, None, REFUSED), now);
        repeats.admit(event(Action::Denied, Some("eve"), REFUSED), now);
    }
    for (action, actor, outcome, admitted) in [
        (Action::Resume, None, REFUSED, false),
        (Action::Denied, Some("eve"), REFUSED, false),
        (Action::Denied, Some("gus"), REFUSED, true),
        // Of all users together, for there may be very many.
        (Action::Denied, Some("ida"), REFUSED, false),
        (Action::OperatorDisconnect, Some("ada"), REFUSED, true),
        (Action::OperatorDisconnect, Some("ada"), Outcome::Ok, true),
        (Action::Start, None, Outcome::Ok, true),
    ] {
        let event = event(action, actor, outcome);
        assert_eq!(
            repeats.admit(event.clone(), now).is_some(),
            admitted,
            "{event:?}"
        );
    }
    let mut told: Vec<_> = repeats.all(now).iter().map(|(it, _)| value(it)).collect();
    told.sort_by_key(|line| line["details"].to_string());
    let told: Vec<_> = told
        .iter()
        .map(|it| {
            let details = &it["details"];
            (
                &it["actor"],
                &it["action"],
                &details["denied"],
                &details["events"],
                &details["actors"],
            )
        })
        .collect();
    let (null, more) = (Value::Null, json!("denied_more"));
    assert_eq!(told.len(), 3, "{told:?}");
    assert!(
        told.contains(&(&null, &more, &json!(6), &null, &null)),
        "{told:?}"
    );
    assert!(
        told.contains(&(&null, &more, &json!(1), &null, &json!(["ida"]))),
        "{told:?}"
    );
    let eves = (&json!("eve"), &json!("denied"), &null, &json!(3), &null);
    assert!(told.contains(&eves), "{told:?}");
}

#[test]
fn of_very_many_users_the_quiet_ones_are_forgotten_and_what_is_summed_up_is_not() {
    let now = Instant::now();
    let mut repeats = repeats(1, 1, now);
    let publish = |repeats: &mut Repeats, user: &str| {
        let event = event(Action::Publish, Some(user), Outcome::Ok);
        repeats.admit(event, now).is_some()
    };
    assert!(publish(&mut repeats, "loud") && !publish(&mut repeats, "loud"));
    for user in 0..2 * KINDS_MAX {
        assert!(publish(&mut repeats, &user.to_string()));
        assert!(repeats.seen.len() <= KINDS_MAX);
    }
    assert!(!publish(&mut repeats, "loud"));
    assert_eq!(repeats.untold(), 2);
    // Where everybody is loud there is no room, and events stand for themselves.
    for user in 0..KINDS_MAX {
        publish(&mut repeats, &user.to_string());
        publish(&mut repeats, &user.to_string());
    }
    assert!(publish(&mut repeats, "one more") && publish(&mut repeats, "one more"));
    assert!(repeats.seen.len() <= KINDS_MAX);
    let sums: u64 = repeats.all(now).iter().map(|(_, events)| events).sum();
    assert!(sums >= KINDS_MAX as u64);
    assert!(repeats.all(now + HOUR).is_empty());
    assert!(repeats.seen.is_empty(), "an hour later nobody is known");
}
