//! How the shared log is doing, for operators.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Event;
use crate::domain::message::MessageId;

/// How the shared log is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Host and port of the server in use; `None`: none is.
    pub server: Option<String>,
    /// Why there is no connection, or why nothing is taken; `None` while all is well.
    pub last_error: Option<String>,
    /// The log's epoch; empty before the first connection.
    pub epoch: String,
    /// How often a log was found that is not the one known before.
    pub epochs: u64,
    /// How often the connection was lost.
    pub disconnects: u64,
    /// Batches appended by this hub, and the calls that took.
    pub batches: u64,
    pub calls: u64,
    /// Calls that failed.
    pub failures: u64,
    /// The newest id read, and the newest id of the log as far as is known.
    pub read: MessageId,
    pub newest: MessageId,
    /// How many entries this hub has yet to read, as far as is known.
    pub behind: u64,
}

impl Health {
    /// What is wrong; `None`: nothing.
    pub fn ails(&self) -> Option<&str> {
        let unconnected = "Redis is not connected yet";
        let unconnected = self.server.is_none().then_some(unconnected);
        self.last_error.as_deref().or(unconnected)
    }

    /// How far this hub is behind the log, in milliseconds of ids; 0 when it has read all.
    pub fn lag_ms(&self) -> u64 {
        self.newest.millis().saturating_sub(self.read.millis())
    }
}

#[derive(Debug, Default)]
pub(super) struct Status(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    health: Health,
    /// Entries that there ever were in the log, and up to the newest one that was read.
    entries: u64,
    read: u64,
    /// The newest when the hub joined: those after it are counted as they are read.
    joined: MessageId,
}

impl Status {
    pub fn health(&self) -> Health {
        let state = self.lock();
        Health {
            behind: state.behind(),
            ..state.health.clone()
        }
    }

    /// How many entries this hub has yet to read, as far as is known.
    pub fn behind(&self) -> u64 {
        self.lock().behind()
    }

    pub fn connected(&self, server: String, epoch: &str) {
        let health = &mut self.lock().health;
        if !health.epoch.is_empty() && health.epoch != epoch {
            health.epochs += 1;
        }
        epoch.clone_into(&mut health.epoch);
        health.server = Some(server);
        health.last_error = None;
    }

    /// Returns whether that is news.
    pub fn disconnected(&self, reason: &str) -> bool {
        let health = &mut self.lock().health;
        let was_connected = health.server.take().is_some();
        health.disconnects += u64::from(was_connected);
        let before = health.last_error.replace(reason.to_owned());
        was_connected || before.is_none()
    }

    pub fn appended(&self, batches: usize, error: Option<&str>) {
        let health = &mut self.lock().health;
        health.batches += batches as u64;
        health.calls += 1;
        health.failures += u64::from(error.is_some());
        health.last_error = error.map(str::to_owned);
    }

    pub fn read(&self, event: &Event) {
        let mut state = self.lock();
        let joined = state.joined;
        match event {
            Event::Anew { origin } => state.health.read = *origin,
            Event::Entries(entries) => {
                let known = entries.partition_point(|entry| entry.id() <= joined);
                state.read += (entries.len() - known) as u64;
                state.health.read = entries.last().map_or(state.health.read, super::Entry::id);
            }
            Event::Values(_) | Event::Current => {}
        }
        state.health.newest = state.health.newest.max(state.health.read);
    }

    /// Where the log stood when the hub joined.
    pub fn joined(&self, newest: MessageId, entries: u64) {
        let mut state = self.lock();
        state.health.newest = newest;
        (state.joined, state.entries, state.read) = (newest, entries, entries);
    }

    /// Where the log stands.
    pub fn stands(&self, newest: Option<MessageId>, entries: u64) {
        let mut state = self.lock();
        state.health.newest = newest.unwrap_or(state.health.newest);
        state.entries = state.entries.max(entries);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn behind(&self) -> u64 {
        self.entries.saturating_sub(self.read)
    }
}
