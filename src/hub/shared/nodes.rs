//! What the hubs say about themselves.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::handle::{Error, HubHandle};
use super::super::messages::Overview;
use super::asking::Question;
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

/// The numbers of one hub.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::hub) struct Numbers {
    pub node: String,
    pub read: MessageId,
    pub overview: Overview,
}

/// A hub as operators see it.
#[derive(Debug, Serialize, ToSchema)]
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
    /// It has answered just now. If not, the numbers are those that it last said.
    pub is_responding: bool,
}

impl SharedLog {
    /// The numbers of all hubs together, as far as they have answered, and the hubs that are there by their
    /// names.
    ///
    /// # Errors
    /// Redis is away.
    pub(in crate::hub) async fn overview(
        &self,
        hub: &HubHandle,
    ) -> Result<(Overview, Vec<Node>), Error> {
        let answers: Vec<Numbers> = self.ask(&Question::Overview).await?;
        let said = self.redis.nodes().await?;
        let newest = self.redis.health().newest;
        let now_ms = hub.clock().now().wall_ms;
        let node = |(id, about): (String, String)| {
            let about: About = serde_json::from_str(&about).ok()?;
            let answer = answers.iter().find(|numbers| numbers.node == id);
            let said = || MessageId::parse(&about.read).unwrap_or_default();
            let read = answer.map_or_else(said, |numbers| numbers.read);
            let counted = answer.map(|numbers| &numbers.overview.statistics);
            Some(Node {
                is_this: id == self.redis.node(),
                version: about.version,
                uptime_seconds: now_ms.saturating_sub(about.started_ms) / 1000,
                connections: counted
                    .map_or(about.connections, |it| it.sse.total + it.websocket.total),
                lag_ms: newest.millis().saturating_sub(read.millis()),
                is_responding: answer.is_some(),
                id,
            })
        };
        let mut nodes: Vec<_> = said.into_iter().filter_map(node).collect();
        nodes.sort_by(|a, b| a.id.cmp(&b.id));
        let together = answers.into_iter().map(|numbers| numbers.overview);
        let together = together.reduce(|mut all, one| {
            all.add(&one);
            all
        });
        match together {
            Some(together) => Ok((together, nodes)),
            None => Ok((hub.overview().await?, nodes)),
        }
    }
}
