//! A publisher that remembers what it published.

use bytes::Bytes;
use serde_json::{Value, json};

use super::model::{CRITICAL, PRIORITIES, Published};
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::id::Id;
use crate::support::rng::Rng;
use crate::support::token;

/// Names that the random publishers use.
const NAMES: [&str; 5] = ["a", "b", "a.x", "a.y", "b.x.y"];

/// A message that is to be published.
#[derive(Debug, Clone)]
pub struct Draft {
    pub metric: String,
    /// Its place in [`PRIORITIES`].
    pub priority: usize,
    pub user: Option<String>,
    pub gauge: bool,
    /// About as large is its data.
    pub bytes: usize,
}

impl Draft {
    /// For everybody, and of no size to speak of.
    pub fn new(metric: &str, priority: &str) -> Self {
        let priority = PRIORITIES.iter().position(|name| *name == priority);
        Self {
            metric: metric.to_owned(),
            priority: priority.expect("a priority"),
            user: None,
            gauge: false,
            bytes: 1,
        }
    }

    pub fn to(mut self, user: &str) -> Self {
        self.user = Some(user.to_owned());
        self
    }

    pub fn gauge(mut self) -> Self {
        self.gauge = true;
        self
    }

    pub fn of_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    pub fn random(rng: &mut Rng) -> Self {
        let priority = rng.pick(&PRIORITIES);
        Self::new(rng.pick(&NAMES), priority)
    }

    fn body(&self) -> Value {
        let mut body = json!({
            "metric": self.metric,
            "data": "x".repeat(self.bytes),
            "priority": PRIORITIES[self.priority],
        });
        if let Some(user) = &self.user {
            body["userId"] = json!(user);
        }
        if self.gauge {
            body["retain"] = json!("latest");
        }
        body
    }

    fn published(&self, id: &Value) -> Published {
        Published {
            id: Id::of(id),
            metric: Some(self.metric.clone()),
            priority: self.priority,
            user: self.user.clone(),
            gauge: self.gauge,
        }
    }
}

/// What was published, in order.
pub struct Journal {
    api: Api,
    pub published: Vec<Published>,
}

impl Journal {
    pub fn new(hub: &Hub) -> Self {
        Self {
            api: hub.api(&token::service("publisher")),
            published: Vec::new(),
        }
    }

    /// Publishes these as one batch.
    pub async fn publish(&mut self, drafts: &[Draft]) {
        if !drafts.is_empty() {
            self.publish_often(drafts, 1).await;
        }
    }

    /// Publishes these as one batch, again and again; what is large is then written only once.
    pub async fn publish_often(&mut self, drafts: &[Draft], times: usize) {
        let bodies: Vec<Value> = drafts.iter().map(Draft::body).collect();
        let text = Bytes::from(json!({ "messages": bodies }).to_string());
        for _ in 0..times {
            let answer = self.api.post_text("/publish", text.clone()).await;
            assert_eq!(answer.status, 202, "{answer:?}");
            let ids = answer.data()["messageIds"].as_array().expect("ids");
            assert_eq!(ids.len(), drafts.len());
            let published = drafts.iter().zip(ids);
            self.published
                .extend(published.map(|(draft, id)| draft.published(id)));
        }
    }

    /// Sends an alert, which nothing displaces but more alerts. Gives its id.
    pub async fn alert(&mut self) -> Id {
        let body = json!({"severity": "low", "message": "told"});
        let answer = self.api.post("/alerts", &body).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let id = Id::of(&answer.data()["messageId"]);
        self.published.push(Published {
            id,
            metric: None,
            priority: CRITICAL,
            user: None,
            gauge: false,
        });
        id
    }

    /// The newest id.
    pub fn last(&self) -> Id {
        self.published.last().expect("something published").id
    }
}
