//! Asking the database: a few connections that only read, on a thread of their own, so that what takes
//! long to decode holds up no stream.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use super::alerts;
use super::connect::{ANSWERS_WITHIN, Place, in_time, unread};
use super::ledger::{Known, known_keys};
use super::trail;
use crate::domain::message::{MessageId, UserId};
use crate::domain::pattern::{MetricName, Pattern};
use crate::store::alerts::{Alert, AlertFilter};
use crate::store::chain::Kept;
use crate::store::error::ReadError;
use crate::store::file::id_of;
use crate::store::keys::Key;
use crate::store::walk::{Order, PAGE_BYTES_MAX, Ring, Row, Walk};

/// Reads at once.
const READS_MAX: usize = 4;
/// How long one waits for its turn, and how long a connection that was idle may take to say that it lives.
const PATIENCE: Duration = Duration::from_secs(1);

/// Clones share connections.
#[derive(Debug, Clone)]
pub(in crate::store) struct DatabaseReader {
    place: Arc<Place>,
    idle: Arc<Mutex<Vec<PgConnection>>>,
    turns: Arc<Semaphore>,
    driver: Arc<Driver>,
}

/// The thread's runtime, which ends with it.
#[derive(Debug)]
struct Driver {
    handle: Handle,
    _stop: oneshot::Sender<()>,
}

impl Driver {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let named = thread::Builder::new().name("store-reads".to_owned());
        named.spawn(move || runtime.block_on(stopped))?;
        Ok(Self {
            handle,
            _stop: stop,
        })
    }
}

impl DatabaseReader {
    /// Connects to nothing yet.
    ///
    /// # Errors
    /// The URL is none, or the system has no more room for a thread.
    pub fn new(url: &str) -> anyhow::Result<Self> {
        Ok(Self {
            place: Arc::new(Place::of(url)?),
            idle: Arc::default(),
            turns: Arc::new(Semaphore::new(READS_MAX)),
            driver: Arc::new(Driver::start()?),
        })
    }

    pub async fn rings(
        &self,
        patterns: Vec<Pattern>,
        user: UserId,
    ) -> Result<Vec<Arc<Ring>>, ReadError> {
        self.read(move |connection| {
            Box::pin(async move { rings(connection, &patterns, &user).await })
        })
        .await
    }

    pub async fn newest(&self) -> Result<MessageId, ReadError> {
        self.read(|connection| {
            Box::pin(async move {
                let newest = sqlx::query_scalar("SELECT max(id) FROM statshub.message");
                let newest: Option<i64> = newest.fetch_one(connection).await?;
                Ok(newest.map(id_of).unwrap_or_default())
            })
        })
        .await
    }

    pub async fn page(
        &self,
        mut walk: Walk,
        rows_max: usize,
    ) -> Result<(Walk, Vec<Row>), ReadError> {
        self.read(move |connection| {
            Box::pin(async move {
                walk.look_for(rows_max);
                loop {
                    let rows = page(connection, &mut walk, rows_max).await?;
                    // All of them may have gone meanwhile, by age.
                    if !rows.is_empty() || walk.is_at_end() {
                        return Ok((walk, rows));
                    }
                }
            })
        })
        .await
    }

    pub async fn alerts(&self, filter: AlertFilter, limit: usize) -> Result<Vec<Alert>, ReadError> {
        self.read(move |connection| Box::pin(alerts::page(connection, filter, limit)))
            .await
    }

    pub async fn alert(&self, id: MessageId) -> Result<Option<Alert>, ReadError> {
        self.read(move |connection| Box::pin(alerts::one(connection, id)))
            .await
    }

    pub async fn audit(&self, id: i64, max: usize) -> Result<Vec<Kept>, ReadError> {
        self.read(move |connection| Box::pin(trail::before(connection, id, max)))
            .await
    }

    pub async fn known(&self, keys: Vec<Key>) -> Result<Known, ReadError> {
        self.read(move |connection| Box::pin(async move { known_keys(connection, &keys).await }))
            .await
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<T>>
        + Send
        + 'static,
    ) -> Result<T, ReadError> {
        let turn = timeout(PATIENCE, self.turns.clone().acquire_owned()).await;
        let turn = turn.ok().and_then(Result::ok).ok_or(ReadError::Busy)?;
        let reader = self.clone();
        let done = self.driver.handle.spawn(async move {
            // Also when nobody waits for the answer any more: the connection is busy until here.
            let _turn = turn;
            let done = in_time(ANSWERS_WITHIN, reader.with_connection(read)).await;
            done.map_err(|error| unread(&error))
        });
        let done = done.await;
        done.map_err(|error| ReadError::Failed(error.to_string()))?
    }

    async fn with_connection<T>(
        &self,
        read: impl for<'c> FnOnce(&'c mut PgConnection) -> BoxFuture<'c, sqlx::Result<T>>,
    ) -> sqlx::Result<T> {
        let mut connection = match self.take_idle().await {
            Some(connection) => connection,
            None => self.place.connect().await?,
        };
        let found = read(&mut connection).await?;
        self.idle().push(connection);
        Ok(found)
    }

    /// One that still lives; the others are given up.
    async fn take_idle(&self) -> Option<PgConnection> {
        loop {
            let mut connection = self.idle().pop()?;
            if in_time(PATIENCE, connection.ping()).await.is_ok() {
                return Some(connection);
            }
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<PgConnection>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those of metrics that a pattern names, as far as `user` may see them; each once.
async fn rings(
    connection: &mut PgConnection,
    patterns: &[Pattern],
    user: &UserId,
) -> sqlx::Result<Vec<Arc<Ring>>> {
    // A metric to all has no owner, and one of a user has one.
    let of_some = "SELECT id, kind, metric, owner, priority FROM statshub.ring \
                   WHERE metric = ANY($2) AND kind IN (0, 1) AND owner IN ('', $1)";
    let of_all = "SELECT id, kind, metric, owner, priority FROM statshub.ring \
                  WHERE kind IN (0, 1) AND owner IN ('', $1)";
    let names: Option<Vec<MetricName>> = patterns.iter().map(Pattern::as_exact).collect();
    let wanted = match &names {
        Some(names) => {
            let names: Vec<&str> = names.iter().map(MetricName::as_str).collect();
            sqlx::query_as(of_some).bind(user.as_str()).bind(names)
        }
        None => sqlx::query_as(of_all).bind(user.as_str()),
    };
    let rows: Vec<(i64, i64, String, String, i64)> = wanted.fetch_all(connection).await?;
    let rings = rows
        .into_iter()
        .filter_map(|(id, kind, metric, owner, priority)| {
            Ring::of(id, kind, &metric, &owner, priority)
        });
    let is_wanted = |ring: &Ring| patterns.iter().any(|it| it.matches(&ring.metric));
    let found: BTreeMap<i64, Ring> = rings.filter(|(_, ring)| is_wanted(ring)).collect();
    Ok(found.into_values().map(Arc::new).collect())
}

async fn page(
    connection: &mut PgConnection,
    walk: &mut Walk,
    rows_max: usize,
) -> sqlx::Result<Vec<Row>> {
    let mut taken = Vec::new();
    loop {
        look_around(connection, walk).await?;
        let before = taken.len();
        while taken.len() < rows_max
            && let Some(next) = walk.take()
        {
            taken.push(next);
        }
        if taken.len() == before {
            break;
        }
    }
    let ids: Vec<i64> = taken.iter().map(|(id, _)| *id).collect();
    let mut values = values(connection, ids, walk.order()).await?;
    let last = taken.iter().rposition(|(id, _)| values.contains_key(id));
    // Without any, all of them have gone. Else those behind the last are for another page.
    if let Some(last) = last {
        for (id, lane) in taken.drain(last + 1..) {
            walk.put_back(id, lane);
        }
    }
    let row = |(id, lane)| Some(walk.row(id, lane, values.remove(&id)?));
    Ok(taken.into_iter().filter_map(row).collect())
}

const IDS_UP: &str = "SELECT lane, it.id \
    FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::int8[]) \
        AS look(lane, ring, after, before, wanted) \
    CROSS JOIN LATERAL ( \
        SELECT id FROM statshub.message \
        WHERE ring = look.ring AND id > look.after AND id < look.before \
        ORDER BY id LIMIT look.wanted) AS it \
    ORDER BY lane, it.id";
const IDS_DOWN: &str = "SELECT lane, it.id \
    FROM unnest($1::int8[], $2::int8[], $3::int8[], $4::int8[], $5::int8[]) \
        AS look(lane, ring, after, before, wanted) \
    CROSS JOIN LATERAL ( \
        SELECT id FROM statshub.message \
        WHERE ring = look.ring AND id > look.after AND id < look.before \
        ORDER BY id DESC LIMIT look.wanted) AS it \
    ORDER BY lane, it.id DESC";

/// One question for all that the walk has to know.
async fn look_around(connection: &mut PgConnection, walk: &mut Walk) -> sqlx::Result<()> {
    let looks = walk.looks();
    if looks.is_empty() {
        return Ok(());
    }
    let text = match walk.order() {
        Order::OldestFirst => IDS_UP,
        Order::NewestFirst => IDS_DOWN,
    };
    let number = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    let rows: Vec<(i64, i64)> = sqlx::query_as(text)
        .bind(looks.iter().map(|it| number(it.lane)).collect::<Vec<_>>())
        .bind(looks.iter().map(|it| it.ring).collect::<Vec<_>>())
        .bind(looks.iter().map(|it| it.after).collect::<Vec<_>>())
        .bind(looks.iter().map(|it| it.before).collect::<Vec<_>>())
        .bind(looks.iter().map(|it| number(it.count)).collect::<Vec<_>>())
        .fetch_all(connection)
        .await?;
    let mut found: HashMap<i64, Vec<i64>> = HashMap::new();
    for (lane, id) in rows {
        found.entry(lane).or_default().push(id);
    }
    for look in looks {
        let ids = found.remove(&number(look.lane)).unwrap_or_default();
        walk.found(look.lane, ids);
    }
    Ok(())
}

const VALUES_UP: &str = "SELECT id, data FROM ( \
        SELECT id, data, sum(octet_length(data)) OVER (ORDER BY id) - octet_length(data) AS before \
        FROM statshub.message WHERE id = ANY($1)) AS sized \
    WHERE before < $2";
const VALUES_DOWN: &str = "SELECT id, data FROM ( \
        SELECT id, data, \
            sum(octet_length(data)) OVER (ORDER BY id DESC) - octet_length(data) AS before \
        FROM statshub.message WHERE id = ANY($1)) AS sized \
    WHERE before < $2";

/// What is there of these, up to the one that makes a page too large.
async fn values(
    connection: &mut PgConnection,
    ids: Vec<i64>,
    order: Order,
) -> sqlx::Result<HashMap<i64, String>> {
    if ids.is_empty() {
        return Ok(HashMap::new());
    }
    let text = match order {
        Order::OldestFirst => VALUES_UP,
        Order::NewestFirst => VALUES_DOWN,
    };
    let bytes_max = i64::try_from(PAGE_BYTES_MAX).unwrap_or(i64::MAX);
    let values = sqlx::query_as(text).bind(ids).bind(bytes_max);
    let values: Vec<(i64, String)> = values.fetch_all(connection).await?;
    Ok(values.into_iter().collect())
}
