//! What happens to hubs.

use super::{a_hub, about};
use crate::record::Millis;
use crate::scenario::{SETTLED, Scenario, Step};
use crate::servers::Topology::Single;
use crate::support::rng::Rng;

pub fn a_hub_is_killed(rng: &mut Rng) -> Scenario {
    let (at, hub) = (about(rng, SETTLED + 400, 1000), a_hub(rng));
    let scenario = Scenario::new(Single).nobody_begins_anew();
    scenario
        .at(at, Step::KillHub(hub))
        .at(about(rng, at + 500, 1500), Step::StartHub(hub))
}

pub fn a_hub_stops_politely(rng: &mut Rng) -> Scenario {
    let (at, hub) = (about(rng, SETTLED + 400, 1000), a_hub(rng));
    let scenario = Scenario::new(Single).nobody_begins_anew();
    scenario
        .at(at, Step::StopHub(hub))
        .at(at + 1500, Step::StartHub(hub))
}

pub fn hubs_are_exchanged_one_by_one(rng: &mut Rng) -> Scenario {
    let mut scenario = Scenario::new(Single).nobody_begins_anew();
    for hub in 0..3 {
        let at = about(rng, SETTLED + 400 + 1500 * hub as Millis, 300);
        scenario = scenario
            .at(at, Step::StopHub(hub))
            .at(at + 600, Step::StartHub(hub));
    }
    scenario
}

pub fn all_hubs_are_killed_at_once(rng: &mut Rng) -> Scenario {
    let mut scenario = Scenario::new(Single);
    let at = about(rng, SETTLED + 400, 1000);
    for hub in 0..3 {
        scenario = scenario
            .at(at, Step::KillHub(hub))
            .at(at + 500, Step::StartHub(hub));
    }
    scenario.nobody_begins_anew()
}

/// Longer than its lease: others have taken over what it still believes to have.
pub fn a_hub_stands_still_and_wakes_up(rng: &mut Rng) -> Scenario {
    let (at, hub) = (about(rng, SETTLED, 500), a_hub(rng));
    let scenario = Scenario::new(Single).at(at, Step::FreezeHub(hub));
    scenario
        .at(at + 3500, Step::ThawHub(hub))
        .nobody_begins_anew()
}

pub fn a_hub_starts_while_redis_is_down(rng: &mut Rng) -> Scenario {
    let (at, hub) = (about(rng, SETTLED, 500), a_hub(rng));
    let mut scenario = Scenario::new(Single);
    scenario.absent.push(hub);
    let scenario = scenario
        .at(at, Step::KillRedis)
        .at(at + 300, Step::StartHub(hub));
    scenario.at(at + 2500, Step::StartRedis)
}

/// When nobody publishes, a hub that starts has nothing newer than the log, and nothing older.
fn quiet(rng: &mut Rng, start: fn(usize) -> Step) -> Scenario {
    let (at, hub) = (about(rng, SETTLED + 600, 500), a_hub(rng));
    let scenario = Scenario::new(Single)
        .at(at, Step::Silence)
        .at(at + 500, Step::KillHub(hub));
    scenario.at(at + 900, start(hub)).nobody_begins_anew()
}

pub fn a_hub_comes_back_while_it_is_quiet(rng: &mut Rng) -> Scenario {
    quiet(rng, Step::StartHub)
}

pub fn a_hub_is_added_while_it_is_quiet(rng: &mut Rng) -> Scenario {
    quiet(rng, Step::StartHubEmpty)
}
