//! What befalls servers and hubs.

use super::hub::{HUBS, Hub, Link};
use super::log::{Messages, Server};
use super::world::World;

/// No history here gets so far by counting: a clock that is ahead of everything.
const AHEAD: u8 = 20;

impl World {
    /// The replica is promoted with the first `kept` entries. The hub in `cut_off` still reaches
    /// the old primary, if any does; the others have lost their connections.
    pub fn fail_over(&mut self, kept: usize, ahead: bool, cut_off: Option<usize>) {
        self.left.failovers -= 1;
        self.lineages += 1;
        let mut promoted = self.primary.prefix(kept, self.lineages);
        if ahead {
            promoted.clock = AHEAD;
        }
        let old = std::mem::replace(&mut self.primary, promoted);
        self.replicated = kept;
        for hub in &mut self.hubs {
            hub.link = Link::Down;
        }
        if let Some(hub) = cut_off {
            self.left.partitions -= 1;
            self.hubs[hub].link = Link::Zombie;
            self.zombie = Some(old);
        }
    }

    /// The partition ends: the old primary becomes a replica, and its data is gone.
    pub fn heal(&mut self, cut: bool) {
        self.zombie = None;
        let link = if cut { Link::Down } else { Link::Demoted };
        for hub in &mut self.hubs {
            if hub.link == Link::Zombie {
                hub.link = link;
            }
        }
    }

    /// The primary's data is gone, by a restart or by `FLUSHALL` under live connections. The
    /// replica follows.
    pub fn lose_data(&mut self, restart: bool) {
        self.left.losses -= 1;
        self.replicated = 0;
        self.lineages += u8::from(restart);
        let lineage = if restart {
            self.lineages
        } else {
            self.primary.lineage
        };
        self.primary = Server::empty(lineage);
        if restart {
            self.cut_links();
        }
    }

    fn cut_links(&mut self) {
        for hub in &mut self.hubs {
            if hub.link == Link::Primary {
                hub.link = Link::Down;
            }
        }
    }

    /// With it goes the only knowledge of what it acknowledged alone. This is the limit of what
    /// can be promised when the primary alone acknowledges: nobody is left who could tell.
    pub fn crash(&mut self, hub: usize) {
        self.left.crashes -= 1;
        self.acknowledged &= !self.hubs[hub].alone;
        self.hubs[hub] = Hub::started();
        for client in self.clients_of(hub) {
            client.hub = None;
        }
        if (0..HUBS).all(|hub| self.hubs[hub].link != Link::Zombie) {
            self.zombie = None;
        }
    }

    pub fn trim(&mut self) {
        self.left.trims -= 1;
        self.primary.trimmed += 1;
    }

    /// What was acknowledged and is in the log no more.
    pub fn lost(&self) -> Messages {
        self.acknowledged & !self.primary.values(self.primary.last())
    }
}
