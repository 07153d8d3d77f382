//! Clients behind a proxy that come back by themselves and lose nothing.

use serde_json::Value;

use super::{Kind, Site};
use crate::support::either::{Client, Transport};
use crate::support::message::text;
use crate::support::token;

/// What is published last.
pub const END: i64 = -1;

pub struct Dashboard {
    transport: Transport,
    /// `None`: it is on its way back.
    client: Option<Client>,
    pub connection: String,
    reconnect_token: String,
    last_event_id: String,
    /// What it got, in the order in which it came.
    pub orders: Vec<i64>,
}

impl Dashboard {
    /// Of [`Dashboard::USER`]; it follows `orders`.
    pub async fn open(site: &Site, transport: Transport) -> Self {
        let mut this = Self {
            transport,
            client: None,
            connection: String::new(),
            reconnect_token: String::new(),
            last_event_id: String::new(),
            orders: Vec::new(),
        };
        this.connect(site, "metrics=orders").await;
        this
    }

    pub const USER: &str = "dashboards";

    async fn connect(&mut self, site: &Site, query: &str) -> Value {
        let token = token::admin(Self::USER);
        let mut client = match self.transport {
            Transport::Sse => {
                let path = if self.reconnect_token.is_empty() {
                    "stream"
                } else {
                    "reconnect"
                };
                let path = format!("/{path}?{query}");
                Client::Sse(Box::new(site.sse(&path, &token).await))
            }
            // Caddy passes on the 503 of a hub that stops, until it has asked that hub how it is.
            Transport::WebSocket if site.kind == Kind::Caddy => {
                let query = format!("?{query}");
                Client::WebSocket(Box::new(site.comes_back(&query, &token).await))
            }
            Transport::WebSocket => {
                let query = format!("?{query}");
                Client::WebSocket(Box::new(site.websocket(&query, &token).await))
            }
        };
        let notice = client.next().await["data"].clone();
        self.connection = text(&notice["connectionId"]).to_owned();
        self.reconnect_token = text(&notice["reconnectToken"]).to_owned();
        self.client = Some(client);
        notice
    }

    /// To the end of its stream, whose last message it gives.
    pub async fn hears_out(&mut self) -> Option<Value> {
        let client = self.client.take().expect("a stream");
        let messages = client.rest().await;
        messages.iter().for_each(|message| self.take(message));
        messages.into_iter().last()
    }

    /// At once, which no client would do, and which must work all the same. It must be as if it had never
    /// been away.
    pub async fn comes_back(&mut self, site: &Site) {
        let parameter = match self.transport {
            Transport::Sse => "token",
            Transport::WebSocket => "reconnectToken",
        };
        let (token, id) = (self.reconnect_token.clone(), self.last_event_id.clone());
        let query = format!("{parameter}={token}&lastEventId={id}");
        let notice = self.connect(site, &query).await;
        assert_eq!(notice["resumed"], true, "{:?} {notice}", site.kind);
        assert_eq!(
            notice["droppedMessagesCount"], 0,
            "{:?} {notice}",
            site.kind
        );
        assert_eq!(self.reconnect_token, token, "{:?}", site.kind);
    }

    pub async fn hears_until(&mut self, order: i64) {
        while self.orders.last() != Some(&order) {
            let message = self.client.as_mut().expect("a stream").next().await;
            self.take(&message);
        }
    }

    fn take(&mut self, message: &Value) {
        let kind = text(&message["type"]);
        if ["initial_metrics", "metrics_update"].contains(&kind) {
            text(&message["messageId"]).clone_into(&mut self.last_event_id);
        }
        if kind == "metrics_update" {
            let order = message["data"]["orders"].as_i64();
            self.orders.push(order.expect("a number"));
        }
    }
}
