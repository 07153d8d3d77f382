//! The engine against a naive reading of what a rule says, over everything that may happen.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Op {
    Publish(u8),
    /// Time passes.
    Pass(u64),
    /// The clock is told to have gone back.
    Back(u64),
    /// The wall clock goes on while no time passes.
    Jump(u64),
    /// The process ends after so many steps of what it was about to do, and another one goes on.
    Crash(usize, usize),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..=10u8).prop_map(Op::Publish),
        6 => (1..4000u64).prop_map(Op::Pass),
        1 => (1..10_000u64).prop_map(Op::Back),
        1 => (1..100_000u64).prop_map(Op::Jump),
        2 => (0..4usize, 1..4usize).prop_map(|(steps, kept)| Op::Crash(steps, kept)),
    ]
}

/// A moment at which somebody looked: how much time has passed, and what the value was.
#[derive(Debug, Clone, Copy)]
struct Look {
    passed: u64,
    is_bad: bool,
    is_over: bool,
}

/// How often it fires and is resolved by the words of the rule.
fn naive(looks: &[Look], hold: u64, keep: u64) -> (usize, usize) {
    let lasts = |from: usize, to: usize, pick: fn(&Look) -> bool, ms: u64| {
        (from..=to).any(|first| {
            looks[first..=to].iter().all(pick) && looks[to].passed - looks[first].passed >= ms
        })
    };
    let (mut fired, mut resolved, mut from, mut is_firing) = (0, 0, 0, false);
    for at in 0..looks.len() {
        if !is_firing && lasts(from, at, |look| look.is_bad, hold) {
            (fired, is_firing, from) = (fired + 1, true, at);
        } else if is_firing && lasts(from, at, |look| look.is_over, keep) {
            (resolved, is_firing, from) = (resolved + 1, false, at);
        }
    }
    (fired, resolved)
}

proptest! {
    #[test]
    fn it_fires_and_is_resolved_as_often_as_its_words_say(
        ops in prop::collection::vec(op(), 1..80),
        hold in prop::sample::select(vec![0u64, 1, 5000]),
        keep in prop::sample::select(vec![0u64, 1, 5000]),
    ) {
        let rule = rule(Spec {
            when: Some("data > 6".into()),
            resolve: Some("data < 3".into()),
            hold: Some(format!("{hold}ms")),
            keep_firing_for: Some(format!("{keep}ms")),
            ..spec("r", "m")
        });
        let mut world = World::new(vec![rule]);
        let mut looks: Vec<Look> = Vec::new();
        let (mut passed, mut value) = (0, None);
        for op in ops {
            match op {
                Op::Publish(new) => {
                    value = Some(new);
                    world.publish("m", &new.to_string());
                }
                Op::Pass(ms) => {
                    passed += ms;
                    world.pass(ms);
                }
                Op::Back(ms) => world.engine.tick(world.now_ms.saturating_sub(ms)),
                Op::Jump(ms) => {
                    world.now_ms += ms;
                    world.engine.jump(ms);
                    // The times of what came before tell nothing to another process; what the log remembers does.
                    world.messages.clear();
                }
                Op::Crash(steps, kept) => {
                    world.act(steps);
                    world.restart(kept);
                    // As everywhere: time passes before anything is done.
                    world.pass(0);
                }
            }
            if let Some(value) = value {
                looks.push(Look { passed, is_bad: value > 6, is_over: value < 3 });
            }
            world.act(usize::MAX);
            let (fired, resolved) = naive(&looks, hold, keep);
            prop_assert_eq!(world.keys.len(), fired, "alerts");
            prop_assert_eq!(world.open.len(), fired - resolved, "open ones");
        }
        let count = |event| world.events.iter().filter(|it| **it == event).count();
        prop_assert_eq!(count(Event::Firing), world.keys.len());
    }
}

/// Two hubs that hear the same, of which one acts at a time; the other hears what that one wrote later.
#[test]
fn another_hub_goes_on_where_the_first_one_was() {
    let strategy = prop::collection::vec((op(), any::<bool>()), 1..60);
    let config = ProptestConfig::with_cases(256);
    proptest!(config, |(ops in strategy)| {
        let words = Spec {
            when: Some("data > 6".into()),
            resolve: Some("data < 3".into()),
            hold: Some("3s".into()),
            keep_firing_for: Some("3s".into()),
            ..spec("r", "m")
        };
        let mut world = World::new(vec![rule(words)]);
        let mut other = Engine::new(LIMITS, world.now_ms);
        other.set_rules(world.rules.clone(), world.now_ms);
        let mut heard = MessageId::ZERO;
        for (op, switches) in ops {
            match op {
                Op::Publish(new) => {
                    world.publish("m", &new.to_string());
                    let message = world.messages.last().unwrap().clone();
                    other.heard(&message, world.now_ms);
                }
                Op::Pass(ms) => {
                    world.pass(ms);
                    other.tick(world.now_ms);
                }
                Op::Crash(steps, _) => world.act(steps),
                Op::Back(_) | Op::Jump(_) => {}
            }
            if switches {
                let name = ("r".to_owned(), "m".to_owned());
                let logged = world.records.get(&name).cloned();
                let (id, record) = logged.map_or((world.id(), None), |(id, it)| (id, Some(it)));
                if id > heard {
                    heard = id;
                    let r = RuleName::parse("r").unwrap();
                    other.logged(&r, &metric("m"), id, record);
                }
                std::mem::swap(&mut world.engine, &mut other);
            }
            world.act(usize::MAX);
            let open: Vec<_> = world.records.values().filter_map(|(_, it)| it.raised.as_ref()).collect();
            let open: BTreeSet<_> = open.iter().map(|raised| raised.id).collect();
            prop_assert_eq!(&open, &world.open, "what is open is what the log knows to be");
            prop_assert!(world.open.len() <= 1);
        }
    });
}
