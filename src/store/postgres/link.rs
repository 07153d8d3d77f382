//! One connection that is made anew when it breaks, with its lock, and the thread's own runtime for it.

use std::io;
use std::time::Duration;

use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, timeout};

use super::connect::{ANSWERS_WITHIN, Place, in_time, reason};
use super::guard::{self, Company, OVERTAKEN, TAKEN};
use super::schema;

/// How long after a failure no connection is tried, so that whoever waits is told at once.
const TRIES_EVERY: Duration = Duration::from_secs(1);
/// How long the answer may take whether somebody else has the lock.
const LOCKS_WITHIN: Duration = Duration::from_secs(1);
/// How long an orderly goodbye may take.
const CLOSES_WITHIN: Duration = Duration::from_millis(200);

/// Why something was not done in the database.
#[derive(Debug)]
pub(super) enum Trouble {
    Sql(sqlx::Error),
    /// There is no connection; the reason, in words.
    Away(String),
    /// Another hub writes.
    Overtaken,
}

impl From<sqlx::Error> for Trouble {
    fn from(error: sqlx::Error) -> Self {
        Self::Sql(error)
    }
}

impl Trouble {
    /// In words.
    pub fn reason(&self) -> String {
        match self {
            Self::Sql(error) => reason(error),
            Self::Away(reason) => reason.clone(),
            Self::Overtaken => OVERTAKEN.to_owned(),
        }
    }

    /// Whether the database itself said so, over a connection that goes on. Of anything else nobody knows
    /// how much of it was done.
    pub fn is_certain(&self) -> bool {
        match self {
            Self::Sql(sqlx::Error::Database(told)) => {
                let code = told.code().unwrap_or_default();
                !code.starts_with("57P") && !code.starts_with("08")
            }
            Self::Sql(_) => false,
            Self::Away(_) | Self::Overtaken => true,
        }
    }
}

/// A connection of a writer.
pub(super) struct Link {
    place: Place,
    company: Company,
    connection: Option<PgConnection>,
    /// When the last attempt failed, and why.
    failed: Option<(Instant, String)>,
}

impl Link {
    /// `connection` has the lock of `company`.
    pub fn new(place: Place, company: Company, connection: Option<PgConnection>) -> Self {
        Self {
            place,
            company,
            connection,
            failed: None,
        }
    }

    /// Does something within the time that whoever waits has. A connection that may be broken is given up.
    pub async fn with<T>(
        &mut self,
        act: impl AsyncFnOnce(&mut PgConnection) -> Result<T, Trouble>,
    ) -> Result<T, Trouble> {
        let late = || Trouble::Sql(sqlx::Error::Io(io::ErrorKind::TimedOut.into()));
        let acting = async { act(self.connected().await?).await };
        let done = timeout(ANSWERS_WITHIN, acting).await;
        let done = done.unwrap_or_else(|_| Err(late()));
        if done.as_ref().is_err_and(|trouble| !trouble.is_certain()) {
            self.connection = None;
        }
        done
    }

    async fn connected(&mut self) -> Result<&mut PgConnection, Trouble> {
        if self.connection.is_none() {
            if let Some((at, reason)) = &self.failed
                && at.elapsed() < TRIES_EVERY
            {
                return Err(Trouble::Away(reason.clone()));
            }
            match self.connect().await {
                Ok(connection) => self.connection = Some(connection),
                Err(reason) => {
                    self.failed = Some((Instant::now(), reason.clone()));
                    return Err(Trouble::Away(reason));
                }
            }
        }
        let gone = || Trouble::Away("there is no connection".to_owned());
        self.connection.as_mut().ok_or_else(gone)
    }

    async fn connect(&self) -> Result<PgConnection, String> {
        let failed = |error: sqlx::Error| reason(&error);
        let mut connection = self.place.connect().await.map_err(failed)?;
        let locked = guard::lock(&mut connection, self.company);
        if !in_time(LOCKS_WITHIN, locked).await.map_err(failed)? {
            return Err(TAKEN.to_owned());
        }
        if self.company == Company::Together {
            // The database may have been away when the hub started.
            let forward = schema::forward(&mut connection, &self.place);
            forward.await.map_err(|error| error.to_string())?;
        }
        Ok(connection)
    }

    pub async fn close(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Whatever it says: the connection is over.
            let _ = timeout(CLOSES_WITHIN, connection.close()).await;
        }
    }
}

/// A runtime of one thread's own. Never run where another runtime is at work.
pub(super) struct OwnRuntime(Option<Runtime>);

impl OwnRuntime {
    /// # Errors
    /// The system has no more room for one.
    pub fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self(Some(runtime)))
    }

    pub fn run<T>(&self, future: impl Future<Output = T>) -> T {
        match &self.0 {
            Some(runtime) => runtime.block_on(future),
            None => unreachable!("it is there until it is dropped"),
        }
    }
}

impl Drop for OwnRuntime {
    /// Without waiting, which is not allowed where another runtime is at work.
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

/// Does something on a thread of its own and waits for it: for starts and commands, whose own thread has a
/// runtime already.
pub(super) fn aside<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    let done = std::thread::scope(|scope| scope.spawn(act).join());
    done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}
