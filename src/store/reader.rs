//! Asking the log: connections of their own that only read, on threads that may block.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::alerts::{self, Alert, AlertFilter};
use super::error::{ReadError, reason};
use super::file;
use super::walk::{self, Ring, Row, Walk};
use crate::domain::message::{MessageId, UserId};
use crate::domain::pattern::Pattern;

/// Reads at once: more would not be faster, and would take the processors from the streams.
const READS_MAX: usize = 4;
/// How long one waits for its turn. Each takes some milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// The way to the log for whoever asks it something. Clones share connections.
#[derive(Debug, Clone)]
pub struct Reader {
    path: Arc<PathBuf>,
    idle: Arc<Mutex<Vec<Connection>>>,
    turns: Arc<Semaphore>,
}

impl Reader {
    /// Opens nothing yet.
    pub fn new(path: &Path) -> Self {
        Self {
            path: Arc::new(path.to_owned()),
            idle: Arc::default(),
            turns: Arc::new(Semaphore::new(READS_MAX)),
        }
    }

    /// Where messages are that `user` may see of metrics that one of `patterns` names: those to
    /// everybody and those to this user.
    ///
    /// # Errors
    /// Too many read, or the file cannot be read.
    pub async fn rings(
        &self,
        patterns: Vec<Pattern>,
        user: UserId,
    ) -> Result<Vec<Arc<Ring>>, ReadError> {
        self.read(move |connection| walk::rings(connection, &patterns, &user))
            .await
    }

    /// The newest message of all; what comes later has a higher id.
    ///
    /// # Errors
    /// Too many read, or the file cannot be read.
    pub async fn newest(&self) -> Result<MessageId, ReadError> {
        self.read(walk::newest).await
    }

    /// The next messages of a walk, at most `rows_max` (fewer where they are large), and the walk as it
    /// goes on behind them. None: it is at its end.
    ///
    /// # Errors
    /// Too many read, or the file cannot be read.
    pub async fn page(
        &self,
        mut walk: Walk,
        rows_max: usize,
    ) -> Result<(Walk, Vec<Row>), ReadError> {
        let page = move |connection: &Connection| {
            let rows = walk.page(connection, rows_max)?;
            Ok((walk, rows))
        };
        self.read(page).await
    }

    /// The newest `limit` alerts of those that `filter` picks, the newest first.
    ///
    /// # Errors
    /// Too many read, or the file cannot be read.
    pub async fn alerts(&self, filter: AlertFilter, limit: usize) -> Result<Vec<Alert>, ReadError> {
        self.read(move |connection| alerts::page(connection, filter, limit))
            .await
    }

    /// One alert; `None` where there is none of this id.
    ///
    /// # Errors
    /// Too many read, or the file cannot be read.
    pub async fn alert(&self, id: MessageId) -> Result<Option<Alert>, ReadError> {
        self.read(move |connection| alerts::one(connection, id))
            .await
    }

    /// Does `read` in one transaction, so that it sees one state of the log; short ones only, because
    /// what is read cannot be cleared away meanwhile.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, ReadError> {
        let turn = timeout(PATIENCE, self.turns.clone().acquire_owned()).await;
        let turn = turn.ok().and_then(Result::ok).ok_or(ReadError::Busy)?;
        let reader = self.clone();
        let done = spawn_blocking(move || {
            // Also when nobody waits for the answer any more: the thread is busy until here.
            let _turn = turn;
            reader.with_connection(read)
        });
        let done = done.await;
        done.map_err(|error| ReadError::Failed(error.to_string()))?
    }

    fn with_connection<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, ReadError> {
        let failed = |error: rusqlite::Error| ReadError::Failed(reason(&error));
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let known = idle().pop();
        let connection = match known {
            Some(connection) => connection,
            None => {
                let opened = file::reader(&self.path);
                opened.map_err(|error| ReadError::Failed(error.to_string()))?
            }
        };
        let transaction = connection.unchecked_transaction().map_err(failed)?;
        let found = read(&transaction).map_err(failed)?;
        transaction.finish().map_err(failed)?;
        // There are never more than may read at once.
        idle().push(connection);
        Ok(found)
    }
}
