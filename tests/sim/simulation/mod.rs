//! One history: a real hub and real fan-outs, everything between and around them simulated.

mod channel;
mod checks;
mod operating;
mod reports;
mod storing;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use statshub::domain::fanout::ConnectionKey;
use statshub::domain::history::History;
use statshub::domain::hub::{Change, Connect, HubState, Opening, RefreshError};
use statshub::domain::message::{
    IdGenerator, Message, MessageId, Priority, Retain, Topic, Transport,
};
use statshub::domain::session::Identity;
use statshub::domain::time::Now;
use uuid::Uuid;

use channel::Channel;

use crate::client::Client;
use crate::durable::Durable;
use crate::names::{self, METRICS};
use crate::oracle::Oracle;
use crate::plant::Plant;
use crate::rng::Rng;
use crate::weather::Weather;
use crate::worker::Worker;
use crate::world::{Ask, Effect, Recorder, Report, Request};

pub const WORKERS: usize = 2;
const QUIET_STEPS: u64 = 200;
const START_MS: u64 = 1_700_000_000_000;

pub struct Simulation {
    pub rng: Rng,
    pub weather: Weather,
    pub plant: Plant,
    pub hub: HubState,
    pub oracle: Oracle,
    pub workers: [Worker; WORKERS],
    pub clients: Vec<Client>,
    pub step: u64,
    pub wall_ms: u64,
    pub mono: Duration,
    pub quiet: bool,
    messages: Vec<Arc<Message>>,
    ids: IdGenerator,
    durable: Durable,
    to_worker: [Channel<Arc<Effect>>; WORKERS],
    to_hub: [Channel<Report>; WORKERS],
    held: Option<Effect>,
    /// Which client had a session last.
    pub holders: HashMap<Uuid, usize>,
    next_key: u64,
    drained_at: Option<u64>,
    pub trace: u64,
}

/// What a history was.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Everything that anyone saw, folded into one number.
    pub trace: u64,
    /// How often it came through which corner.
    pub visited: BTreeMap<&'static str, u64>,
}

/// Runs one seed to its end. Panics when an invariant breaks.
pub fn run(seed: u64, steps: u64, plant: Plant) -> Outcome {
    let mut simulation = Simulation::new(seed, plant);
    for _ in 0..steps {
        simulation.step();
    }
    simulation.calm_down();
    Outcome {
        trace: simulation.trace,
        visited: simulation.oracle.visited,
    }
}

/// A hub that nobody left anything.
fn beginning(weather: &Weather, plant: Plant, origin: MessageId) -> HubState {
    let limits = plant.limits(&weather.limits);
    if !weather.stored {
        return HubState::new(limits, origin);
    }
    let history = History::restored(limits.history.clone(), origin, origin, []);
    HubState::restored(limits, history, [])
}

impl Simulation {
    pub fn new(seed: u64, plant: Plant) -> Self {
        let mut rng = Rng::new(seed);
        let weather = Weather::draw(&mut rng);
        let mut ids = IdGenerator::above(MessageId::ZERO);
        ids.next(START_MS);
        let origin = ids.last();
        let clients = (0..weather.clients)
            .map(|index| Client::new(index % weather.users, &mut rng))
            .collect();
        Self {
            hub: beginning(&weather, plant, origin),
            durable: Durable::new(origin),
            oracle: Oracle::new(&weather, origin),
            workers: Default::default(),
            clients,
            step: 0,
            wall_ms: START_MS,
            mono: Duration::from_secs(1),
            quiet: false,
            messages: Vec::new(),
            ids,
            to_worker: Default::default(),
            to_hub: Default::default(),
            held: None,
            holders: HashMap::new(),
            next_key: 0,
            drained_at: None,
            trace: seed,
            rng,
            weather,
            plant,
        }
    }

    pub fn note(&mut self, what: u64) {
        self.trace = (self.trace ^ what)
            .wrapping_mul(0x0000_0100_0000_01b3)
            .rotate_left(5);
    }

    fn now(&self) -> Now {
        Now {
            wall_ms: self.wall_ms,
            mono: self.mono,
        }
    }

    pub fn uuid(&mut self) -> Uuid {
        Uuid::from_u128(u128::from(self.rng.next()) << 64 | u128::from(self.rng.next()))
    }

    pub fn key(&mut self) -> ConnectionKey {
        self.next_key += 1;
        ConnectionKey::new(self.rng.below(WORKERS) as u16, self.next_key)
    }

    fn step(&mut self) {
        self.step += 1;
        self.pass_time();
        if !self.quiet {
            self.publish();
            self.operate();
        }
        self.write();
        for client in 0..self.clients.len() {
            self.act(client);
        }
        self.move_channels();
        self.drive_workers();
        for client in 0..self.clients.len() {
            self.read(client);
        }
        self.check();
    }

    fn pass_time(&mut self) {
        let passed = self.rng.between(1, 5) as u64;
        self.mono += Duration::from_millis(passed);
        self.wall_ms += self.rng.between(0, 5) as u64;
        if !self.quiet && self.rng.per_mille(self.weather.rates.clock_jump) {
            let jump = self.rng.pick(&[100, 10_000, 3_600_000]);
            self.oracle.visit("clock jump");
            self.wall_ms = if self.rng.per_mille(500) {
                self.wall_ms + jump
            } else {
                self.wall_ms - jump
            };
        }
    }

    /// Asks the hub something, and lets its effects be falsified.
    fn ask<R>(
        &mut self,
        act: impl FnOnce(&mut HubState, Now, &mut Recorder) -> R,
    ) -> (R, Vec<Effect>) {
        self.mono += Duration::from_micros(1);
        let now = self.now();
        let mut recorder = Recorder::default();
        let answer = act(&mut self.hub, now, &mut recorder);
        let mut effects = recorder.0;
        self.plant.falsify(&mut effects, &self.messages);
        (answer, effects)
    }

    fn forward(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Deliver(message) => {
                    let Some(message) = self.plant.falsify_delivery(&message, &mut self.rng) else {
                        continue;
                    };
                    self.send_out(Effect::Deliver(message));
                }
                Effect::Attach(attach) if self.plant == Plant::GapAfterSnapshot => {
                    self.release();
                    self.held = Some(Effect::Attach(attach));
                }
                other => {
                    self.release();
                    self.send_out(other);
                }
            }
        }
    }

    /// One effect may be held back by a planted bug, until the next has passed it.
    fn send_out(&mut self, effect: Effect) {
        let is_delivery = matches!(effect, Effect::Deliver(_));
        if self.plant == Plant::Reordered
            && is_delivery
            && self.held.is_none()
            && self.rng.per_mille(50)
        {
            self.held = Some(effect);
            return;
        }
        self.push(effect);
        self.release();
    }

    fn release(&mut self) {
        if let Some(held) = self.held.take() {
            self.push(held);
        }
    }

    fn push(&mut self, effect: Effect) {
        let to = effect.worker();
        let effect = Arc::new(effect);
        for worker in 0..WORKERS {
            if to.is_none_or(|to| usize::from(to) == worker) {
                self.to_worker[worker].push(self.step, effect.clone());
            }
        }
    }
}
