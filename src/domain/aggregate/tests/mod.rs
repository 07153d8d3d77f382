//! The engine against a model that keeps every observation and sorts.

mod cases;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

const EVERY: u64 = 1000;
const START: u64 = 1_000_000;

fn plan(op: Op, panes: u64) -> Plan {
    Plan {
        op,
        reads_numbers: true,
        per_ms: 1000,
        window_ms: panes * EVERY,
        every_ms: EVERY,
        grace_ms: 2 * EVERY,
        is_grouped: true,
        groups_max: 10,
    }
}

const EXACT: [Op; 7] = [
    Op::Rate,
    Op::Count,
    Op::Sum,
    Op::Avg,
    Op::Min,
    Op::Max,
    Op::Last,
];

fn observation(ms: u64, group: &str, number: i32) -> Observation {
    Observation {
        at: MessageId::new(ms, 0).unwrap(),
        group: group.into(),
        measure: Measure::Number(f64::from(number)),
    }
}

/// When it comes after it was, in milliseconds; when it was, after the start; its group; its number.
#[derive(Debug, Clone)]
struct Event {
    ms: u64,
    delay: u64,
    group: u8,
    number: i32,
}

impl Event {
    fn observation(&self) -> Observation {
        observation(START + self.ms, &format!("g{}", self.group), self.number)
    }
}

fn events(delay_max: u64) -> impl Strategy<Value = Vec<Event>> {
    let event = (0..20_000u64, 0..delay_max, 0..4u8, -1000..1000i32);
    let event = event.prop_map(|(ms, delay, group, number)| Event {
        ms,
        delay,
        group,
        number,
    });
    prop::collection::vec(event, 0..80)
}

/// What is to come out: by the end of the window and the group, its number and how many there were.
type Results = BTreeMap<(u64, String), (Option<f64>, u64)>;

fn naive(plan: &Plan, events: &[Event]) -> Results {
    let mut results = Results::new();
    for to in (START + EVERY..START + 40 * EVERY).step_by(EVERY as usize) {
        let from = to - plan.window_ms;
        let mut groups: BTreeMap<u8, Vec<&Event>> = BTreeMap::new();
        for event in events {
            if (from..to).contains(&(START + event.ms)) {
                groups.entry(event.group).or_default().push(event);
            }
        }
        for (group, mut events) in groups {
            events.sort_by_key(|event| (event.ms, event.number));
            let mut numbers = events.iter().map(|event| f64::from(event.number));
            let (count, sum) = (events.len() as f64, numbers.clone().sum::<f64>());
            let value = match plan.op {
                Op::Rate => sum * 1000.0 / plan.window_ms as f64,
                Op::Count => count,
                Op::Sum => sum,
                Op::Avg => sum / count,
                Op::Min => numbers.fold(f64::INFINITY, f64::min),
                Op::Max => numbers.fold(f64::NEG_INFINITY, f64::max),
                Op::Last => numbers.next_back().unwrap(),
                _ => unreachable!("not exact"),
            };
            let key = (to, format!("g{group}"));
            results.insert(key, (Some(value), events.len() as u64));
        }
    }
    results
}

/// Half seconds, each with what comes by then.
fn timeline(events: &[Event]) -> Vec<(u64, Vec<&Event>)> {
    let mut moments: BTreeMap<u64, Vec<&Event>> = BTreeMap::new();
    for now in (START..START + 45 * EVERY).step_by(EVERY as usize / 2) {
        moments.entry(now).or_default();
    }
    for event in events {
        let comes = START + event.ms + event.delay;
        moments.entry(comes).or_default().push(event);
    }
    moments.into_iter().collect()
}

/// Takes down what is due.
fn tell(windows: &mut Windows, now: u64, settle: u64, into: &mut Results) {
    windows.close(now);
    for to in windows.due(now, settle) {
        let result = windows.result(to);
        for group in result.groups {
            let known = into.insert((to, group.group.to_string()), (group.value, group.count));
            assert!(known.is_none(), "told twice");
        }
        windows.told(to);
    }
}

fn told(plan: &Plan, events: &[Event]) -> Results {
    let mut windows = Windows::new(plan.clone(), START);
    let mut results = Results::new();
    for (now, events) in timeline(events) {
        tell(&mut windows, now, 0, &mut results);
        for event in events {
            let verdict = windows.add(&event.observation(), now);
            assert_eq!(verdict, Verdict::Counted);
        }
    }
    results
}

/// By way of what is written down: JSON.
fn kept(stretch: &Stretch) -> Stretch {
    serde_json::from_str(&serde_json::to_string(stretch).unwrap()).unwrap()
}

/// Several hubs, each with its part of the events; what they write goes to the first, which tells.
fn told_by_hubs(plan: &Plan, events: &[Event], hubs: usize) -> Results {
    let mut windows: Vec<_> = (0..hubs)
        .map(|_| Windows::new(plan.clone(), START))
        .collect();
    let mut results = Results::new();
    let mut nth = 0;
    for (now, events) in timeline(events) {
        for hub in 1..hubs {
            windows[hub].close(now);
            let origin = Origin::Hub(Arc::from(format!("hub{hub}")));
            for (_, stretch) in windows[hub].take_changed(&Origin::Here) {
                windows[0].take_over(&origin, &kept(&stretch));
            }
            let told_to = windows[0].told_to();
            windows[hub].told_elsewhere(told_to);
        }
        tell(&mut windows[0], now, EVERY / 2, &mut results);
        for event in events {
            windows[nth % hubs].add(&event.observation(), now);
            nth += 1;
        }
    }
    results
}

/// One hub that is ended and begun anew `at`: what it wrote is all that the next one knows.
fn told_over_restart(plan: &Plan, events: &[Event], at: usize) -> Results {
    let mut windows = Windows::new(plan.clone(), START);
    let mut written: BTreeMap<u64, Stretch> = BTreeMap::new();
    let mut results = Results::new();
    for (nth, (now, events)) in timeline(events).into_iter().enumerate() {
        if nth == at {
            for (place, stretch) in windows.take_changed(&Origin::Here) {
                written.insert(place, kept(&stretch));
            }
            let told_to = windows.told_to();
            windows = Windows::new(plan.clone(), now);
            windows.resume(told_to);
            for stretch in written.values() {
                windows.take_over(&Origin::Here, stretch);
            }
        }
        tell(&mut windows, now, 0, &mut results);
        for event in events {
            windows.add(&event.observation(), now);
        }
        if nth % 3 == 0 {
            for (place, stretch) in windows.take_changed(&Origin::Here) {
                written.insert(place, kept(&stretch));
            }
        }
    }
    results
}

fn tumbling_or_sliding() -> impl Strategy<Value = u64> {
    prop_oneof![Just(1u64), Just(2), Just(5), Just(12)]
}

proptest! {
    /// What comes within its grace is where it belongs, in whatever order it came.
    #[test]
    fn windows_are_what_sorting_all_events_would_make_of_them(
        panes in tumbling_or_sliding(), events in events(2 * EVERY), op in prop::sample::select(&EXACT[..]),
    ) {
        let plan = plan(op, panes);
        prop_assert_eq!(told(&plan, &events), naive(&plan, &events));
    }

    #[test]
    fn hubs_that_share_the_events_tell_what_one_would_have_told(
        panes in tumbling_or_sliding(), events in events(2 * EVERY), op in prop::sample::select(&EXACT[..]),
        hubs in 1..5usize,
    ) {
        let plan = plan(op, panes);
        prop_assert_eq!(told_by_hubs(&plan, &events, hubs), naive(&plan, &events));
    }

    #[test]
    fn a_restart_at_any_moment_changes_no_result(
        panes in tumbling_or_sliding(), events in events(2 * EVERY), op in prop::sample::select(&EXACT[..]),
        at in 0..90usize,
    ) {
        let plan = plan(op, panes);
        prop_assert_eq!(told_over_restart(&plan, &events, at), naive(&plan, &events));
    }

    /// None is lost without being counted, and none is in a window that was told before it came.
    #[test]
    fn what_is_late_is_counted_as_that_and_nothing_else_is(events in events(8 * EVERY)) {
        let plan = Plan { is_grouped: false, ..plan(Op::Count, 1) };
        let mut windows = Windows::new(plan.clone(), START);
        let (mut late, mut told_late, mut told) = (0, 0, 0);
        for (now, events) in timeline(&events) {
            windows.close(now);
            for to in windows.due(now, 0) {
                let result = windows.result(to);
                told_late += result.late;
                told += result.count;
                windows.told(to);
            }
            for event in events {
                let observation = Observation { group: Box::default(), ..event.observation() };
                let pane_end = plan.pane_of(START + event.ms) + EVERY;
                let is_late = pane_end + plan.grace_ms <= now;
                late += u64::from(is_late);
                let expected = if is_late { Verdict::Late } else { Verdict::Counted };
                prop_assert_eq!(windows.add(&observation, now), expected);
            }
        }
        prop_assert_eq!(told_late, late);
        prop_assert_eq!(told, events.len() as u64 - late);
    }

    /// However the numbers are split over panes that are merged, and whatever sizes and signs they have.
    #[test]
    fn quantiles_are_within_the_error_that_is_stated(
        numbers in prop::collection::vec((-9..9i32, 1.0..10.0f64, any::<bool>()), 1..300), parts in 1..6usize,
    ) {
        let number = |(power, factor, is_negative): &(i32, f64, bool)| {
            let size = factor * 10f64.powi(power / 2);
            if *is_negative { -size } else { size }
        };
        let mut numbers: Vec<f64> = numbers.iter().map(number).collect();
        for (op, q) in [(Op::P50, 0.5), (Op::P95, 0.95), (Op::P99, 0.99)] {
            let plan = plan(op, 1);
            let mut all = vec![Partial::new(&plan); parts];
            for (nth, number) in numbers.iter().enumerate() {
                let observation = Observation { measure: Measure::Number(*number), ..observation(START, "", 0) };
                all[nth % parts].add(&observation);
            }
            let merged = all.into_iter().reduce(|mut a, b| { a.merge(&b); a }).unwrap();
            let found = merged.value(&plan).unwrap();
            numbers.sort_by(f64::total_cmp);
            let rank = (q * numbers.len() as f64).ceil() as usize;
            let exact = numbers[rank - 1];
            let is_near = (found - exact).abs() <= exact.abs() * QUANTILE_ERROR * 1.000_001;
            prop_assert!(is_near, "{} is not near {}", found, exact);
        }
    }

    /// Four standard errors are exceeded once in some ten thousand sets.
    #[test]
    fn distinct_values_are_counted_within_the_error_that_is_stated(
        seed in any::<u32>(), many in 0..20_000u32, parts in 1..6u32,
    ) {
        let plan = plan(Op::Distinct, 1);
        let mut all = vec![Partial::new(&plan); parts as usize];
        // Each comes at two places.
        for nth in 0..many * 2 {
            let measure = Measure::Mark(Mark::of(&format!("{seed}-{}", nth % many.max(1))));
            let place = (nth.wrapping_mul(2_654_435_761) >> 7) % parts;
            all[place as usize].add(&Observation { measure, ..observation(START, "", 0) });
        }
        let merged = all.into_iter().reduce(|mut a, b| { a.merge(&b); a }).unwrap();
        let found = merged.value(&plan).unwrap();
        let error = (found - f64::from(many)).abs();
        prop_assert!(error <= 0.5 + 4.0 * DISTINCT_STANDARD_ERROR * f64::from(many), "{found} for {many}");
    }

    /// Any double at all, and read back from what was written: what comes of both is one thing.
    #[test]
    fn no_number_upsets_a_partial_and_what_is_written_reads_back(
        numbers in prop::collection::vec(prop::num::f64::NORMAL | prop::num::f64::ZERO | prop::num::f64::SUBNORMAL, 0..40),
    ) {
        for op in EXACT.into_iter().chain([Op::P50, Op::P95, Op::P99, Op::Distinct]) {
            let plan = plan(op, 1);
            let mut windows = Windows::new(plan.clone(), START);
            for number in &numbers {
                let measure = match op {
                    Op::Distinct => Measure::Mark(Mark::of(&number.to_string())),
                    _ => Measure::Number(*number),
                };
                windows.add(&Observation { measure, ..observation(START, "a", 0) }, START);
            }
            let before = windows.result(START + EVERY);
            let mut again = Windows::new(plan, START);
            for (_, stretch) in windows.take_changed(&Origin::Here) {
                again.take_over(&Origin::Here, &kept(&stretch));
            }
            prop_assert_eq!(again.result(START + EVERY), before);
        }
    }
}
