//! The thread that writes: whatever has come while it wrote is its next transaction.

use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::append::{self, Batch, Outcome, Rings, Settled};
use super::audit::{AuditHealth, AuditRecord, AuditShared, Waiting};
use super::error::{AppendError, reason};
use super::file::{self, Store};
use super::retention::Retention;
use super::sessions::{self, SessionChange};
use crate::config;

/// Batches in one transaction, so that the first of them need not wait for ever.
const GROUP_MAX: usize = 1024;
/// Bytes that may wait to be written. Above it publishers are refused.
const WAITING_BYTES_MAX: usize = 64 << 20;
/// How often the thread looks after the file where there is nothing to write.
const LOOKS_EVERY: Duration = Duration::from_secs(1);
/// And while there is something left to tidy up.
const TIDIES_EVERY: Duration = Duration::from_millis(20);

/// What the writer is told.
enum Command {
    Append(Batch),
    Sessions(Vec<SessionChange>),
    Audit(Vec<AuditRecord>),
    Retain(config::Retention),
    RetainAudit(Duration),
    Close(oneshot::Sender<()>),
}

/// What the writer tells, from its own thread.
pub trait Listener: Send {
    /// In the order in which the batches came.
    fn settled(&self, batches: Vec<Settled>);
    /// Changes of sessions were lost to a failure: all of them are wanted anew.
    fn sessions_wanted(&self);
}

/// How the store is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Health {
    /// Transactions since the start.
    pub commits: u64,
    /// Batches in them.
    pub batches: u64,
    /// Transactions that failed.
    pub failures: u64,
    /// Bytes that wait to be written.
    pub waiting_bytes: usize,
    /// Why nothing can be written just now; `None` while all is well.
    pub last_error: Option<String>,
    /// The audit trail in the file.
    pub audit: AuditHealth,
}

#[derive(Debug, Default)]
struct Shared {
    commits: AtomicU64,
    batches: AtomicU64,
    failures: AtomicU64,
    waiting_bytes: AtomicUsize,
    last_error: Mutex<Option<String>>,
    audit: AuditShared,
}

impl Shared {
    fn last_error(&self) -> MutexGuard<'_, Option<String>> {
        let error = self.last_error.lock();
        error.unwrap_or_else(PoisonError::into_inner)
    }
}

/// The way to the thread. Clones lead to the same.
#[derive(Debug, Clone)]
pub struct Writer {
    commands: Sender<Command>,
    shared: Arc<Shared>,
}

impl Store {
    /// Starts the thread.
    ///
    /// # Errors
    /// The system has no more room for one.
    pub fn start(self, listener: impl Listener + 'static) -> std::io::Result<Writer> {
        let (commands, received) = mpsc::channel();
        let shared = Arc::<Shared>::default();
        let writer = Writer {
            commands,
            shared: shared.clone(),
        };
        let retention = Retention::new(&self.settings);
        let thread = Thread {
            store: self,
            rings: Rings::default(),
            retention,
            listener: Box::new(listener),
            shared,
            sessions_lost: false,
            audit: Waiting::default(),
        };
        let named = thread::Builder::new().name("store".to_owned());
        named.spawn(move || thread.run(&received))?;
        Ok(writer)
    }
}

impl Writer {
    /// Hands a batch over; its answer comes through [`Listener::settled`].
    ///
    /// # Errors
    /// Too much waits already, or the thread is gone: the batch comes back.
    pub fn append(&self, batch: Batch) -> Result<(), (Batch, AppendError)> {
        if self.shared.waiting_bytes.load(Ordering::Relaxed) > WAITING_BYTES_MAX {
            let text = "more waits for the disk than may";
            return Err((batch, AppendError::Failed(text.to_owned())));
        }
        let bytes = batch.bytes();
        self.shared
            .waiting_bytes
            .fetch_add(bytes, Ordering::Relaxed);
        self.commands
            .send(Command::Append(batch))
            .map_err(|mpsc::SendError(command)| match command {
                Command::Append(batch) => {
                    let text = "the hub is stopping";
                    (batch, AppendError::Failed(text.to_owned()))
                }
                _ => unreachable!("what was sent comes back"),
            })
    }

    /// What became of sessions, in order.
    pub fn sessions(&self, changes: Vec<SessionChange>) {
        // Without the thread there is no store any more, and whoever publishes is told.
        let _ = self.commands.send(Command::Sessions(changes));
    }

    /// Hands records of the audit trail over, to be written with the next transaction; never waits.
    /// Returns how many of them, the first ones, there was room for.
    pub fn audit(&self, mut records: Vec<AuditRecord>) -> usize {
        let taken = self.shared.audit.admit(&records);
        records.truncate(taken);
        if taken == 0 || self.commands.send(Command::Audit(records)).is_ok() {
            return taken;
        }
        // The thread is gone.
        0
    }

    /// How far back the log goes, from now on.
    pub fn retain(&self, retention: config::Retention) {
        let _ = self.commands.send(Command::Retain(retention));
    }

    /// How far back the audit trail goes, from now on. Before this is said nothing of it goes.
    pub fn retain_audit(&self, age: Duration) {
        let _ = self.commands.send(Command::RetainAudit(age));
    }

    pub fn health(&self) -> Health {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let shared = &self.shared;
        Health {
            commits: count(&shared.commits),
            batches: count(&shared.batches),
            failures: count(&shared.failures),
            waiting_bytes: shared.waiting_bytes.load(Ordering::Relaxed),
            last_error: shared.last_error().clone(),
            audit: shared.audit.health(),
        }
    }

    /// Writes what was handed over before, and closes the file. The future is ready when that is
    /// done.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.commands.send(Command::Close(done)).is_ok() {
            // An error: the thread ended before it could answer, and the file is closed too.
            let _ = closed.await;
        }
    }
}

struct Thread {
    store: Store,
    rings: Rings,
    retention: Retention,
    listener: Box<dyn Listener>,
    shared: Arc<Shared>,
    /// Changes of sessions were in a transaction that failed.
    sessions_lost: bool,
    audit: Waiting,
}

impl Thread {
    fn run(mut self, commands: &Receiver<Command>) {
        let mut look_at = Instant::now() + LOOKS_EVERY;
        loop {
            let wake_at = self.audit.due().map_or(look_at, |due| due.min(look_at));
            let wait = wake_at.saturating_duration_since(Instant::now());
            let mut closing = None;
            match commands.recv_timeout(wait) {
                Ok(first) => closing = self.take(first, commands),
                Err(RecvTimeoutError::Timeout) if self.audit.is_due() => self.commit(vec![], &[]),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.close(),
            }
            if let Some(done) = closing {
                self.close();
                // With it the lock: whoever was told may open the file again.
                drop(self);
                let _ = done.send(());
                return;
            }
            if Instant::now() >= look_at {
                let tidy = std::panic::catch_unwind(AssertUnwindSafe(|| self.look_after()));
                let more = tidy.unwrap_or(false);
                look_at = Instant::now() + if more { TIDIES_EVERY } else { LOOKS_EVERY };
            }
        }
    }

    /// Writes `first` and what has come behind it. Returns who is to be told when all is closed.
    fn take(
        &mut self,
        first: Command,
        commands: &Receiver<Command>,
    ) -> Option<oneshot::Sender<()>> {
        let mut batches = Vec::new();
        let mut changes = Vec::new();
        let mut closing = None;
        for command in std::iter::once(first).chain(commands.try_iter()) {
            match command {
                Command::Append(batch) => batches.push(batch),
                Command::Sessions(more) => changes.extend(more),
                Command::Audit(records) => self.audit.add(records),
                Command::RetainAudit(age) => self.retention.set_audit(age),
                Command::Retain(retention) => self.retention.set(&self.store.connection, retention),
                Command::Close(done) => closing = Some(done),
            }
            if batches.len() >= GROUP_MAX || closing.is_some() {
                break;
            }
        }
        if !batches.is_empty() || !changes.is_empty() || self.audit.is_due() {
            self.commit(batches, &changes);
        }
        closing
    }

    fn commit(&mut self, batches: Vec<Batch>, changes: &[SessionChange]) {
        let written = self.write(&batches, changes);
        self.audit.settle(written.is_ok(), &self.shared.audit);
        let bytes = batches.iter().map(Batch::bytes).sum();
        self.shared
            .waiting_bytes
            .fetch_sub(bytes, Ordering::Relaxed);
        self.sessions_lost |= written.is_err() && !changes.is_empty();
        let outcomes = self.note(written).unwrap_or_else(|reason| {
            let failed = || Err(AppendError::Failed(reason.clone()));
            batches.iter().map(|_| failed()).collect()
        });
        let settled = batches.into_iter().zip(outcomes);
        let settled = settled.map(|(batch, outcome)| batch.settled(outcome));
        let settled: Vec<Settled> = settled.collect();
        self.shared
            .batches
            .fetch_add(settled.len() as u64, Ordering::Relaxed);
        if !settled.is_empty() {
            self.listener.settled(settled);
        }
    }

    fn write(
        &mut self,
        batches: &[Batch],
        changes: &[SessionChange],
    ) -> rusqlite::Result<Vec<Outcome>> {
        let connection = &mut self.store.connection;
        let mut transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let append = |batch| append::append(&transaction, &mut self.rings, batch);
        let outcomes = batches.iter().map(append).collect::<Result<_, _>>()?;
        self.rings.count(&transaction)?;
        sessions::write(&transaction, changes)?;
        self.audit.write(&mut transaction, &self.shared.audit);
        transaction.commit()?;
        Ok(outcomes)
    }

    /// Keeps how it went for whoever asks, and says once when that changes. An error comes back in
    /// words.
    fn note<T>(&mut self, done: rusqlite::Result<T>) -> Result<T, String> {
        let done = done.map_err(|error| reason(&error));
        let error = done.as_ref().err().cloned();
        if error.is_some() {
            self.rings.forget();
            self.shared.failures.fetch_add(1, Ordering::Relaxed);
        } else {
            self.shared.commits.fetch_add(1, Ordering::Relaxed);
        }
        let before = std::mem::replace(&mut *self.shared.last_error(), error.clone());
        match (before, error) {
            (None, Some(error)) => log::error!("the store cannot be written: {error}"),
            (Some(_), None) => log::info!("the store is written again"),
            _ => {}
        }
        done
    }

    /// One small step of what need not be done at once. Returns whether there is more.
    fn look_after(&mut self) -> bool {
        if std::mem::take(&mut self.sessions_lost) {
            self.listener.sessions_wanted();
        }
        let now_ms = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default();
        let is_ill = self.shared.last_error().is_some();
        let connection = &mut self.store.connection;
        let step = self.retention.step(connection, now_ms);
        if self.retention.take_removed_rings() {
            self.rings.forget();
        }
        let probed = match (&step, is_ill) {
            // Where nothing is to be tidied up only writing something shows whether that works again.
            (Ok(false), true) => probe(connection).map(|()| false),
            _ => step,
        };
        match probed {
            Ok(more) if !is_ill => more,
            done => self.note(done).unwrap_or(false),
        }
    }

    fn close(&mut self) {
        while self.audit.due().is_some() {
            self.commit(vec![], &[]);
            // After a failure the next attempt is for later, and there is no later.
            if !self.audit.is_due() {
                break;
            }
        }
        self.audit.give_up(&self.shared.audit);
        let closed = file::close(&self.store.connection);
        if let Err(error) = closed {
            log::warn!("the store was not closed in order: {}", reason(&error));
        }
    }
}

fn probe(connection: &Connection) -> rusqlite::Result<()> {
    file::put(connection, "closed", false)
}
