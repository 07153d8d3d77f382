//! The store before its writer starts, wherever it is.

use anyhow::{Context, anyhow};

use super::append::Settled;
use super::error::OpenError;
use super::file::Store;
use super::postgres::Database;
use super::reader::Reader;
use super::recovery::{Recovered, Wanted};
use super::writer::{Listener, Writer};
use crate::config;
use crate::domain::time::Now;

/// A store that nobody else can open for as long as this, or the writer that it becomes, is there.
pub struct Opened {
    place: Place,
    settings: config::Store,
}

enum Place {
    File(Box<Store>),
    Database(Box<Database>),
}

/// Opens the file of the settings, or the database that they name in its place, for a hub that writes
/// alone; makes it where there is none, with a log that begins at `now`. Blocks.
///
/// # Errors
/// It cannot be reached or made, another hub uses it, it is damaged, of a newer version, or ahead of the
/// clock.
pub fn open(settings: &config::Store, now: Now) -> Result<Opened, OpenError> {
    let place = match &settings.url {
        None => Place::File(Box::new(Store::open(settings, now)?)),
        Some(url) => Place::Database(Box::new(Database::open(settings, url, now)?)),
    };
    Ok(Opened {
        place,
        settings: settings.clone(),
    })
}

/// Joins the hubs that share the database at `url`, for one of several that a log joins: the writer keeps
/// its part of the audit trail, and the log itself is the [`postgres::Scribe`]'s, which can be started from
/// now on. Blocks.
///
/// # Errors
/// A hub that writes alone uses it, or it is of a newer version. Where it is away, what is to be written
/// waits.
///
/// [`postgres::Scribe`]: super::postgres::Scribe
pub fn join(settings: &config::Store, url: &str) -> anyhow::Result<(Writer, Reader)> {
    let database = Database::join(settings, url)?;
    let writer = database.start(Nobody)?;
    Ok((writer, Reader::new(settings)?))
}

/// Nothing is settled where nothing is appended.
struct Nobody;

impl Listener for Nobody {
    fn settled(&self, _: Vec<Settled>) {}
    fn sessions_wanted(&self) {}
}

impl Opened {
    /// Reads what the hub needs to go on: the newest messages, the ids of those before, the sessions.
    /// Blocks.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn recover(&mut self, wanted: Wanted) -> anyhow::Result<Recovered> {
        match &mut self.place {
            Place::File(store) => store.recover(wanted).with_context(|| {
                let file = self.settings.file.display();
                format!("the log in {file} cannot be read; put a backup in its place")
            }),
            Place::Database(database) => database
                .recover(wanted)
                .map_err(|reason| anyhow!("the log in the database cannot be read: {reason}")),
        }
    }

    /// Starts what writes it, and the way to ask it.
    ///
    /// # Errors
    /// The system has no more room for a thread.
    pub fn start(self, listener: impl Listener + 'static) -> anyhow::Result<(Writer, Reader)> {
        let reader = Reader::new(&self.settings)?;
        let writer = match self.place {
            Place::File(store) => store.start(listener)?,
            Place::Database(database) => database.start(listener)?,
        };
        Ok((writer, reader))
    }
}
