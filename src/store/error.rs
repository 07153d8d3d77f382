//! What can go wrong with the file or the database, in words for whoever has to mend it.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

use crate::domain::history::TooManyMetrics;

/// Why the store cannot be opened. Nothing in the file was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(
        "{file} is no database of statshub, or is damaged ({reason}); move it away and start anew, or put a backup in its place"
    )]
    Damaged { file: PathBuf, reason: String },
    #[error(
        "{place} was written by a newer statshub (schema {found}, this one knows {known}); start that version, or a backup from before the upgrade"
    )]
    Newer {
        /// The file, or the database.
        place: String,
        found: i64,
        known: i64,
    },
    #[error(
        "the newest message in {place} is {hours} hours ahead of this machine's clock; set the clock right, or begin with another store"
    )]
    Ahead { place: String, hours: u64 },
    #[error("{database} cannot be the store: {reason}; check store.url")]
    Unusable { database: String, reason: String },
    #[error("{file} cannot be opened: {reason}; check store.file and its permissions")]
    Unreachable { file: PathBuf, reason: String },
}

impl OpenError {
    pub(super) fn of(file: &Path, error: &rusqlite::Error) -> Self {
        let (file, reason) = (file.to_owned(), reason(error));
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
                Self::Damaged { file, reason }
            }
            _ => Self::Unreachable { file, reason },
        }
    }
}

/// Why a batch was not taken. Nothing of it is in the log, and nobody was sent any of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    #[error("the idempotency key was used for another message")]
    KeyReused,
    #[error("the alert has changed meanwhile")]
    AlertChanged,
    #[error(transparent)]
    TooManyMetrics(#[from] TooManyMetrics),
    #[error("the log cannot be written: {0}")]
    Failed(String),
}

/// Why nothing was read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Others read; trying again later may help.
    #[error("too many read the log at once")]
    Busy,
    /// The database is away; trying again later may help.
    #[error("the log cannot be read: {0}")]
    Away(String),
    #[error("the log cannot be read: {0}")]
    Failed(String),
}

/// In words that say what to do.
pub(super) fn reason(error: &rusqlite::Error) -> String {
    let hint = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => {
            "the disk is full, or the log as large as store.retention allows"
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => "the file may not be written to",
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another program holds the file"
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => "the file is damaged",
        Some(ErrorCode::SystemIoFailure) => "the disk does not do what it is told",
        Some(ErrorCode::CannotOpen) => "the file cannot be opened",
        _ => return error.to_string(),
    };
    format!("{hint} ({error})")
}
