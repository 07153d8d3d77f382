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
pub(super) struct Status(Mutex<Health>);

impl Status {
    pub fn health(&self) -> Health {
        self.lock().clone()
    }

    pub fn connected(&self, server: String, epoch: &str) {
        let mut health = self.lock();
        if !health.epoch.is_empty() && health.epoch != epoch {
            health.epochs += 1;
        }
        epoch.clone_into(&mut health.epoch);
        health.server = Some(server);
        health.last_error = None;
    }

    /// Returns whether that is news.
    pub fn disconnected(&self, reason: &str) -> bool {
        let mut health = self.lock();
        let was_connected = health.server.take().is_some();
        health.disconnects += u64::from(was_connected);
        let before = health.last_error.replace(reason.to_owned());
        was_connected || before.is_none()
    }

    pub fn appended(&self, batches: usize, error: Option<&str>) {
        let mut health = self.lock();
        health.batches += batches as u64;
        health.calls += 1;
        health.failures += u64::from(error.is_some());
        health.last_error = error.map(str::to_owned);
    }

    pub fn read(&self, event: &Event) {
        let mut health = self.lock();
        match event {
            Event::Anew { origin } => health.read = *origin,
            Event::Entries(entries) => {
                health.read = entries.last().map_or(health.read, super::Entry::id);
            }
            Event::Values(_) | Event::Current => {}
        }
        health.newest = health.newest.max(health.read);
    }

    pub fn newest(&self, id: MessageId) {
        self.lock().newest = id;
    }

    fn lock(&self) -> MutexGuard<'_, Health> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
