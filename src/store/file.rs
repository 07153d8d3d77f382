//! The file: made, opened, brought up to date, and what is known about it as a whole.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, OptionalExtension, ToSql, TransactionBehavior, params};

use super::error::OpenError;
use super::file_ledger::FileLedger;
use super::writer::{Listener, Writer};
use super::{backup, holes, retention};
use crate::config::{self, Durability};
use crate::domain::message::MessageId;
use crate::domain::time::Now;

/// Written into the file's head, for `file(1)` and for us: "shub".
const APPLICATION_ID: i64 = 0x7368_7562;
/// The newest form of the tables that this program knows; the file says its own.
pub const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;
/// What makes a file of version n one of version n + 1.
const MIGRATIONS: [&str; 1] = [include_str!("schema_1.sql")];
/// How long another program may hold the file before that is an error.
const PATIENCE: Duration = Duration::from_secs(2);
/// The same at the end.
const CLOSE_PATIENCE: Duration = Duration::from_millis(200);
/// Readable by its owner only: it holds reconnect tokens.
const MODE: u32 = 0o600;
/// A log whose newest message is further ahead of the clock was written under a wrong one.
pub(super) const AHEAD_MAX_MS: u64 = 24 * 3600 * 1000;
/// A number and the end of its line.
const SIGNATURE_BYTES_MAX: u64 = 16;
/// Statements kept prepared.
const STATEMENTS_MAX: usize = 64;

/// The open file, before its writer starts.
#[derive(Debug)]
pub struct Store {
    pub(super) connection: Connection,
    pub(super) settings: config::Store,
    /// Where the log begins: what came before is not of it.
    pub(super) origin: MessageId,
    /// No id up to here may be given again.
    pub(super) last: MessageId,
    /// Between which ids it has nothing of what may have been given.
    pub(super) holes: Vec<(MessageId, MessageId)>,
    _lock: File,
}

impl Store {
    /// Opens the file, or makes it, for a log that begins at `now` where it is new or what it lost
    /// cannot be known.
    ///
    /// # Errors
    /// It cannot be reached or made, is damaged, of a newer version, or ahead of the clock.
    pub fn open(settings: &config::Store, now: Now) -> Result<Self, OpenError> {
        let path = &settings.file;
        make(path)?;
        let lock = lock(path)?;
        let failed = |error: rusqlite::Error| OpenError::of(path, &error);
        let mut connection = connect(path, OpenFlags::default()).map_err(failed)?;
        let found = version(&connection, path)?;
        // Before anything is written.
        if found > 0 {
            let last = last(&connection).map_err(failed)?.unwrap_or_default();
            let ahead = last.millis().saturating_sub(now.wall_ms);
            if ahead > AHEAD_MAX_MS {
                return Err(OpenError::Ahead {
                    place: path.display().to_string(),
                    hours: ahead / (3600 * 1000),
                });
            }
        }
        forward(&mut connection, found).map_err(failed)?;
        prepare(&connection, settings).map_err(failed)?;
        // All or nothing: a copy that is no longer marked as one must have its hole.
        let noted = connection.unchecked_transaction().map_err(failed)?;
        let (origin, last) = bounds(&noted, settings.durability, now).map_err(failed)?;
        noted.commit().map_err(failed)?;
        let holes = holes::read(&connection).map_err(failed)?;
        Ok(Self {
            connection,
            settings: settings.clone(),
            origin,
            last,
            holes,
            _lock: lock,
        })
    }

    /// Starts the thread that writes it.
    ///
    /// # Errors
    /// The system has no more room for one.
    pub fn start(self, listener: impl Listener + 'static) -> std::io::Result<Writer> {
        Writer::start(FileLedger::new(self), listener)
    }

    /// The newest id that may have been given, or where the log begins.
    pub fn last(&self) -> MessageId {
        self.last
    }
}

/// An empty file of ours is an empty database.
fn make(path: &Path) -> Result<(), OpenError> {
    let mut options = OpenOptions::new();
    let options = options.create(true).append(true).mode(MODE);
    // A file that may only be read can still be opened, and said what is wrong when it is written.
    match options.open(path) {
        Err(error) if !path.exists() => Err(OpenError::Unreachable {
            file: path.to_owned(),
            reason: error.to_string(),
        }),
        _ => Ok(()),
    }
}

/// Two hubs on one file would give the same ids twice. The database's own locks are no help: they are
/// for moments.
fn lock(path: &Path) -> Result<File, OpenError> {
    let mut name = path.as_os_str().to_owned();
    name.push("-lock");
    let mut options = OpenOptions::new();
    let file = options
        .create(true)
        .append(true)
        .read(true)
        .mode(MODE)
        .open(&name);
    let held = |reason: String| OpenError::Unreachable {
        file: path.to_owned(),
        reason,
    };
    let file = file.map_err(|error| held(error.to_string()))?;
    match file.try_lock() {
        Ok(()) => {
            // For whoever finds it held: without it the lock is as good.
            if let Err(error) = sign(&file) {
                log::debug!("{}: {error}", name.display());
            }
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => Err(held(match signed_by(&file) {
            Some(process) => format!("another hub uses it, process {process}"),
            None => "another hub uses it".to_owned(),
        })),
        Err(TryLockError::Error(error)) => Err(held(error.to_string())),
    }
}

/// Says in the lock's file who holds it.
fn sign(mut file: &File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}

/// Who holds the lock, as it says; in another container the number may mean another process.
fn signed_by(file: &File) -> Option<u32> {
    let mut text = String::new();
    file.take(SIGNATURE_BYTES_MAX)
        .read_to_string(&mut text)
        .ok()?;
    text.trim().parse().ok()
}

/// A connection as all of this room's are.
pub(super) fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    Ok(connection)
}

/// A connection that only reads, for whoever asks the log something, also while a hub writes it.
///
/// # Errors
/// The file cannot be opened, is no store, or is of a newer version.
pub(super) fn reader(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = connect(path, flags).map_err(|error| OpenError::of(path, &error))?;
    if version(&connection, path)? == 0 {
        return Err(OpenError::Damaged {
            file: path.to_owned(),
            reason: "nothing is in it".to_owned(),
        });
    }
    Ok(connection)
}

/// The form of the file's tables; 0 where it has none yet.
///
/// # Errors
/// It is another program's, or of a newer version.
pub(super) fn version(connection: &Connection, path: &Path) -> Result<i64, OpenError> {
    let number = |query: &str| {
        let number = connection.query_row(query, [], |row| row.get::<_, i64>(0));
        number.map_err(|error| OpenError::of(path, &error))
    };
    let application = number("PRAGMA application_id")?;
    let found = number("PRAGMA user_version")?;
    let tables = number("SELECT count(*) FROM sqlite_schema")?;
    if application != APPLICATION_ID && (tables > 0 || application != 0) {
        return Err(OpenError::Damaged {
            file: path.to_owned(),
            reason: "it is another program's database".to_owned(),
        });
    }
    match found > SCHEMA_VERSION {
        true => Err(OpenError::Newer {
            place: path.display().to_string(),
            found,
            known: SCHEMA_VERSION,
        }),
        false => Ok(found),
    }
}

/// Brings a file of version `found` up to date.
fn forward(connection: &mut Connection, found: i64) -> rusqlite::Result<()> {
    if found == SCHEMA_VERSION {
        return Ok(());
    }
    if found == 0 {
        // Only before the first table is made.
        connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let done = usize::try_from(found).unwrap_or_default();
    for migration in MIGRATIONS.iter().skip(done) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}

fn prepare(connection: &Connection, settings: &config::Store) -> rusqlite::Result<()> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let synchronous = match settings.durability {
        Durability::Power => "FULL",
        // Only the copying from the journal into the file waits for the disk, so the file stays sound.
        Durability::Process | Durability::Memory => "NORMAL",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    retention::limit(connection, &settings.retention)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update(None, "cache_size", -16_384)
}

/// Positions before `to` can no longer be told anything.
pub(super) fn raise_origin(connection: &Connection, to: MessageId) -> rusqlite::Result<()> {
    let origin: i64 = get(connection, "origin")?.unwrap_or_default();
    put(connection, "origin", origin.max(to_sql(to)))
}

/// Where the log begins and ends.
///
/// After a power cut, or with another operating system under it, a log that did not wait for the disk
/// may have lost its newest part without a trace; then it begins anew, so that every client is given
/// a snapshot and told so.
pub(super) fn bounds(
    connection: &Connection,
    durability: Durability,
    now: Now,
) -> rusqlite::Result<(MessageId, MessageId)> {
    let begin = MessageId::new(now.wall_ms, 0).unwrap_or_default();
    let origin = get::<i64>(connection, "origin")?.map(id_of);
    let last = last(connection)?.max(origin).unwrap_or(begin);
    let boot = boot_id();
    let same_boot = get::<String>(connection, "boot")? == Some(boot.clone());
    let closed = get::<bool>(connection, "closed")?.unwrap_or(true);
    let flushed = get::<bool>(connection, "flushed")?.unwrap_or(true);
    let copied = backup::was_copied(connection)?;
    let anew = begin.max(last.next());
    let (origin, last) = match origin {
        Some(origin) if same_boot || closed || flushed => {
            // Whoever was killed, or copied, may have given ids that are not here.
            let last = match copied || !closed {
                true => {
                    holes::add(connection, (last, anew))?;
                    anew
                }
                false => last,
            };
            (get(connection, "origin")?.map_or(origin, id_of), last)
        }
        Some(_) => {
            log::warn!(
                "the machine went down while the log was written; what came last may be lost, so every client will get a snapshot"
            );
            (anew, anew)
        }
        None => (begin, begin),
    };
    put(connection, "origin", to_sql(origin))?;
    put(connection, "last", to_sql(last))?;
    put(connection, "boot", boot)?;
    put(connection, "closed", false)?;
    put(connection, "flushed", durability == Durability::Power)?;
    Ok((origin, last))
}

/// The newest id that may have been given; `None` where there never was one.
pub(super) fn last(connection: &Connection) -> rusqlite::Result<Option<MessageId>> {
    let newest = connection.query_row("SELECT max(id) FROM message", [], |row| {
        row.get::<_, Option<i64>>(0)
    })?;
    Ok(get::<i64>(connection, "last")?.max(newest).map(id_of))
}

/// Differs after every start of the machine; empty where the system does not tell.
fn boot_id() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.unwrap_or_default().trim().to_owned()
}

pub(super) fn get<T: rusqlite::types::FromSql>(
    connection: &Connection,
    key: &str,
) -> rusqlite::Result<Option<T>> {
    let mut wanted = connection.prepare_cached("SELECT value FROM meta WHERE key = ?1")?;
    wanted.query_row([key], |row| row.get(0)).optional()
}

pub(super) fn put(connection: &Connection, key: &str, value: impl ToSql) -> rusqlite::Result<()> {
    let put = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)";
    connection
        .prepare_cached(put)?
        .execute(params![key, value])?;
    Ok(())
}

/// An id as the file has it. It fits until the year 2248.
pub(super) fn to_sql(id: MessageId) -> i64 {
    i64::try_from(id.to_bits()).unwrap_or(i64::MAX)
}

pub(super) fn id_of(bits: i64) -> MessageId {
    MessageId::from_bits(u64::try_from(bits).unwrap_or_default())
}

/// The orderly end: everything is in the file itself, and says so.
pub(super) fn close(connection: &Connection) -> rusqlite::Result<()> {
    let last = last(connection)?.unwrap_or_default();
    put(connection, "last", to_sql(last))?;
    put(connection, "closed", true)?;
    // Whoever reads, such as a backup, may hold that up for long; the journal stays and is as good.
    connection.busy_timeout(CLOSE_PATIENCE)?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
}
