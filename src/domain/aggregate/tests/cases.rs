//! Single cases: bounds, empty windows, clocks.

use std::collections::BTreeSet;

use super::*;

#[test]
fn groups_have_a_bound_and_the_rest_is_told_together() {
    let plan = Plan {
        groups_max: 2,
        ..plan(Op::Sum, 1)
    };
    let mut windows = Windows::new(plan.clone(), START);
    let verdicts: Vec<_> = [("b", 1), ("a", 2), ("c", 4), ("a", 8), ("d", 16)]
        .into_iter()
        .map(|(group, number)| windows.add(&observation(START, group, number), START))
        .collect();
    use Verdict::{Counted, CountedAsOther};
    let expected = [Counted, Counted, CountedAsOther, Counted, CountedAsOther];
    assert_eq!(verdicts, expected);
    // Another hub saw others: of all together those with most observations stay.
    let mut elsewhere = Windows::new(plan, START);
    for number in [32, 64, 128] {
        elsewhere.add(&observation(START, "e", number), START);
    }
    for (_, stretch) in elsewhere.take_changed(&Origin::Here) {
        windows.take_over(&Origin::Hub("h".into()), &stretch);
    }
    let result = windows.result(START + EVERY);
    let groups: Vec<_> = result
        .groups
        .iter()
        .map(|group| (&*group.group, group.value, group.count))
        .collect();
    assert_eq!(groups, [("a", Some(10.0), 2), ("e", Some(224.0), 3)]);
    assert_eq!((result.ungrouped, result.other), (3, Some(21.0)));
    assert_eq!(result.count, 8);
}

#[test]
fn a_window_without_observations_has_a_result_too() {
    for (op, expected) in [
        (Op::Rate, Some(0.0)),
        (Op::Count, Some(0.0)),
        (Op::Sum, Some(0.0)),
        (Op::Distinct, Some(0.0)),
        (Op::Avg, None),
        (Op::Min, None),
        (Op::Max, None),
        (Op::Last, None),
        (Op::P95, None),
    ] {
        let plan = Plan {
            is_grouped: false,
            ..plan(op, 2)
        };
        let mut windows = Windows::new(plan, START);
        assert!(windows.close(START + EVERY));
        let due = windows.due(START + 3 * EVERY, 0);
        assert_eq!(due.len(), 1);
        let result = windows.result(due[0]);
        assert_eq!(result.groups[0].value, expected, "{op:?}");
        assert_eq!((result.count, result.groups[0].count), (0, 0));
    }
}

#[test]
fn what_is_from_the_future_is_not_counted() {
    let mut windows = Windows::new(plan(Op::Count, 1), START);
    let far = START + 3 * EVERY;
    assert_eq!(
        windows.add(&observation(far, "", 1), START),
        Verdict::Counted
    );
    let verdict = windows.add(&observation(far + 1, "", 1), START);
    assert_eq!(verdict, Verdict::Ahead);
}

/// Failure: a clock that jumps, far ahead and back.
#[test]
fn a_clock_that_jumps_neither_floods_nor_stops_the_results() {
    let mut windows = Windows::new(plan(Op::Count, 1), START);
    let ahead = START + 1_000_000 * EVERY;
    windows.close(ahead);
    let due = windows.due(ahead, 0);
    assert_eq!(due.len() as u64, RESULTS_AT_ONCE_MAX);
    due.into_iter().for_each(|to| windows.told(to));
    let back = START + 10 * EVERY;
    windows.close(back);
    assert_eq!(
        windows.add(&observation(back, "g", 1), back),
        Verdict::Counted
    );
    let later = back + 3 * EVERY;
    windows.close(later);
    let counts = windows.due(later, 0).into_iter();
    let counts: u64 = counts.map(|to| windows.result(to).count).sum();
    assert_eq!(counts, 1);
}

/// A stretch is written where one was that nobody needs any more, never over one that is needed.
#[test]
fn places_are_taken_again_only_when_they_are_free() {
    for panes in [1, 2, 7, 12, 60, 720] {
        for grace in [0, 1, 10, 100] {
            let plan = Plan {
                grace_ms: grace * EVERY,
                ..plan(Op::Count, panes)
            };
            let kept = (0..plan.panes_kept()).map(|nth| {
                crate::domain::aggregate::stretch::stretch_of(
                    START + 17 * EVERY + nth * EVERY,
                    &plan,
                )
            });
            let stretches: BTreeSet<_> = kept.collect();
            let places: BTreeSet<_> = stretches.iter().map(|it| it % STRETCHES).collect();
            assert_eq!(
                places.len(),
                stretches.len(),
                "{panes} panes, grace {grace}"
            );
        }
    }
}

#[test]
fn memory_does_not_grow_with_time() {
    let plan = plan(Op::P95, 12);
    let mut windows = Windows::new(plan.clone(), START);
    for tick in 0..1000 {
        let now = START + tick * EVERY;
        windows.close(now);
        for to in windows.due(now, 0) {
            windows.told(to);
        }
        windows.add(&observation(now, "g", 1), now);
        assert!(windows.panes() as u64 <= plan.panes_kept());
        assert!(windows.take_changed(&Origin::Here).len() <= 1 + STRETCHES as usize);
    }
}
