//! What a publisher's 202 is worth.

use serde::Serialize;

use crate::config::{Acknowledge, Durability, Settings};

/// What a publisher's answer promises about its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Promise {
    /// It is in memory: this process', or that of Redis' primary.
    Memory,
    /// It survives the process, however that ends.
    Process,
    /// It survives a power cut too.
    Power,
    /// It is in the memory of replicas too.
    Replicated,
}

impl Promise {
    pub(super) fn of(settings: &Settings, is_shared: bool) -> Self {
        match (settings.redis.acknowledge, settings.store.promises()) {
            (Acknowledge::Primary, _) if is_shared => Self::Memory,
            (Acknowledge::Replicated, _) if is_shared => Self::Replicated,
            (_, Durability::Memory) => Self::Memory,
            (_, Durability::Process) => Self::Process,
            (_, Durability::Power) => Self::Power,
        }
    }
}
