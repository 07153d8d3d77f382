//! A session that comes and goes, and how far its client has got.

use serde_json::Value;

use super::model::Reader;
use crate::support::either::{Client, Transport};
use crate::support::http::Api;
use crate::support::hub::Hub;
use crate::support::id::Id;
use crate::support::token;

pub struct Session {
    pub reader: Reader,
    pub reconnect_token: String,
    /// The position that it began at.
    pub began: Id,
    client: Option<Client>,
}

impl Session {
    pub async fn open(hub: &Hub, transport: Transport, reader: Reader) -> Self {
        let token = token::admin(&reader.user);
        let client = hub.open(transport, &reader.query(), &token).await;
        Self::begin(client, reader).await
    }

    /// One whose client is slow as soon as it does not read.
    pub async fn open_narrow(hub: &Hub, transport: Transport, reader: Reader) -> Self {
        let token = token::admin(&reader.user);
        let client = hub.open_narrow(transport, &reader.query(), &token).await;
        Self::begin(client, reader).await
    }

    async fn begin(mut client: Client, reader: Reader) -> Self {
        let notice = client.next().await;
        assert_eq!(notice["type"], "connection_established");
        let snapshot = client.next().await;
        assert_eq!(snapshot["type"], "initial_metrics");
        let reconnect_token = notice["data"]["reconnectToken"].as_str();
        Self {
            reader,
            reconnect_token: reconnect_token.expect("a reconnect token").to_owned(),
            began: Id::of(&snapshot["messageId"]),
            client: Some(client),
        }
    }

    pub fn client(&mut self) -> &mut Client {
        self.client.as_mut().expect("a session that is here")
    }

    /// What comes next, so many.
    pub async fn read(&mut self, count: usize) -> Vec<Value> {
        let mut messages = Vec::with_capacity(count);
        while messages.len() < count {
            messages.push(self.client().next().await);
        }
        messages
    }

    /// What comes up to and with the message `id`.
    pub async fn read_to(&mut self, id: Id) -> Vec<Value> {
        let mut messages = Vec::new();
        loop {
            let message = self.client().next().await;
            let arrived = Id::read(&message["messageId"]) == Some(id);
            messages.push(message);
            if arrived {
                return messages;
            }
        }
    }

    /// Its stream, for a test to do with as it likes.
    pub fn part(&mut self) -> Client {
        self.client.take().expect("a session that is here")
    }

    /// It goes on with another stream.
    pub fn stay(&mut self, client: Client) {
        self.client = Some(client);
    }

    /// Vanishes, and is back with the test once the hub has noticed.
    pub async fn leave(&mut self, watcher: &Api) {
        self.part().reset();
        self.is_away(watcher).await;
    }

    /// Waits until the hub has noticed. No other session of this user is away.
    pub async fn is_away(&self, watcher: &Api) -> Value {
        let query = format!("?state=away&user={}", self.reader.user);
        watcher.sessions_when(&query, 1).await.remove(0)
    }

    /// Comes back, naming the last message that arrived or not. Gives the notice and what it says
    /// is replayed; an earlier stream that is still there stays with the caller.
    pub async fn resume(
        &mut self,
        hub: &Hub,
        transport: Transport,
        last: Option<Id>,
    ) -> (Value, Vec<Value>) {
        let token = token::admin(&self.reader.user);
        let client = hub.resume_from(transport, &self.reconnect_token, last, &token);
        self.client = Some(client.await);
        let notice = self.client().next().await;
        assert_eq!(notice["type"], "reconnection_successful");
        self.replayed(notice).await
    }

    /// A new session that goes on after `last`, in the place of this one.
    pub async fn begin_after(
        &mut self,
        hub: &Hub,
        transport: Transport,
        last: Id,
    ) -> (Value, Vec<Value>) {
        let token = token::admin(&self.reader.user);
        let query = format!("{}&lastEventId={last}", self.reader.query());
        self.client = Some(hub.open(transport, &query, &token).await);
        let notice = self.client().next().await;
        assert_eq!(notice["type"], "connection_established");
        self.replayed(notice).await
    }

    async fn replayed(&mut self, notice: Value) -> (Value, Vec<Value>) {
        let data = &notice["data"];
        assert_eq!(data["resumed"], true, "{notice}");
        let buffered = &data["bufferedMessagesCount"];
        assert!(buffered.is_null() || *buffered == data["replayedMessagesCount"]);
        let count = replayed_count(&notice);
        (notice, self.read(count).await)
    }
}

/// How many messages a notice announces.
pub fn replayed_count(notice: &Value) -> usize {
    let count = notice["data"]["replayedMessagesCount"].as_u64();
    let count = count.and_then(|count| usize::try_from(count).ok());
    count.unwrap_or_else(|| panic!("no count in {notice}"))
}
