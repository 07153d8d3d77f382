//! The state of everything, and what one step of the protocol does to it.

use super::hub::{CLIENTS, Client, HUBS, Hub, Link};
use super::log::{Entry, Epoch, Id, Kind, Message, Messages, Server, newest_epoch};
use super::rules::{Budget, Fault, Mode, Rules};

/// Tags are drawn downwards: of two ids with one number the newer is the lower, which is the harder
/// case for whoever compares them.
const TAGS: u8 = 100;

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct World {
    pub primary: Server,
    pub zombie: Option<Server>,
    /// So many entries of the primary are in its replica.
    pub replicated: usize,
    pub hubs: [Hub; HUBS],
    pub clients: [Client; CLIENTS],
    pub published: Message,
    pub acknowledged: Messages,
    /// Drawn so far: random in the program, counted here.
    pub epochs: Epoch,
    pub tags: u8,
    pub lineages: u8,
    pub left: Budget,
}

impl World {
    /// One epoch, two hubs that have read it, and a client at each.
    pub fn begin(budget: Budget) -> Self {
        let mut primary = Server::empty(0);
        primary.found(0, TAGS, Id::NONE);
        let last = primary.last();
        let hub = Hub {
            link: Link::Primary,
            epoch: Some(0),
            origin: last,
            seen: last,
            ..Hub::default()
        };
        let client = |hub| Client {
            hub: Some(hub),
            position: last,
            sights: Vec::new(),
            covered: 0,
            told: false,
            epoch: Some(0),
            mixed: false,
        };
        Self {
            primary,
            zombie: None,
            replicated: 1,
            hubs: [hub.clone(), hub],
            clients: [client(0), client(1)],
            published: 0,
            acknowledged: 0,
            epochs: 0,
            tags: TAGS,
            lineages: 0,
            left: budget,
        }
    }

    /// The server that the hub's connection leads to.
    pub fn server(&self, hub: usize) -> Option<&Server> {
        match self.hubs[hub].link {
            Link::Down => None,
            Link::Primary | Link::Demoted => Some(&self.primary),
            Link::Zombie => self.zombie.as_ref(),
        }
    }

    pub fn server_mut(&mut self, hub: usize) -> &mut Server {
        match (self.hubs[hub].link, self.zombie.as_mut()) {
            (Link::Zombie, Some(zombie)) => zombie,
            _ => &mut self.primary,
        }
    }

    pub fn publish(&mut self, rules: &Rules, hub: usize) {
        let message = self.published;
        self.published += 1;
        self.left.publishes -= 1;
        let id = self
            .server_mut(hub)
            .append(Kind::Message(message), Id::NONE);
        if rules.mode == Mode::Primary || !rules.keep(Fault::AcknowledgedEarly) {
            self.acknowledged |= 1 << message;
            self.hubs[hub].acknowledged = self.hubs[hub].epoch.map(|epoch| (epoch, id));
            if self.hubs[hub].link == Link::Zombie {
                self.hubs[hub].alone |= 1 << message;
            }
        }
    }

    /// The replica carries out one more command, and the waiting publisher hears of it.
    pub fn replicate(&mut self) {
        let entry = self.primary.log[self.replicated];
        self.replicated += 1;
        if let Some(message) = entry.message() {
            self.acknowledged |= 1 << message;
        }
    }

    /// What `join.lua` does, at a new connection and once a second.
    pub fn join(&mut self, rules: &Rules, hub: usize) {
        if self.hubs[hub].link != Link::Zombie {
            self.hubs[hub].link = Link::Primary;
        }
        if self.must_found(rules, hub) {
            self.found(rules, hub);
        } else if self.is_other_lineage(hub) {
            let tag = self.draw_tag(rules);
            let server = self.server_mut(hub);
            let lineage = server.lineage;
            let head = server.head.as_mut().expect("not founded, so there");
            (head.lineage, head.tag) = (lineage, tag);
        }
        // In another epoch it is in the log or has been told to be lost: hubs that both lost
        // something would else found epochs against each other for ever. In the same epoch it must
        // be kept, as it may be a zombie that says so.
        let epoch = self.server(hub).and_then(Server::epoch);
        let state = &mut self.hubs[hub];
        let forgets = !rules.keep(Fault::LookForgets);
        state
            .acknowledged
            .take_if(|(of, _)| forgets || Some(*of) != epoch);
        if self.is_stranger(hub) && rules.keep(Fault::StrangerUnnoticed) {
            self.drop_history(rules, hub);
        }
        self.hubs[hub].epoch = epoch;
    }

    fn must_found(&self, rules: &Rules, hub: usize) -> bool {
        let server = self.server(hub).expect("a joining hub is connected");
        let seen = self.hubs[hub].seen;
        server.head.is_none() || seen > server.last() || {
            rules.mode == Mode::Primary
                && ((self.is_other_lineage(hub) && rules.keep(Fault::LineageIgnored))
                    || (self.is_evidence(rules, hub) && rules.keep(Fault::LossOnlyAbove)))
        }
    }

    /// What the hub acknowledged is not in the log, and an epoch was founded since: it may have
    /// been a zombie's, after everybody else was told of the loss.
    fn is_evidence(&self, rules: &Rules, hub: usize) -> bool {
        let state = &self.hubs[hub];
        let acknowledged = if rules.keep(Fault::AcknowledgedForgotten) {
            state.acknowledged
        } else {
            state.epoch.map(|epoch| (epoch, state.last()))
        };
        let server = self.server(hub);
        acknowledged
            .zip(server)
            .is_some_and(|((epoch, id), server)| server.epoch() != Some(epoch) && !server.holds(id))
    }

    fn is_unknown(&self, hub: usize) -> bool {
        let server = self.server(hub);
        server.is_none_or(|server| !server.holds(self.hubs[hub].seen))
    }

    fn is_other_lineage(&self, hub: usize) -> bool {
        let server = self.server(hub);
        server.is_some_and(|server| {
            let head = server.head;
            head.is_some_and(|head| head.lineage != server.lineage)
        })
    }

    /// The log is not the one that the hub has read.
    fn is_stranger(&self, hub: usize) -> bool {
        self.server(hub).and_then(Server::epoch) != self.hubs[hub].epoch || self.is_unknown(hub)
    }

    /// Whether a join would change anything.
    pub fn must_join(&self, rules: &Rules, hub: usize) -> bool {
        matches!(self.hubs[hub].link, Link::Down | Link::Demoted)
            || self.must_found(rules, hub)
            || self.is_other_lineage(hub)
            || self.server(hub).and_then(Server::epoch) != self.hubs[hub].epoch
    }

    fn found(&mut self, rules: &Rules, hub: usize) {
        self.epochs += 1;
        let (epoch, tag) = (self.epochs, self.draw_tag(rules));
        let floor = if rules.keep(Fault::FoundedByClock) {
            self.hubs[hub].seen
        } else {
            Id::NONE
        };
        self.server_mut(hub).found(epoch, tag, floor);
    }

    fn draw_tag(&mut self, rules: &Rules) -> u8 {
        self.tags -= u8::from(rules.keep(Fault::Untagged));
        self.tags
    }

    /// `XREAD`: the hub takes the next entry over, or learns that the log is not what it was.
    pub fn read(&mut self, rules: &Rules, hub: usize) {
        let Some(entry) = self.unread(hub) else {
            return;
        };
        if entry.prev != self.hubs[hub].last() && rules.keep(Fault::ChainUnchecked) {
            self.drop_history(rules, hub);
        } else if let Kind::Epoch(epoch) = entry.kind {
            self.hubs[hub].epoch = Some(epoch);
            self.drop_history(rules, hub);
        } else {
            self.hubs[hub].take_over(entry);
            let epoch = self.hubs[hub].epoch;
            for client in self.clients_of(hub) {
                client.receive(epoch, entry);
            }
        }
    }

    fn drop_history(&mut self, rules: &Rules, hub: usize) {
        self.hubs[hub].drop_history();
        if !rules.keep(Fault::SeenForgotten) {
            self.hubs[hub].seen = Id::NONE;
        }
    }

    pub fn unread(&self, hub: usize) -> Option<Entry> {
        let last = self.hubs[hub].last();
        let stream = self.server(hub)?.stream();
        stream.iter().find(|entry| entry.id > last).copied()
    }

    /// The hub reads the whole stream, and then tells its clients.
    pub fn begin_anew(&mut self, rules: &Rules, hub: usize) {
        let Some(server) = self.server(hub).cloned() else {
            return;
        };
        let stream = server.stream();
        let newest = |entry: &Entry| matches!(entry.kind, Kind::Epoch(_));
        let (origin, rest) = match stream.iter().rposition(newest) {
            Some(epoch) => (stream[epoch].id, &stream[epoch + 1..]),
            None => (
                stream.first().map_or(server.last(), |first| first.prev),
                stream,
            ),
        };
        let state = &mut self.hubs[hub];
        state.anew = false;
        state.origin = origin;
        state.read = rest.to_vec();
        state.epoch = newest_epoch(stream).or(state.epoch);
        state.saw(state.last());
        state.values |= server.values(state.last());
        for client in 0..CLIENTS {
            if self.clients[client].hub == Some(hub) {
                self.snapshot(rules, client, hub);
            }
        }
    }

    pub fn clients_of(&mut self, hub: usize) -> impl Iterator<Item = &mut Client> {
        let clients = self.clients.iter_mut();
        clients.filter(move |client| client.hub == Some(hub))
    }
}
