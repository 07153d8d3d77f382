//! What the file holds, in a PostgreSQL database: of one hub, or of several that a Redis log joins.
//!
//! A hub alone writes through [`Database`] as it would into the file: its thread has one connection and
//! the lock that keeps others out. Of several hubs each writes its audit trail (the chain is one, and
//! grows under a lock), and the [`Scribe`] of the one that holds the lease writes down the log.
//! Whoever asks has connections of its own, on another thread.
//!
//! Every time-out here is shorter than that of whoever waits for it, and what the database is told
//! besides makes it give up too.

mod alerts;
mod connect;
mod database;
mod guard;
mod ledger;
mod link;
mod reader;
mod recovery;
mod retention;
mod rows;
mod schema;
mod scribe;
mod sessions;
#[cfg(test)]
mod tests;
mod trail;

pub use database::Database;
pub(super) use reader::DatabaseReader;
pub use scribe::{Entries, Entry, Log, Scribe, ScribeHealth};
pub(super) use trail::Trail;
