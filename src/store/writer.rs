//! The thread that writes: whatever has come while it wrote is its next transaction.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::append::{Batch, Outcome, Settled};
use super::audit::{AuditRecord, Waiting};
use super::error::AppendError;
use super::health::{Health, Shared};
use super::ledger::{Failure, Group, Ledger};
use super::sessions::SessionChange;
use crate::config;
use crate::trace::spans;

/// Batches in one transaction, so that the first of them need not wait for ever.
const GROUP_MAX: usize = 1024;
/// And bytes, so that a database is done with them in time.
const GROUP_BYTES_MAX: usize = 8 << 20;
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
    Pulse(oneshot::Sender<()>),
    Close(oneshot::Sender<()>),
}

/// What the writer tells, from its own thread.
pub trait Listener: Send {
    /// In the order in which the batches came.
    fn settled(&self, batches: Vec<Settled>);
    /// Changes of sessions were lost to a failure: all of them are wanted anew.
    fn sessions_wanted(&self);
}

/// The way to the thread. Clones lead to the same.
#[derive(Debug, Clone)]
pub struct Writer {
    commands: Sender<Command>,
    shared: Arc<Shared>,
}

impl Writer {
    /// Starts the thread, which writes into `ledger`.
    ///
    /// # Errors
    /// The system has no more room for one.
    pub(super) fn start(
        ledger: impl Ledger + 'static,
        listener: impl Listener + 'static,
    ) -> std::io::Result<Self> {
        let (commands, received) = mpsc::channel();
        let shared = Arc::<Shared>::default();
        let thread = Thread {
            ledger: Box::new(ledger),
            listener: Box::new(listener),
            shared: shared.clone(),
            sessions_lost: false,
            audit: Waiting::default(),
            doubt: None,
        };
        let named = thread::Builder::new().name("store".to_owned());
        named.spawn(move || thread.run(&received))?;
        Ok(Self { commands, shared })
    }
}

impl Writer {
    /// Hands a batch over; its answer comes through [`Listener::settled`].
    ///
    /// # Errors
    /// Too much waits already, or the thread is gone: the batch comes back.
    pub fn append(&self, mut batch: Batch) -> Result<(), Box<(Batch, AppendError)>> {
        if self.shared.waiting_bytes.load(Ordering::Relaxed) > WAITING_BYTES_MAX {
            self.shared.lacks_copies(std::slice::from_ref(&batch));
            let text = "more waits for the disk than may";
            return Err(Box::new((batch, AppendError::Failed(text.to_owned()))));
        }
        batch.answer.writing = spans::write(&batch.answer.trace, batch.messages.len());
        let bytes = batch.bytes();
        self.shared
            .waiting_bytes
            .fetch_add(bytes, Ordering::Relaxed);
        self.commands
            .send(Command::Append(batch))
            .map_err(|mpsc::SendError(command)| match command {
                Command::Append(batch) => {
                    let text = "the hub is stopping";
                    Box::new((batch, AppendError::Failed(text.to_owned())))
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
        self.shared.health()
    }

    /// Ready once everything that was handed over before is written, or was refused, however long that takes;
    /// where nothing was, something is written for it. False when the thread is gone.
    pub async fn pulse(&self) -> bool {
        let (pulse, is_back) = oneshot::channel();
        self.commands.send(Command::Pulse(pulse)).is_ok() && is_back.await.is_ok()
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
    ledger: Box<dyn Ledger>,
    listener: Box<dyn Listener>,
    shared: Arc<Shared>,
    /// Changes of sessions were in a transaction that failed.
    sessions_lost: bool,
    audit: Waiting,
    /// Before it is over nothing else is written, or messages would overtake each other.
    doubt: Option<Doubt>,
}

/// A transaction of which nobody knows whether it is there.
struct Doubt {
    batches: Vec<Batch>,
    /// If it is.
    outcomes: Vec<Outcome>,
    had_changes: bool,
}

impl Thread {
    fn run(mut self, commands: &Receiver<Command>) {
        let mut look_at = Instant::now() + LOOKS_EVERY;
        loop {
            let due = self.audit.due().filter(|_| self.doubt.is_none());
            let wake_at = due.map_or(look_at, |due| due.min(look_at));
            let wait = wake_at.saturating_duration_since(Instant::now());
            let mut closing = None;
            match commands.recv_timeout(wait) {
                Ok(first) => closing = self.take(first, commands),
                Err(RecvTimeoutError::Timeout) if self.audit_is_due() => self.commit(vec![], &[]),
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
                look_at = Instant::now()
                    + match more {
                        true => TIDIES_EVERY,
                        false if self.doubt.is_some() => LOOKS_EVERY / 4,
                        false => LOOKS_EVERY,
                    };
            }
        }
    }

    fn audit_is_due(&self) -> bool {
        self.doubt.is_none() && self.audit.is_due()
    }

    /// Writes `first` and what has come behind it. Returns who is to be told when all is closed.
    fn take(
        &mut self,
        first: Command,
        commands: &Receiver<Command>,
    ) -> Option<oneshot::Sender<()>> {
        let (mut batches, mut bytes) = (Vec::new(), 0);
        let (mut changes, mut pulses) = (Vec::new(), Vec::new());
        let mut closing = None;
        for command in std::iter::once(first).chain(commands.try_iter()) {
            match command {
                Command::Append(batch) => {
                    bytes += batch.bytes();
                    batches.push(batch);
                }
                Command::Sessions(more) => changes.extend(more),
                Command::Audit(records) => self.audit.add(records),
                Command::RetainAudit(age) => self.ledger.retain_audit(age),
                Command::Retain(retention) => self.ledger.retain(retention),
                Command::Pulse(pulse) => pulses.push(pulse),
                Command::Close(done) => closing = Some(done),
            }
            if batches.len() >= GROUP_MAX || bytes >= GROUP_BYTES_MAX || closing.is_some() {
                break;
            }
        }
        if !batches.is_empty() || !changes.is_empty() {
            self.commit(batches, &changes);
        } else if !pulses.is_empty() {
            self.probe();
        }
        for pulse in pulses {
            let _ = pulse.send(());
        }
        // What was not taken along, and must not wait for a moment when nobody publishes.
        if self.audit_is_due() {
            self.commit(vec![], &[]);
        }
        closing
    }

    /// Whether something can be written, when nothing is to be.
    fn probe(&mut self) {
        // While one is in doubt there is no other transaction.
        if self.doubt.is_none()
            && let Err(reason) = self.ledger.probe()
        {
            let _ = self.shared.note(Err(reason));
        }
    }

    fn commit(&mut self, batches: Vec<Batch>, changes: &[SessionChange]) {
        if let Err(reason) = self.clear_up() {
            self.sessions_lost |= !changes.is_empty();
            return self.refuse(batches, &reason);
        }
        let lacks = self.shared.lacks();
        let written = self.ledger.write(Group {
            lacks,
            batches: &batches,
            changes,
            audit: &mut self.audit,
            trail: &self.shared.audit,
        });
        match written {
            Ok(outcomes) => {
                self.audit.settle(true, &self.shared.audit);
                let _ = self.shared.note(Ok(()));
                if let Some(lacks) = lacks {
                    self.shared.lack_is_written(lacks);
                }
                self.settle(batches, outcomes);
            }
            Err(Failure::Failed(reason)) => {
                self.audit.settle(false, &self.shared.audit);
                self.sessions_lost |= !changes.is_empty();
                let _ = self.shared.note(Err(reason.clone()));
                self.refuse(batches, &reason);
            }
            Err(Failure::InDoubt { reason, outcomes }) => {
                let _ = self.shared.note(Err(reason));
                let had_changes = !changes.is_empty();
                self.doubt = Some(Doubt {
                    batches,
                    outcomes,
                    had_changes,
                });
            }
        }
    }

    /// Finds out what became of a transaction in doubt.
    fn clear_up(&mut self) -> Result<(), String> {
        if self.doubt.is_none() {
            return Ok(());
        }
        let was_committed = self.ledger.was_committed();
        let is_there = *was_committed.as_ref().unwrap_or(&false);
        self.shared.note(was_committed.map(|_| ()))?;
        self.audit.settle(is_there, &self.shared.audit);
        if let Some(doubt) = self.doubt.take() {
            match is_there {
                true => self.settle(doubt.batches, doubt.outcomes),
                false => {
                    self.sessions_lost |= doubt.had_changes;
                    self.refuse(doubt.batches, "the connection broke before it was written");
                }
            }
        }
        Ok(())
    }

    fn refuse(&mut self, batches: Vec<Batch>, reason: &str) {
        self.shared.lacks_copies(&batches);
        let failed = |_: &Batch| Err(AppendError::Failed(reason.to_owned()));
        let outcomes = batches.iter().map(failed).collect();
        self.settle(batches, outcomes);
    }

    fn settle(&mut self, batches: Vec<Batch>, outcomes: Vec<Outcome>) {
        let bytes = batches.iter().map(Batch::bytes).sum();
        let shared = &self.shared;
        shared.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
        shared
            .batches
            .fetch_add(batches.len() as u64, Ordering::Relaxed);
        let group = batches.len();
        let settled = batches.into_iter().zip(outcomes);
        let settled: Vec<Settled> = settled
            .map(|(mut batch, outcome)| {
                let mut writing = std::mem::take(&mut batch.answer.writing);
                spans::written(&mut writing, group, &outcome);
                batch.settled(outcome)
            })
            .collect();
        if !settled.is_empty() {
            self.listener.settled(settled);
        }
    }

    /// One small step of what need not be done at once. Returns whether there is more.
    fn look_after(&mut self) -> bool {
        if self.clear_up().is_err() {
            return false;
        }
        if std::mem::take(&mut self.sessions_lost) {
            self.listener.sessions_wanted();
        }
        let now_ms = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default();
        let is_ill = self.shared.last_error().is_some();
        let step = match self.ledger.tidy(now_ms) {
            // Where nothing is to be tidied up only writing something shows whether that works again.
            Ok(false) if is_ill => self.ledger.probe().map(|()| false),
            step => step,
        };
        let more = *step.as_ref().unwrap_or(&false);
        if is_ill || step.is_err() {
            // What went wrong is in the log and in the health.
            let _ = self.shared.note(step.map(|_| ()));
        }
        more
    }

    fn close(&mut self) {
        let _ = self.clear_up();
        while self.audit.due().is_some() {
            self.commit(vec![], &[]);
            // After a failure the next attempt is for later, and there is no later.
            if !self.audit_is_due() {
                break;
            }
        }
        self.audit.give_up(&self.shared.audit);
        if let Err(reason) = self.ledger.close() {
            log::warn!("the store was not closed in order: {reason}");
        }
        if let Some(doubt) = self.doubt.take() {
            self.refuse(doubt.batches, "the hub is stopping");
        }
    }
}
