//! Asking the log, wherever it is.

use std::sync::Arc;

use rusqlite::Connection;

use super::alerts::{self, Alert, AlertFilter};
use super::append::Outcome;
use super::chain::{self, Kept};
use super::error::{AppendError, ReadError};
use super::file_reader::FileReader;
use super::keys::Keyed;
use super::postgres::DatabaseReader;
use super::walk::{self, Ring, Row, Walk};
use crate::config;
use crate::domain::message::{MessageId, UserId};
use crate::domain::pattern::Pattern;

/// The way to the log for whoever asks it something. Clones share connections.
#[derive(Debug, Clone)]
pub struct Reader(Backend);

#[derive(Debug, Clone)]
enum Backend {
    File(FileReader),
    Database(DatabaseReader),
}

impl Reader {
    /// Opens nothing yet.
    ///
    /// # Errors
    /// The URL is none, or the system has no more room for a thread.
    pub fn new(settings: &config::Store) -> anyhow::Result<Self> {
        Ok(Self(match &settings.url {
            None => Backend::File(FileReader::new(&settings.file)),
            Some(url) => Backend::Database(DatabaseReader::new(url)?),
        }))
    }

    /// Where messages are that `user` may see of metrics that one of `patterns` names: those to
    /// everybody and those to this user.
    ///
    /// # Errors
    /// Too many read, or the log cannot be read.
    pub async fn rings(
        &self,
        patterns: Vec<Pattern>,
        user: UserId,
    ) -> Result<Vec<Arc<Ring>>, ReadError> {
        match &self.0 {
            Backend::File(file) => {
                file.read(move |connection| walk::rings(connection, &patterns, &user))
                    .await
            }
            Backend::Database(database) => database.rings(patterns, user).await,
        }
    }

    /// The newest message of all; what comes later has a higher id.
    ///
    /// # Errors
    /// Too many read, or the log cannot be read.
    pub async fn newest(&self) -> Result<MessageId, ReadError> {
        match &self.0 {
            Backend::File(file) => file.read(walk::newest).await,
            Backend::Database(database) => database.newest().await,
        }
    }

    /// The next messages of a walk, at most `rows_max` (fewer where they are large), and the walk as it
    /// goes on behind them. None: it is at its end.
    ///
    /// # Errors
    /// Too many read, or the log cannot be read.
    pub async fn page(
        &self,
        mut walk: Walk,
        rows_max: usize,
    ) -> Result<(Walk, Vec<Row>), ReadError> {
        match &self.0 {
            Backend::File(file) => {
                let page = move |connection: &Connection| {
                    let rows = walk.page(connection, rows_max)?;
                    Ok((walk, rows))
                };
                file.read(page).await
            }
            Backend::Database(database) => database.page(walk, rows_max).await,
        }
    }

    /// The newest `limit` alerts of those that `filter` picks, the newest first.
    ///
    /// # Errors
    /// Too many read, or the log cannot be read.
    pub async fn alerts(&self, filter: AlertFilter, limit: usize) -> Result<Vec<Alert>, ReadError> {
        match &self.0 {
            Backend::File(file) => {
                file.read(move |connection| alerts::page(connection, filter, limit))
                    .await
            }
            Backend::Database(database) => database.alerts(filter, limit).await,
        }
    }

    /// The ids of a batch that was taken before, under the same keys: where hubs have a database in common, for
    /// the case that the log itself has forgotten them. `None`: not all of it was.
    ///
    /// # Errors
    /// Too many read, or the log cannot be read.
    pub async fn published_before(
        &self,
        keys: &[Option<Keyed>],
    ) -> Result<Option<Outcome>, ReadError> {
        let (Backend::Database(database), Some(keys)) = (&self.0, all_keyed(keys)) else {
            return Ok(None);
        };
        let names = keys.iter().map(|keyed| keyed.key).collect();
        let known = database.known(names).await?;
        let id = |keyed: &Keyed| known.get(&keyed.key).map(|(id, of)| (*id, *of == keyed.of));
        let found: Option<Vec<_>> = keys.iter().map(id).collect();
        Ok(found.map(|found| {
            let id = |(id, is_same): (MessageId, bool)| {
                is_same.then_some(id).ok_or(AppendError::KeyReused)
            };
            found.into_iter().map(id).collect()
        }))
    }

    /// Up to `max` records of the audit trail before the one numbered `id`, newest first.
    ///
    /// # Errors
    /// Too many read, or the log cannot be read.
    pub async fn audit(&self, id: i64, max: usize) -> Result<Vec<Kept>, ReadError> {
        match &self.0 {
            Backend::File(file) => {
                file.read(move |connection| chain::before(connection, id, max))
                    .await
            }
            Backend::Database(database) => database.audit(id, max).await,
        }
    }

    /// One alert; `None` where there is none of this id.
    ///
    /// # Errors
    /// Too many read, or the log cannot be read.
    pub async fn alert(&self, id: MessageId) -> Result<Option<Alert>, ReadError> {
        match &self.0 {
            Backend::File(file) => {
                file.read(move |connection| alerts::one(connection, id))
                    .await
            }
            Backend::Database(database) => database.alert(id).await,
        }
    }
}

/// `None`: some have no key, or there are none.
fn all_keyed(keys: &[Option<Keyed>]) -> Option<Vec<Keyed>> {
    let keys: Option<Vec<_>> = keys.iter().copied().collect();
    keys.filter(|keys| !keys.is_empty())
}
