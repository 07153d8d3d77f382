//! Histories from a seed: the whole pure core, with clients that come and go, stall and resume,
//! over channels that are slow, against an oracle that keeps naive books.
//!
//! `SIM_SEED=7 cargo test --test sim` runs one seed again, `SIM_SEEDS=100000` runs more of them.

mod client;
mod log;
mod names;
mod oracle;
mod plant;
mod rng;
mod simulation;
mod weather;
mod worker;
mod world;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};

use plant::Plant;

const STEPS: u64 = 2_000;
const SEEDS: u64 = 1_000;
const THREADS: u64 = 2;

thread_local! {
    static QUIET: Cell<bool> = const { Cell::new(false) };
    static LAST_PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().expect(name))
}

/// Runs a seed; an invariant that broke is an error with its story.
fn outcome(seed: u64, plant: Plant) -> Result<u64, String> {
    static HOOK: std::sync::Once = std::sync::Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if QUIET.get() {
                LAST_PANIC.set(info.to_string());
            } else {
                usual(info);
            }
        }));
    });
    QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(|| simulation::run(seed, STEPS, plant)));
    QUIET.set(false);
    result.map_err(|_| LAST_PANIC.take())
}

#[test]
fn every_history_keeps_every_promise() {
    if let Some(seed) = setting("SIM_SEED") {
        simulation::run(seed, STEPS, Plant::Nothing);
        return;
    }
    let seeds = setting("SIM_SEEDS").unwrap_or(SEEDS);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                for seed in (thread..seeds).step_by(THREADS as usize) {
                    if let Err(story) = outcome(seed, Plant::Nothing) {
                        panic!(
                            "{story}\n\nAgain: SIM_SEED={seed} cargo test --test sim every_history"
                        );
                    }
                }
            });
        }
    });
}

#[test]
fn a_seed_tells_the_same_history_twice() {
    for seed in 0..20 {
        let run = || simulation::run(seed, STEPS, Plant::Nothing);
        assert_eq!(run(), run(), "seed {seed}");
    }
}

#[test]
fn every_planted_bug_is_caught() {
    const SEEDS_MAX: u64 = 60;
    for plant in Plant::ALL {
        let caught =
            (0..SEEDS_MAX).find_map(|seed| outcome(seed, plant).err().map(|why| (seed, why)));
        let (seed, why) =
            caught.unwrap_or_else(|| panic!("{plant:?} stays unseen for {SEEDS_MAX} seeds"));
        println!(
            "{plant:?}: seed {seed}: {}",
            why.lines().nth(1).unwrap_or_default()
        );
    }
}

#[test]
#[ignore]
fn survey() {
    let mut seen = std::collections::BTreeMap::<String, (u64, u64, String)>::new();
    let start = std::time::Instant::now();
    let n = setting("SIM_SEEDS").unwrap_or(100);
    for seed in 0..n {
        if let Err(story) = outcome(seed, Plant::Nothing) {
            let place = story.lines().next().unwrap_or_default().to_owned();
            let entry = seen.entry(place).or_insert((0, seed, story));
            entry.0 += 1;
        }
    }
    println!("{n} seeds in {:?}", start.elapsed());
    for (place, (count, seed, story)) in seen {
        println!(
            "{count} x, first seed {seed}: {place}\n{}",
            story.chars().take(900).collect::<String>()
        );
    }
}
