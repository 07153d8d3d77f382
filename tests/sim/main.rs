//! Histories from a seed: the whole pure core, with clients that come and go, stall and resume,
//! over channels that are slow, against an oracle that keeps naive books.
//!
//! `SIM_SEED=7 cargo test --test sim` runs one seed again, `SIM_SEEDS=100000` runs more of them.

mod client;
mod durable;
mod log;
mod names;
mod oracle;
mod plant;
mod rng;
mod several;
mod simulation;
mod weather;
mod worker;
mod world;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use plant::Plant;
use several::Mistake;
use simulation::Outcome;

const STEPS: u64 = 2_000;
const SEEDS: u64 = 1_000;
const THREADS: u64 = 2;

/// What must happen somewhere in so many histories, or they prove less than it seems.
const CORNERS: [&str; 37] = [
    "a change of subscription was lost",
    "a failed write",
    "a position was lost",
    "a session was lost",
    "accepted",
    "accepted with lastEventId",
    "away too long",
    "caught up",
    "caught up with something dropped",
    "clean stop",
    "clock jump",
    "conflated",
    "connection limit",
    "crash and recovery",
    "cursor",
    "disconnected by an operator",
    "draining",
    "hub full",
    "in the log and told nobody",
    "new session",
    "new session from a position",
    "refresh by another user",
    "refresh of an unknown session",
    "refresh that expires earlier",
    "refreshed",
    "replaced",
    "restart",
    "resumed",
    "resumed by ticket",
    "resumed with a snapshot",
    "resumed with something dropped",
    "token expired",
    "too many away",
    "too many metrics",
    "trouble",
    "unknown ticket",
    "unknown token",
];

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
fn outcome(seed: u64, plant: Plant) -> Result<Outcome, String> {
    quietly(|| simulation::run(seed, STEPS, plant))
}

/// A panic is an error with its text.
fn quietly<T>(run: impl FnOnce() -> T) -> Result<T, String> {
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
    let result = catch_unwind(AssertUnwindSafe(run));
    QUIET.set(false);
    result.map_err(|_| LAST_PANIC.take())
}

#[test]
fn every_history_keeps_every_promise() {
    if let Some(seed) = setting("SIM_SEED") {
        println!("{:#?}", simulation::run(seed, STEPS, Plant::Nothing));
        return;
    }
    let seeds = setting("SIM_SEEDS").unwrap_or(SEEDS);
    let run = |thread| {
        let mut visited = BTreeMap::<&str, u64>::new();
        for seed in (thread..seeds).step_by(THREADS as usize) {
            match outcome(seed, Plant::Nothing) {
                Ok(outcome) => outcome
                    .visited
                    .into_iter()
                    .for_each(|(corner, times)| *visited.entry(corner).or_default() += times),
                Err(story) => {
                    panic!("{story}\n\nAgain: SIM_SEED={seed} cargo test --test sim every_history")
                }
            }
        }
        visited
    };
    let visited = std::thread::scope(|scope| {
        let threads = [0, 1].map(|thread| scope.spawn(move || run(thread)));
        threads.map(|thread| thread.join().expect("a seed has failed"))
    });
    for corner in CORNERS {
        let times: u64 = visited
            .iter()
            .filter_map(|visited| visited.get(corner))
            .sum();
        println!("{times:>9} {corner}");
        assert!(
            times > 0 || seeds < SEEDS,
            "no history came through {corner:?}"
        );
    }
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

/// Of several hubs over one log.
const SEVERAL_STEPS: u64 = 400;
const SEVERAL_SEEDS: u64 = 1_500;

/// What must happen somewhere where there are several hubs.
const SEVERAL_CORNERS: [&str; 16] = [
    "a hub died",
    "came to a hub that is cut off",
    "emptied",
    "failover",
    "failover with loss",
    "founded: another server",
    "founded: empty",
    "founded: went back",
    "has to wait",
    "new",
    "replaced where it was",
    "resumed",
    "resumed by position",
    "resumed with a snapshot",
    "told of another log",
    "trimmed",
];

fn several(seed: u64, mistake: Mistake) -> Result<BTreeMap<&'static str, u64>, String> {
    quietly(|| several::run(seed, SEVERAL_STEPS, mistake))
}

#[test]
fn several_hubs_keep_every_promise() {
    if let Some(seed) = setting("SIM_SEED") {
        println!("{:#?}", several::run(seed, SEVERAL_STEPS, Mistake::None));
        return;
    }
    let mut visited = BTreeMap::<&str, u64>::new();
    for seed in 0..setting("SIM_SEEDS").unwrap_or(SEVERAL_SEEDS) {
        let came_through = several(seed, Mistake::None).unwrap_or_else(|story| {
            panic!("{story}\n\nAgain: SIM_SEED={seed} cargo test --test sim several_hubs")
        });
        for (corner, times) in came_through {
            *visited.entry(corner).or_default() += times;
        }
    }
    let missed: Vec<_> = SEVERAL_CORNERS
        .iter()
        .filter(|corner| !visited.contains_key(*corner))
        .collect();
    assert!(missed.is_empty(), "never: {missed:?} in {visited:?}");
}

#[test]
fn every_mistake_of_several_hubs_is_found() {
    for mistake in several::MISTAKES {
        let found = (0..SEVERAL_SEEDS).find(|seed| several(*seed, mistake).is_err());
        assert!(found.is_some(), "{mistake:?} is not found");
    }
}
