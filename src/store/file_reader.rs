//! Asking the file: connections of their own that only read, on threads that may block.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::error::{ReadError, reason};
use super::file;

/// Reads at once: more would not be faster, and would take the processors from the streams.
const READS_MAX: usize = 4;
/// How long one waits for its turn. Each takes some milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// Clones share connections.
#[derive(Debug, Clone)]
pub(super) struct FileReader {
    path: Arc<PathBuf>,
    idle: Arc<Mutex<Vec<Connection>>>,
    turns: Arc<Semaphore>,
}

impl FileReader {
    /// Opens nothing yet.
    pub fn new(path: &Path) -> Self {
        Self {
            path: Arc::new(path.to_owned()),
            idle: Arc::default(),
            turns: Arc::new(Semaphore::new(READS_MAX)),
        }
    }

    /// Does `read` in one transaction, so that it sees one state of the log; short ones only, because
    /// what is read cannot be cleared away meanwhile.
    pub async fn read<T: Send + 'static>(
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
