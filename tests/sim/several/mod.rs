//! Several hubs that share one log, which loses its end, is emptied and trimmed. The hubs are the real core; the log
//! decides as the scripts in Redis do. Clients go from one hub to the other, and keep books themselves.

mod client;
mod hub;
mod log;

use std::collections::{BTreeMap, BTreeSet};

use statshub::domain::message::{MessageId, Priority};

use crate::rng::Rng;
use client::Client;
use hub::{Hub, Read};
use log::Log;

/// A deliberate mistake, which the books must find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistake {
    None,
    /// Streams are not told of another log.
    NotTold,
    /// Whether a position is one of this log is not looked at.
    AnyPosition,
    /// A stream begins before this hub has read what its client has.
    NotAwaited,
    /// What comes next is taken over whatever came before it.
    NoChain,
    /// After a failover all goes on as if nothing could be missing.
    NoEpoch,
    /// Ids begin at the server's clock only.
    IdsGoBack,
    /// A session is not let go of where it was taken over.
    TwoOwners,
}

pub const MISTAKES: [Mistake; 7] = [
    Mistake::NotTold,
    Mistake::AnyPosition,
    Mistake::NotAwaited,
    Mistake::NoChain,
    Mistake::NoEpoch,
    Mistake::IdsGoBack,
    Mistake::TwoOwners,
];

/// How often what happens, per mille and step.
struct Rates {
    publish: u32,
    read: u32,
    take: u32,
    leave: u32,
    come: u32,
    honest: u32,
    save: u32,
    failover: u32,
    flush: u32,
    trim: u32,
    crash: u32,
    cut: u32,
}

pub struct World {
    pub rng: Rng,
    pub mistake: Mistake,
    pub log: Log,
    hubs: Vec<Hub>,
    clients: Vec<Client>,
    rates: Rates,
    now_ms: u64,
    keys: u64,
    /// What publishers were told is in the log.
    acknowledged: BTreeMap<MessageId, u64>,
    step: u64,
    pub visited: BTreeMap<&'static str, u64>,
}

/// Runs one seed to its end and returns what it came through. Panics when a promise is broken.
pub fn run(seed: u64, steps: u64, mistake: Mistake) -> BTreeMap<&'static str, u64> {
    let mut world = World::new(seed, mistake);
    for _ in 0..steps {
        world.step();
    }
    world.calm_down();
    world.visited
}

impl World {
    fn new(seed: u64, mistake: Mistake) -> Self {
        let mut rng = Rng::new(seed);
        let hubs = rng.between(2, 3);
        let clients = rng.between(2, 5);
        let rates = Rates {
            publish: rng.pick(&[50, 300, 700]),
            read: rng.pick(&[100, 500, 900]),
            take: rng.pick(&[200, 600]),
            leave: rng.pick(&[10, 40]),
            come: rng.pick(&[100, 400]),
            honest: rng.pick(&[500, 1000]),
            save: rng.pick(&[20, 300]),
            failover: rng.pick(&[0, 4, 12]),
            flush: rng.pick(&[0, 0, 4]),
            trim: rng.pick(&[0, 10]),
            crash: rng.pick(&[0, 5]),
            cut: rng.pick(&[0, 10, 30]),
        };
        Self {
            log: Log::new(mistake),
            hubs: (0..hubs).map(Hub::new).collect(),
            clients: (0..clients).map(Client::new).collect(),
            rng,
            mistake,
            rates,
            now_ms: 1_700_000_000_000,
            keys: 0,
            acknowledged: BTreeMap::new(),
            step: 0,
            visited: BTreeMap::new(),
        }
    }

    pub fn visit(&mut self, corner: &'static str) {
        *self.visited.entry(corner).or_default() += 1;
    }

    fn step(&mut self) {
        self.now_ms += self.rng.between(0, 3) as u64;
        self.step += 1;
        for index in 0..self.hubs.len() {
            self.act(index);
        }
        for index in 0..self.clients.len() {
            self.move_client(index);
        }
        self.have_trouble();
    }

    fn act(&mut self, index: usize) {
        let rates = &self.rates;
        let (publish, read, save) = (rates.publish, rates.read, rates.save);
        let (crash, cut) = (rates.crash, rates.cut);
        if self.rng.per_mille(crash) {
            self.visit("a hub died");
            let lost = self.hubs[index].die();
            self.lose_streams(&lost);
        }
        if self.rng.per_mille(cut) {
            let hub = &mut self.hubs[index];
            hub.is_cut_off = !hub.is_cut_off;
        }
        if self.hubs[index].is_cut_off {
            return;
        }
        self.join(index);
        if self.rng.per_mille(publish) {
            self.publish(index);
        }
        if self.rng.per_mille(read) {
            self.read(index);
        }
        if self.rng.per_mille(save) {
            self.save(index);
        }
    }

    fn join(&mut self, index: usize) {
        let hub = &mut self.hubs[index];
        let founded = hub.join(&mut self.log, self.now_ms);
        if let Some(reason) = founded {
            self.visit(reason);
        }
    }

    fn publish(&mut self, index: usize) {
        let priority = self.rng.pick(&Priority::ALL);
        let metric = self.rng.below(4);
        let id = self.log.append_message(metric, priority, self.now_ms);
        self.hubs[index].acknowledged = Some((id, self.log.epoch));
        self.acknowledged.insert(id, self.step);
        self.visit("published");
    }

    fn read(&mut self, index: usize) {
        let most = self.rng.between(1, 6);
        let mistake = self.mistake;
        let read = self.hubs[index].read(&self.log, most, self.step, mistake);
        self.pass_on(read);
    }

    fn save(&mut self, index: usize) {
        let saved = self.hubs[index].save(&mut self.log, self.mistake);
        self.pass_on(saved);
    }

    fn pass_on(&mut self, read: Read) {
        for (corner, key, seen) in read.said {
            if let Some(corner) = corner {
                self.visit(corner);
            }
            if let Some(client) = self.clients.iter_mut().find(|it| it.key() == Some(key)) {
                client.inbox.push_back(seen);
            }
        }
        for key in read.closed {
            self.visit("replaced where it was");
            if let Some(client) = self.clients.iter_mut().find(|it| it.key() == Some(key)) {
                client.leave();
            }
        }
    }

    fn lose_streams(&mut self, keys: &[u64]) {
        for client in &mut self.clients {
            if client.key().is_some_and(|key| keys.contains(&key)) {
                client.leave();
            }
        }
    }

    fn move_client(&mut self, index: usize) {
        if self.rng.per_mille(self.rates.take) {
            let most = self.rng.between(1, 8);
            self.clients[index].take(most);
        }
        match self.clients[index].key() {
            Some(key) if self.rng.per_mille(self.rates.leave) => {
                self.clients[index].leave();
                // Otherwise the stream stays open for all that its hub knows.
                if self.rng.per_mille(700) {
                    self.end(key);
                }
            }
            None if self.rng.per_mille(self.rates.come) => {
                let hub = self.rng.below(self.hubs.len());
                self.come(index, hub);
            }
            _ => {}
        }
    }

    /// The hub notices that a stream's client is gone: up to where it was sent everything is more than the
    /// client has.
    fn end(&mut self, key: u64) {
        for hub in &mut self.hubs {
            hub.end(key);
        }
    }

    fn come(&mut self, index: usize, hub: usize) {
        if self.hubs[hub].is_cut_off {
            self.visit("came to a hub that is cut off");
            return;
        }
        self.join(hub);
        self.keys += 1;
        let honest = self.rng.per_mille(self.rates.honest);
        let ask = self.clients[index].ask(self.keys, honest, &mut self.rng);
        let wait = self.mistake != Mistake::NotAwaited;
        if !self.hubs[hub].admits(&ask, &mut self.log, self.now_ms) && wait {
            self.visit("has to wait");
            return;
        }
        let mistake = self.mistake;
        let when = (self.now_ms, self.step);
        match self.hubs[hub].open(&ask, &mut self.log, when, mistake) {
            Some((opening, corner)) => {
                self.visit(corner);
                self.clients[index].opened(&ask, opening);
            }
            None => {
                self.visit("unknown token");
                self.clients[index].forget_token();
            }
        }
    }

    fn have_trouble(&mut self) {
        if self.rng.per_mille(self.rates.failover) {
            let lost = self.rng.below(6);
            self.visit(if lost > 0 {
                "failover with loss"
            } else {
                "failover"
            });
            let behind_ms = self.rng.pick(&[0, 0, 500]);
            self.log.fail_over(lost, behind_ms);
        }
        if self.rng.per_mille(self.rates.flush) {
            self.visit("emptied");
            self.log.empty();
        }
        if self.rng.per_mille(self.rates.trim) {
            let most = self.rng.between(1, 20);
            self.log.trim(most);
            self.visit("trimmed");
        }
    }

    /// Everything is well again: all have everything, or were told.
    fn calm_down(&mut self) {
        for hub in &mut self.hubs {
            hub.is_cut_off = false;
        }
        for round in 0..220 {
            self.now_ms += 1;
            for index in 0..self.hubs.len() {
                self.join(index);
                (0..4).for_each(|_| self.read(index));
                self.save(index);
            }
            for index in 0..self.clients.len() {
                self.clients[index].take(usize::MAX);
                // In the last rounds nobody comes any more.
                if self.clients[index].key().is_none() && round < 200 {
                    let hub = self.rng.below(self.hubs.len());
                    self.come(index, hub);
                }
            }
        }
        let mut owners = BTreeSet::new();
        for token in self.hubs.iter().flat_map(Hub::live) {
            assert!(owners.insert(token), "{token} is at two hubs at once");
        }
        for client in &self.clients {
            assert!(client.key().is_some(), "every client is there in the end");
            client.check_complete(&self.log, &self.acknowledged);
        }
    }
}
