//! Of several hubs that a log joins, the one that writes it down.
//!
//! The log is elsewhere and every hub reads it. Whoever holds the lease for it takes the database over,
//! goes on from where that says the last one got to, and asks the log for what comes after. How far it got
//! is written in the same transaction as the messages, and only by the one who took over last: one whose
//! lease was over without its knowing writes nothing more, nobody writes an entry twice, and none is left
//! out as long as the log has it.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::timeout;

use super::alerts;
use super::connect::{ANSWERS_WITHIN, Place};
use super::database::add_hole;
use super::guard::{self, Company};
use super::link::{Link, OwnRuntime, Trouble};
use super::retention::Retention;
use super::rows::{Rings, Rows};
use crate::config;
use crate::domain::message::{Message, MessageId};
use crate::store::alerts::AlertWrite;
use crate::store::file::to_sql;
use crate::store::keys::Keyed;

/// Entries in one transaction.
const ENTRIES_MAX: usize = 500;
/// How long it waits for new entries without being told of any.
const LOOKS_EVERY: Duration = Duration::from_millis(500);
/// How long after a failure it is tried again.
const TRIES_EVERY: Duration = Duration::from_secs(1);

/// One entry of the log.
#[derive(Debug, Clone)]
pub struct Entry {
    pub message: Arc<Message>,
    /// When it was published, in milliseconds since the Unix epoch.
    pub wall_ms: u64,
    pub key: Option<Keyed>,
    /// What it means for the alerts. A change of one that is not as the change expects does nothing: the
    /// first in the log counts.
    pub alert: Option<AlertWrite>,
}

/// A piece of the log.
#[derive(Debug, Clone, Default)]
pub struct Entries {
    /// The id of the entry before the first of these. Above the one that was asked for: what is between
    /// is gone from the log.
    pub after: MessageId,
    /// The messages among them, in the order of their ids.
    pub list: Vec<Entry>,
    /// The id of the last of these, be it a message or not. The one that was asked for where there is nothing
    /// new.
    pub to: MessageId,
}

/// The log that hubs share.
pub trait Log: Send + 'static {
    /// What comes after the entry `id`, at most `max` entries; from the beginning of the log where that is
    /// later. The error is for people.
    fn after(&mut self, id: MessageId, max: usize) -> BoxFuture<'_, Result<Entries, String>>;
}

/// How the scribe is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScribeHealth {
    /// Whether it writes; the others wait.
    pub is_writing: bool,
    /// Up to where the database has the log, as far as this hub knows.
    pub written_to: MessageId,
    /// Entries written since the start.
    pub entries: u64,
    /// How often entries were gone from the log before they were written.
    pub gaps: u64,
    /// Why nothing can be written just now; `None` while all is well.
    pub last_error: Option<String>,
}

enum Command {
    Retain(config::Retention),
    RetainAudit(Duration),
    Close(oneshot::Sender<()>),
}

/// The way to the thread that writes. Clones lead to the same.
#[derive(Debug, Clone)]
pub struct Scribe {
    commands: mpsc::UnboundedSender<Command>,
    health: Arc<Mutex<ScribeHealth>>,
    news: Arc<Notify>,
}

impl Scribe {
    /// Starts the thread. It writes to the database at `url` while `has_lease` says so.
    ///
    /// # Errors
    /// The URL is none, or the system has no more room for a thread.
    pub fn start(
        settings: &config::Store,
        url: &str,
        has_lease: watch::Receiver<bool>,
        log: impl Log,
    ) -> anyhow::Result<Self> {
        let place = Place::of(url)?;
        let (commands, received) = mpsc::unbounded_channel();
        let scribe = Self {
            commands,
            health: Arc::default(),
            news: Arc::default(),
        };
        let work = Work {
            link: Link::new(place, Company::Together, None),
            log: Box::new(log),
            rings: Rings::default(),
            retention: Retention::new(settings),
            health: scribe.health.clone(),
            fence: None,
        };
        let news = scribe.news.clone();
        let runtime = OwnRuntime::new()?;
        let named = thread::Builder::new().name("scribe".to_owned());
        named.spawn(move || runtime.run(run(work, has_lease, received, news)))?;
        Ok(scribe)
    }

    /// There are new entries in the log. Without being told it looks twice a second.
    pub fn news(&self) {
        self.news.notify_one();
    }

    pub fn health(&self) -> ScribeHealth {
        let health = self.health.lock();
        health.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How far back the log in the database goes, from now on.
    pub fn retain(&self, retention: config::Retention) {
        let _ = self.commands.send(Command::Retain(retention));
    }

    /// How far back the audit trail goes, from now on. Before this is said nothing of it goes.
    pub fn retain_audit(&self, age: Duration) {
        let _ = self.commands.send(Command::RetainAudit(age));
    }

    /// Ends the thread; what it has not written the next scribe will. Ready when that is done.
    pub async fn close(&self) {
        let (done, closed) = oneshot::channel();
        if self.commands.send(Command::Close(done)).is_ok() {
            let _ = closed.await;
        }
    }
}

async fn run(
    mut work: Work,
    mut has_lease: watch::Receiver<bool>,
    mut commands: mpsc::UnboundedReceiver<Command>,
    news: Arc<Notify>,
) {
    loop {
        let wait = match *has_lease.borrow_and_update() {
            true => work.step().await,
            false => {
                work.rest();
                // Until the lease comes.
                Duration::MAX
            }
        };
        tokio::select! {
            biased;
            command = commands.recv() => match command {
                Some(Command::Retain(retention)) => work.retention.set(retention),
                Some(Command::RetainAudit(age)) => work.retention.set_audit(age),
                Some(Command::Close(done)) => {
                    work.link.close().await;
                    let _ = done.send(());
                    return;
                }
                None => return work.link.close().await,
            },
            // Whoever gave the lease is gone, and with it the lease.
            changed = has_lease.changed() => if changed.is_err() {
                return work.link.close().await;
            },
            () = tokio::time::sleep(wait) => {}
            () = news.notified(), if wait > Duration::ZERO && wait < TRIES_EVERY => {}
        }
    }
}

struct Work {
    link: Link,
    log: Box<dyn Log>,
    rings: Rings,
    retention: Retention,
    health: Arc<Mutex<ScribeHealth>>,
    /// The number to write with; `None`: the database has to be taken over first.
    fence: Option<i64>,
}

impl Work {
    /// Writes a piece. Returns how long to wait before the next.
    async fn step(&mut self) -> Duration {
        let done = self.write().await;
        let error = done.as_ref().err().map(|trouble| trouble.reason());
        let before = {
            let mut health = self.health();
            health.is_writing = error.is_none();
            std::mem::replace(&mut health.last_error, error.clone())
        };
        match (before, &error) {
            (None, Some(error)) => log::error!("the log cannot be written down: {error}"),
            (Some(_), None) => log::info!("the log is written down again"),
            _ => {}
        }
        match done {
            Ok(true) => Duration::ZERO,
            Ok(false) => LOOKS_EVERY,
            Err(_) => {
                // What was written the database knows, and says it when it is taken over again.
                self.fence = None;
                self.rings.forget();
                TRIES_EVERY
            }
        }
    }

    /// The lease is another's.
    fn rest(&mut self) {
        self.fence = None;
        self.rings.forget();
        let mut health = self.health();
        health.is_writing = false;
        health.last_error = None;
    }

    /// Whether there is more to do at once.
    async fn write(&mut self) -> Result<bool, Trouble> {
        let fence = match self.fence {
            Some(fence) => fence,
            None => {
                let take_over =
                    async |connection: &mut PgConnection| Ok(guard::take_over(connection).await?);
                let (fence, last) = self.link.with(take_over).await?;
                self.fence = Some(fence);
                self.health().written_to = last;
                fence
            }
        };
        let position = self.health().written_to;
        let asked = timeout(ANSWERS_WITHIN, self.log.after(position, ENTRIES_MAX)).await;
        let late = || Err("the log does not answer".to_owned());
        let entries = asked.unwrap_or_else(|_| late()).map_err(Trouble::Away)?;
        if entries.to <= position {
            return self.tidy(fence).await;
        }
        let rings = &mut self.rings;
        let write = async |connection: &mut PgConnection| {
            transact(connection, fence, rings, position, &entries).await
        };
        self.link.with(write).await?;
        let mut health = self.health();
        health.written_to = entries.to;
        health.entries += entries.list.len() as u64;
        if position > MessageId::ZERO && entries.after > position {
            health.gaps += 1;
            log::warn!(
                "entries from {position} to {} were gone from the log before they were written down",
                entries.after
            );
        }
        Ok(true)
    }

    async fn tidy(&mut self, fence: i64) -> Result<bool, Trouble> {
        if !self.retention.is_due() {
            return Ok(false);
        }
        let now_ms = u64::try_from(Timestamp::now().as_millisecond()).unwrap_or_default();
        let retention = &mut self.retention;
        let step =
            async |connection: &mut PgConnection| retention.step(connection, fence, now_ms).await;
        let more = self.link.with(step).await?;
        if self.retention.take_removed_rings() {
            self.rings.forget();
        }
        Ok(more)
    }

    fn health(&self) -> std::sync::MutexGuard<'_, ScribeHealth> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn transact(
    connection: &mut PgConnection,
    fence: i64,
    rings: &mut Rings,
    position: MessageId,
    entries: &Entries,
) -> Result<(), Trouble> {
    let mut transaction = connection.begin().await?;
    let entered = guard::enter(&mut transaction, fence, entries.to).await?;
    entered.ok_or(Trouble::Overtaken)?;
    if position == MessageId::ZERO {
        let text = "UPDATE statshub.head SET origin = coalesce(origin, $1)";
        let origin = sqlx::query(text).bind(to_sql(entries.after));
        origin.execute(&mut *transaction).await?;
    } else if entries.after > position {
        add_hole(&mut transaction, (position, entries.after)).await?;
    }
    let mut rows = Rows::default();
    for entry in &entries.list {
        rows.message(&entry.message, entry.wall_ms);
        if let Some(keyed) = entry.key {
            rows.key(entry.message.id, keyed);
        }
        if let Some(AlertWrite::New(severity)) = entry.alert {
            rows.alert(&entry.message, severity);
        }
    }
    rows.add(&mut transaction, rings).await?;
    // Behind them: what changes may be new too.
    for entry in &entries.list {
        if let Some(AlertWrite::Change(change)) = &entry.alert {
            alerts::change(&mut transaction, change).await?;
        }
    }
    transaction.commit().await?;
    Ok(())
}
