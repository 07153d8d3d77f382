//! The open database, before its writer starts.

use sqlx::postgres::PgConnection;
use tokio::time::timeout;

use super::connect::{Place, in_time, reason};
use super::guard::{self, Company};
use super::ledger::DatabaseLedger;
use super::link::{Link, OwnRuntime, aside};
use super::{recovery, schema};
use crate::config;
use crate::domain::message::MessageId;
use crate::domain::time::Now;
use crate::store::error::OpenError;
use crate::store::file::{AHEAD_MAX_MS, id_of, to_sql};
use crate::store::holes::HOLES_MAX;
use crate::store::recovery::{Recovered, Wanted};
use crate::store::writer::{Listener, Writer};

/// How long making the tables may take, which several hubs wait for that start at once.
const TABLES_WITHIN: std::time::Duration = std::time::Duration::from_secs(30);

/// Holds the lock of its company for as long as it, or the writer that it becomes, lives.
pub struct Database {
    place: Place,
    /// `None`: the database was away, which is no reason for one of several hubs not to start.
    connection: Option<PgConnection>,
    runtime: OwnRuntime,
    settings: config::Store,
    company: Company,
    fence: i64,
    begin: Bounds,
}

/// Where the log begins and ends.
#[derive(Debug, Clone, Default)]
struct Bounds {
    origin: MessageId,
    last: MessageId,
    holes: Vec<(MessageId, MessageId)>,
}

impl Database {
    /// For a hub that writes alone, with a log that begins at `now` where there is none. Blocks.
    ///
    /// # Errors
    /// The database at `url` cannot be reached or written, another hub uses it, it is of a newer version,
    /// or ahead of the clock.
    pub fn open(settings: &config::Store, url: &str, now: Now) -> Result<Self, OpenError> {
        aside(|| Self::opened(settings, url, Company::Alone, Some(now)))
    }

    /// For a hub of several: the writer that it becomes keeps the audit trail only, and the log is the
    /// scribe's. Blocks.
    ///
    /// # Errors
    /// The database is used by a hub that writes alone, or is of a newer version. Where it is away, what is
    /// to be written waits.
    pub fn join(settings: &config::Store, url: &str) -> Result<Self, OpenError> {
        aside(|| Self::opened(settings, url, Company::Together, None))
    }

    fn opened(
        settings: &config::Store,
        url: &str,
        company: Company,
        begins: Option<Now>,
    ) -> Result<Self, OpenError> {
        let place = Place::of(url)?;
        let runtime = OwnRuntime::new().map_err(|error| place.unusable(error.to_string()))?;
        let opening = async {
            let mut connection = match (place.connect().await, company) {
                (Ok(connection), _) => connection,
                (Err(error), Company::Together) => {
                    let (database, reason) = (place.name(), reason(&error));
                    log::warn!("starting without {database}: {reason}");
                    return Ok((None, 0, Bounds::default()));
                }
                (Err(error), Company::Alone) => return Err(place.unusable(reason(&error))),
            };
            let is_locked = guard::lock_soon(&mut connection, company).await;
            let is_locked = is_locked.map_err(|error| place.unusable(reason(&error)))?;
            if !is_locked {
                return Err(place.unusable(guard::TAKEN));
            }
            patiently(&mut connection, &place).await?;
            let (fence, begin) = match begins {
                Some(now) => begin(&mut connection, &place, now).await?,
                None => (0, Bounds::default()),
            };
            Ok((Some(connection), fence, begin))
        };
        let (connection, fence, begin) = runtime.run(opening)?;
        Ok(Self {
            place,
            connection,
            runtime,
            settings: settings.clone(),
            company,
            fence,
            begin,
        })
    }

    /// Reads what a hub that writes alone needs to go on. Blocks.
    ///
    /// # Errors
    /// The database cannot be read; the reason, in words.
    pub fn recover(&mut self, wanted: Wanted) -> Result<Recovered, String> {
        let begin = self.begin.clone();
        let away = || "there is no connection".to_owned();
        let reading = recovery::read(self.connection.as_mut().ok_or_else(away)?, wanted);
        let runtime = &self.runtime;
        let (rings, sessions) =
            aside(move || runtime.run(reading)).map_err(|error| reason(&error))?;
        Ok(Recovered {
            origin: begin.origin,
            last: begin.last,
            holes: begin.holes,
            rings,
            sessions,
        })
    }

    /// Starts the thread that writes it.
    ///
    /// # Errors
    /// The system has no more room for one.
    pub fn start(self, listener: impl Listener + 'static) -> std::io::Result<Writer> {
        let link = Link::new(self.place, self.company, self.connection);
        let ledger =
            DatabaseLedger::new(self.runtime, link, self.company, self.fence, &self.settings);
        Writer::start(ledger, listener)
    }
}

/// Hubs that start at once wait for the one that makes the tables, for longer than a query may.
async fn patiently(connection: &mut PgConnection, place: &Place) -> Result<(), OpenError> {
    let failed = |error: sqlx::Error| place.unusable(reason(&error));
    let patience = "SET statement_timeout = 0; SET lock_timeout = 0";
    sqlx::raw_sql(patience)
        .execute(&mut *connection)
        .await
        .map_err(failed)?;
    let made = timeout(TABLES_WITHIN, schema::forward(connection, place)).await;
    made.map_err(|_| place.unusable("its tables could not be made in time"))??;
    let as_ever = "SET statement_timeout = 3500; SET lock_timeout = 3000";
    sqlx::raw_sql(as_ever)
        .execute(connection)
        .await
        .map_err(failed)?;
    Ok(())
}

/// Takes the log over.
///
/// Whoever was killed may have given ids that are not here, and whoever restored the database from a dump
/// does not say so: what lies between the newest message and now is nothing that this log has.
async fn begin(
    connection: &mut PgConnection,
    place: &Place,
    now: Now,
) -> Result<(i64, Bounds), OpenError> {
    let failed = |error: sqlx::Error| place.unusable(reason(&error));
    let text = "SELECT origin, greatest(last, (SELECT max(id) FROM statshub.message)) \
                FROM statshub.head";
    let found: (Option<i64>, i64) = sqlx::query_as(text)
        .fetch_one(&mut *connection)
        .await
        .map_err(failed)?;
    let begin = MessageId::new(now.wall_ms, 0).unwrap_or_default();
    let last = id_of(found.1);
    let ahead = last.millis().saturating_sub(now.wall_ms);
    if ahead > AHEAD_MAX_MS {
        return Err(OpenError::Ahead {
            place: place.name(),
            hours: ahead / (3600 * 1000),
        });
    }
    let taking = take_over(connection, found.0.map(id_of), last, begin.max(last.next()));
    let within = std::time::Duration::from_secs(4);
    in_time(within, taking).await.map_err(failed)
}

async fn take_over(
    connection: &mut PgConnection,
    origin: Option<MessageId>,
    last: MessageId,
    begin: MessageId,
) -> sqlx::Result<(i64, Bounds)> {
    use sqlx::Connection;
    let mut transaction = connection.begin().await?;
    let (fence, _) = guard::take_over(&mut transaction).await?;
    let text = "UPDATE statshub.head SET last = $1, origin = coalesce(origin, $1)";
    let set = sqlx::query(text).bind(to_sql(begin));
    set.execute(&mut *transaction).await?;
    if origin.is_some() {
        add_hole(&mut transaction, (last, begin)).await?;
    }
    let text = "SELECT after, before FROM statshub.hole ORDER BY after";
    let holes: Vec<(i64, i64)> = sqlx::query_as(text).fetch_all(&mut *transaction).await?;
    let origin = sqlx::query_scalar("SELECT origin FROM statshub.head");
    let origin: i64 = origin.fetch_one(&mut *transaction).await?;
    transaction.commit().await?;
    let hole = |(after, before)| (id_of(after), id_of(before));
    let bounds = Bounds {
        origin: id_of(origin),
        last: begin,
        holes: holes.into_iter().map(hole).collect(),
    };
    Ok((fence, bounds))
}

/// Positions after the first and before the second are of nothing that this log has. Where there are too
/// many holes, what came before the end of the oldest is given up.
pub(super) async fn add_hole(
    connection: &mut PgConnection,
    hole: (MessageId, MessageId),
) -> sqlx::Result<()> {
    let text = "INSERT INTO statshub.hole (after, before) VALUES ($1, $2) \
                ON CONFLICT (after) DO UPDATE SET before = excluded.before";
    let add = sqlx::query(text).bind(to_sql(hole.0)).bind(to_sql(hole.1));
    add.execute(&mut *connection).await?;
    let text = "WITH gone AS ( \
                    DELETE FROM statshub.hole WHERE after IN ( \
                        SELECT after FROM statshub.hole ORDER BY after DESC OFFSET $1) \
                    RETURNING before \
                ) \
                UPDATE statshub.head SET origin = greatest(origin, (SELECT max(before) FROM gone)) \
                WHERE EXISTS (SELECT 1 FROM gone)";
    let limit = sqlx::query(text).bind(i64::try_from(HOLES_MAX).unwrap_or(i64::MAX));
    limit.execute(connection).await?;
    Ok(())
}
