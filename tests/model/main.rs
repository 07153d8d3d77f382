//! Two hubs, one log: the protocol by which hubs share a Redis stream, checked in every order in
//! which a bounded number of things can happen.
//!
//! Modelled are the log with its head and its chain of `prev`, the scripts (join, publish, mark),
//! the reading, beginning anew, both modes of acknowledging, and clients who leave and come back to
//! either hub, with their `lastEventId` or as somebody new. What befalls them: the replica is
//! promoted with any prefix that the mode allows and a clock behind or ahead; the old primary lives
//! on for one hub, which goes on publishing there; the data is gone, by a restart or by `FLUSHALL`
//! under live connections; a hub dies; the log is trimmed under a slow reader.
//!
//! Abstracted away:
//! - Time. What is done once a second may be done at any moment, or as late as can be. Milliseconds
//!   and sequence are one small number, and tags, epochs and lineages, which are random in the
//!   program, are counted: that they are drawn twice is not considered.
//! - The way from a hub to a connected client takes no time. A slow client is one that left; what
//!   one hub owes its clients is what the simulation checks.
//! - Metrics and subscriptions: everybody gets everything, and a value is the set of messages that
//!   it rests on. Sessions and their owners, idempotency keys and dishonest positions are left out.
//! - A crash and the promotion are one step, as between them no hub can do anything but wait.
//!
//! The promises are in `promises`, the rules and how to break them in `rules`. A rule that could be
//! broken unseen would show that the check sees too little: `each_rule_is_needed` plants each.

mod check;
mod hub;
mod log;
mod promises;
mod resume;
mod rules;
mod weather;
mod world;

use std::collections::BTreeSet;

use check::{
    Hubs, IDS_INCREASE, LOST_AND_TOLD, NOTHING_TWICE, ONE_ORDER, REACHED_OR_TOLD,
    RESUMED_ELSEWHERE, WENT_ON,
};
use rules::{Budget, Fault, Mode, Rules};
use stateright::{Checker, HasDiscoveries, Model};

const QUIET: Budget = Budget {
    publishes: 2,
    leaves: 1,
    failovers: 0,
    partitions: 0,
    losses: 0,
    crashes: 0,
    trims: 0,
};
const FAILOVER: Budget = Budget {
    failovers: 1,
    ..QUIET
};
const PARTITION: Budget = Budget {
    partitions: 1,
    ..FAILOVER
};
const TWO_FAILOVERS: Budget = Budget {
    publishes: 1,
    failovers: 2,
    ..QUIET
};
/// The second message is the third primary's first.
const TWO_FAILOVERS_IN_USE: Budget = Budget {
    publishes: 2,
    leaves: 0,
    ..TWO_FAILOVERS
};
const HUB_CRASH: Budget = Budget {
    publishes: 1,
    crashes: 1,
    ..FAILOVER
};
const LOSS: Budget = Budget { losses: 1, ..QUIET };
const TRIM: Budget = Budget {
    publishes: 3,
    trims: 3,
    ..QUIET
};

/// One thread: the test run has as many as there are cores.
fn holds(mode: Mode, budget: Budget, sometimes: &'static [&'static str]) {
    let rules = Rules {
        mode,
        faults: Vec::new(),
    };
    let hubs = Hubs {
        rules,
        budget,
        sometimes,
    };
    let done = HasDiscoveries::AnyFailures;
    let checker = hubs.checker().finish_when(done).spawn_bfs().join();
    println!("{mode:?}: {} states", checker.unique_state_count());
    checker.assert_properties();
}

#[test]
fn a_failover_loses_nothing_unsaid() {
    holds(Mode::Primary, FAILOVER, &[LOST_AND_TOLD]);
}

#[test]
fn a_failover_without_loss_goes_unnoticed() {
    holds(Mode::Replicated, FAILOVER, &[WENT_ON, RESUMED_ELSEWHERE]);
}

#[test]
fn a_zombie_primary_is_survived() {
    holds(Mode::Primary, PARTITION, &[LOST_AND_TOLD]);
    holds(Mode::Replicated, PARTITION, &[WENT_ON]);
}

#[test]
fn two_failovers_are_survived() {
    holds(Mode::Primary, TWO_FAILOVERS, &[LOST_AND_TOLD]);
    holds(Mode::Replicated, TWO_FAILOVERS, &[]);
}

#[test]
fn a_hub_may_die_with_the_primary() {
    holds(Mode::Primary, HUB_CRASH, &[LOST_AND_TOLD]);
    holds(Mode::Replicated, HUB_CRASH, &[]);
}

#[test]
fn lost_data_is_told() {
    holds(Mode::Primary, LOSS, &[LOST_AND_TOLD]);
    holds(Mode::Replicated, LOSS, &[LOST_AND_TOLD]);
}

#[test]
fn a_reader_too_slow_for_the_log_is_told() {
    holds(Mode::Primary, TRIM, &[]);
    holds(Mode::Replicated, TRIM, &[]);
}

/// Minutes, and millions of states: run by name.
#[test]
#[ignore = "takes minutes"]
fn more_of_everything() {
    let budgets = [
        Budget {
            publishes: 3,
            ..FAILOVER
        },
        Budget {
            leaves: 2,
            ..FAILOVER
        },
        Budget {
            leaves: 2,
            ..PARTITION
        },
        Budget {
            publishes: 2,
            ..HUB_CRASH
        },
        Budget {
            partitions: 1,
            ..HUB_CRASH
        },
        Budget {
            partitions: 1,
            ..TWO_FAILOVERS
        },
        Budget {
            losses: 1,
            publishes: 1,
            ..FAILOVER
        },
        Budget {
            publishes: 3,
            ..LOSS
        },
    ];
    for budget in budgets {
        println!("{budget:?}");
        holds(Mode::Primary, budget, &[]);
        holds(Mode::Replicated, budget, &[]);
    }
}

fn breaks(fault: Fault, mode: Mode, budget: Budget, promise: &'static str) {
    let hubs = Hubs {
        rules: Rules {
            mode,
            faults: vec![fault],
        },
        budget,
        sometimes: &[],
    };
    let done = HasDiscoveries::AllOf(BTreeSet::from([promise]));
    let checker = hubs.checker().finish_when(done).spawn_bfs().join();
    let Some(path) = checker.discovery(promise) else {
        panic!("{fault:?} breaks nothing");
    };
    println!("{fault:?}, {promise}: {:?}", path.into_actions());
}

#[test]
fn each_rule_is_needed() {
    use Mode::{Primary, Replicated};
    breaks(Fault::LineageIgnored, Primary, FAILOVER, REACHED_OR_TOLD);
    breaks(
        Fault::AcknowledgedEarly,
        Replicated,
        FAILOVER,
        REACHED_OR_TOLD,
    );
    breaks(Fault::ChainUnchecked, Primary, TRIM, REACHED_OR_TOLD);
    breaks(Fault::FoundedByClock, Replicated, LOSS, IDS_INCREASE);
    breaks(Fault::StrangerUnnoticed, Replicated, FAILOVER, ONE_ORDER);
    breaks(Fault::LossOnlyAbove, Primary, PARTITION, REACHED_OR_TOLD);
    breaks(
        Fault::AcknowledgedForgotten,
        Primary,
        PARTITION,
        REACHED_OR_TOLD,
    );
    breaks(Fault::LookForgets, Primary, PARTITION, REACHED_OR_TOLD);
    breaks(
        Fault::SeenForgotten,
        Replicated,
        TWO_FAILOVERS_IN_USE,
        IDS_INCREASE,
    );
    breaks(Fault::LeaseUnchecked, Primary, LOSS, REACHED_OR_TOLD);
    breaks(Fault::Untagged, Replicated, FAILOVER, ONE_ORDER);
    breaks(Fault::PositionUnchecked, Primary, FAILOVER, ONE_ORDER);
    breaks(Fault::PositionFromRedis, Primary, LOSS, ONE_ORDER);
    breaks(Fault::PositionNotAwaited, Primary, QUIET, NOTHING_TWICE);
    breaks(Fault::PositionNotMarked, Replicated, FAILOVER, IDS_INCREASE);
    breaks(Fault::SnapshotWithoutCursor, Primary, LOSS, ONE_ORDER);
}

/// The one rule that is not: without it a hub learns of a loss at its next look at the log, a
/// second later, and with it at its next publish.
#[test]
fn the_epoch_of_a_publish_only_saves_time() {
    for budget in [LOSS, FAILOVER, TWO_FAILOVERS] {
        let rules = Rules {
            mode: Mode::Primary,
            faults: vec![Fault::EpochUnchecked],
        };
        let hubs = Hubs {
            rules,
            budget,
            sometimes: &[],
        };
        hubs.checker().spawn_bfs().join().assert_properties();
    }
}
