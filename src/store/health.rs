//! How the store is, for whoever asks while it is written.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::append::Batch;
use super::audit::{AuditHealth, AuditShared};
use crate::domain::message::MessageId;

/// How the store is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Transactions since the start.
    pub commits: u64,
    /// Batches in them.
    pub batches: u64,
    /// Transactions that failed.
    pub failures: u64,
    /// Bytes that wait to be written.
    pub waiting_bytes: usize,
    /// Why nothing can be written just now; `None` while all is well.
    pub last_error: Option<String>,
    /// The audit trail in the file.
    pub audit: AuditHealth,
}

/// The same while the thread works.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub commits: AtomicU64,
    pub batches: AtomicU64,
    pub failures: AtomicU64,
    pub waiting_bytes: AtomicUsize,
    last_error: Mutex<Option<String>>,
    pub audit: AuditShared,
    /// Something up to this id could not be copied from a log that is elsewhere; 0: all was.
    lacks: AtomicU64,
}

impl Shared {
    pub fn last_error(&self) -> MutexGuard<'_, Option<String>> {
        let error = self.last_error.lock();
        error.unwrap_or_else(PoisonError::into_inner)
    }

    pub fn health(&self) -> Health {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Health {
            commits: count(&self.commits),
            batches: count(&self.batches),
            failures: count(&self.failures),
            waiting_bytes: self.waiting_bytes.load(Ordering::Relaxed),
            last_error: self.last_error().clone(),
            audit: self.audit.health(),
        }
    }

    /// These are missing.
    pub fn lacks_copies(&self, batches: &[Batch]) {
        let copies = batches.iter().filter(|batch| batch.is_copy);
        let messages = copies.flat_map(|batch| &batch.messages);
        if let Some(newest) = messages.map(|message| message.id).max() {
            self.lacks.fetch_max(newest.to_bits(), Ordering::Relaxed);
        }
    }

    /// Up to where something is missing that nobody has written down yet.
    pub fn lacks(&self) -> Option<MessageId> {
        let bits = self.lacks.load(Ordering::Relaxed);
        (bits > 0).then(|| MessageId::from_bits(bits))
    }

    /// It is written down, unless there is more by now.
    pub fn lack_is_written(&self, lacks: MessageId) {
        let bits = lacks.to_bits();
        let (set, read) = (Ordering::Relaxed, Ordering::Relaxed);
        let _ = self.lacks.compare_exchange(bits, 0, set, read);
    }

    /// Keeps how it went for whoever asks, and says once when that changes.
    pub fn note(&self, done: Result<(), String>) -> Result<(), String> {
        let error = done.as_ref().err().cloned();
        match &error {
            Some(_) => self.failures.fetch_add(1, Ordering::Relaxed),
            None => self.commits.fetch_add(1, Ordering::Relaxed),
        };
        let before = std::mem::replace(&mut *self.last_error(), error.clone());
        match (before, error) {
            (None, Some(error)) => log::error!("the store cannot be written: {error}"),
            (Some(_), None) => log::info!("the store is written again"),
            _ => {}
        }
        done
    }
}
