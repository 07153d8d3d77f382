//! Clients that come, go, and come back to either hub.

use super::hub::Link;
use super::log::{Id, Kind, Server};
use super::rules::{Fault, Rules};
use super::world::World;

impl World {
    pub fn leave(&mut self, client: usize) {
        self.left.leaves -= 1;
        self.clients[client].hub = None;
    }

    /// Without a position: somebody new.
    pub fn subscribe(&mut self, rules: &Rules, client: usize, hub: usize) {
        self.clients[client].forget();
        self.clients[client].hub = Some(hub);
        self.snapshot(rules, client, hub);
        self.clients[client].told = false;
    }

    /// A hub can answer a position once it has read up to it. Until then the client waits, and
    /// whatever happens meanwhile is judged when it is answered.
    pub fn can_resume(&self, rules: &Rules, client: usize, hub: usize) -> bool {
        self.hubs[hub].serves()
            && (self.clients[client].position <= self.hubs[hub].last()
                || !rules.keep(Fault::PositionNotAwaited)
                || (!rules.keep(Fault::PositionNotMarked) && self.is_above_log(client, hub)))
    }

    pub fn resume(&mut self, rules: &Rules, client: usize, hub: usize) {
        self.clients[client].hub = Some(hub);
        if self.is_known(rules, client, hub) {
            self.replay(client, hub);
        } else {
            self.snapshot(rules, client, hub);
        }
    }

    fn is_known(&self, rules: &Rules, client: usize, hub: usize) -> bool {
        let (state, position) = (&self.hubs[hub], self.clients[client].position);
        if !rules.keep(Fault::PositionUnchecked) {
            return state.origin <= position;
        }
        if !rules.keep(Fault::PositionFromRedis) {
            let server = self.server(hub);
            return state.origin <= position && server.is_some_and(|server| server.holds(position));
        }
        state.has_read(position)
    }

    fn replay(&mut self, client: usize, hub: usize) {
        let state = &self.hubs[hub];
        let client = &mut self.clients[client];
        let position = client.position;
        for entry in state.read.iter().filter(|entry| entry.id > position) {
            client.receive(state.epoch, *entry);
        }
    }

    /// The client saw a longer log than there is, and ids must go on above what it saw.
    pub fn can_mark(&self, rules: &Rules, client: usize, hub: usize) -> bool {
        !matches!(self.hubs[hub].link, Link::Down | Link::Demoted)
            && rules.keep(Fault::PositionNotMarked)
            && self.is_above_log(client, hub)
            && self.server(hub).and_then(Server::epoch) == self.hubs[hub].epoch
    }

    /// An entry that says nothing. The client is answered when the hub has read it.
    pub fn mark(&mut self, client: usize, hub: usize) {
        let position = self.clients[client].position;
        self.server_mut(hub).append(Kind::Mark, position);
    }

    fn is_above_log(&self, client: usize, hub: usize) -> bool {
        let server = self.server(hub);
        server.is_some_and(|server| server.last() < self.clients[client].position)
    }

    /// `resumed: false`, the values of all metrics, and a cursor.
    pub fn snapshot(&mut self, rules: &Rules, client: usize, hub: usize) {
        let lost = self.lost();
        let state = &self.hubs[hub];
        let (values, last, epoch) = (state.values, state.last(), state.epoch);
        let client = &mut self.clients[client];
        client.told = true;
        client.epoch = epoch;
        client.covered = values | lost;
        if rules.keep(Fault::SnapshotWithoutCursor) || client.position == Id::NONE {
            client.position = last;
        }
    }
}
