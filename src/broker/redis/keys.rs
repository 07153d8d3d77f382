//! What is where in Redis. Every key begins with the same hash tag, so that in a cluster all are on one
//! node and one script reaches them.

use std::fmt::Display;

use crate::domain::message::UserId;

#[derive(Debug)]
pub(super) struct Keys {
    /// Stream: the log.
    pub log: String,
    /// Hash: `epoch`, `lineage` and `last` of the log.
    pub head: String,
    /// Hash: of every topic with a value the newest entry.
    pub latest: String,
    /// Sorted set: the nodes, by when their lease ends.
    pub nodes: String,
    /// Hash: what each node says about itself.
    pub about: String,
    /// Hash: of every source who reads it, under which fence, until when, and when it was read.
    pub sources: String,
    /// List: whose streams operators ended.
    pub ended: String,
    prefix: String,
}

impl Keys {
    pub fn new(prefix: &str) -> Self {
        let key = |name: &str| format!("{{{prefix}}}:{name}");
        Self {
            log: key("log"),
            head: key("head"),
            latest: key("latest"),
            nodes: key("nodes"),
            about: key("about"),
            sources: key("sources"),
            ended: key("ended"),
            prefix: format!("{{{prefix}}}:"),
        }
    }

    fn of(&self, kind: &str, what: impl Display) -> String {
        format!("{}{kind}:{what}", self.prefix)
    }

    /// Hash: a session.
    pub fn session(&self, token: impl Display) -> String {
        self.of("session", token)
    }

    /// Hash: the user's live connections over all hubs.
    pub fn live(&self, user: &UserId) -> String {
        self.of("live", user)
    }

    /// What the keys of [`Keys::live`] begin with.
    pub fn live_of(&self) -> String {
        self.of("live", "")
    }

    /// List: what the user's sessions were told to receive.
    pub fn changes(&self, user: &UserId) -> String {
        self.of("changes", user)
    }

    /// String: the message that a publisher's key stands for.
    pub fn published(&self, key: impl Display) -> String {
        self.of("key", key)
    }

    /// String: what has become of an alert.
    pub fn alert(&self, id: impl Display) -> String {
        self.of("alert", id)
    }

    /// String: a ticket that waits to be used.
    pub fn ticket(&self, hash: impl Display) -> String {
        self.of("ticket", hash)
    }

    /// String: the session that a ticket opened.
    pub fn spent(&self, hash: impl Display) -> String {
        self.of("spent", hash)
    }

    /// List: what the hubs answer to a question.
    pub fn answers(&self, id: impl Display) -> String {
        self.of("answers", id)
    }

    /// String: what a user may still do.
    pub fn rate(&self, user: impl Display) -> String {
        self.of("rate", user)
    }
}
