//! The Redis of a scenario, of whatever kind, with every hub's own wires to it.

use std::collections::{BTreeMap, BTreeSet};

use crate::faults::{Weather, Wire};
use crate::front::Front;
use crate::record::Piece;
use crate::redis::Redis;
use crate::redis::nodes::Nodes;
use crate::redis::resp::Reply;
use crate::redis::sentinel::{NAME, Sentinel};

/// Where hubs keep what they share.
const LOG: &str = "{statshub}:log";

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Topology {
    /// No Redis: one hub with a log of its own.
    Alone,
    Single,
    /// A primary, a replica and Sentinel.
    Sentinel,
    Cluster,
}

pub struct Servers {
    kind: Kind,
    /// For each hub a wire to each server.
    links: Vec<Vec<Wire>>,
    /// For each hub a wire to Sentinel, and what it sees at the other end.
    fronts: Vec<(Wire, Front)>,
}

enum Kind {
    Alone,
    Single(Redis),
    Sentinel(Box<Sentinel>),
    Cluster(Nodes),
}

impl Servers {
    pub async fn start(topology: Topology, hubs: usize) -> Self {
        let kind = match topology {
            Topology::Alone => Kind::Alone,
            Topology::Single => Kind::Single(Redis::with().appendonly().start().await),
            Topology::Sentinel => Kind::Sentinel(Sentinel::start().await.into()),
            Topology::Cluster => Kind::Cluster(Nodes::start().await),
        };
        let mut this = Self {
            kind,
            links: Vec::new(),
            fronts: Vec::new(),
        };
        for hub in 0..hubs {
            this.wire(hub).await;
        }
        this
    }

    async fn wire(&mut self, hub: usize) {
        let mut wires = Vec::new();
        match &self.kind {
            // A cluster names its nodes itself, so there is nothing to put between.
            Kind::Alone | Kind::Cluster(_) => {}
            Kind::Single(redis) => wires.push(Wire::to(redis.address()).await),
            Kind::Sentinel(set) => {
                for node in &set.nodes {
                    wires.push(Wire::to(node.address()).await);
                }
            }
        }
        self.links.push(wires);
        if let Kind::Sentinel(set) = &self.kind {
            let front = Front::before(set.sentinel.address(), self.shown(hub, None)).await;
            self.fronts.push((Wire::to(front.address()).await, front));
        }
    }

    /// How `hub` sees the servers; with `only`, that one in the place of each.
    fn shown(&self, hub: usize, only: Option<usize>) -> BTreeMap<u16, u16> {
        let Kind::Sentinel(set) = &self.kind else {
            return BTreeMap::new();
        };
        let wire = |node: usize| self.links[hub][only.unwrap_or(node)].address().port();
        (0..2)
            .map(|node| (set.known_as(node).port(), wire(node)))
            .collect()
    }

    /// What `hub` is given as `REDIS_URL`.
    pub fn url(&self, hub: usize) -> String {
        match &self.kind {
            Kind::Alone => String::new(),
            Kind::Single(_) => format!("redis://{}", self.links[hub][0].address()),
            Kind::Sentinel(_) => {
                format!("redis-sentinel://{}/{NAME}", self.fronts[hub].0.address())
            }
            Kind::Cluster(nodes) => {
                let list: Vec<_> = nodes.addresses().iter().map(ToString::to_string).collect();
                format!("redis-cluster://{}", list.join(","))
            }
        }
    }

    // Wires ---------------------------------------------------------------------------------------

    fn wires(&self, hub: usize) -> impl Iterator<Item = &Wire> {
        let front = self.fronts.get(hub).map(|(wire, _)| wire);
        self.links[hub].iter().chain(front)
    }

    pub fn set_link(&self, hub: usize, weather: Weather) {
        self.wires(hub).for_each(|wire| wire.set(weather));
    }

    pub fn cut_link(&self, hub: usize) {
        self.wires(hub).for_each(Wire::cut);
    }

    /// Between the first primary and who watches and follows it.
    pub fn set_inner(&self, weather: Weather) {
        let set = self.sentinel();
        set.inner.set(weather);
        if weather == Weather::Refuse {
            set.inner.cut();
        }
    }

    /// `hub` sees only this server, whatever Sentinel says.
    pub fn show_only(&self, hub: usize, node: Option<usize>) {
        if let Some((_, front)) = self.fronts.get(hub) {
            front.show(self.shown(hub, node));
        }
    }

    // Servers -------------------------------------------------------------------------------------

    fn sentinel(&self) -> &Sentinel {
        match &self.kind {
            Kind::Sentinel(set) => set,
            _ => panic!("a step for Sentinel"),
        }
    }

    /// The one that is the primary at first; of a cluster the one with the log.
    async fn first(&mut self) -> &mut Redis {
        match &mut self.kind {
            Kind::Alone => panic!("a step for a Redis"),
            Kind::Single(redis) => redis,
            Kind::Sentinel(set) => &mut set.nodes[0],
            Kind::Cluster(nodes) => {
                let owner = nodes.owner(LOG).await;
                &mut nodes.nodes[owner]
            }
        }
    }

    pub async fn kill_first(&mut self) {
        self.first().await.kill();
    }

    pub async fn start_first(&mut self, empty: bool) {
        let redis = self.first().await;
        match empty {
            true => redis.again_empty().await,
            false => redis.again().await,
        }
    }

    pub async fn freeze_first(&mut self, frozen: bool) {
        let redis = self.first().await;
        match frozen {
            true => redis.pause(),
            false => redis.go_on(),
        }
    }

    /// A command to the first one, as words between spaces.
    pub async fn tell_first(&mut self, command: &str) {
        let words: Vec<&str> = command.split(' ').collect();
        self.first().await.ask(&words).await;
    }

    pub async fn led_by(&self, node: usize) {
        self.sentinel().led_by(node).await;
    }

    /// Every fault is over.
    pub async fn mend(&mut self) {
        for hub in 0..self.links.len() {
            self.set_link(hub, Weather::Pass);
            self.show_only(hub, None);
        }
        if self.is_alone() {
            return;
        }
        let first = self.first().await;
        first.go_on();
        if !first.is_up() {
            first.again().await;
        }
        for setting in ["maxmemory", "min-replicas-to-write"] {
            first.ask(&["CONFIG", "SET", setting, "0"]).await;
        }
        match &self.kind {
            Kind::Sentinel(set) => {
                set.inner.set(Weather::Pass);
                if set.primary().await == Some(1) {
                    set.led_by(1).await;
                    set.first_follows().await;
                }
            }
            Kind::Single(redis) if redis.info("role").await.as_deref() == Some("slave") => {
                redis.ask(&["REPLICAOF", "NO", "ONE"]).await;
            }
            _ => {}
        }
    }

    /// Whatever of the laboratory's is found in the log now.
    pub async fn kept(&mut self) -> BTreeSet<Piece> {
        let log = match &self.kind {
            Kind::Alone => return BTreeSet::new(),
            Kind::Sentinel(set) => {
                let primary = set.primary().await.expect("a primary");
                set.nodes[primary].ask(&["XRANGE", LOG, "-", "+"]).await
            }
            _ => self.first().await.ask(&["XRANGE", LOG, "-", "+"]).await,
        };
        let mut kept = BTreeSet::new();
        find(&log, &mut kept);
        kept
    }

    pub fn is_alone(&self) -> bool {
        matches!(self.kind, Kind::Alone)
    }

    pub fn logs(&self) -> String {
        match &self.kind {
            Kind::Alone => String::new(),
            Kind::Single(redis) => redis.log(),
            Kind::Sentinel(set) => {
                let all = [&set.nodes[0], &set.nodes[1], &set.sentinel];
                all.map(Redis::log).join("\n\n")
            }
            Kind::Cluster(nodes) => nodes.nodes.iter().map(Redis::log).collect(),
        }
    }
}

/// Pieces are told by their text, whatever it is wrapped in.
fn find(reply: &Reply, kept: &mut BTreeSet<Piece>) {
    if let Reply::Many(_, Some(list)) = reply {
        list.iter().for_each(|it| find(it, kept));
        return;
    }
    let text = reply.text();
    for (at, _) in text.match_indices("\"by\":") {
        let from = &text[at + "\"by\":".len()..];
        let number = |text: &str| {
            let end = text
                .find(|it: char| !it.is_ascii_digit())
                .unwrap_or(text.len());
            text[..end].parse().ok()
        };
        let after = from.split_once("\"n\":").map(|(_, after)| after);
        if let (Some(by), Some(n)) = (number(from), after.and_then(number)) {
            kept.insert(Piece { by, n });
        }
    }
}

#[test]
fn pieces_are_found_in_whatever_a_log_holds() {
    let text =
        r#"data: {"type":"x","data":{"m.0":{"by":2,"n":17}}} {"by":9000,"n":1,"severity":"low"}"#;
    let log = Reply::Bulk(b'$', Some(text.into()));
    let mut kept = BTreeSet::new();
    find(&Reply::Many(b'*', Some(vec![log])), &mut kept);
    let expected = [(2, 17), (9000, 1)].map(|(by, n)| Piece { by, n });
    assert_eq!(kept, expected.into());
}
