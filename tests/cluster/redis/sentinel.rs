//! A primary, its replica, and a Sentinel that puts the one in the place of the other.
//!
//! Sentinel and replica reach the first primary through a wire of their own, so that it can be cut off
//! from them while hubs still reach it: an old primary that does not know it is one.

use std::net::SocketAddr;

use super::{Redis, Start};
use crate::faults::Wire;
use crate::support::eventually;

/// By what name Sentinel knows them.
pub const NAME: &str = "laboratory";

/// With half of this it takes its own reconnecting for another failure, and leads them round in circles.
const DOWN_AFTER_MS: u32 = 1000;

pub struct Sentinel {
    /// The first primary, then its replica.
    pub nodes: [Redis; 2],
    /// From Sentinel and replica to the first primary.
    pub inner: Wire,
    pub sentinel: Redis,
}

impl Sentinel {
    pub async fn start() -> Self {
        let node = || Redis::with().appendonly();
        let first = node().start().await;
        let inner = Wire::to(first.address()).await;
        let second = node().replica_of(inner.address()).start().await;
        let port = inner.address().port();
        // Sentinel asks a primary for its replicas at once and then every ten seconds.
        eventually("the replica to follow", async || {
            let info = second.info("master_link_status").await?;
            (info == "up").then_some(())
        })
        .await;
        let sentinel = Start::default()
            .sentinel()
            .set(format!("sentinel monitor {NAME} 127.0.0.1 {port} 1"))
            .set(format!(
                "sentinel down-after-milliseconds {NAME} {DOWN_AFTER_MS}"
            ))
            .set(format!("sentinel failover-timeout {NAME} 3000"))
            .start()
            .await;
        let nodes = [first, second];
        let this = Self {
            nodes,
            inner,
            sentinel,
        };
        eventually("Sentinel to know both", async || {
            let known = this.sentinel.info("master0").await?;
            known.contains("slaves=1").then_some(())
        })
        .await;
        this
    }

    /// Which node Sentinel names.
    pub async fn primary(&self) -> Option<usize> {
        let asked = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", NAME];
        let reply = self.sentinel.try_ask(&asked).await.ok()?;
        let port = reply.list().get(1)?.text();
        (0..2).find(|node| self.known_as(*node).port().to_string() == port)
    }

    /// Where Sentinel believes a node to be.
    pub fn known_as(&self, node: usize) -> SocketAddr {
        match node {
            0 => self.inner.address(),
            _ => self.nodes[node].address(),
        }
    }

    /// Waits until Sentinel names `node`, and it takes writes.
    pub async fn led_by(&self, node: usize) {
        eventually("a failover", async || {
            let is_named = self.primary().await == Some(node);
            let is_primary = self.nodes[node].info("role").await? == "master";
            (is_named && is_primary).then_some(())
        })
        .await;
    }

    /// The first one is back and follows the second. Sentinel would see to that too, ten seconds later.
    pub async fn first_follows(&self) {
        let port = self.nodes[1].port().to_string();
        self.nodes[0].ask(&["REPLICAOF", "127.0.0.1", &port]).await;
        eventually("the old primary to follow", async || {
            let info = self.nodes[0].info("master_link_status").await?;
            (info == "up").then_some(())
        })
        .await;
    }
}
