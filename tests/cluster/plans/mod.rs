//! The scenarios, each a plan that a seed makes a little different.

mod clients;
mod hubs;
mod links;
mod servers;

use std::time::Duration;

use crate::faults::Weather;
use crate::record::Millis;
use crate::scenario::{SETTLED, Scenario, Step};
use crate::servers::Topology::Single;
use crate::support::rng::Rng;
pub use clients::*;
pub use hubs::*;
pub use links::*;
pub use servers::*;

pub type Plan = fn(&mut Rng) -> Scenario;

fn ms(millis: Millis) -> Duration {
    Duration::from_millis(millis)
}

/// A moment within so many milliseconds of `at`.
fn about(rng: &mut Rng, at: Millis, within: usize) -> Millis {
    at + rng.below(within) as Millis
}

fn a_hub(rng: &mut Rng) -> usize {
    rng.below(3)
}

/// Clients go from hub to hub for as long as it takes, some after a while away.
fn wandering(mut scenario: Scenario, rng: &mut Rng) -> Scenario {
    let mut at = SETTLED;
    while at < scenario.length - 1000 {
        at = about(rng, at + 50, 300);
        let (who, hub) = (rng.below(scenario.clients.len()), rng.below(scenario.hubs));
        let time = if rng.per_mille(300) {
            about(rng, 100, 600)
        } else {
            0
        };
        let step = match rng.per_mille(100) {
            true => Step::Sleep(who, ms(600)),
            false => Step::Away(who, hub, ms(time)),
        };
        scenario = scenario.at(at, step);
    }
    scenario
}

/// Any of what can happen to a single Redis, one thing into the other.
pub fn anything(rng: &mut Rng) -> Scenario {
    let mut scenario = Scenario::new(Single);
    scenario.length = 8000;
    for _ in 0..rng.between(2, 6) {
        let (at, hub) = (about(rng, SETTLED, 5500), a_hub(rng));
        let until = at + about(rng, 100, 1800);
        let (begin, end) = match rng.below(10) {
            0 => (Step::KillHub(hub), Step::StartHub(hub)),
            1 => (Step::StopHub(hub), Step::StartHub(hub)),
            2 => (Step::FreezeHub(hub), Step::ThawHub(hub)),
            3 => (Step::KillRedis, Step::StartRedis),
            4 => (Step::FreezeRedis, Step::ThawRedis),
            5 => (Step::CutAllLinks, Step::CutLink(hub)),
            _ => {
                let weather = rng.pick(&[
                    Weather::STALL,
                    Weather::Refuse,
                    Weather::LOSE_ANSWERS,
                    Weather::BLACK_HOLE,
                    Weather::Delay(ms(150)),
                ]);
                (Step::Link(hub, weather), Step::Link(hub, Weather::Pass))
            }
        };
        scenario = scenario.at(at, begin).at(until, end);
    }
    wandering(scenario, rng)
}
