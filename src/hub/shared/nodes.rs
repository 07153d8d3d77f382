//! What the hubs say about themselves.

use serde::{Deserialize, Serialize};

use super::super::handle::HubHandle;
use super::opening::SharedLog;
use crate::domain::message::MessageId;

/// What a hub tells the others about itself, in `about`.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    pub version: String,
    /// When it started, in milliseconds since the Unix epoch.
    pub started_ms: u64,
    pub connections: usize,
    /// Up to which id it has read the log.
    pub read: String,
}

/// A hub as operators see it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Node {
    pub id: String,
    /// The one that answers.
    pub is_this: bool,
    pub version: String,
    pub uptime_seconds: u64,
    pub connections: usize,
    /// How far it is behind the log, in milliseconds of ids.
    pub lag_ms: u64,
}

impl SharedLog {
    /// The hubs that are there, by their names.
    pub(in crate::hub) async fn nodes(&self, hub: &HubHandle) -> Vec<Node> {
        let now_ms = hub.clock().now().wall_ms;
        let newest = self.redis.health().newest;
        let node = |(id, about): (String, String)| {
            let is_this = id == self.redis.node();
            let about: About = serde_json::from_str(&about).ok()?;
            let read = MessageId::parse(&about.read).unwrap_or_default();
            Some(Node {
                is_this,
                uptime_seconds: now_ms.saturating_sub(about.started_ms) / 1000,
                // What it said is up to a fifth of a lease old, and this hub is in the same place as itself.
                connections: if is_this {
                    hub.streams()
                } else {
                    about.connections
                },
                lag_ms: newest.millis().saturating_sub(read.millis()),
                version: about.version,
                id,
            })
        };
        let said = self.redis.nodes().await;
        let mut nodes: Vec<_> = said
            .unwrap_or_default()
            .into_iter()
            .filter_map(node)
            .collect();
        if nodes.is_empty() {
            nodes.push(Node {
                id: self.redis.node().to_owned(),
                is_this: true,
                version: env!("CARGO_PKG_VERSION").to_owned(),
                uptime_seconds: hub.clock().uptime().as_secs(),
                connections: hub.streams(),
                lag_ms: self.redis.health().lag_ms(),
            });
        }
        nodes.sort_by(|a, b| a.id.cmp(&b.id));
        nodes
    }
}
