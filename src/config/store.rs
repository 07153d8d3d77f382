//! `[store]`: what survives a restart, where it is, and how far back it goes.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use super::secrets;

/// What a publisher's answer promises about its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Nothing is kept: the log ends with the process.
    Memory,
    /// It survives the process, however that ends.
    Process,
    /// It survives a power cut too: every commit waits for the disk.
    Power,
}

/// `[store]`: what survives a restart.
#[derive(Clone, PartialEq)]
pub struct Store {
    pub durability: Durability,
    /// The database file; made at the first start. SQLite keeps two more beside it.
    pub file: PathBuf,
    /// A PostgreSQL database in the place of the file; of several hubs, or of one.
    pub url: Option<String>,
    /// For how long a publish with the same key is answered as the first one.
    pub key_ttl: Duration,
    pub retention: Retention,
}

impl Store {
    /// What a publisher's answer is worth: a database waits for its disk.
    pub fn promises(&self) -> Durability {
        match self.url {
            Some(_) => Durability::Power,
            None => self.durability,
        }
    }
}

impl std::fmt::Debug for Store {
    /// Never prints the URL's password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("durability", &self.durability)
            .field("file", &self.file)
            .field("url", &self.url.as_deref().map(secrets::masked_url))
            .field("key_ttl", &self.key_ttl)
            .field("retention", &self.retention)
            .finish()
    }
}

/// `[store.retention]`: how far back the log goes. The newest message of a metric stays until it is too
/// old.
#[derive(Debug, Clone, PartialEq)]
pub struct Retention {
    pub age: Duration,
    /// Messages of one metric.
    pub messages_per_metric_max: u64,
    /// Size of the database file; the oldest messages go first. Not for a database in its place.
    pub file_bytes_max: u64,
}
