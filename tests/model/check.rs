//! The steps that may be taken next, for the checker.

use stateright::{Model, Property};

use super::hub::{CLIENTS, HUBS, Link};
use super::log::Server;
use super::promises::{
    ids_increase, is_quiet, lost_and_told, no_message_twice, one_order, reached_or_told,
    resumed_elsewhere, went_on,
};
use super::rules::{Budget, Fault, Mode, Rules};
use super::world::World;

pub const ONE_ORDER: &str = "one order in an epoch";
pub const IDS_INCREASE: &str = "ids increase";
pub const NOTHING_TWICE: &str = "nothing twice";
pub const REACHED_OR_TOLD: &str = "reached or told";
pub const NEVER_STUCK: &str = "never stuck";
pub const LOST_AND_TOLD: &str = "lost and told";
pub const WENT_ON: &str = "a failover that no client notices";
pub const RESUMED_ELSEWHERE: &str = "resumed at the other hub after a failover";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    Publish {
        hub: usize,
    },
    Replicate,
    Read {
        hub: usize,
    },
    Join {
        hub: usize,
    },
    BeginAnew {
        hub: usize,
    },
    Leave {
        client: usize,
    },
    Subscribe {
        client: usize,
        hub: usize,
    },
    Resume {
        client: usize,
        hub: usize,
    },
    Mark {
        client: usize,
        hub: usize,
    },
    FailOver {
        kept: usize,
        ahead: bool,
        cut_off: Option<usize>,
    },
    Heal {
        cut: bool,
    },
    LoseData {
        restart: bool,
    },
    Crash {
        hub: usize,
    },
    Trim,
}

#[derive(Clone, Debug)]
pub struct Hubs {
    pub rules: Rules,
    pub budget: Budget,
    /// What must be seen to happen.
    pub sometimes: &'static [&'static str],
}

impl Hubs {
    /// What hubs and waiting clients do by themselves. Each ends by itself too: an epoch that two
    /// hubs founded over and over would be a history without end.
    fn progress(&self, world: &World, steps: &mut Vec<Step>) {
        for hub in 0..HUBS {
            self.hub_steps(world, hub, steps);
        }
        for client in (0..CLIENTS).filter(|client| world.clients[*client].hub.is_none()) {
            for hub in 0..HUBS {
                if world.can_resume(&self.rules, client, hub) {
                    steps.push(Step::Resume { client, hub });
                } else if world.can_mark(&self.rules, client, hub) {
                    steps.push(Step::Mark { client, hub });
                }
            }
        }
        if world.zombie.is_some() {
            let heals = [true, false].map(|cut| Step::Heal { cut });
            steps.extend(heals);
        }
    }

    fn hub_steps(&self, world: &World, hub: usize, steps: &mut Vec<Step>) {
        let state = &world.hubs[hub];
        let refused = matches!(state.link, Link::Down | Link::Demoted);
        let looks = refused || self.rules.keep(Fault::LeaseUnchecked);
        if looks && world.must_join(&self.rules, hub) {
            steps.push(Step::Join { hub });
        }
        if state.link == Link::Down {
            return;
        }
        if state.anew {
            steps.push(Step::BeginAnew { hub });
        } else if world.unread(hub).is_some() {
            steps.push(Step::Read { hub });
        }
    }

    /// The look once a second, where it finds nothing new: it must not forget anything either.
    fn looks(&self, world: &World, steps: &mut Vec<Step>) {
        let idle = |hub: &usize| {
            self.rules.keep(Fault::LeaseUnchecked) && !world.must_join(&self.rules, *hub)
        };
        steps.extend((0..HUBS).filter(idle).map(|hub| Step::Join { hub }));
    }

    fn publishing(&self, world: &World, steps: &mut Vec<Step>) {
        for hub in (0..HUBS).filter(|_| world.left.publishes > 0) {
            let epoch = world.server(hub).and_then(Server::epoch);
            let same = epoch == world.hubs[hub].epoch;
            let writable = world.hubs[hub].link != Link::Demoted;
            if writable && epoch.is_some() && (same || !self.rules.keep(Fault::EpochUnchecked)) {
                steps.push(Step::Publish { hub });
            }
        }
        let behind = world.replicated < world.primary.log.len();
        if self.rules.mode == Mode::Replicated && behind {
            steps.push(Step::Replicate);
        }
    }

    fn comings_and_goings(world: &World, steps: &mut Vec<Step>) {
        for client in 0..CLIENTS {
            if world.clients[client].hub.is_some() && world.left.leaves > 0 {
                steps.push(Step::Leave { client });
            }
            for hub in 0..HUBS {
                if world.clients[client].hub.is_none() && world.hubs[hub].serves() {
                    steps.push(Step::Subscribe { client, hub });
                }
            }
        }
    }

    fn weather(world: &World, steps: &mut Vec<Step>) {
        if world.left.failovers > 0 && world.zombie.is_none() {
            fail_overs(world, steps);
        }
        if world.left.losses > 0 && !world.primary.log.is_empty() {
            let losses = [true, false].map(|restart| Step::LoseData { restart });
            steps.extend(losses);
        }
        if world.left.crashes > 0 {
            steps.extend((0..HUBS).map(|hub| Step::Crash { hub }));
        }
        if world.left.trims > 0 && world.primary.stream().len() > 1 {
            steps.push(Step::Trim);
        }
    }
}

fn fail_overs(world: &World, steps: &mut Vec<Step>) {
    let cut_off = |hub: &usize| world.left.partitions > 0 && world.hubs[*hub].link == Link::Primary;
    let cut_offs: Vec<usize> = (0..HUBS).filter(cut_off).collect();
    for kept in world.replicated.max(world.primary.trimmed)..=world.primary.log.len() {
        for ahead in [false, true] {
            let with = |cut_off| Step::FailOver {
                kept,
                ahead,
                cut_off,
            };
            steps.push(with(None));
            steps.extend(cut_offs.iter().map(|hub| with(Some(*hub))));
        }
    }
}

impl Model for Hubs {
    type State = World;
    type Action = Step;

    fn init_states(&self) -> Vec<World> {
        vec![World::begin(self.budget)]
    }

    fn actions(&self, world: &World, steps: &mut Vec<Step>) {
        self.progress(world, steps);
        self.looks(world, steps);
        self.publishing(world, steps);
        Self::comings_and_goings(world, steps);
        Self::weather(world, steps);
    }

    fn next_state(&self, last: &World, step: Step) -> Option<World> {
        let mut world = last.clone();
        let rules = &self.rules;
        match step {
            Step::Publish { hub } => world.publish(rules, hub),
            Step::Replicate => world.replicate(),
            Step::Read { hub } => world.read(rules, hub),
            Step::Join { hub } => world.join(rules, hub),
            Step::BeginAnew { hub } => world.begin_anew(rules, hub),
            Step::Leave { client } => world.leave(client),
            Step::Subscribe { client, hub } => world.subscribe(rules, client, hub),
            Step::Resume { client, hub } => world.resume(rules, client, hub),
            Step::Mark { client, hub } => world.mark(client, hub),
            Step::FailOver {
                kept,
                ahead,
                cut_off,
            } => world.fail_over(kept, ahead, cut_off),
            Step::Heal { cut } => world.heal(cut),
            Step::LoseData { restart } => world.lose_data(restart),
            Step::Crash { hub } => world.crash(hub),
            Step::Trim => world.trim(),
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::<Self>::always(ONE_ORDER, |_, world| one_order(world)),
            Property::always(IDS_INCREASE, |_, world| ids_increase(world)),
            Property::always(NOTHING_TWICE, |_, world| no_message_twice(world)),
            Property::always(REACHED_OR_TOLD, |model, world| {
                reached_or_told(&model.rules, world)
            }),
            Property::always(NEVER_STUCK, |model, world| {
                let mut steps = Vec::new();
                model.progress(world, &mut steps);
                !steps.is_empty() || is_quiet(&model.rules, world)
            }),
        ];
        let sometimes = [
            Property::<Self>::sometimes(LOST_AND_TOLD, |model, world| {
                lost_and_told(&model.rules, world)
            }),
            Property::sometimes(WENT_ON, |_, world| went_on(world)),
            Property::sometimes(RESUMED_ELSEWHERE, |_, world| resumed_elsewhere(world)),
        ];
        properties.extend(
            sometimes
                .into_iter()
                .filter(|property| self.sometimes.contains(&property.name)),
        );
        properties
    }
}
