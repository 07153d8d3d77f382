//! A copy of the file while a hub writes it, and what a hub makes of a copy that it is started on.
//!
//! A copy is an older state. What was published after it is in no log any more, but clients have seen
//! it, and its ids, which go by the clock, lie before any that the restored hub gives: the log has a hole
//! (see [`super::holes`]).

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};
use tempfile::NamedTempFile;

use super::error::{OpenError, reason};
use super::file::{connect, get, put, reader};

/// Pages copied at a time, and the pause after them, so that the disk is there for the hub too: at most
/// some 200 MB a second.
const STEP_PAGES: i32 = 256;
const PAUSE: Duration = Duration::from_millis(5);

/// How the name of a copy begins that is not finished.
const PREFIX: &str = ".statshub-backup-";

/// Marks a copy, with the moment it was made, until a hub is started on it.
const COPIED_MS: &str = "copied_ms";

/// Why there is no copy. A file that was there before is as it was.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Source(#[from] OpenError),
    #[error("{0} is there already; name another file, or overwrite it with --force")]
    Exists(PathBuf),
    #[error("{0} is the store itself")]
    Itself(PathBuf),
    #[error("{file} cannot be written: {reason}")]
    Unwritable { file: PathBuf, reason: String },
    #[error("the copy is damaged ({0}), and so may the store be")]
    Damaged(String),
}

/// Copies the store in `from` to `to`, also while a hub writes it, and returns the copy's size in bytes.
/// `progress` is told how many pages are copied, and of how many. Blocks until it is done.
///
/// # Errors
/// `from` cannot be read, `to` is there and not to be overwritten or cannot be written, or the copy is
/// not sound.
pub fn backup(
    from: &Path,
    to: &Path,
    overwrite: bool,
    mut progress: impl FnMut(u64, u64),
) -> Result<u64, BackupError> {
    if !overwrite && to.exists() {
        return Err(BackupError::Exists(to.to_owned()));
    }
    if is_same(from, to) {
        return Err(BackupError::Itself(to.to_owned()));
    }
    let source = reader(from)?;
    let unwritable = |reason: String| BackupError::Unwritable {
        file: to.to_owned(),
        reason,
    };
    let directory = match to.parent() {
        Some(directory) if directory != Path::new("") => directory,
        _ => Path::new("."),
    };
    // Where it is to be, so that it can be renamed; nobody but its owner may read it.
    let file = tempfile::Builder::new()
        .prefix(PREFIX)
        .tempfile_in(directory);
    let file = file.map_err(|error| unwritable(error.to_string()))?;
    let failed = |error: rusqlite::Error| unwritable(reason(&error));
    let mut copy = connect(file.path(), OpenFlags::default()).map_err(failed)?;
    copy_pages(&source, &mut copy, &mut progress).map_err(failed)?;
    drop(source);
    mark(&copy).map_err(failed)?;
    check(&copy)
        .map_err(failed)?
        .map_err(BackupError::Damaged)?;
    copy.close().map_err(|(_, error)| failed(error))?;
    let bytes = keep(file, directory, to, overwrite);
    bytes.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => BackupError::Exists(to.to_owned()),
        _ => unwritable(error.to_string()),
    })
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// All pages as they are at one moment.
///
/// Left to itself, a backup begins anew whenever another program has written the file, and under a hub
/// it would never end. In one read transaction it sees one state of the file whatever is written
/// meanwhile: that goes to the journal, which grows for as long as this takes and is no obstacle to the
/// hub. `VACUUM INTO` would do too, but in one go, without pauses.
fn copy_pages(
    source: &Connection,
    copy: &mut Connection,
    progress: &mut impl FnMut(u64, u64),
) -> rusqlite::Result<()> {
    let transaction = source.unchecked_transaction()?;
    // Only reading something begins it.
    get::<i64>(&transaction, "origin")?;
    let backup = Backup::new(&transaction, copy)?;
    loop {
        let step = backup.step(STEP_PAGES)?;
        let at = backup.progress();
        let pages = |count: i32| u64::try_from(count).unwrap_or_default();
        progress(pages(at.pagecount - at.remaining), pages(at.pagecount));
        if step == StepResult::Done {
            return Ok(());
        }
        sleep(PAUSE);
    }
}

/// One file without a journal, that a hub takes for the orderly end of a log: whatever it has is whole.
fn mark(copy: &Connection) -> rusqlite::Result<()> {
    copy.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(()))?;
    put(copy, "closed", true)?;
    put(copy, COPIED_MS, Timestamp::now().as_millisecond())
}

fn check(copy: &Connection) -> rusqlite::Result<Result<(), String>> {
    let found: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok(if found == "ok" { Ok(()) } else { Err(found) })
}

/// Under its name only once all of it is on the disk.
fn keep(file: NamedTempFile, directory: &Path, to: &Path, overwrite: bool) -> io::Result<u64> {
    file.as_file().sync_all()?;
    let bytes = file.as_file().metadata()?.len();
    match overwrite {
        true => file.persist(to)?,
        false => file.persist_noclobber(to)?,
    };
    File::open(directory)?.sync_all()?;
    Ok(bytes)
}

/// Whether this is a copy that no hub was started on yet; from now on it is a log of its own.
pub(super) fn was_copied(connection: &Connection) -> rusqlite::Result<bool> {
    let Some(copied_ms) = get::<i64>(connection, COPIED_MS)? else {
        return Ok(false);
    };
    connection.execute("DELETE FROM meta WHERE key = ?1", [COPIED_MS])?;
    let made = Timestamp::from_millisecond(copied_ms).unwrap_or_default();
    log::info!(
        "the store is a backup made at {made:.0}; clients that have seen later messages get a snapshot"
    );
    Ok(true)
}

#[cfg(test)]
#[path = "backup_tests.rs"]
mod tests;
