//! A Redis Cluster of three nodes, put together by hand.

use std::net::SocketAddr;

use super::Redis;
use crate::support::eventually;

const SLOTS: usize = 16_384;

pub struct Nodes {
    pub nodes: Vec<Redis>,
}

impl Nodes {
    pub async fn start() -> Self {
        let mut nodes = Vec::new();
        for _ in 0..3 {
            let node = Redis::with().appendonly().set("cluster-enabled yes");
            let node = node
                .set("cluster-node-timeout 1000")
                .set("cluster-require-full-coverage no");
            nodes.push(node.start().await);
        }
        let this = Self { nodes };
        for (nth, node) in this.nodes.iter().enumerate() {
            let slots = SLOTS * nth / 3..SLOTS * (nth + 1) / 3;
            let slots: Vec<String> = slots.map(|slot| slot.to_string()).collect();
            let mut words = vec!["CLUSTER", "ADDSLOTS"];
            words.extend(slots.iter().map(String::as_str));
            node.ask(&words).await;
            let first = this.nodes[0].port().to_string();
            node.ask(&["CLUSTER", "MEET", "127.0.0.1", &first]).await;
        }
        for node in &this.nodes {
            eventually("the cluster to be one", async || {
                let info = node.ask(&["CLUSTER", "INFO"]).await.text();
                let whole =
                    info.contains("cluster_state:ok") && info.contains("cluster_known_nodes:3");
                (whole && info.contains("cluster_slots_assigned:16384")).then_some(())
            })
            .await;
        }
        this
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.nodes.iter().map(Redis::address).collect()
    }

    /// Which node has `key`.
    pub async fn owner(&self, key: &str) -> usize {
        let slot = self.nodes[0]
            .ask(&["CLUSTER", "KEYSLOT", key])
            .await
            .number();
        let slot = usize::try_from(slot).expect("a slot");
        (0..3)
            .rfind(|nth| SLOTS * nth / 3 <= slot)
            .expect("an owner")
    }
}
