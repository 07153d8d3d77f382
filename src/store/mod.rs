//! What survives a restart: the log of messages, the sessions, the keys of publishers that try again,
//! the audit trail; in one SQLite file, or in a PostgreSQL database ([`postgres`]) in its place. Nobody
//! else knows which: [`open`] gives a [`Writer`] and a [`Reader`] for either.
//!
//! One thread writes (`writer`): whatever has come while it wrote goes into its next transaction,
//! so the cost of a commit is shared by everybody who waits for it. A message is in the file before
//! anybody hears of it: what was sent to a client is in the log, and what is not in the log was seen
//! by nobody. [`Recovered`] is what a start finds.
//!
//! May use the domain, the wire and the settings. Never blocks a worker: the writer has its thread,
//! readers have connections of their own.

mod alerts;
mod append;
mod audit;
mod backup;
mod chain;
mod error;
mod file;
mod file_ledger;
mod file_reader;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod health;
mod holes;
mod keys;
mod ledger;
mod opened;
pub mod postgres;
mod reader;
mod recovery;
mod retention;
mod sessions;
#[cfg(test)]
mod tests;
mod walk;
mod writer;

pub use alerts::{Alert, AlertChange, AlertFilter, AlertStep, AlertWrite, Shown};
pub use append::{Answer, Batch, Outcome, Settled};
pub use audit::{AuditHealth, AuditRecord, GENESIS, Hash, Link, parse_hash};
pub use backup::{BackupError, backup};
pub use chain::{AuditTrail, Break, Fault, Kept, Summary, Verdict};
pub use error::{AppendError, OpenError, ReadError};
pub use file::Store;
pub use health::Health;
pub use keys::{Fingerprint, Key, Keyed, KeysInMemory};
pub use opened::{Opened, join, open};
pub use reader::Reader;
pub use recovery::{Recovered, Wanted};
pub use sessions::{Saved, SessionChange};
pub use walk::{Bounds, Order, Ring, Row, Walk};
pub use writer::{Listener, Writer};
