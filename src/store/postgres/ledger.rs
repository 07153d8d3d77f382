//! The database as the writer writes it.

use std::collections::HashMap;
use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::PgConnection;

use super::guard::{self, Company};
use super::link::{Link, OwnRuntime, Trouble};
use super::retention::Retention;
use super::rows::{Rings, Rows};
use super::{alerts, sessions, trail};
use crate::config;
use crate::domain::message::MessageId;
use crate::store::alerts::AlertWrite;
use crate::store::append::{Batch, Outcome};
use crate::store::error::AppendError;
use crate::store::file::id_of;
use crate::store::keys::{Fingerprint, Key};
use crate::store::ledger::{Failure, Group, Ledger};
use crate::store::sessions::SessionChange;

pub(super) struct DatabaseLedger {
    // Before the runtime that its connection belongs to.
    link: Link,
    runtime: OwnRuntime,
    company: Company,
    fence: i64,
    rings: Rings,
    retention: Retention,
    /// The number of a transaction of which nobody knows whether it was committed.
    doubt: Option<i64>,
}

/// A transaction that is about to be committed: its number, and what is to be said then.
type Committing = Option<(i64, Vec<Outcome>)>;

impl DatabaseLedger {
    pub fn new(
        runtime: OwnRuntime,
        link: Link,
        company: Company,
        fence: i64,
        settings: &config::Store,
    ) -> Self {
        Self {
            link,
            runtime,
            company,
            fence,
            rings: Rings::default(),
            retention: Retention::new(settings),
            doubt: None,
        }
    }

    fn failure(&mut self, trouble: &Trouble, committing: Committing) -> Failure {
        self.rings.forget();
        let reason = trouble.reason();
        match committing {
            Some((number, outcomes)) if !trouble.is_certain() => {
                self.doubt = Some(number);
                Failure::InDoubt { reason, outcomes }
            }
            _ => Failure::Failed(reason),
        }
    }
}

impl Ledger for DatabaseLedger {
    fn write(&mut self, group: Group<'_>) -> Result<Vec<Outcome>, Failure> {
        // Copies are in files only.
        let Group {
            lacks: _,
            batches,
            changes,
            audit,
            trail,
        } = group;
        let mut committing = None;
        let is_trail = batches.is_empty() && changes.is_empty();
        let (fence, rings) = (self.fence, &mut self.rings);
        let written = if is_trail {
            // On its own: publishers would wait for the chain, which other hubs may be at.
            let append = async |connection: &mut PgConnection| {
                trail::append(connection, audit, &mut committing).await
            };
            self.runtime.run(self.link.with(append))
        } else if self.company == Company::Together {
            let text = "the log of several hubs is not written here";
            Err(Trouble::Away(text.to_owned()))
        } else {
            let transact = async |connection: &mut PgConnection| {
                transact(connection, fence, rings, batches, changes, &mut committing).await
            };
            self.runtime.run(self.link.with(transact))
        };
        written.map_err(|trouble| {
            let failure = self.failure(&trouble, committing);
            if let (Failure::Failed(reason), true) = (&failure, is_trail) {
                audit.failed(reason.clone(), trail);
            }
            failure
        })
    }

    fn was_committed(&mut self) -> Result<bool, String> {
        let Some(number) = self.doubt else {
            return Ok(false);
        };
        let ask = async |connection: &mut PgConnection| {
            Ok(guard::was_committed(connection, number).await?)
        };
        match self.runtime.run(self.link.with(ask)) {
            Ok(Some(was)) => {
                self.doubt = None;
                Ok(was)
            }
            Ok(None) => Err("the database is still at the last transaction".to_owned()),
            Err(trouble) => Err(trouble.reason()),
        }
    }

    fn tidy(&mut self, now_ms: u64) -> Result<bool, String> {
        let (fence, retention) = (self.fence, &mut self.retention);
        let is_mine = self.company == Company::Alone;
        let step = async |connection: &mut PgConnection| match is_mine && retention.is_due() {
            true => retention.step(connection, fence, now_ms).await,
            // Whether it is there at all.
            false => {
                connection.ping().await?;
                Ok(false)
            }
        };
        let step = self.runtime.run(self.link.with(step));
        if self.retention.take_removed_rings() || step.is_err() {
            self.rings.forget();
        }
        step.map_err(|trouble| trouble.reason())
    }

    fn probe(&mut self) -> Result<(), String> {
        let (company, fence) = (self.company, self.fence);
        let write = async |connection: &mut PgConnection| match company {
            Company::Alone => {
                let entered = guard::enter(connection, fence, MessageId::ZERO).await?;
                entered.map(|_| ()).ok_or(Trouble::Overtaken)
            }
            Company::Together => {
                let same = sqlx::query("UPDATE statshub.meta SET version = version");
                same.execute(connection).await?;
                Ok(())
            }
        };
        let written = self.runtime.run(self.link.with(write));
        written.map_err(|trouble| trouble.reason())
    }

    fn retain(&mut self, retention: config::Retention) {
        self.retention.set(retention);
    }

    fn retain_audit(&mut self, age: Duration) {
        self.retention.set_audit(age);
    }

    fn close(&mut self) -> Result<(), String> {
        self.runtime.run(self.link.close());
        Ok(())
    }
}

async fn transact(
    connection: &mut PgConnection,
    fence: i64,
    rings: &mut Rings,
    batches: &[Batch],
    changes: &[SessionChange],
    committing: &mut Committing,
) -> Result<Vec<Outcome>, Trouble> {
    let mut transaction = connection.begin().await?;
    let messages = batches.iter().flat_map(|batch| &batch.messages);
    let last = messages.map(|message| message.id).max();
    let entered = guard::enter(&mut transaction, fence, last.unwrap_or_default()).await?;
    let number = entered.ok_or(Trouble::Overtaken)?;
    let outcomes = append(&mut transaction, rings, batches).await?;
    sessions::write(&mut transaction, changes).await?;
    *committing = Some((number, outcomes.clone()));
    transaction.commit().await?;
    Ok(outcomes)
}

/// Decides what becomes of each batch, as the file does, and adds what is new of them.
async fn append(
    connection: &mut PgConnection,
    rings: &mut Rings,
    batches: &[Batch],
) -> sqlx::Result<Vec<Outcome>> {
    let mut known = known(connection, batches).await?;
    let mut rows = Rows::default();
    let mut outcomes = Vec::with_capacity(batches.len());
    for batch in batches {
        let ids = match ids(batch, &known) {
            Ok(ids) => ids,
            Err(refused) => {
                outcomes.push(Err(refused));
                continue;
            }
        };
        if let Some(AlertWrite::Change(change)) = &batch.alert
            && !alerts::change(connection, change).await?
            && !batch.is_copy
        {
            outcomes.push(Err(AppendError::AlertChanged));
            continue;
        }
        for (index, (message, id)) in batch.messages.iter().zip(&ids).enumerate() {
            if message.id != *id {
                continue;
            }
            rows.message(message, batch.wall_ms);
            if let Some(keyed) = batch.keys.get(index).copied().flatten() {
                rows.key(*id, keyed);
                known.insert(keyed.key, (*id, keyed.of));
            }
            if let Some(AlertWrite::New(severity)) = batch.alert {
                rows.alert(message, severity);
            }
        }
        outcomes.push(Ok(ids));
    }
    rows.add(connection, rings).await?;
    Ok(outcomes)
}

/// What publishers' keys stand for already.
pub(super) type Known = HashMap<Key, (MessageId, Fingerprint)>;

async fn known(connection: &mut PgConnection, batches: &[Batch]) -> sqlx::Result<Known> {
    let keys = batches.iter().flat_map(|batch| &batch.keys).flatten();
    let keys: Vec<_> = keys.map(|keyed| keyed.key).collect();
    known_keys(connection, &keys).await
}

/// What these stand for.
pub(super) async fn known_keys(connection: &mut PgConnection, keys: &[Key]) -> sqlx::Result<Known> {
    if keys.is_empty() {
        return Ok(Known::new());
    }
    let keys: Vec<&[u8]> = keys.iter().map(|key| &key.0[..]).collect();
    let text = "SELECT key, message, hash FROM statshub.publish_key WHERE key = ANY($1)";
    let found: Vec<(Vec<u8>, i64, Vec<u8>)> = sqlx::query_as(text)
        .bind(keys)
        .fetch_all(connection)
        .await?;
    let known = |(key, id, hash): (Vec<u8>, i64, Vec<u8>)| {
        let key = Key(key.try_into().ok()?);
        let of = Fingerprint(hash.try_into().unwrap_or_default());
        Some((key, (id_of(id), of)))
    };
    Ok(found.into_iter().filter_map(known).collect())
}

/// The ids of a batch: its own, or those that its keys stand for already.
fn ids(batch: &Batch, known: &Known) -> Outcome {
    let id = |(index, own): (usize, MessageId)| {
        let keyed = batch.keys.get(index).copied().flatten();
        match keyed.and_then(|keyed| Some((keyed, known.get(&keyed.key)?))) {
            None => Ok(own),
            Some((keyed, (id, of))) if *of == keyed.of => Ok(*id),
            Some(_) => Err(AppendError::KeyReused),
        }
    };
    let own = batch.messages.iter().map(|message| message.id);
    own.enumerate().map(id).collect()
}
