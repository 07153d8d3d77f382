//! The file as the writer writes it.

use std::time::Duration;

use rusqlite::TransactionBehavior;

use super::append::{self, Outcome, Rings};
use super::error::reason;
use super::file::{self, Store};
use super::ledger::{Failure, Group, Ledger};
use super::retention::Retention;
use super::sessions;
use crate::config;

pub(super) struct FileLedger {
    store: Store,
    rings: Rings,
    retention: Retention,
}

impl FileLedger {
    pub fn new(store: Store) -> Self {
        Self {
            retention: Retention::new(&store.settings),
            rings: Rings::default(),
            store,
        }
    }

    fn transact(&mut self, group: Group<'_>) -> rusqlite::Result<Vec<Outcome>> {
        let connection = &mut self.store.connection;
        let mut transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let append = |batch| append::append(&transaction, &mut self.rings, batch);
        let outcomes = group.batches.iter().map(append);
        let outcomes = outcomes.collect::<Result<_, _>>()?;
        self.rings.count(&transaction)?;
        if let Some(lacks) = group.lacks {
            file::raise_origin(&transaction, lacks)?;
        }
        sessions::write(&transaction, group.changes)?;
        group.audit.write(&mut transaction, group.trail);
        transaction.commit()?;
        Ok(outcomes)
    }
}

impl Ledger for FileLedger {
    fn write(&mut self, group: Group<'_>) -> Result<Vec<Outcome>, Failure> {
        let written = self.transact(group);
        written.map_err(|error| {
            self.rings.forget();
            Failure::Failed(reason(&error))
        })
    }

    /// A commit that fails is rolled back: there never is a doubt.
    fn was_committed(&mut self) -> Result<bool, String> {
        Ok(false)
    }

    fn tidy(&mut self, now_ms: u64) -> Result<bool, String> {
        let step = self.retention.step(&mut self.store.connection, now_ms);
        if self.retention.take_removed_rings() || step.is_err() {
            self.rings.forget();
        }
        step.map_err(|error| reason(&error))
    }

    fn probe(&mut self) -> Result<(), String> {
        let written = file::put(&self.store.connection, "closed", false);
        written.map_err(|error| reason(&error))
    }

    fn retain(&mut self, retention: config::Retention) {
        self.retention.set(&self.store.connection, retention);
    }

    fn retain_audit(&mut self, age: Duration) {
        self.retention.set_audit(age);
    }

    fn close(&mut self) -> Result<(), String> {
        file::close(&self.store.connection).map_err(|error| reason(&error))
    }
}
