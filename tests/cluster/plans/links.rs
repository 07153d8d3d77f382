//! What goes wrong between hubs and Redis.

use super::{a_hub, about, ms};
use crate::faults::{Ways, Weather};
use crate::record::Millis;
use crate::scenario::{SETTLED, Scenario, Step};
use crate::servers::Topology::Single;
use crate::support::rng::Rng;

fn one_link(rng: &mut Rng, weather: Weather, time: Millis) -> Scenario {
    let (at, hub) = (about(rng, SETTLED + 200, 700), a_hub(rng));
    let scenario = Scenario::new(Single).at(at, Step::Link(hub, weather));
    scenario
        .at(at + time, Step::Link(hub, Weather::Pass))
        .nobody_begins_anew()
}

pub fn a_link_is_cut_again_and_again(rng: &mut Rng) -> Scenario {
    let mut scenario = Scenario::new(Single);
    for _ in 0..8 {
        scenario = scenario.at(about(rng, SETTLED, 3000), Step::CutLink(a_hub(rng)));
    }
    scenario.nobody_begins_anew()
}

pub fn a_link_is_cut_for_long(rng: &mut Rng) -> Scenario {
    let (at, hub) = (about(rng, SETTLED + 200, 700), a_hub(rng));
    let scenario = Scenario::new(Single).at(at, Step::Link(hub, Weather::Refuse));
    let scenario = scenario.at(at, Step::CutLink(hub));
    scenario
        .at(at + 2500, Step::Link(hub, Weather::Pass))
        .nobody_begins_anew()
}

pub fn a_link_is_slow(rng: &mut Rng) -> Scenario {
    one_link(rng, Weather::Delay(ms(200)), 2500)
}

pub fn a_link_stalls(rng: &mut Rng) -> Scenario {
    let ways = rng.pick(&[Ways::Out, Ways::Back, Ways::Both]);
    one_link(rng, Weather::Stall(ways), 2500)
}

pub fn a_link_loses_answers(rng: &mut Rng) -> Scenario {
    one_link(rng, Weather::LOSE_ANSWERS, 1500)
}

pub fn a_link_is_a_black_hole(rng: &mut Rng) -> Scenario {
    one_link(rng, Weather::BLACK_HOLE, 2500)
}

pub fn clients_come_to_a_hub_that_is_cut_off(rng: &mut Rng) -> Scenario {
    let scenario = coming_there(rng, Weather::Refuse);
    let (at, step) = scenario.steps[0].clone();
    let Step::Link(hub, _) = step else {
        unreachable!("the first step")
    };
    scenario.at(at, Step::CutLink(hub))
}

pub fn clients_come_to_a_hub_whose_link_stalls(rng: &mut Rng) -> Scenario {
    let weather = rng.pick(&[Weather::STALL, Weather::BLACK_HOLE]);
    coming_there(rng, weather)
}

/// To a hub that does not know what they have seen already.
fn coming_there(rng: &mut Rng, weather: Weather) -> Scenario {
    let mut scenario = one_link(rng, weather, 2500);
    let (at, step) = scenario.steps[0].clone();
    let Step::Link(hub, _) = step else {
        unreachable!("the first step")
    };
    for who in 0..scenario.clients.len() {
        scenario = scenario.at(about(rng, at + 300, 1500), Step::GoTo(who, hub));
    }
    scenario
}

pub fn all_links_are_cut(rng: &mut Rng) -> Scenario {
    let at = about(rng, SETTLED + 200, 700);
    let scenario = Scenario::new(Single).at(at, Step::AllLinks(Weather::Refuse));
    let scenario = scenario
        .at(at, Step::CutAllLinks)
        .at(at + 2000, Step::AllLinks(Weather::Pass));
    scenario.nobody_begins_anew()
}

/// It comes back to a log that no longer begins where it was.
pub fn the_log_is_trimmed_under_a_stalled_hub(rng: &mut Rng) -> Scenario {
    let mut scenario = one_link(rng, Weather::Stall(Ways::Back), 4000);
    // Redis trims by the hundred.
    scenario.settings = "[redis]\nlog_messages_max = 100\n".into();
    scenario
        .publishers
        .iter_mut()
        .for_each(|it| it.per_second = 100);
    scenario.promise.nobody_begins_anew = false;
    scenario
}
