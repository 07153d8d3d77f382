//! The scenarios, each a plan that a seed makes a little different.

use std::time::Duration;

use crate::clients;
use crate::faults::{Ways, Weather};
use crate::record::{Follows, Millis};
use crate::scenario::{SETTLED, Scenario, Step, client};
use crate::servers::Topology::{Alone, Cluster, Sentinel, Single};
use crate::support::either::Transport;
use crate::support::rng::Rng;

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
        scenario = scenario.at(at, Step::Away(who, hub, ms(time)));
    }
    scenario
}

// Nothing is shared -------------------------------------------------------------------------------

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

// Clients -----------------------------------------------------------------------------------------

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

// Hubs --------------------------------------------------------------------------------------------

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

// Links -------------------------------------------------------------------------------------------

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

// Redis -------------------------------------------------------------------------------------------

fn ill(rng: &mut Rng, step: Step, time: Millis, mended: Step) -> Scenario {
    let at = about(rng, SETTLED + 300, 700);
    Scenario::new(Single).at(at, step).at(at + time, mended)
}

pub fn redis_is_killed_and_has_its_data(rng: &mut Rng) -> Scenario {
    ill(rng, Step::KillRedis, 1500, Step::StartRedis)
}

pub fn redis_is_killed_and_has_nothing(rng: &mut Rng) -> Scenario {
    ill(rng, Step::KillRedis, 1000, Step::StartRedisEmpty)
}

pub fn everything_is_flushed(rng: &mut Rng) -> Scenario {
    ill(rng, Step::Ill("FLUSHALL"), 200, Step::Well("PING"))
}

pub fn redis_stands_still_for_five_seconds(rng: &mut Rng) -> Scenario {
    ill(rng, Step::FreezeRedis, 5000, Step::ThawRedis).nobody_begins_anew()
}

pub fn redis_is_full(rng: &mut Rng) -> Scenario {
    let full = Step::Ill("CONFIG SET maxmemory 1");
    ill(rng, full, 2000, Step::Well("CONFIG SET maxmemory 0")).nobody_begins_anew()
}

pub fn redis_lacks_replicas(rng: &mut Rng) -> Scenario {
    let lacking = Step::Ill("CONFIG SET min-replicas-to-write 1");
    let mended = Step::Well("CONFIG SET min-replicas-to-write 0");
    ill(rng, lacking, 2000, mended).nobody_begins_anew()
}

pub fn redis_may_only_be_read(rng: &mut Rng) -> Scenario {
    let replica = Step::Ill("REPLICAOF 127.0.0.1 1");
    ill(rng, replica, 2000, Step::Well("REPLICAOF NO ONE"))
}

// Failover ----------------------------------------------------------------------------------------

pub fn a_failover_loses_the_tail(rng: &mut Rng) -> Scenario {
    let at = about(rng, SETTLED + 300, 500);
    let scenario = Scenario::new(Sentinel).at(at, Step::Inner(Weather::STALL));
    scenario
        .at(at + 700, Step::KillRedis)
        .at(at + 800, Step::LedBy(1))
}

pub fn a_failover_loses_nothing_that_is_replicated(rng: &mut Rng) -> Scenario {
    let mut scenario = a_failover_loses_the_tail(rng);
    scenario.settings = "[redis]\nacknowledge = \"replicated\"\nreplicas = 1\n".into();
    scenario.promise.keeps_acknowledged = true;
    scenario
}

/// Sentinel names another primary, and one hub goes on with the one it has.
pub fn an_old_primary_lives_on_for_one_hub(rng: &mut Rng) -> Scenario {
    let (at, hub) = (about(rng, SETTLED + 300, 500), a_hub(rng));
    let scenario = Scenario::new(Sentinel).at(at, Step::ShowOnly(hub, 0));
    scenario
        .at(at, Step::Inner(Weather::Refuse))
        .at(at + 10, Step::LedBy(1))
}

pub fn an_old_primary_lives_on_and_is_not_believed(rng: &mut Rng) -> Scenario {
    let mut scenario = an_old_primary_lives_on_for_one_hub(rng);
    scenario.settings = "[redis]\nacknowledge = \"replicated\"\nreplicas = 1\n".into();
    scenario.promise.keeps_acknowledged = true;
    scenario
}

pub fn a_node_of_a_cluster_is_killed(rng: &mut Rng) -> Scenario {
    let at = about(rng, SETTLED + 300, 700);
    Scenario::new(Cluster)
        .at(at, Step::KillRedis)
        .at(at + 1500, Step::StartRedis)
}

// Everything at once ------------------------------------------------------------------------------

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
