//! Somebody else on the same hub, who must not notice what others do to it.

use serde_json::{Value, json};

use super::http::Api;
use super::hub::Hub;
use super::token;
use super::websocket::WsClient;

pub struct Witness {
    client: WsClient,
    api: Api,
    published: u64,
}

impl Witness {
    pub async fn of(hub: &Hub) -> Self {
        let token = token::admin("witness");
        let mut client = hub.websocket("?metrics=witness", &token).await;
        client.opened().await;
        Self {
            client,
            api: hub.api(&token),
            published: 0,
        }
    }

    /// Asserts that it gets what it should, just that, and is listened to.
    pub async fn is_undisturbed(&mut self) {
        self.published += 1;
        self.api.publish("witness", json!(self.published)).await;
        let message = self.next().await;
        assert_eq!(
            message["data"],
            json!({"witness": self.published}),
            "{message}"
        );
        self.client.send(&json!({"type": "ping"})).await;
        assert_eq!(self.next().await["type"], "pong");
    }

    /// Heartbeats come when it is their time.
    async fn next(&mut self) -> Value {
        loop {
            let message = self.client.next().await;
            if message["type"] != "heartbeat" {
                return message;
            }
        }
    }
}
