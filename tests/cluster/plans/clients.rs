//! What clients do, with nothing else going wrong, and one hub alone.

use super::{a_hub, about, ms, wandering};
use crate::clients;
use crate::record::Follows;
use crate::scenario::{SETTLED, Scenario, Step, client};
use crate::servers::Topology::{Alone, Single};
use crate::support::either::Transport;
use crate::support::rng::Rng;

pub fn one_hub_alone_is_killed(rng: &mut Rng) -> Scenario {
    let at = about(rng, SETTLED, 1000);
    let scenario = Scenario::new(Alone)
        .at(at, Step::KillHub(0))
        .at(at + 300, Step::StartHub(0));
    wandering(scenario, rng)
}

pub fn clients_of_one_hub_alone_come_and_go(rng: &mut Rng) -> Scenario {
    wandering(Scenario::new(Alone).nobody_begins_anew(), rng)
}

pub fn backlogs_of_one_hub_alone_overflow(rng: &mut Rng) -> Scenario {
    let small = "[sessions]\nbacklog_messages_max = 12\n";
    overflowing(Scenario::new(Alone).settings(small), rng)
}

pub fn nothing_goes_wrong(_: &mut Rng) -> Scenario {
    Scenario {
        length: 2500,
        ..Scenario::new(Single)
    }
    .nobody_begins_anew()
}

pub fn clients_go_from_hub_to_hub(rng: &mut Rng) -> Scenario {
    wandering(Scenario::new(Single).nobody_begins_anew(), rng)
}

pub fn backlogs_overflow(rng: &mut Rng) -> Scenario {
    let small = "[sessions]\nbacklog_messages_max = 12\n";
    overflowing(Scenario::new(Single).settings(small), rng)
}

fn overflowing(mut scenario: Scenario, rng: &mut Rng) -> Scenario {
    for who in 0..scenario.clients.len() {
        for at in [SETTLED, SETTLED + 1800] {
            let (at, away) = (about(rng, at, 300), about(rng, 400, 800));
            let hub = rng.below(scenario.hubs);
            scenario = scenario.at(at, Step::Away(who, hub, ms(away)));
        }
    }
    scenario.nobody_begins_anew()
}

/// As by a tab that is duplicated, or a client that gave up a hub which had not given it up.
pub fn a_session_is_resumed_twice_at_once(rng: &mut Rng) -> Scenario {
    let mut scenario = Scenario::new(Single);
    // Of those who come by token, both transports.
    for who in [0, 1, 3] {
        let (at, hub) = (about(rng, SETTLED, 1500), a_hub(rng));
        scenario = scenario.at(at, Step::ResumeTwice(who, [hub, (hub + 1) % 3]));
    }
    scenario
}

pub fn a_user_at_the_limit_loses_a_hub(rng: &mut Rng) -> Scenario {
    let mut scenario = Scenario::new(Single).settings("[sessions]\nconnections_per_user_max = 3\n");
    scenario.promise.connections_max = 3;
    scenario.clients.retain(|it| it.user != "ada");
    scenario
        .clients
        .extend((0..6).map(|nth| one_of_many(nth, nth % 3)));
    let (at, hub) = (about(rng, SETTLED, 500), a_hub(rng));
    for nth in 0..6 {
        let place = scenario.clients.len() - 6 + nth;
        scenario = scenario.at(about(rng, at + 3500, 1500), Step::GoTo(place, a_hub(rng)));
    }
    scenario
        .at(at, Step::KillHub(hub))
        .at(at + 3000, Step::StartHub(hub))
}

fn one_of_many(nth: usize, hub: usize) -> clients::Spec {
    let mut spec = client(
        "ada",
        Transport::BOTH[nth % 2],
        Follows::TokenAndId,
        Vec::new(),
        hub,
    );
    spec.name = format!("{}, the {nth}th", spec.name);
    spec
}
