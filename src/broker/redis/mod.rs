//! The log that several hubs share: one Redis stream, read by all of them in its order.
//!
//! What keeps it honest: entries form a chain, so that a hub sees at once when something is missing; the log
//! has an epoch, which changes when it may have lost something; and every connection begins by joining, where
//! that is decided (`lua/join.lua`). See `docs/cluster.md`.

mod entry;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod keys;
mod leases;
mod link;
mod publisher;
mod reader;
mod scripts;
mod server;
mod sessions;
mod status;
mod talk;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use redis::RedisError;
use tokio::sync::{mpsc, oneshot, watch};
use uuid::Uuid;

pub use entry::{Control, Entry, Logged};
pub use leases::Lease;
pub use publisher::{AlertNote, Append, Appended, Held, NotAppended};
pub use sessions::{Open, Opened, Opening, SessionWrite, TakenOver, What};
pub use status::Health;
pub use talk::{Remembered, Spent};

use crate::config;
use crate::domain::message::{Message, MessageId};
use crate::domain::time::Now;
use keys::Keys;
use leases::Leases;
use link::{Link, Session};
use publisher::Wanted;
use reader::Position;
use scripts::Scripts;
use server::Servers;
use status::Status;

/// Batches that may wait to be appended. Above it publishers wait.
const WAITING_MAX: usize = 4096;

/// What a hub says about itself; it is told up to which id it has read.
pub type About = Box<dyn Fn(MessageId) -> String + Send + Sync>;

/// What comes out of the log, in its order.
#[derive(Debug)]
pub enum Event {
    /// The log is another one from here on: nothing before `origin` can be told. What follows is the past,
    /// until [`Event::Current`].
    Anew {
        origin: MessageId,
    },
    /// Newest values of metrics, of before what the log still has.
    Values(Vec<Arc<Message>>),
    Entries(Vec<Entry>),
    /// All that was in the log has been said: what follows is new. Said again after each loss of connection.
    Current,
}

/// Redis is not there, or does not do what it is asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Away(pub String);

/// The way to the shared log. Clones lead to the same.
#[derive(Clone)]
pub struct Redis {
    inner: Arc<Inner>,
}

struct Inner {
    node: String,
    keys: Arc<Keys>,
    scripts: Arc<Scripts>,
    session: watch::Receiver<Option<Arc<Session>>>,
    wanted: mpsc::Sender<Wanted>,
    status: Arc<Status>,
    leases: Arc<Leases>,
    /// Above it nothing but alerts is taken: what this hub has not read must not go out of the log.
    behind_max: u64,
}

/// How a hub takes part.
pub struct Part {
    /// For how long publishers' keys are remembered.
    pub key_ttl: Duration,
    /// The newest entry that the hub has; `None`: it has nothing.
    pub last: Option<MessageId>,
    /// The newest message that is known from elsewhere: what comes next is above it, also in a log that is new.
    pub seen: Option<MessageId>,
    pub about: About,
    pub clock: Box<dyn Fn() -> Now + Send + Sync>,
    /// Where the log goes.
    pub events: mpsc::Sender<Event>,
}

impl Redis {
    /// The way to the log, and what keeps it up, which is to be run for as long as the hub lives.
    ///
    /// # Errors
    /// The file with certificates cannot be read. That Redis is away is no error.
    pub fn new(
        settings: &config::Redis,
        url: &config::RedisUrl,
        part: Part,
    ) -> io::Result<(Self, impl Future<Output = ()> + Send + 'static)> {
        let keys = Arc::new(Keys::new(&settings.prefix));
        let scripts = Arc::new(Scripts::new());
        let (status, leases) = (Arc::<Status>::default(), Arc::<Leases>::default());
        let (sessions, session) = watch::channel(None);
        let (sender, wanted) = mpsc::channel(WAITING_MAX);
        let node = Uuid::new_v4().simple().to_string();
        let link = Link {
            servers: Servers::new(settings, url, keys.clone())?,
            keys: keys.clone(),
            scripts: scripts.clone(),
            settings: settings.clone(),
            key_ttl: part.key_ttl,
            node: node.clone(),
            about: part.about,
            clock: part.clock,
            events: part.events,
            wanted,
            session: sessions,
            status: status.clone(),
            leases: leases.clone(),
            position: Position::new(part.last, part.seen),
            epoch: None,
            acknowledged: None,
        };
        let inner = Inner {
            node,
            keys,
            scripts,
            session,
            wanted: sender,
            status,
            leases,
            behind_max: settings.log_messages_max / 2,
        };
        let redis = Self {
            inner: Arc::new(inner),
        };
        Ok((redis, link.run()))
    }

    /// The name of this hub among the others.
    pub fn node(&self) -> &str {
        &self.inner.node
    }

    pub fn health(&self) -> Health {
        self.inner.status.health()
    }

    /// Whether there is a connection.
    pub fn is_there(&self) -> bool {
        self.inner.session.borrow().is_some()
    }

    /// Hands a batch over to be appended. The ids come when it is in the log.
    pub fn append(&self, append: Append) -> oneshot::Receiver<Appended> {
        let (answer, appended) = oneshot::channel();
        let behind = self.inner.status.behind();
        if behind > self.inner.behind_max && append.alert.is_none() {
            let reason = format!("this hub has yet to read {behind} messages of the log");
            Wanted { append, answer }.refuse(&reason);
            return appended;
        }
        if let Err(error) = self.inner.wanted.try_send(Wanted { append, answer }) {
            error.into_inner().refuse("more waits for Redis than may");
        }
        appended
    }

    /// From now on these sources are to be read, by this hub or another.
    pub fn want_sources(&self, sources: Vec<String>) {
        self.inner.leases.want(sources);
    }

    /// From now on the results of these metrics are to be told by one of the hubs each.
    pub fn want_results(&self, metrics: Vec<String>) {
        self.inner.leases.want_results(metrics);
    }

    /// From now on this is to be done by one of the hubs; the name is none of a source.
    pub fn want(&self, what: &str) {
        self.inner.leases.want_always(what);
    }

    /// The right to read a source, where this hub has it at this moment.
    pub fn lease(&self, source: &str) -> Option<Lease> {
        self.inner.leases.held(source)
    }

    fn session(&self) -> Result<Arc<Session>, Away> {
        let session = self.inner.session.borrow().clone();
        session.ok_or_else(|| {
            let health = self.health();
            Away(health.ails().unwrap_or_default().to_owned())
        })
    }

    /// What has failed ends the session, unless Redis only refuses for the moment.
    fn failed(session: &Session, error: &RedisError) -> Away {
        if !publisher::is_passing(error) {
            session.fail();
        }
        Away(publisher::said(error))
    }
}
