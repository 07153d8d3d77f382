//! What happens to Redis.

use super::{a_hub, about};
use crate::faults::Weather;
use crate::record::Millis;
use crate::scenario::{SETTLED, Scenario, Step};
use crate::servers::Topology::{Cluster, Sentinel, Single};
use crate::support::rng::Rng;

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
