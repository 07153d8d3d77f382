//! What the writer's thread writes into: the file, or a database in its place.

use std::time::Duration;

use super::append::{Batch, Outcome};
use super::audit::{AuditShared, Waiting};
use super::sessions::SessionChange;
use crate::config;
use crate::domain::message::MessageId;

/// What goes into one transaction.
pub(super) struct Group<'a> {
    pub batches: &'a [Batch],
    pub changes: &'a [SessionChange],
    /// Taken along where that costs nobody anything, or where it is alone.
    pub audit: &'a mut Waiting,
    pub trail: &'a AuditShared,
    /// Of a log that is elsewhere something up to here is missing: nobody resumes from before it.
    pub lacks: Option<MessageId>,
}

/// Why a transaction came to nothing, in words.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nothing of it is there, and nothing of it will be.
    Failed(String),
    /// It was to be committed when the connection broke. [`Ledger::was_committed`] will tell; until then
    /// nothing else is written.
    InDoubt {
        reason: String,
        /// What is to be said if it was.
        outcomes: Vec<Outcome>,
    },
}

/// All calls come from one thread, which may block.
pub(super) trait Ledger: Send {
    /// One transaction. The outcomes are those of the batches, in their order.
    fn write(&mut self, group: Group<'_>) -> Result<Vec<Outcome>, Failure>;

    /// What became of the transaction that was in doubt.
    ///
    /// # Errors
    /// It cannot be told yet.
    fn was_committed(&mut self) -> Result<bool, String>;

    /// One small step of what need not be done at once. Returns whether there is more.
    fn tidy(&mut self, now_ms: u64) -> Result<bool, String>;

    /// Whether something can be written.
    fn probe(&mut self) -> Result<(), String>;

    /// How far back the log goes, from now on.
    fn retain(&mut self, retention: config::Retention);

    /// How far back the audit trail goes, from now on.
    fn retain_audit(&mut self, age: Duration);

    /// The orderly end.
    fn close(&mut self) -> Result<(), String>;
}
